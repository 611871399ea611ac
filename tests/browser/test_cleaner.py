"""The cleaner as a person meets it: real JupyterLab, real Voila, real Chromium, keys, restarts and moved files."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
from _cleaner import card, ready, save_predictions
from _servers import Server, Visitor, start_lab, start_voila
from playwright.sync_api import Page, expect
from tests._pictures import folders

import shoebox
from shoebox.data import Dataset
from shoebox.errors import DatasetError

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "3_clean.ipynb"  # the one that is shipped
EVIL = "<img src=x onerror=window.hacked=1>"
CYRILLIC = "Бурый медведь из очень далёкого и холодного леса"
HEBREW = "דוב חום"
EMOJI = "灰熊🐻‍❄️"


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg") if ".shoebox" not in path.parts)


def kernel_in(server: Server, folder: Path) -> psutil.Process:
    """The kernel that was started in this folder."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    return next(child for child in children if "ipykernel_launcher" in " ".join(child.cmdline())
                and Path(child.cwd()) == folder)


class Lab:
    """A notebook in JupyterLab."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def open(self) -> None:
        self.page.goto(self.url, wait_until="commit")
        self.page.wait_for_function(
            "window.jupyterapp?.shell?.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=90_000)

    def run_all(self) -> None:
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def restart(self) -> None:
        self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")

    def cells(self) -> int:
        return int(self.page.evaluate("window.jupyterapp.shell.currentWidget.content.widgets.length"))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab_server(workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_lab(workplace, tmp_path_factory.mktemp("lab-state")) as server:
        yield server


@pytest.fixture
def digits(workplace: Path, request: pytest.FixtureRequest) -> Path:
    """The shipped notebook with a small demo data set, in a folder of its own."""
    home = workplace / re.sub(r"\W", "", request.node.name)
    root = shoebox.demo.write(home / "work" / "digits", n=240, wrong_labels=20, near_duplicates=4)
    wrong = shoebox.demo.planted(root).wrong_labels
    save_predictions(Dataset(root), lambda path, label: wrong.get(path, label))
    (home / "notebooks").mkdir()
    shutil.copy(NOTEBOOK, home / "notebooks")
    return root


@pytest.fixture
def lab(visitor: Visitor, lab_server: Server, digits: Path, workplace: Path) -> Lab:
    notebook = (digits.parents[1] / "notebooks" / NOTEBOOK.name).relative_to(workplace).as_posix()
    lab = Lab(visitor.page, f"{lab_server.url}lab/workspaces/{digits.parents[1].name}/tree/{notebook}")
    lab.open()
    lab.run_all()
    ready(lab.page, page=0)
    return lab


def test_three_decisions_by_keyboard_survive_a_restart_and_move_the_files_and_back(
        lab: Lab, visitor: Visitor, digits: Path) -> None:
    page, before, cells = lab.page, files(digits), lab.cells()
    ranking = shoebox.rank(Dataset(digits)).pictures()
    one, two, three = ranking[:3]
    status = page.get_by_role("status").filter(visible=True).and_(page.locator(".sbx-status"))

    card(page, 1).click(position={"x": 20, "y": 40})
    expect(card(page, 1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(card(page, 1)).to_have_accessible_name(re.compile(f"decided: {one.suggested_label}$"))
    expect(card(page, 2)).to_be_focused()
    page.keyboard.press("d")
    expect(card(page, 2)).to_have_accessible_name(re.compile("decided: remove$"))
    expect(card(page, 3)).to_be_focused()
    page.keyboard.press("d")
    expect(card(page, 3)).to_have_accessible_name(re.compile("decided: remove$"))
    page.keyboard.press("z")
    expect(card(page, 3)).to_have_accessible_name(re.compile("undecided$"))
    expect(card(page, 3)).to_be_focused()
    page.keyboard.press("k")
    expect(status).to_have_text(f"{three.path.rpartition('/')[2]}: keep.")
    expect(page.locator(".sbx-decided")).to_have_text(f"3 of {len(ranking)} decided")
    assert lab.cells() == cells, "d d belongs to the cleaner, not to the notebook"
    assert {path: (d.kind, d.label) for path, d in Dataset(digits).decisions.items()} == {
        one.path: ("relabel", one.suggested_label), two.path: ("remove", None), three.path: ("keep", None)}
    assert files(digits) == before

    visitor.expect_trouble = True  # the lost kernel's widgets are written to the console
    lab.restart()
    lab.run_all()
    expect(page.locator(".sbx-cleaner")).to_have_count(1)
    page.wait_for_function("Number(document.querySelector('.sbx-cleaner')?.dataset.revision) <= 2", timeout=60_000)
    ready(page, page=0)
    expect(page.locator(".sbx-decided")).to_have_text(f"3 of {len(ranking)} decided")
    expect(card(page, 1)).to_have_accessible_name(re.compile(f"decided: {one.suggested_label}$"))
    expect(card(page, 2)).to_have_accessible_name(re.compile("decided: remove$"))

    page.get_by_role("button", name="Apply 2 …").click()
    plan = page.get_by_role("region", name="Move 2 files?")
    expect(plan.get_by_role("row", name=re.compile(f"^{one.given_label} "))).to_contain_text("−")
    assert files(digits) == before, "a plan moves nothing"
    plan.get_by_role("button", name="Move 2 files").click()
    result = page.get_by_role("region", name="Applied")
    expect(result).to_contain_text("2 pictures moved")
    expect(result).to_contain_text("The next step is to train again")
    moved = files(digits)
    assert one.path not in moved and two.path not in moved and three.path in moved
    assert any(path.startswith(f"{one.suggested_label}/") for path in set(moved) - set(before))
    expect(page.locator(".sbx-decided")).to_have_text(f"1 of {len(ranking) - 2} decided")

    result.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("region", name="Taken back")).to_contain_text("2 pictures moved back")
    assert files(digits) == before
    expect(page.locator(".sbx-decided")).to_have_text(f"3 of {len(ranking)} decided")


def test_a_silent_kernel_and_a_dead_one_are_told_on_the_card_and_nothing_is_pretended(
        lab: Lab, lab_server: Server, visitor: Visitor, digits: Path) -> None:
    page, kernel = lab.page, kernel_in(lab_server, digits.parents[1] / "notebooks")
    card(page, 1).click(position={"x": 20, "y": 40})
    kernel.suspend()
    page.keyboard.press("k")
    expect(card(page, 1)).to_contain_text("saving …")
    expect(card(page, 1)).to_contain_text("not saved: the kernel does not answer", timeout=8_000)
    expect(card(page, 1)).to_have_accessible_name(re.compile("undecided; not saved"))
    assert Dataset(digits).decisions == {}
    kernel.resume()
    expect(card(page, 1)).to_have_accessible_name(re.compile("decided: keep$"))
    assert [decision.kind for decision in Dataset(digits).decisions.values()] == ["keep"], "it was late, not lost"

    visitor.expect_trouble = True
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.shutdown()")
    card(page, 2).focus()
    page.keyboard.press("d")
    expect(card(page, 2)).to_contain_text("not saved: the kernel does not answer", timeout=8_000)
    assert len(Dataset(digits).decisions) == 1


def test_a_reloaded_page_shows_the_same_page_and_decisions(lab: Lab, visitor: Visitor) -> None:
    visitor.expect_trouble = True  # the old page's requests are cut off
    page = lab.page
    page.get_by_role("button", name="Next", exact=True).click()
    ready(page, page=1)
    card(page, 25).click(position={"x": 20, "y": 40})
    page.keyboard.press("u")
    expect(card(page, 25)).to_have_accessible_name(re.compile("decided: unsure$"))
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    lab.open()
    ready(page, page=1)
    expect(card(page, 25)).to_have_accessible_name(re.compile("decided: unsure$"))
    expect(page.get_by_text("page 2 of")).to_be_visible()
    page.keyboard.press("Tab")
    card(page, 26).click(position={"x": 20, "y": 40})
    page.keyboard.press("k")
    expect(card(page, 26)).to_have_accessible_name(re.compile("decided: keep$"))


@pytest.fixture(scope="module")
def bears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names in many scripts, and one that would like to be markup."""
    root = folders(tmp_path_factory.mktemp("bears") / "data", {EVIL: 6, CYRILLIC: 6, HEBREW: 6, EMOJI: 12})
    for number, path in enumerate(sorted((root / HEBREW).iterdir())):
        path.rename(path.with_name(f"{EVIL}{number}.jpg"))
    return root


@pytest.fixture(scope="module")
def bears_server(bears: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    ds = Dataset(bears)
    others = dict(zip(ds.classes, [*ds.classes[1:], ds.classes[0]], strict=True))
    save_predictions(ds, lambda path, label: others[label] if "0" in path else label)
    folder = tmp_path_factory.mktemp("voila")
    cell = nbformat.v4.new_code_cell(f"import shoebox\nshoebox.clean(shoebox.Dataset({str(bears)!r}), page_size=8)")
    notebook = folder / "clean.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    with start_voila(notebook, folder) as server:
        yield server


@pytest.fixture
def voila(visitor: Visitor, bears_server: Server) -> Page:
    visitor.page.goto(bears_server.url, wait_until="commit")
    ready(visitor.page, page=0)
    return visitor.page


def test_names_are_text_in_any_script_and_never_markup(voila: Page, bears: Path) -> None:
    page, options = voila, voila.get_by_label("Class").locator("option")
    assert sorted(options.all_inner_texts()[1:]) == sorted(f"{label} (0 of {n})" for label, n in (
        (EVIL, 6), (CYRILLIC, 6), (HEBREW, 6), (EMOJI, 12)))
    for number in range(1, 4):
        page.get_by_role("button", name="Next", exact=True).click()
        ready(page, page=number)
    page.get_by_label("Class").select_option(label=f"{HEBREW} (0 of 6)")
    ready(page, page=0)
    expect(page.get_by_role("gridcell")).to_have_count(6)
    first = page.get_by_role("gridcell").first
    first.click(position={"x": 20, "y": 40})
    page.keyboard.press("o")
    page.get_by_role("combobox", name="Another label").fill("<IMG")
    expect(page.get_by_role("dialog").get_by_role("option", name=EVIL)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(first).to_have_accessible_name(re.compile(re.escape(f"decided: {EVIL}")))
    page.get_by_role("button", name="Apply 1 …").click()
    expect(page.get_by_role("region", name="Move 1 file?").get_by_role("row", name=EVIL)).to_be_visible()
    page.get_by_text("File by file").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Move")).to_have_count(0)
    page.keyboard.press("z")
    expect(first).to_have_accessible_name(re.compile("undecided$"))
    page.keyboard.press("o")
    page.get_by_role("combobox", name="Another label").fill("🐻‍❄️")
    expect(page.get_by_role("dialog").get_by_role("option", name=EMOJI)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(first).to_have_accessible_name(re.compile(f"decided: {EMOJI}$"))
    page.keyboard.press("z")
    expect(first).to_have_accessible_name(re.compile("undecided$"))
    assert page.locator('img[src="x"], [onerror]').count() == 0 and page.evaluate("window.hacked") is None
    assert Dataset(bears).decisions == {}


def decide_unheard(kernels: list[psutil.Process], bears: Path, path: str, kind: str) -> None:
    """Ada decides while the kernels are stopped; anew where one was stopped in the middle of reading the catalog."""
    for last in (False, False, False, True):
        for kernel in kernels:
            kernel.suspend()
        try:
            Dataset(bears).decide(path, kind, who="Ada")
            return
        except DatasetError:
            for kernel in kernels:
                kernel.resume()
            if last:
                raise
            time.sleep(0.3)


def test_two_people_see_each_other_s_decisions_and_cannot_overwrite_them_silently(
        visitors: Callable[..., Visitor], bears_server: Server, bears: Path) -> None:
    ada, ben = visitors().page, visitors().page
    for page, name in ((ada, "Ada"), (ben, "Ben")):
        page.goto(bears_server.url, wait_until="commit")
        ready(page, page=0)
        page.get_by_role("textbox", name="Your name").fill(name)
        page.keyboard.press("Tab")
    card(ada, 1).click(position={"x": 20, "y": 40})
    ada.keyboard.press("k")
    expect(card(ada, 1)).to_have_accessible_name(re.compile("decided: keep$"))
    expect(card(ben, 1)).to_have_accessible_name(re.compile("decided: keep$"), timeout=8_000)
    expect(ben.get_by_text("1 of 30 decided")).to_be_visible()

    path = shoebox.rank(Dataset(bears))[1].path
    kernels = [child for child in psutil.Process(bears_server.process.pid).children(recursive=True)
               if "ipykernel_launcher" in " ".join(child.cmdline())]
    question = ben.get_by_role("alertdialog", name="Decided by somebody else")
    card(ben, 2).click(position={"x": 20, "y": 40})
    for kind, answer in (("unsure", "Leave it"), ("keep", "Decide anyway")):
        decide_unheard(kernels, bears, path, kind)  # Ben presses before his page has heard of it
        ben.keyboard.press("d")
        for kernel in kernels:
            kernel.resume()
        expect(question).to_contain_text(f"Ada has decided “{kind}” on")
        expect(question.get_by_role("button", name="Leave it")).to_be_focused()
        assert Dataset(bears).decisions[path].kind == kind
        question.get_by_role("button", name=answer).click()
        expect(question).to_have_count(0)
        expect(card(ben, 2)).to_be_focused()
    expect(card(ben, 2)).to_have_accessible_name(re.compile("decided: remove$"))
    expect(card(ada, 2)).to_have_accessible_name(re.compile("decided: remove$"), timeout=8_000)
    assert Dataset(bears).decisions[path].who == "Ben"
    ada.close()
    ben.close()
    while Dataset(bears).undo_decision():
        pass


def test_a_phone_needs_no_sideways_scroll_and_has_targets_for_thumbs(
        visitors: Callable[..., Visitor], bears_server: Server) -> None:
    page = visitors(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    page.goto(bears_server.url, wait_until="commit")
    ready(page, page=0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Keys").tap()
    page.get_by_role("button", name="Close").tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in [*page.get_by_role("button").all(), *page.locator("select:visible").all()]:
        box = button.bounding_box()
        assert box and box["height"] >= 44 and box["width"] >= 44, button.get_attribute("title")
    fits = page.evaluate(  # all at one moment: the cards are drawn anew when the final order comes
        "() => [...document.querySelectorAll('.sbx-card bdi')].filter((one) => one.getClientRects().length).map("
        "(one) => one.getBoundingClientRect().right <= one.closest('[role=gridcell]').getBoundingClientRect().right)")
    assert len(fits) >= 2 and all(fits)
