"""With a kernel: an explorer in JupyterLab answers with what gfcore gives at that setting."""

import ast
import json
import os
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from playwright.sync_api import expect

from benchmarks import live
from tests.book.test_documents import checked_out
from tests.book.test_environment import fresh, run
from tests.site.conftest import answers


@pytest.mark.slow
def test_explorer_in_jupyterlab_answers_with_what_gfcore_gives(browser, tmp_path):
    explorer = live.explorer()
    with live.lab(browser, tmp_path) as box:
        slider, choice = box.locator("input[type=range]"), box.locator("select")
        seen = set()

        def is_answer():
            """The sentence, the label, the value in words and the curve, at this position."""
            expected = answers(box, explorer)
            assert slider.get_attribute("aria-valuetext") == expected["said"][0]
            assert box.locator("output").inner_text() == expected["said"][0]
            picture = box.locator("canvas").evaluate("c => c.toDataURL()")
            seen.add((expected["text"], tuple(expected["y"][0]), picture))

        is_answer()
        slider.focus()
        for key in ("End", "PageDown", "Home", "ArrowRight"):
            box.page.keyboard.press(key)
            is_answer()
        assert slider.input_value() == "0.01"  # no page of the book has an answer for this
        choice.focus()
        box.page.keyboard.press("ArrowDown")
        is_answer()
        assert len(seen) == 6


def first_explorer(path):
    """Return the first explorer of a chapter, made in this process."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    (cell, *_) = (source for source in code if "explore.Explorer(" in source)
    *before, last = ast.parse(cell).body
    names = {}
    for source in code[:2]:  # parameters and imports
        exec(source, names)
    exec(compile(ast.Module(before, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def size(python):
    """Return the bytes of what is installed, in blocks as a disk holds them."""
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folder = run("/", python, python, "-c", where).strip()
    return 512 * sum(path.lstat().st_blocks for path in Path(folder).rglob("*"))


@pytest.mark.long
def test_chapter_runs_and_answers_in_a_fresh_environment(tmp_path, browser, monkeypatch):
    copy = tmp_path / "copy"
    checked_out(copy)
    python = fresh(tmp_path / "env")
    content = yaml.safe_load((copy / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = [item["pip"] for item in content["dependencies"] if isinstance(item, dict)]
    (copy / "condaenv.txt").write_text("\n".join(pip), encoding="utf-8")  # as conda does
    run(copy, python, "python", "-m", "pip", "install", "--quiet", "-r", "condaenv.txt")
    assert size(python) <= 600e6
    # Binder has a JupyterLab of its own; this is that of the lock, to the bit the same for all.
    lab = ("python", "-m", "pip", "install", "--quiet", "-r", "requirements-build.lock")
    run(copy, python, *lab)
    assert os.access(copy / "postBuild", os.X_OK)
    run(copy, python, "./postBuild")
    run(copy, python, "python", "-m", "pip", "check")
    where = "import gfcore, sys; print(gfcore.__file__, sys.prefix)"
    found = run(copy / "chapters", python, "python", "-c", where)
    assert found.startswith(str(copy))
    assert str(tmp_path / "env") in found
    monkeypatch.delenv("PYTHONPATH", raising=False)
    chapter = "chapters/02-symmetric-factorization.ipynb"
    expected = first_explorer(copy / chapter)
    with live.opened(browser, copy, chapter, python) as page:
        # The text is MyST, not Markdown with directives left over.
        expect(page.locator(".jp-NotebookPanel h1")).to_contain_text("Symmetric matrix")
        assert "{cite:" not in page.locator(".jp-NotebookPanel").inner_text()
        page.locator(".explorer-plot canvas").first.wait_for()
        box = page.locator(".explorer-ready").first
        slider = box.locator("input[type=range]").first
        for key, end in (("Home", "min"), ("End", "max")):
            slider.press(key)
            assert slider.input_value() == slider.get_attribute(end)
            answers(box, expected)
        page.get_by_text("| Idle").wait_for()
        page.locator(".jp-NotebookPanel h1").click()
        page.keyboard.press("Control+s")
        expect(page.locator(".jp-mod-dirty")).to_have_count(0)
    cells = json.loads((copy / chapter).read_bytes())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert "error" not in kinds
    assert "display_data" in kinds
    shutil.rmtree(tmp_path / "env")
