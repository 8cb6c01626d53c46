"""environment.yml and postBuild: what Binder does with them, tried in a fresh environment."""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from test_documents import checked_out

from tools.lock import environment


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


def run(folder, python, *command):
    """Run a command as Binder does: in the clone, with that Python first on the path."""
    path = os.pathsep.join([str(Path(python).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": "", "GFCORE_PAGE": ""}
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
    asks = ("python", "-c", "from gfcore import explore; print(explore.module())")
    with pytest.raises(AssertionError, match="uPlot is missing"):
        run(tmp_path, sys.executable, *asks)
    run(tmp_path, sys.executable, "./postBuild")
    assert "uPlot" in run(tmp_path, sys.executable, *asks)
    assert (tmp_path / "node_modules" / "uplot" / "LICENSE").is_file()


def test_pip_section_runs_a_chapter_in_a_fresh_environment(tmp_path):
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
    chapter = "chapters/02-symmetric-factorization.ipynb"
    command = f"python -m papermill {chapter} out.ipynb --kernel python3 --cwd chapters"
    run(copy, python, *command.split())
    cells = json.loads((copy / "out.ipynb").read_bytes())["cells"]
    assert any(cell.get("outputs") for cell in cells)
    shutil.rmtree(tmp_path / "env")
