"""The built book, for the tests that read it; and small trees of their own, for the others."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import expect, sync_playwright

from gfbook.build.browser import chromium

ROOT = Path(__file__).resolve().parent.parent
FIGURE = {"figure": {"caption": "A line.", "name": "fig-line"}, "image": {"alt": "A line"}}
VIEWS = {"desk": (1280, "light"), "phone": (390, "light"), "dark": (1280, "dark")}
QUIET = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
# With this environment, and nothing set up: a copy would be installed in it.
MAKE = ("make", "READY=", f"BIN={Path(sys.executable).parent}")
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def pytest_configure():
    """Hear interrupts, as the builds shall, even where a shell runs this in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers():
    """Take one worker more than there are cores: tests wait for pages, kernels, downloads."""
    return os.cpu_count() + 1


def pytest_collection_modifyitems(items):
    """Begin with the tests that take longest, or they would be the last to run, and alone."""
    longest = ("fresh_environment", "commands_of_the_readme")
    items.sort(key=lambda item: not any(part in item.name for part in longest))


def answers(box, explorer):
    """Check that a shown explorer has the answer of its function, and return that."""
    controls = box.locator("input[type=range], select").all()
    position = [c.evaluate("c => c.selectedIndex ?? Number(c.value)") for c in controls]
    expected = explorer.answer(position)
    expect(box.locator(".explorer-answer")).to_have_text(expected["text"])
    board = box.locator(".explorer-plot")
    assert expected["text"] in board.get_attribute("aria-label")
    x, *curves = board.evaluate("b => b.plot.data.map((values) => Array.from(values))")
    assert x == expected["x"]
    assert curves == expected["y"]
    return expected


@pytest.fixture(scope="session")
def site():
    """Return the folder of the published book, brought up to date first."""
    subprocess.run([*MAKE, "book"], cwd=ROOT, check=True)
    return ROOT / "_build" / "html"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=QUIET.split())
        yield browser
        browser.close()


def watch(page, own, troubles):
    """Note what the reader of a page should not meet: errors, and requests beyond `own`."""

    def asked(request):
        if not request.url.startswith((*own, "data:", "blob:")):
            troubles.append(f"another origin: {request.url}")

    def failed(request):
        # What is still under way when a page is left is given up, and that is no fault of it.
        if request.failure != "net::ERR_ABORTED":
            troubles.append(f"failed: {request.url} ({request.failure})")

    page.on("pageerror", lambda error: troubles.append(f"script error: {error}"))
    page.on("requestfailed", failed)
    page.on("request", asked)
    page.on("console", lambda said: said.type == "error" and troubles.append(said.text))


@pytest.fixture
def visit(browser, site):
    """Return a function that opens a page, and fails on what its reader should not meet."""
    contexts, troubles = [], []

    def opened(name, view):
        width, scheme = VIEWS[view]
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        contexts.append(context)
        context.add_init_script(f"localStorage.setItem('mode', '{scheme}')")
        context.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
        page = context.new_page()
        watch(page, ["file:"], troubles)
        path = site / f"{name}.html" if "/" in name else site / "chapters" / f"{name}.html"
        page.goto(path.as_uri())
        page.wait_for_function("!window.MathJax || MathJax.startup.promise.then(() => true)")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


class Tree:
    """A book of two small chapters in a folder of its own."""

    def __init__(self, root):
        self.root = root

    def lay(self):
        """Put the files of the book there, and return it."""
        root = self.root
        for name in ("gfcore", "gfbook", "data", "assets"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        names = ("_config.yml", "CITATION.cff", "references.bib", "Makefile")
        for name in (*names, "requirements.lock", "package-lock.json"):
            shutil.copy(ROOT / name, root)
        (root / "data" / "claims.yml").write_text("[]\n")  # nothing that must be checked
        (root / "node_modules").symlink_to(ROOT / "node_modules")
        self.edit("_config.yml", "      - sphinx-mathjax-offline\n", "")  # 24 MB a copy
        (root / "chapters").mkdir()
        (root / "_toc.yml").write_text(
            "format: jb-book\nroot: chapters/one\nchapters:\n- file: chapters/two\n"
        )
        self.chapter("one", code="from gfbook import check\na + 1")
        self.chapter("two")
        return self

    def chapter(self, name, code="a + 1", text="See {numref}`fig-line-NAME`.", figure=True):
        """Write a chapter with the given code in its third cell."""
        line = "import matplotlib.pyplot as plt\nplt.plot([0, a]);"
        drawn = new_code_cell(line)
        if figure:
            named = {"caption": "A line.", "name": f"fig-line-{name}"}
            drawn.metadata["mystnb"] = {"figure": named, "image": {"alt": "A line"}}
        parameters = new_code_cell("a: int = 1  # height")
        parameters.metadata["tags"] = ["parameters"]
        text = f"# {name}\n\n{text.replace('NAME', name)}"
        cells = [new_markdown_cell(text), parameters, new_code_cell(code), drawn]
        notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
        nbformat.write(notebook, self.root / "chapters" / f"{name}.ipynb")

    def start(self, *words, clean=False, **options):
        """Start make, or a module of the build if one is named, with its output in one pipe."""
        command = MAKE
        if words and words[0].startswith("gfbook."):
            command = (sys.executable, "-m")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        if clean:
            environment = {"PATH": os.environ["PATH"]}
        return subprocess.Popen(
            [*command, *(words or ("book",))],
            cwd=self.root,
            env=environment | options.pop("env", {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def run(self, *arguments, **options):
        """Return the exit code of the build and what it said."""
        process = self.start(*arguments, **options)
        said, _ = process.communicate(timeout=300)
        return process.returncode, said

    def edit(self, name, old, new):
        """Replace text in a file that has it."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def pages(self):
        """Return the published pages, name and text."""
        html = self.root / "_build" / "html"
        return {path.name: path.read_text() for path in (html / "chapters").glob("*.html")}


@pytest.fixture
def tree(tmp_path):
    """Return a small book that no other test touches."""
    return Tree(tmp_path).lay()


@pytest.fixture(scope="session")
def built_once(tmp_path_factory, worker_id):
    """Return the folder of a small book, built, to be copied; the workers share one."""
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "built"
    with FileLock(f"{root}.lock"):
        if not root.is_dir():
            part = root.with_suffix(".part")
            part.mkdir()
            code, said = Tree(part).lay().run()
            assert code == 0, said
            part.rename(root)
    return root


@pytest.fixture
def built(built_once, tmp_path):
    """Return a small book that has been built and that no other test touches."""
    return Tree(shutil.copytree(built_once, tmp_path / "book", symlinks=True))
