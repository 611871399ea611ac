"""How many visitors fit into the memory."""

from __future__ import annotations

import pytest

from shoebox.apps._places import free_memory_bytes, plan_places, visitor_bytes

GB = 2**30


@pytest.mark.parametrize("free_gb", [0.2, 0.5, 1, 2, 4, 64])
@pytest.mark.parametrize("model_mb", [None, 1, 50, 400])
def test_what_is_chosen_fits_and_leaves_one_place_at_least(free_gb: float, model_mb: int | None) -> None:
    model = None if model_mb is None else model_mb * 10**6
    places = plan_places(model, free_bytes=int(free_gb * GB))
    assert 1 <= places.max_visitors <= 8 and 0 <= places.preheat <= 2
    fits = (places.max_visitors + places.preheat) * visitor_bytes(model) <= free_gb * GB
    assert fits == (places.warning == "") or places.max_visitors == 1


def test_what_was_asked_for_is_kept_and_too_much_is_said() -> None:
    places = plan_places(50_000_000, max_visitors=20, preheat=1, free_bytes=2 * GB)
    assert (places.max_visitors, places.preheat) == (20, 1)
    assert "21 kernels" in places.warning and "--max-visitors" in places.warning
    assert plan_places(50_000_000, max_visitors=6, free_bytes=2 * GB).preheat == 0
    assert plan_places(50_000_000, preheat=0, free_bytes=64 * GB).max_visitors == 8
    assert plan_places(1, max_visitors=3, free_bytes=64 * GB).preheat == 2


def test_this_machine_s_memory_is_known_or_said_to_be_unknown() -> None:
    free = free_memory_bytes()
    assert free is None or 0 <= free < 2**50
