"""Names and words of strangers in the owner's cleaner: markup in 25 places is shown and never run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from _cleaner import card, ready, save_predictions
from _servers import start_voila
from playwright.sync_api import Browser, Locator, Page, expect
from tests._pictures import draw

from shoebox.data import Dataset
from shoebox.data._provenance import SourceRecord

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "clean_app.ipynb"
EVIL = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script><b onclick=window.hacked=1>x</b>"
NAME = "<img src=x onerror=window.hacked=1><b onclick=window.hacked=1>"  # a folder's and a file's cannot have a slash


@pytest.fixture
def bears(tmp_path: Path) -> Path:
    """Classes, files, sources and an earlier reviewer that would all like to be markup; one label is doubted."""
    root = tmp_path / "work" / "digits"
    for place, label in enumerate((NAME, f"{NAME}2", "teddy")):
        (root / label).mkdir(parents=True)
        for number in range(4):
            draw(10 * place + number, (64, 48)).save(root / label / f"{NAME}{place}{number}.png")
    ds = Dataset(root)
    save_predictions(ds, lambda path, label: NAME if path == f"{NAME}2/{NAME}10.png" else label)
    ds._sources.store([SourceRecord(
        f"https://example.org/{number}?{EVIL}", record.label, query=EVIL, source=EVIL if number else "folder",
        title=EVIL, author=EVIL, licence=EVIL, page_url=f"javascript:window.hacked=1//{EVIL}", note=EVIL,
        state="added", path=record.path, image_id=record.image_id) for number, record in enumerate(ds.images)])
    ds.decide(f"teddy/{NAME}20.png", "relabel", label=NAME, who=EVIL)
    (tmp_path / "notebooks").mkdir()
    shutil.copy(NOTEBOOK, tmp_path / "notebooks")
    return root


def texts(where: Page | Locator, selector: str, attribute: str = "") -> list[str]:
    found = where.locator(selector)
    return [item.get_attribute(attribute) or "" for item in found.all()] if attribute else found.all_text_contents()


@pytest.mark.parametrize("policy", [True, False], ids=["with the policy", "without"])
def test_markup_in_the_owner_s_cleaner_is_shown_and_never_run(chromium: Browser, bears: Path, policy: bool) -> None:
    with start_voila(bears.parents[1] / "notebooks" / NOTEBOOK.name, bears.parents[1]) as server:
        context = chromium.new_context(bypass_csp=not policy)
        page = context.new_page()
        page.goto(server.url, wait_until="commit")
        ready(page, page=0)
        places = {
            "given label": texts(page, ".sbx-card .sbx-given bdi"),
            "suggestion": texts(page, ".sbx-card .sbx-suggested bdi"),
            "alternative text": texts(page, ".sbx-picture canvas", "aria-label"),
            "spoken name": texts(page, ".sbx-card", "aria-label"),
            "reason": texts(page, ".sbx-card .sbx-reason"),
            "path in a hint": texts(page, ".sbx-card .sbx-reason", "title"),
            "button's hint": texts(page, ".sbx-card [data-action=keep]", "aria-label")
            + texts(page, ".sbx-card [data-action=keep]", "title"),
            "filter by class": texts(page, "[data-field=label] option"),
            "filter by suggestion": texts(page, "[data-field=suggested] option"),
            "earlier decision": texts(page, ".sbx-card .sbx-badge"),
            "earlier reviewer": texts(page, ".sbx-card .sbx-badge", "title"),
        }
        page.get_by_role("textbox", name="Your name").fill(EVIL[:80])
        page.keyboard.press("Tab")
        card(page, 1).click(position={"x": 20, "y": 40})
        page.keyboard.press("o")
        page.get_by_role("dialog").get_by_role("option").first.wait_for()
        places["labels to choose"] = page.get_by_role("dialog").get_by_role("option").all_text_contents()
        page.get_by_role("combobox", name="Another label").fill(NAME)
        page.keyboard.press("Enter")
        expect(card(page, 1)).to_have_accessible_name(re.compile(re.escape(f"decided: {NAME}")))
        places["own decision"] = texts(page, ".sbx-card .sbx-badge")
        card(page, 1).click(position={"x": 20, "y": 40})
        page.keyboard.press("f")
        look = page.get_by_role("dialog", name="Close look")
        expect(look.locator("li")).to_have_count(1)
        facts = dict(zip(texts(look, "dt"), texts(look, "dd"), strict=True))
        places |= {f"close look: {name}": [facts[name]] for name in facts.keys() - {"Pixels", "Size"}}
        places |= {"close look: title": texts(look, "h3"), "close look: who": texts(look, "li"),
                   "close look: picture": texts(look, "img", "alt")}
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Overview").click()
        expect(page.locator(".sbx-matrix")).to_be_visible()
        places |= {"matrix": texts(page, ".sbx-matrix th"), "bars": texts(page, ".sbx-bars .sbx-name")}
        page.get_by_role("button", name="Overview").click()
        expect(page.locator(".sbx-matrix")).to_have_count(0)
        page.get_by_role("button", name="Apply 2 …").click()
        expect(page.get_by_role("region", name="Move 2 files?")).to_be_visible()
        page.get_by_text("File by file").click()
        places |= {"plan: classes": texts(page, ".sbx-changes th"), "plan: files": texts(page, ".sbx-moves li")}
        page.get_by_role("button", name="Move 2 files", exact=True).click()
        expect(page.get_by_role("region", name="Applied")).to_be_visible()
        assert len(places) >= 25
        for place, shown in places.items():
            assert any("onerror" in text for text in shown), (place, shown)
        for target in page.locator(".sbx-cleaner *:visible").all()[:40]:
            target.dispatch_event("click")
        assert page.evaluate("window.hacked") is None
        inside = page.locator(".sbx-cleaner")
        assert inside.locator("script, b, img[src=x], [onerror], [onclick], a[href^=javascript]").count() == 0
        context.close()
