"""Books of two small chapters in folders of their own."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.conftest import MAKE, ROOT

# Matplotlib takes as long as all else in a small chapter: where it is not asked for, this.
LINE = """\
from IPython.display import SVG
SVG('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 9 9 0"/></svg>')
"""
PLOT = "import matplotlib.pyplot as plt\nplt.plot([0, a]);"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def written(name):
    """Return what a YAML file of the repository says, read by C: the ledger is long."""
    return yaml.load((ROOT / name).read_bytes(), Loader=yaml.CSafeLoader)


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
        for name in ("findings.yml", "playground.yml"):  # about claims
            (root / "data" / name).unlink()
        (root / "node_modules").symlink_to(ROOT / "node_modules")
        self.edit("_config.yml", "      - sphinx-mathjax-offline\n", "")  # 24 MB a copy
        (root / "chapters").mkdir()
        (root / "_toc.yml").write_text(
            "format: jb-book\nroot: chapters/one\nchapters:\n- file: chapters/two\n"
        )
        self.chapter("one", code="from gfbook import check\na + 1")
        self.chapter("two", drawn=PLOT)
        return self

    def chapter(self, name, code="a + 1", text="See {numref}`fig-line-NAME`.", drawn=LINE):
        """Write a chapter with the given code in its third cell, and a picture in the last."""
        drawn = new_code_cell(drawn)
        if drawn.source:
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
def built_once(shared):
    """Return the folder of a small book, built, to be copied; the workers share one."""
    root = shared / "built"
    with FileLock(f"{root}.lock"):
        if not root.is_dir():
            part = root.with_suffix(".part")
            part.mkdir()
            code, said = Tree(part).lay().run()
            assert code == 0, said
            (part / "said").write_text(said)
            part.rename(root)
    return root


@pytest.fixture
def built(built_once, tmp_path):
    """Return a small book that has been built and that no other test touches."""
    return Tree(shutil.copytree(built_once, tmp_path / "book", symlinks=True))
