"""The table of claims against faults in gfcore, and the faults that make it."""

import csv
import inspect
import json
import shutil
import subprocess
import sys

import pytest

import gfcore as gf
from gfbook.build import ledger
from tests import mutants
from tests.book.conftest import written
from tests.conftest import ROOT

with mutants.TABLE.open(encoding="utf-8") as file:
    TABLE = list(csv.DictReader(file))
LEDGER = written(ledger.LEDGER)
CLAIMS = {entry["id"]: entry for entry in LEDGER}


def claims(row, column):
    return row[column].split()


def public():
    """Yield the public functions of gfcore, and the methods and properties of its states."""
    for name in gf.__all__:
        value = getattr(gf, name)
        if inspect.ismodule(value):
            for known, function in inspect.getmembers(value, inspect.isfunction):
                if known[0] != "_" and function.__module__.startswith(value.__name__):
                    yield f"{name}.{known}"
    for known, function in inspect.getmembers(gf.state, inspect.isfunction):
        if known[0] != "_" and function.__module__ == gf.state.__name__:
            yield f"state.{known}"
    for owner in (gf.Weights, gf.Trajectory):
        for known, value in vars(owner).items():
            if known[0] != "_" and (inspect.isfunction(value) or isinstance(value, property)):
                yield f"{owner.__name__}.{known}"


def test_every_public_function_has_a_fault():
    assert {path for path, _ in mutants.MUTANTS.values()} == set(public())


@pytest.mark.parametrize("fault", mutants.MUTANTS)
def test_fault_can_be_put_into_its_function(fault):
    path, change = mutants.MUTANTS[fault]
    owner, name = mutants.place(path)
    function = inspect.getattr_static(owner, name)
    assert callable(change(getattr(function, "fget", function)))


@pytest.mark.parametrize("fault", mutants.MUTANTS)
def test_every_fault_is_noticed(fault):
    """By a claim of a chapter, or else by a test of the function."""
    found = [row for row in TABLE if row["fault"] == fault]
    tests = [row for row in found if row["where"].startswith("tests/")]
    assert tests or any(row["claims that notice"] for row in found)
    for row in tests:
        name = row["what stops"]
        assert f"def {name}(" in (ROOT / row["where"]).read_text(encoding="utf-8")


def test_table_names_what_there_is():
    assert {row["fault"] for row in TABLE} == set(mutants.MUTANTS)
    for row in TABLE:
        assert (ROOT / row["where"]).is_file() or row["where"] in {
            path.stem for path in mutants.CHAPTERS
        }
        both = claims(row, "claims that notice") + claims(row, "claims that do not")
        assert set(both) <= set(CLAIMS)
        assert len(both) == len(set(both))


def test_claim_that_rests_on_gfcore_notices_a_fault():
    """Of those with numbers; `sharp: qualitative` says that there are none to be wrong."""
    rests = {id for row in TABLE for id in claims(row, "claims that do not")}
    notices = {id for row in TABLE for id in claims(row, "claims that notice")}
    assert {id for id in rests - notices if CLAIMS[id]["sharp"] != "qualitative"} == set()


@pytest.mark.slow
def test_dozen_rows_come_out_again():
    run = subprocess.run(
        [sys.executable, "tests/mutants.py", "12"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_check_rests_on_what_it_reads_and_on_no_drawing(tmp_path):
    cells = [
        "import numpy as np\nimport gfcore as gf\nfrom gfbook.check import check",
        "rng = np.random.default_rng(0)\nY = np.eye(2)\nz = rng.random()",
        "X0 = rng.random((2, 2))",
        "def path(t):\n    return gf.exact.linear(Y, X0, t)",
        "fig = []\nfig.append(path(3.0))\ndrawn = gf.rates.symmetric(Y)",
        "X = path(1.0)\nX[0, 0] += 0\nX0 = 0",
        "far = gf.rates.symmetric(Y)\ndef late(): return far\nfar = 1",
        "n = 0\nfor i in range(2):\n    drawn = X * i\n    n += 1\n    X = drawn + late()",
        'check("eq-4", residual=X - 1, tol=1)',
    ]
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    for source in cells:
        cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        notebook["cells"].append(cell | {"source": source})
    chapter = tmp_path / "chapter.ipynb"
    chapter.write_text(json.dumps(notebook))
    found = mutants.statements(chapter)
    (check,) = (s for s in found if s.checks)
    # 0-2 import, 3-6 draw, 7 is the function, 8-10 are drawn, 13 comes too late, and 14 is
    # forgotten before 15 is called in 18, which counts and sets what it reads in 10's name
    assert set(check.before) == {0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 15, 16, 17, 18}
    assert check.rests == set(check.before) - {5} | {19}  # not on what only draws before it


def test_copy_of_a_checkout_puts_faults_into_its_own_code(tmp_path):
    for name in ("tests", "gfbook"):
        (tmp_path / name).mkdir()
    shutil.copy(mutants.__file__, tmp_path / "tests")
    (tmp_path / "gfbook/__init__.py").write_text("raise SystemExit('its own')")
    script = [sys.executable, str(tmp_path / "tests/mutants.py")]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == "its own\n"
