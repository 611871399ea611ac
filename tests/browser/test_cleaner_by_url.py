"""The shipped review notebook under Voila, as a colleague meets it: fifty keys, many at once, overview, full size."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from _cleaner import card, ready, reviewing, save_predictions
from _servers import Server, Visitor, start_voila
from playwright.sync_api import Page, expect

import shoebox
from shoebox.data import Dataset
from shoebox.data._provenance import SourceRecord

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "clean_app.ipynb"
SITE = "pictures.example.org"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("review")
    root = shoebox.demo.write(home / "work" / "digits", n=240, wrong_labels=20, near_duplicates=4)
    wrong = shoebox.demo.planted(root).wrong_labels
    ds = Dataset(root)
    save_predictions(ds, lambda path, label: wrong.get(path, label))
    ds._sources.store([SourceRecord(f"https://{SITE}/{record.path}", record.label, page_url=f"https://{SITE}/",
                                    state="added", path=record.path, image_id=record.image_id)
                       for record in ds.images[::3]])
    (home / "notebooks").mkdir()
    shutil.copy(NOTEBOOK, home / "notebooks")
    return root


@pytest.fixture(scope="module")
def server(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    notebook = digits.parents[1] / "notebooks" / NOTEBOOK.name
    with start_voila(notebook, tmp_path_factory.mktemp("voila"), max_visitors=100) as running:
        yield running


@pytest.fixture
def page(visitor: Visitor, server: Server, digits: Path) -> Iterator[Page]:
    yield from reviewing(visitor.page, server.url, digits)


def decided(page: Page) -> int:
    return int(page.locator(".sbx-decided").inner_text().split()[0])


def test_fifty_decisions_by_keyboard_go_through_the_pages_and_survive_a_reload(
        page: Page, visitor: Visitor, digits: Path) -> None:
    visitor.expect_trouble = True  # the old page's requests are cut off
    ranking = shoebox.rank(Dataset(digits)).pictures()  # each picture once, as the cleaner shows them
    card(page, 1).click(position={"x": 20, "y": 40})
    wanted = {}
    for place in range(50):
        expect(card(page, place + 1), str(place)).to_be_focused()
        key = ("k", "Enter", "d", "u", ranking[place].given_label)[place % 5]
        page.keyboard.press(key)
        wanted[ranking[place].path] = key
    expect(page.locator(".sbx-decided")).to_have_text(re.compile("^50 of"))
    found = page.locator(".sbx-found")
    expect(found).to_be_visible()
    expect(found).to_have_text(re.compile(r"^\d+ problems in \d+ pictures; of the last \d+, \d+% .*left: \d+ \("))
    stored = Dataset(digits).decisions
    assert stored.keys() == wanted.keys()
    kinds = {"k": {"keep"}, "d": {"remove"}, "u": {"unsure"}, "Enter": {"keep", "relabel"}}
    assert all(decision.kind in kinds.get(wanted[path], {"keep"}) for path, decision in stored.items())

    page.keyboard.press("z")
    expect(page.locator(".sbx-decided")).to_have_text(re.compile("^49 of"))
    page.keyboard.press("Shift+Z")
    expect(page.locator(".sbx-decided")).to_have_text(re.compile("^50 of"))
    page.locator("[data-field=label]").select_option("=3")
    ready(page, page=0)
    expect(page.get_by_role("gridcell", name=re.compile("^Given 3;")).first).to_be_visible()
    assert page.get_by_role("gridcell").count() == page.get_by_role("gridcell", name=re.compile("^Given 3;")).count()
    page.reload(wait_until="commit")
    ready(page, page=0)
    expect(page.locator(".sbx-decided")).to_have_text(re.compile("^50 of"))


def test_of_two_without_a_name_each_takes_back_only_their_own_after_a_reload_too(
        visitors: Callable[..., Visitor], server: Server, digits: Path) -> None:
    """Shipped bug: both had the owner's name, and who reloaded could take back what the other had decided."""
    ada, ben = visitors(), visitors()
    ada.expect_trouble = True  # the old page's requests are cut off
    for place, visitor in enumerate((ada, ben), start=1):
        visitor.page.goto(server.url, wait_until="commit")
        ready(visitor.page, page=0)
        card(visitor.page, place).click(position={"x": 20, "y": 40})
        visitor.page.keyboard.press("k")
        expect(card(visitor.page, place)).to_have_accessible_name(re.compile("decided: keep$"))
    names = {place: decision.who for place, decision in Dataset(digits).decisions.items()}
    assert len(set(names.values())) == 2 and all(re.fullmatch("guest [0-9a-f]{6}", name) for name in names.values())
    ada.page.reload(wait_until="commit")
    ready(ada.page, page=0)
    card(ada.page, 3).click(position={"x": 20, "y": 40})
    for left in (1, 1):  # the second time nothing is left that would be hers
        ada.page.keyboard.press("z")
        expect(ada.page.locator(".sbx-decided")).to_have_text(re.compile(f"^{left} of"))
    expect(ada.page.get_by_role("status")).to_contain_text("There is nothing of yours to undo.")
    expect(card(ada.page, 2)).to_have_accessible_name(re.compile("decided: keep$"))
    expect(ada.page.get_by_role("textbox", name="Your name")).to_have_attribute("placeholder", re.compile("guest"))
    ada.page.close()
    ben.page.close()
    while Dataset(digits).undo_decision():
        pass


def test_a_digit_changes_the_label(page: Page, digits: Path) -> None:
    first = shoebox.rank(Dataset(digits)).pictures()[0]
    digit = next(digit for digit in "0123456789" if digit not in (first.given_label, first.suggested_label))
    card(page, 1).click(position={"x": 20, "y": 40})
    page.keyboard.press(digit)
    expect(card(page, 1)).to_have_accessible_name(re.compile(f"^Given {first.given_label};.* decided: {digit}$"))
    assert {path: (d.kind, d.label) for path, d in Dataset(digits).decisions.items()} == {
        first.path: ("relabel", digit)}


def test_the_selects_for_kind_source_split_and_what_is_shown_filter(page: Page, digits: Path) -> None:
    ds = Dataset(digits)
    records = {record.path: record for record in ds.images}
    ranking = shoebox.rank(ds).pictures()
    first = ranking[0]
    ds.decide(first.path, "keep")
    of_site = {record.image_id for record in ds.images[::3]}
    twins = {issue.path for issue in shoebox.rank(ds) if issue.kind == "near_duplicate" and issue.image_id}
    assert twins
    valid = sum(records[issue.path].side == "valid" for issue in ranking)
    wanted = [("Kind", "duplicate", len(twins)), ("Split", "Validation", valid),
              ("Split", "Training", len(ranking) - valid), ("Show", "Decided", 1),
              ("Show", "Undecided", len(ranking) - 1),
              ("Source", SITE, sum(issue.image_id in of_site for issue in ranking))]
    expect(page.get_by_text(f"1 of {len(ranking)} decided")).to_be_visible(timeout=8_000)
    for name, choice, count in wanted:
        select = page.get_by_role("combobox", name=name, exact=True)
        everything = select.input_value()
        option = select.locator("option").filter(has_text=re.compile(f"^{re.escape(choice)}"))
        select.select_option(option.get_attribute("value"))
        expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(count))
        ready(page, page=0)
        select.select_option(everything)
        expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(len(ranking)))


def test_a_cell_opens_all_that_it_counts_whatever_was_filtered(page: Page, digits: Path) -> None:
    first = shoebox.rank(Dataset(digits))[0]
    page.get_by_role("combobox", name="Show").select_option("decided")
    page.get_by_role("combobox", name="Split").select_option("valid")
    page.get_by_role("button", name="Overview").click()
    cell = page.get_by_role("button", name=re.compile(f"^{first.given_label} → {first.suggested_label}: "))
    counted = int(cell.inner_text())
    cell.click()
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(counted))
    expect(page.get_by_role("combobox", name="Show")).to_have_value("all")
    expect(page.get_by_role("combobox", name="Split")).to_have_value("")


def test_many_at_once_are_one_step(page: Page, digits: Path) -> None:
    ranking = shoebox.rank(Dataset(digits)).pictures()  # each picture once, as the cleaner shows them
    bar = page.get_by_role("toolbar", name="Selected pictures")
    card(page, 2).click(position={"x": 20, "y": 40})
    page.keyboard.press("s")
    expect(bar).to_contain_text("1 picture selected")
    card(page, 9).click(position={"x": 20, "y": 40}, modifiers=["Shift"])
    expect(bar).to_contain_text("8 pictures selected")
    expect(card(page, 5)).to_have_attribute("aria-selected", "true")
    bar.get_by_role("button", name="Label …").click()
    page.get_by_role("combobox", name="Another label").fill("7")
    page.keyboard.press("Enter")
    expect(bar).to_be_hidden()
    expect(page.locator(".sbx-decided")).to_have_text(re.compile("^8 of"))
    stored = Dataset(digits).decisions
    assert set(stored) == {issue.path for issue in ranking[1:9]} and {d.label for d in stored.values()} <= {"7", None}
    card(page, 1).click(position={"x": 20, "y": 40})
    page.keyboard.press("z")
    expect(page.locator(".sbx-decided")).to_have_text(re.compile("^0 of"))

    same = [issue for issue in ranking if (issue.given_label, issue.suggested_label)
            == (ranking[0].given_label, ranking[0].suggested_label)]
    page.keyboard.press("a")
    expect(bar).to_contain_text(f"{len(same)} picture")
    bar.get_by_role("button", name="Accept").click()
    expect(page.locator(".sbx-decided")).to_have_text(re.compile(f"^{len(same)} of"))
    assert {d.label for d in Dataset(digits).decisions.values()} == {ranking[0].suggested_label}


def test_a_cell_of_the_matrix_and_a_bar_open_their_pictures(page: Page, digits: Path) -> None:
    first = shoebox.rank(Dataset(digits))[0]
    card(page, 1).click(position={"x": 20, "y": 40})
    page.keyboard.press("m")
    overview = page.get_by_role("region", name="Overview")
    overview.get_by_role("button", name=re.compile(f"^{first.given_label} → {first.suggested_label}: ")).click()
    expect(overview).to_have_count(0)
    ready(page, page=0)
    expect(card(page, 1)).to_be_focused()
    expect(page.locator("[data-field=suggested]")).to_have_value(f"={first.suggested_label}")
    wanted = re.compile(f"^Given {first.given_label}; suggested {first.suggested_label}")
    for name in page.get_by_role("gridcell").all():
        expect(name).to_have_accessible_name(wanted)
    page.get_by_role("button", name="Overview").click()
    overview.get_by_role("button", name=re.compile("^5: ")).click()
    ready(page, page=0)
    expect(page.locator("[data-field=label]")).to_have_value("=5")
    expect(page.locator("[data-field=suggested]")).to_have_value("")
    page.keyboard.press("m")
    overview.get_by_role("button", name="All pictures").click()
    expect(page.locator("[data-field=label]")).to_have_value("")


@pytest.mark.parametrize(("width", "height"), [(1280, 600), (390, 844)])
def test_the_bar_for_many_stays_in_sight_and_lies_over_no_picture_that_has_the_focus(
        visitors: Callable[..., Visitor], server: Server, width: int, height: int) -> None:
    page = visitors(viewport={"width": width, "height": height}).page
    page.goto(server.url, wait_until="commit")
    ready(page, page=0)
    card(page, 1).click(position={"x": 20, "y": 40})
    page.keyboard.press("s")
    bar = page.get_by_role("toolbar", name="Selected pictures")
    expect(bar).to_be_visible()
    for key, place in (("ArrowRight", 2), ("ArrowLeft", 1)):
        page.evaluate("document.querySelector('main').scrollTo(0, 1e6)")
        page.keyboard.press(key)
        expect(card(page, place)).to_be_focused()
        expect(bar).to_be_in_viewport(ratio=1)
        above, below = bar.bounding_box(), card(page, place).bounding_box()
        assert above and below and above["y"] + above["height"] <= below["y"] + 1
    page.close()


def test_full_size_shows_pixels_file_and_history_and_decides(page: Page, digits: Path) -> None:
    ranking = shoebox.rank(Dataset(digits)).pictures()  # each picture once, as the cleaner shows them
    Dataset(digits).decide(ranking[0].path, "unsure", who="Anna")
    card(page, 1).click(position={"x": 20, "y": 40})
    page.keyboard.press("f")
    dialog = page.get_by_role("dialog", name="Close look")
    record = Dataset(digits).record(ranking[0].path)
    expect(dialog).to_contain_text(f"{record.width_px} × {record.height_px}")
    expect(dialog).to_contain_text(ranking[0].path)
    expect(dialog).to_contain_text("Anna: unsure")
    assert page.evaluate("document.querySelector('.sbx-large img').naturalWidth") == record.width_px
    page.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text(ranking[1].path)
    page.keyboard.press("d")
    expect(dialog).to_contain_text(ranking[2].path)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(card(page, 3)).to_be_focused()
    expect(card(page, 2)).to_have_accessible_name(re.compile("decided: remove$"))


def test_a_killed_kernel_is_told_and_nothing_is_pretended(page: Page, visitor: Visitor, server: Server,
                                                          digits: Path) -> None:
    visitor.expect_trouble = True
    for child in psutil.Process(server.process.pid).children(recursive=True):
        if "ipykernel_launcher" in " ".join(child.cmdline()):
            child.kill()
    card(page, 1).click(position={"x": 20, "y": 40})
    page.keyboard.press("k")
    expect(card(page, 1)).to_contain_text("not saved: the kernel does not answer", timeout=9_000)
    expect(page.get_by_role("status").and_(page.locator(".sbx-status"))).to_contain_text("does not answer")
    assert decided(page) == 0 and Dataset(digits).decisions == {}
