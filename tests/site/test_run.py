"""Python in the page, as a reader meets it: press, change, run, err, stop, reset, check.

In Chromium; test_firefox.py does so in Firefox. Not tried: Safari and any other WebKit, a phone
or tablet in the hand and its keyboard, a screen reader, a slow network, a real host, a machine
that has too little memory to load Python at all.
"""

import json
import re
import string
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager

import nbformat
import pytest
from playwright.sync_api import expect

from benchmarks import live
from gfbook.live import parts
from tests.conftest import ROOT
from tests.site.conftest import VIEWS, serious, until, watch

pytestmark = pytest.mark.slow
CHAPTER = "12-lazy-or-rich"  # short, with an explorer and checks
EXPLORED = "02-symmetric-factorization"  # in Firefox
SMALL = "appendix-d-proposition-4"
ASKED: list[str] = []  # of the server, in its words
READY = 400_000  # milliseconds, on a machine that does much else
RUNS = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))
WITHOUT = "Python for the pages cannot be had here; make book says why"


@pytest.fixture(scope="module")
def served(site):
    if parts.ready(ROOT) is None:
        pytest.fail(WITHOUT)
    with live.served(site.resolve(), ASKED) as address:
        yield address


class Reader:
    """A reader of one page, who notes what they should not meet."""

    def __init__(self, browser, address, name, view="desk"):
        width, scheme = VIEWS[view]
        self.context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            accept_downloads=True,
        )
        self.page = self.context.new_page()
        self.troubles, self.asked = [], []
        watch(self.page, [address], self.troubles)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"{address}{name}.html")

    def state(self, *wanted, timeout=READY):
        """Wait for Python to be in a state; the page's policy forbids wait_for_function."""
        at = ", ".join(f"html[data-live={state}]" for state in wanted)
        self.page.wait_for_selector(at, state="attached", timeout=timeout)

    def start(self):
        self.page.get_by_role("button", name="Run this page", exact=True).click()
        self.state("ready")
        assert self.page.evaluate("document.activeElement.className") == "live-start"

    def cell(self, place):
        return self.page.locator("div.cell:has(.cm-editor)").nth(place)

    @property
    def other(self):
        """Return the second cell that is not folded."""
        return self.page.locator("div.cell:has(.cm-editor:visible)").nth(1)

    def run(self, cell):
        """Press a cell's button and wait until it has run."""
        with self.running():
            cell.locator(".live-button", has_text="Run").click()

    @contextmanager
    def running(self):
        """Wait until what is asked for within has been run."""
        count = "Number(document.documentElement.dataset.liveRuns ?? 0)"
        before = self.page.evaluate(count)
        yield
        until(lambda: self.page.evaluate(count) != before, timeout=READY)

    def open(self, cell):
        fold = cell.locator("details:not([open]):has(.cm-content) > summary:visible")
        if fold.count():
            fold.click()
        return cell.locator(".cm-content")

    def write(self, cell, text):
        self.open(cell).click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)

    @property
    def said(self):
        return self.page.locator(".live-bar .live-words")


@pytest.fixture(scope="module")
def started(browser, served):
    """A reader for whom Python runs in a chapter."""
    reader = Reader(browser, served, f"chapters/{CHAPTER}")
    before = list(reader.asked)
    reader.start()
    reader.before, reader.ready = before, reader.said.inner_text()
    assert reader.troubles == []
    yield reader
    reader.context.close()


@pytest.fixture
def reader(started):
    """The same, all as in the book whichever tests came before; none is to meet a trouble."""
    started.context.set_offline(False)
    again = started.page.get_by_role("button", name="Reset all")
    if again.is_enabled():
        again.click()
    expect(again).to_be_disabled()
    folds = started.page.locator("details:has(.cm-editor)")
    folds.evaluate_all("all => all.forEach((fold) => { fold.open = false; })")
    started.troubles.clear()
    yield started
    assert started.troubles == []


def test_nothing_is_loaded_before_the_button_is_pressed(reader):
    assert reader.before
    assert not [url for url in reader.before if re.search(r"/python-|/live-|\.whl", url)]
    assert [url for url in reader.asked if "/python-" in url]
    assert "Python runs in this page" in reader.ready


def test_size_is_said_before_and_is_that_of_what_is_loaded(browser, served, reader, site):
    about = json.loads((parts.ready(ROOT) / "parts.json").read_bytes())
    for name in ("base.pack", "pyodide.asm.wasm", "python_stdlib.zip"):
        assert name in about["bytes"]
        assert any(f"/{name} " in line for line in ASKED)
    page = (site / f"chapters/{CHAPTER}.html").read_text()
    said = json.loads(re.search(r'id="live-parts">(.*?)</script>', page)[1])
    assert 20e6 < said["size"] < 36e6
    assert not {"sympy.pack", "scipy.pack"} & said["bytes"].keys()


def test_nothing_packed_has_the_order_of_a_set():
    # Matplotlib's list of fonts alone had it, and no two packings were alike.
    with tarfile.open(parts.ready(ROOT) / "base.pack") as archive:
        listed = json.load(archive.extractfile("site-packages/matplotlib/fontlist.json"))
    for fonts in listed["afmlist"], listed["ttflist"]:
        names = [font["fname"] for font in fonts]
        assert len(names) > 20
        assert names == sorted(names)


@pytest.mark.long
def test_parts_packed_again_elsewhere_are_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    parts.build(tmp_path / "again")
    made, kept = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (tmp_path / "again", parts.ready(ROOT))
    )
    assert {"base.pack", "parts.json"} <= made.keys()
    assert made.keys() == kept.keys()
    assert [name for name in made if made[name] != kept[name]] == []


def test_a_cell_is_changed_run_and_reset(reader):
    page, cell = reader.page, reader.cell(0)
    original = cell.locator(".cm-content").inner_text()
    output = cell.locator(".cell_output")
    before = output.inner_text()
    reader.write(cell, "import numpy as np\nprint('here', 6 * 7)\nnp.eye(2)")
    expect(cell.locator(".live-row .live-words").last).to_have_text("changed")
    with reader.running():
        page.keyboard.press("Shift+Enter")
    assert "here 42" in output.inner_text()
    assert "array([[1., 0.]" in output.inner_text()
    kept = page.evaluate("Object.entries(localStorage).filter(([key]) => key.includes('#'))")
    assert len(kept) == 1
    assert "6 * 7" in kept[0][1]
    cell.get_by_role("button", name=re.compile("^Reset cell")).click()
    assert cell.locator(".cm-content").inner_text() == original
    assert output.inner_text() == before
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes('#'))") == []


def test_an_error_is_shown_with_its_line_marked(reader):
    cell = reader.cell(0)
    reader.write(cell, "a = 1\nb = a / 0\nc = 2")
    reader.run(cell)
    expect(cell.locator(".live-error > p")).to_have_text(
        "ZeroDivisionError in line 2: division by zero"
    )
    expect(cell.locator(".live-wrong")).to_have_text("b = a / 0")
    expect(reader.said).to_have_text("The cell has an error.")
    reader.write(cell, "a = (")
    reader.run(cell)
    expect(cell.locator(".live-error > p")).to_contain_text("SyntaxError in line 1")
    cell.get_by_role("button", name=re.compile("^Reset cell")).click()
    expect(cell.locator(".live-error")).to_have_count(0)


def types_all(page, field):
    """Type each printable character into an emptied field; none is to lead elsewhere."""
    typed = string.printable.strip()
    field.focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.press("Control+k")  # the theme's key for its search
    page.keyboard.type(typed)
    assert (
        field.evaluate("e => (e === document.activeElement) && (e.value ?? e.innerText)")
        == typed
    )
    assert not page.locator("dialog[open]").count()


def test_a_cell_can_be_left_and_run_by_keyboard(reader):
    page, cell = reader.page, reader.cell(0)
    types_all(page, cell.locator(".cm-content"))
    reader.write(cell, "if True:")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.insert_text("print('in', 6")
    page.keyboard.type(" / 4 // 1)")
    assert "    " in cell.locator(".cm-content").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Run"
    with reader.running():
        page.keyboard.press("Enter")
    expect(cell.locator(".cell_output")).to_contain_text("in 1.0")


def test_what_was_changed_is_there_after_coming_back_and_can_be_taken(reader):
    page, cell = reader.page, reader.cell(0)
    reader.write(cell, "changed = 'by the reader'")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    notebook = nbformat.read(download.value.path(), 4)
    sources = [c.source for c in notebook.cells if c.cell_type == "code"]
    original = nbformat.read(ROOT / f"chapters/{CHAPTER}.ipynb", 4)
    expected = [c.source for c in original.cells if c.cell_type == "code"]
    assert sources == ["changed = 'by the reader'", *expected[1:]]
    other = reader.context.new_page()
    other.goto(page.url)
    told = other.get_by_text("You changed a cell here")
    until(told.count, other.reload)  # what one page keeps comes late to the next
    other.close()
    page.get_by_role("button", name="Reset all").click()
    expect(reader.said).to_have_text("All is as it is in the book.")


def test_an_explorer_answers_at_every_value(reader):
    cell = reader.page.locator("div.cell:has(.explorer)").first
    expect(cell.locator(".explorer input[type=range]").first).to_have_attribute("step", "1")
    with reader.running():
        cell.get_by_role("button", name="Calculate at every value").click()
    slider = cell.locator(".explorer input[type=range]").first
    assert slider.get_attribute("step") == "0.01"
    before = cell.locator(".explorer-answer").inner_text()
    slider.focus()
    for _ in range(30):
        reader.page.keyboard.press("ArrowRight")
    expect(cell.locator(".explorer-answer")).not_to_have_text(before)
    assert not float(slider.input_value()).is_integer()


def word(cell):
    """Return where a cell says how it is."""
    return cell.locator(".live-row .live-words").last


def test_python_is_stopped_and_starts_anew(reader):
    page, cell, next_ = reader.page, reader.cell(0), reader.other
    before = len(ASKED)
    shown = next_.locator(".cell_output").inner_text()
    reader.write(cell, "1 / 0")
    reader.run(cell)
    expect(cell.locator(".live-error, .live-wrong")).to_have_count(2)
    reader.write(cell, "while True: pass")
    expect(word(cell)).to_have_text("changed since it ran")
    expect(cell.locator(".live-error")).to_have_count(1)
    cell.locator(".live-button", has_text="Run").click()
    expect(word(cell)).to_have_text("running …")
    expect(cell.locator(".live-error, .live-wrong")).to_have_count(0)  # of the run before
    expect(reader.said).to_have_text("Running the cell …")
    next_.locator(".live-button", has_text="Run").click()
    expect(word(next_)).to_have_text("queued")
    expect(next_.locator(".cell_output")).to_have_css("opacity", "0.45")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(reader.said).to_contain_text("Stopped. What you changed is kept")
    assert cell.locator(".cm-content").inner_text() == "while True: pass"
    expect(word(cell)).to_have_text("stopped")
    expect(word(next_)).to_have_text("not run")
    # While it starts, what waits says so, and is not run after all is as in the book.
    cell.locator(".live-button", has_text="Run").click()
    expect(word(cell)).to_have_text("queued")
    with reader.running():
        page.get_by_role("button", name="Reset all").click()
        expect(word(cell)).to_have_text("")
    assert "while True" not in cell.locator(".cm-content").inner_text()
    expect(word(next_)).to_have_text("")
    assert next_.locator(".cell_output").inner_text() == shown
    reader.run(cell)
    expect(reader.said).to_have_text("The cell was run.")
    # From what this browser kept: no part is asked for again.
    assert not re.search(r"\.(pack|wasm|zip|whl)", "".join(ASKED[before:]))


def test_what_is_reset_while_it_runs_stays_as_in_the_book(reader):
    page, cell = reader.page, reader.cell(0)
    shown = cell.locator(".cell_output").inner_text()
    for button in "Reset all", "Reset cell 1":
        reader.write(cell, "while True: pass")
        with reader.running():
            cell.locator(".live-button", has_text="Run").click()
            expect(word(cell)).to_have_text("running …")
            page.get_by_role("button", name=button, exact=True).click()
        assert cell.locator(".cell_output").inner_text() == shown
        expect(word(cell)).to_have_text("")
        expect(page.get_by_role("button", name="Reset all")).to_be_disabled()
    reader.run(cell)
    expect(reader.said).to_have_text("The cell was run.")


def test_what_waits_behind_an_error_is_said_to_be_not_run(reader):
    cell, other = reader.cell(0), reader.other
    reader.write(cell, "import nothing_of_this_name")
    reader.run(other)  # which needs those that import
    expect(cell.locator(".live-error > p")).to_contain_text("ModuleNotFoundError")
    expect(word(other)).to_have_text("not run")
    expect(reader.said).to_have_text("A cell before it has an error, and the rest was not run.")
    reader.page.get_by_role("button", name="Reset all").click()
    expect(word(other)).to_have_text("")


def test_a_cell_reads_names_as_in_the_order_of_the_book(reader):
    first, cell, later = (reader.cell(n) for n in (4, 13, 14))
    error = cell.locator(".live-error > p")
    reader.write(first, "w = 1\n\n\ndef inverse(x):\n    return 1 / x")
    reader.write(cell, "print('w is', w)")
    reader.write(later, "w = 2")
    for each in (first, later, cell):
        reader.run(each)
    expect(cell.locator(".cell_output")).to_contain_text("w is 1")
    # What was run before one above it changed says so, until it is run again or that is reset.
    before = "made before a change above"
    expect(word(cell)).not_to_have_text(before)
    reader.write(first, "w = 3\n\n\ndef inverse(x):\n    return 1 / x")
    expect(word(cell)).not_to_have_text(before)  # what is shown is of what was run
    reader.run(first)
    expect(word(cell)).to_have_text(before)
    expect(cell.locator(".cell_output")).to_contain_text("w is 1")
    expect(word(later)).not_to_have_text(before)
    reader.run(first)
    expect(word(cell)).to_have_text(before)
    reader.run(cell)
    expect(cell.locator(".cell_output")).to_contain_text("w is 3")
    expect(word(cell)).not_to_have_text(before)
    # To call a function of a module, or to run it again, changes nothing for others.
    old = reader.page.locator(".live-old")
    count = old.count()
    reader.write(later, "np.sort([2, 1])\nplots.style()")
    reader.run(later)
    expect(old).to_have_count(count)
    expect(word(cell)).not_to_have_text(before)
    first.get_by_role("button", name=re.compile("^Reset cell")).click()
    expect(word(cell)).to_have_text(before)
    reader.write(first, "w = 1\n\n\ndef inverse(x):\n    return 1 / x")
    # An error is told where this cell has it, and not where another does that it calls.
    reader.write(cell, "x = 0\n\ninverse(x)")
    for key in ("Control+Home", "Enter", "Enter"):
        reader.page.keyboard.press(key)
    reader.run(cell)
    expect(error).to_have_text("ZeroDivisionError in line 5: division by zero")
    expect(cell.locator(".live-wrong")).to_have_text("inverse(x)")
    # What is no Python is told at once: not after those before it.
    reader.write(first, "1 / 0")
    reader.write(cell, "w +")
    reader.run(cell)
    expect(error).to_contain_text("SyntaxError in line 1")
    expect(word(first)).to_have_text("changed since it ran")
    expect(first.locator(".live-error")).to_have_count(0)


def press(cell, name):
    cell.get_by_role("button", name=re.compile(f"^{name} cell")).click()


def test_an_explorer_is_marked_while_it_answers_with_what_was_changed(reader):
    first, box = reader.cell(0), reader.page.locator("div.cell:has(.explorer)").first
    answer = box.locator(".explorer-answer")
    mixed, late = "what it uses has changed since it ran", "made before a change above"

    def explore():
        with reader.running():
            box.get_by_role("button", name=re.compile("Calculate|Run again")).click()

    original = first.locator(".cm-content").inner_text()
    changed = original.replace("seed: int = 0", "seed: int = 3")
    assert changed != original
    # As the book has it, it is true again as soon as what was changed is reset.
    book = answer.inner_text()
    reader.write(first, changed)
    reader.run(first)
    expect(word(box)).to_have_text(late)
    press(first, "Reset")
    expect(word(box)).to_have_text("")
    # Where it asks Python, that has what was changed until the cell is run again.
    explore()
    expect(word(box)).to_have_text(re.compile(r"\d (m?s)$"))
    expect(answer).to_have_text(book)
    reader.write(first, changed)
    expect(word(box)).not_to_have_text(mixed)
    reader.run(first)
    expect(word(box)).to_have_text(mixed)
    press(first, "Reset")
    expect(word(box)).to_have_text(mixed)
    expect(first.locator(".cm-content")).to_have_text(original, use_inner_text=True)
    explore()
    expect(word(box)).not_to_have_text(mixed)
    expect(answer).to_have_text(book)
    expect(box.get_by_role("button", name="Run again")).to_have_count(0)
    # Run with what was changed, it says something else, and so after a reset.
    reader.write(first, changed)
    reader.run(first)
    explore()
    expect(answer).not_to_have_text(book)
    press(first, "Reset")
    expect(word(box)).to_have_text(mixed)
    # Without Python it does not move, and says so.
    reader.page.get_by_role("button", name="Stop", exact=True).click()
    expect(word(box)).to_have_text(f"{late}; run it again to move it")
    expect(box.locator("[inert] input[type=range]")).to_have_count(1)
    explore()
    expect(answer).to_have_text(book)
    reader.open(box)
    press(box, "Reset")
    expect(answer).to_have_text(book)
    expect(word(box)).to_have_text("")


REFUSED = {
    "import threading; threading.Thread(target=print).start()": "can't start new thread",
    "input()": "a page cannot be asked while a cell runs",
    "import asyncio\nawait asyncio.sleep(1)": "a page cannot wait",
    "import asyncio\nasyncio.run(asyncio.sleep(1))": "a page cannot wait",
    "!ls": "a page has no shell",
    "import sys; sys.exit()": "SystemExit",
    "return 3": "'return' outside function",
}


def test_what_a_page_cannot_do_is_said_in_a_word(reader):
    cell = reader.cell(0)
    for code, said in REFUSED.items():
        reader.write(cell, code)
        reader.run(cell)
        expect(cell.locator(".live-error > p")).to_contain_text(said)


SPOILT = {
    "import builtins; builtins.len = None": "Python could not go on",
    "import builtins; builtins.print = None": "The cell was run.",
    "import sys; sys.stdout = None; sys.modules.clear()": "The cell was run.",
    "import os; os._exit(1)": "Python could not go on",
    "import warnings; warnings.simplefilter('error')": "The cell was run.",
    "import matplotlib as m; m.rcParams['lines.linewidth'] = 9": "The cell was run.",
    "print = sum = len = 3": "The cell was run.",
    "'x' * 10**7": "The cell was run.",
}


@pytest.mark.parametrize("code", SPOILT)
def test_whatever_a_cell_spoils_the_page_goes_on_and_all_can_be_reset(reader, code):
    cell, other = reader.cell(0), reader.other
    reader.write(cell, code)
    reader.run(cell)
    expect(reader.said).to_contain_text(SPOILT[code])
    reader.page.get_by_role("button", name="Reset all").click()
    expect(reader.said).to_have_text("All is as it is in the book.")
    reader.run(other)
    expect(reader.said).to_contain_text("run.")
    expect(other.locator(".live-error")).to_have_count(0)


NETWORK = "Is there a network?"


@pytest.mark.parametrize(
    ("name", "lost", "words"),
    [
        (f"chapters/{CHAPTER}", "cells.mjs", NETWORK),
        (f"chapters/{CHAPTER}", f"{CHAPTER}.ipynb", NETWORK),
        (f"chapters/{CHAPTER}", "worker.mjs", f"Python could not be loaded. {NETWORK} What"),
        (f"chapters/{CHAPTER}", "pyodide.mjs", NETWORK),
        ("record/claims", "claims.json", NETWORK),
        ("record/claims", "base.pack", f"{NETWORK} What was checked is kept"),
        ("record/playground", "playground.py", NETWORK),
        ("record/playground", "worker.mjs", f"{NETWORK} Change a value"),
    ],
)
def test_what_cannot_be_had_is_told(browser, served, name, lost, words):
    reader = Reader(browser, served, name)
    page = reader.page
    page.context.route(f"**/{lost}", lambda route: route.abort())
    page.locator(".live-first").click()
    expect(page.locator(".live-start, .live-bar").filter(has_text=words)).to_have_count(1)
    again = page.locator(".live-first")
    assert not again.count() or again.is_enabled()
    reader.context.close()


def test_another_tab_is_met_and_nothing_is_lost(reader):
    page, cell = reader.page, reader.cell(0)
    original = cell.locator(".cm-content").inner_text()
    reader.write(cell, "here = 1")
    key = page.evaluate("Object.keys(localStorage).find((key) => key.includes('#'))")
    other = reader.context.new_page()
    other.goto(page.url)
    other.evaluate("key => localStorage.setItem(key, 'there = 2')", key)
    expect(cell.locator(".cm-content")).to_have_text("there = 2")
    state = cell.locator(".live-row .live-words").last
    expect(state).to_have_text("changed in another tab; undo brings back what was here")
    cell.locator(".cm-content").focus()
    page.keyboard.press("Control+z")
    expect(cell.locator(".cm-content")).to_have_text("here = 1")
    until(lambda: other.evaluate("key => localStorage.getItem(key)", key) == "here = 1")
    other.evaluate("key => localStorage.removeItem(key)", key)
    expect(cell.locator(".cm-content")).to_have_text(original, use_inner_text=True)
    other.close()


DEEP = "import sys\nsys.setrecursionlimit(10**6)\n"
# An endless recursion in Python is an error like others; one in its C ends Python itself.
FATAL = {
    f"{DEEP}def f(): return f()\nf()": "The cell has an error.",
    f"{DEEP}x = []\nfor _ in range(10**5): x = [x]\nrepr(x)": "deeper than this browser can",
}


@pytest.mark.parametrize("code", FATAL)
def test_a_recursion_without_end_is_told_and_python_can_be_had_again(reader, code):
    cell = reader.cell(0)
    reader.write(cell, code)
    reader.run(cell)
    expect(reader.said).to_contain_text(FATAL[code])
    assert cell.locator(".cm-content").inner_text().splitlines() == code.splitlines()
    reader.troubles.clear()  # Pyodide tells the console of its end
    reader.write(cell, "print(6 * 7)")
    reader.run(cell)
    expect(cell.locator(".cell_output")).to_contain_text("42")


def test_what_a_cell_changed_in_a_module_goes_with_its_reset(reader):
    cell, other = reader.cell(0), reader.other
    reader.write(other, "print(np.get_printoptions()['precision'], hasattr(gf, 'mine'))")
    reader.run(other)
    expect(other.locator(".cell_output")).to_contain_text("8 False")
    code = cell.locator(".cm-content").inner_text()
    more = "import numpy as np, gfcore as gf\ngf.mine = np.set_printoptions(precision=3)"
    reader.write(cell, f"{code}\n{more}")
    reader.run(cell)
    expect(word(other)).to_have_text("made before a change above")
    reader.run(other)
    expect(other.locator(".cell_output")).to_contain_text("3 True")
    press(cell, "Reset")
    expect(word(other)).to_have_text("made before a change above")
    reader.run(other)
    expect(other.locator(".cell_output")).to_contain_text("8 False")
    expect(word(other)).not_to_have_text("made before a change above")


def test_a_browser_that_keeps_nothing_is_told_of(reader):
    page, cell = reader.page, reader.cell(0)
    full = "Storage.prototype.setItem = () => { throw new Error('full'); };"
    page.evaluate(f"() => {{ window.keep = Storage.prototype.setItem; {full} }}")
    reader.write(cell, "unkept = 1")
    expect(reader.said).to_contain_text("does not keep what you change: download it")
    page.dispatch_event("body", "visibilitychange")
    expect(cell.locator(".cm-content")).to_have_text("unkept = 1")
    page.evaluate("() => { Storage.prototype.setItem = window.keep; }")


def test_want_of_memory_is_told(reader):
    cell = reader.cell(0)
    reader.write(cell, "import numpy as np\nx = [np.empty(2**27) for _ in range(9)]")
    reader.run(cell)
    expect(cell.locator(".live-error > p")).to_contain_text("MemoryError in line 2: Unable")


def test_a_worker_that_ends_unsaid_is_noticed_and_needs_no_network_to_start_anew(reader):
    cell = reader.cell(0)
    reader.write(cell, "import js\nkept = 1\njs.close()")
    cell.locator(".live-button", has_text="Run").click()
    expect(reader.said).to_contain_text("Python is gone: its worker ended")
    assert "js.close()" in cell.locator(".cm-content").inner_text()
    cell.get_by_role("button", name=re.compile("^Reset cell")).click()
    reader.context.set_offline(True)
    reader.run(cell)
    expect(reader.said).to_have_text("The cell was run.")


def test_page_with_python_is_accessible_and_fits(reader):
    page = reader.page
    assert serious(page, ".live-bar, .live-start, .live-input") == []
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def agrees(reader, site, chapters):
    """Wait until the claims of some chapters are checked, and compare what is saved."""
    page = reader.page
    claims = json.loads((site / "claims.json").read_bytes())["claims"]
    claims = [claim for claim in claims if claim["chapter"] in chapters]
    for claim in claims:
        page.locator(f"[id='{claim['id']}'] .live-here b").wait_for(timeout=READY)
    page.get_by_role("button", name="Pause").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as JSON").click()
    saved = json.loads(download.value.path().read_text())
    found = {claim["id"]: claim for claim in saved["claims"]}
    assert {claim["id"] for claim in claims} <= found.keys()
    for claim in claims:
        here = found[claim["id"]]["here"]
        assert found[claim["id"]]["book"]["residual"] == claim["residual"]
        assert here["residual"] <= here["tol"] == claim["tol"]
        assert here["agrees"]
    assert saved["versions"]["platform"] == "emscripten"
    assert "Chrome" in saved["browser"]
    assert reader.troubles == []


def test_claims_are_checked_alone_from_their_rows_and_in_turn(browser, served, site):
    """One alone also while the others wait."""
    reader = Reader(browser, served, "record/claims")
    page = reader.page
    first, second = (page.locator(f"[id='{id}'] .live-here") for id in ("app-d-1", "app-b-1"))
    first.get_by_role("button", name="check app-d-1 in this browser").press("Enter")
    expect(first.get_by_role("button")).to_have_text("queued")
    expect(first.locator("b")).to_have_text("agrees", timeout=READY)
    assert page.evaluate("document.activeElement.ariaLabel") == "check app-d-1 in this browser"
    expect(reader.said).to_contain_text("1 of")
    page.get_by_role("button", name="Pause").click()
    page.get_by_label("What to check").select_option(SMALL)
    page.get_by_role("button", name="Check", exact=True).click()
    expect(reader.said).to_contain_text("Paused")
    second.get_by_role("button").click()
    expect(second.locator("b")).to_have_text("agrees", timeout=READY)
    expect(second.get_by_role("button")).to_have_text("check")
    expect(reader.said).to_contain_text("Paused", timeout=READY)
    assert page.locator(".live-here b").count() == 2
    page.get_by_role("button", name="Go on").click()
    agrees(reader, site, [SMALL])
    # In another tab what was checked is there, and all can be begun at once.
    other = reader.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Check the paper in this browser").click()
    expect(other.get_by_role("button", name="Pause")).to_be_visible()
    expect(other.locator(".live-here b").first).to_have_text("agrees")
    reader.context.close()


@pytest.mark.long
def test_the_paper_is_checked_in_the_browser(browser, served, site):
    reader = Reader(browser, served, "record/claims")
    page = reader.page
    page.get_by_role("button", name="Check the paper in this browser").click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").click()
    agrees(reader, site, RUNS)
    reader.context.close()


def test_a_check_is_made_again_where_it_stands(reader):
    cell = reader.page.locator("div.cell:has(.cm-editor):has(details.check)").first
    fold = cell.locator("details.check")
    bars = fold.locator("summary").inner_text()
    reader.open(cell)
    reader.run(cell)
    expect(fold.locator(".residual").first).to_contain_text(", here")
    assert fold.locator("summary").inner_text().splitlines()[0] == bars.splitlines()[0]
    cell.get_by_role("button", name=re.compile("^Reset cell")).click()
    expect(fold.locator(".residual").first).not_to_contain_text(", here")


def test_a_check_that_fails_here_is_not_said_to_hold(reader):
    changed, cell = (reader.page.locator(f"div.cell.tag_id-cell-{n}") for n in ("04", "11"))
    fold = cell.locator("details.check")
    bar, figures = fold.locator(".claim"), fold.locator(".residual")
    book = bar.evaluate("bar => bar.outerHTML"), figures.inner_html()
    reader.open(cell)
    code = reader.open(changed).inner_text()  # of a closed fold it has no ends of lines
    reader.write(changed, f"{code}\nsigma *= 2")
    reader.run(changed)
    reader.run(cell)
    expect(cell.locator(".live-error > p")).to_contain_text("ClaimError")
    expect(bar).to_have_class("claim claim-fails")
    expect(bar.locator(".verdict")).to_have_text("check failed here")
    expect(figures).to_contain_text(re.compile(r" residual \S+ exceeds \S+, here$"))
    # Run well again, it says so; run without its check, it says nothing of it.
    press(changed, "Reset")
    reader.run(cell)
    expect(bar.locator(".verdict")).to_have_text("holds")
    expect(figures).to_have_text(re.compile(r"residual .+ when altered, here$"))
    reader.write(cell, "np.eye(2)")
    reader.run(cell)
    expect(bar.locator(".verdict")).to_have_text("not checked here")
    expect(figures).to_contain_text("not measured here")
    press(cell, "Reset")
    assert (bar.evaluate("bar => bar.outerHTML"), figures.inner_html()) == book


def test_parameters_are_shown_without_their_heading_where_they_can_be_changed(reader):
    cell = reader.page.locator("div.cell.tag_parameters")
    expect(cell.locator(".cm-content")).to_be_visible()
    expect(cell.locator("summary")).to_be_hidden()


def test_without_a_server_there_is_a_word_and_no_button(visit):
    page = visit(CHAPTER, "desk")
    assert page.get_by_role("button", name="Run this page").count() == 0
    expect(page.locator(".live-start")).to_contain_text("make serve")


@pytest.mark.long
def test_every_cell_of_every_chapter_runs_and_agrees(site):
    command = [
        *parts.node("node"),
        str(ROOT / "benchmarks/live.mjs"),
        str(site.resolve()),
        *RUNS,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")][1:]
    assert {line["chapter"] for line in lines} == set(RUNS)
    assert [line for line in lines if not line["ok"]] == []
    made = {claim["id"]: claim for line in lines for claim in line["claims"]}
    book = json.loads((site / "claims.json").read_bytes())["claims"]
    assert made.keys() == {claim["id"] for claim in book}
    for claim in book:
        here = made[claim["id"]]
        assert here["residual"] <= here["tol"] == claim["tol"], claim["id"]
        assert (here["altered"] is None) == (claim["altered"] is None), claim["id"]
        assert here["altered"] is None or here["altered"] > here["tol"], claim["id"]
