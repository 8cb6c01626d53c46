"""environment.yml and postBuild: what Binder does with them, tried in a fresh environment."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import ROOT, answers
from playwright.sync_api import expect
from test_documents import checked_out

from benchmarks import live
from gfbook.build.lock import both, environment


def test_environment_is_the_lock_and_the_package():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert (ROOT / "environment.yml").read_text(encoding="utf-8") == environment(lock)
    assert not (ROOT / "binder").exists()


def test_every_pin_has_its_hash():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks = lock.replace("\\\n", "").splitlines()
    assert blocks
    for block in blocks:
        assert "==" in block
        assert "--hash=sha256:" in block
    assert "://" not in lock
    assert "rfc3987-syntax" not in lock  # two seconds at every import of nbformat


def test_what_has_extras_is_pinned_without_them_too():
    given = "a[b,c]==1 \\\n    --hash=x\nd==2 \\\n    --hash=y\n"
    assert both(given) == given.replace("d==2", "a==1 \\\n    --hash=x\nd==2")


def run(folder, python, *command):
    """Run a command as Binder does: in the clone, with that Python first on the path."""
    path = os.pathsep.join([str(Path(python).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": "", "GFBOOK_PAGE": ""}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_nothing_that_is_fetched_or_built_is_committed():
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout == ""


def test_post_build_fetches_what_the_explorers_draw_with(tmp_path):
    checked_out(tmp_path)
    assert os.access(tmp_path / "postBuild", os.X_OK)
    assert (tmp_path / "postBuild").read_text().startswith("#!/bin/sh\n")
    # The search path begins in the clone, so this is its gfcore, and there is no uPlot yet.
    asks = ("python", "-c", "from gfbook import explore; print(explore.module())")
    with pytest.raises(AssertionError, match="uPlot is missing"):
        run(tmp_path, sys.executable, *asks)
    run(tmp_path, sys.executable, "./postBuild")
    assert "uPlot" in run(tmp_path, sys.executable, *asks)
    assert (tmp_path / "node_modules" / "uplot" / "LICENSE").is_file()


def test_binders_own_parser_takes_the_environment_then_the_clone_then_post_build(tmp_path):
    # No Docker here: repo2docker says what it would do, and does not do it.
    env, clone = tmp_path / "env", tmp_path / "clone"
    venv.create(env, with_pip=True)
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    python = str(env / "bin" / "python")
    run(ROOT, python, python, "-m", "pip", "install", "--quiet", *groups["binder"])
    checked_out(clone)
    command = (str(env / "bin" / "jupyter-repo2docker"), "--no-build", "--debug", ".")
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)
    said = done.stdout + done.stderr
    dependencies = yaml.safe_load((clone / "environment.yml").read_bytes())["dependencies"]
    assert f"Building conda environment for {dependencies[0]}\n" in said
    steps = (
        "COPY --chown=0:0 src/ ${REPO_DIR}/",  # before the environment, which installs it
        'env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"',
        "RUN ./postBuild",
    )
    places = [said.index(step) for step in steps]
    assert places == sorted(places)
    assert "apt-get install" not in said[places[0] :]


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


def test_chapter_runs_and_answers_in_a_fresh_environment(tmp_path, browser, monkeypatch):
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = [item["pip"] for item in content["dependencies"] if isinstance(item, dict)]
    copy = tmp_path / "copy"
    checked_out(copy)
    (copy / "pins.txt").write_text("\n".join(pip), encoding="utf-8")
    venv.create(tmp_path / "env", with_pip=True)
    python = str(tmp_path / "env" / "bin" / "python")
    run(copy, python, "python", "-m", "pip", "install", "--quiet", "-r", "pins.txt")
    run(copy, python, "python", "-m", "pip", "check")
    run(copy, python, "./postBuild")
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
