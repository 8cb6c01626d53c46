"""`make lite` as far as it can be tested without Pyodide: what it hands to JupyterLite."""

import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT
from test_documents import checked_out

# What gfcore reads from beside itself, and the module that stands in for myst_nb.
ASKS = """
import gfcore, myst_nb
from gfcore import claims, explore
myst_nb.glue("shown", 3)
myst_nb.glue("hidden", 4, display=False)
print(gfcore.__file__, len(claims.load()), "uPlot" in explore.module())
"""


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """Return the folder that JupyterLite builds from."""
    clone = tmp_path_factory.mktemp("clone")
    checked_out(clone)
    (clone / "node_modules").symlink_to(ROOT / "node_modules")
    environment = os.environ | {"PYTHONPATH": ""}
    command = [sys.executable, "-m", "tools.lite"]
    subprocess.run(command, cwd=clone, env=environment, check=True)
    return clone / "_build" / "lite"


def test_wheel_holds_all_that_gfcore_reads(staged, tmp_path):
    (wheel,) = (staged / "pypi").iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    assert wheel.stat().st_size < 500_000
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    said = subprocess.check_output(
        [sys.executable, "-c", ASKS],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        text=True,
    )
    path, count, drawn = said.splitlines()[-1].split()
    assert said.splitlines()[:-1] == ["3"]
    assert path.startswith(str(tmp_path / "installed"))
    assert int(count) > 30
    assert drawn == "True"


def test_every_chapter_installs_gfcore_first_and_is_else_as_it_was(staged):
    names = {path.name for path in (ROOT / "chapters").glob("*.ipynb")}
    made = {path.name: path for path in (staged / "files" / "chapters").iterdir()}
    assert set(made) == names
    for name, path in made.items():
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert notebook.cells[0].source == "%pip install -q gfcore"
        original = nbformat.read(ROOT / "chapters" / name, as_version=4)
        assert notebook.cells[1:] == original.cells
        assert notebook.metadata.kernelspec.name == "python"


def test_settings_name_folders_that_are_there(staged):
    settings = json.loads((staged / "jupyter_lite_config.json").read_text())["LiteBuildConfig"]
    assert all((staged / folder).is_dir() for folder in settings["contents"])
