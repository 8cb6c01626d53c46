"""The small faults in gfcore against which the chapters are run."""

import inspect
import json

import pytest

import gfcore as gf
from tests import mutants


def public():
    """Yield the public functions of gfcore, and the methods and properties of its states."""
    for name in gf.__all__:
        value = getattr(gf, name)
        if inspect.ismodule(value):
            for known, function in inspect.getmembers(value, inspect.isfunction):
                if known[0] != "_" and function.__module__.startswith(value.__name__):
                    yield f"{name}.{known}"
    for known, function in inspect.getmembers(gf.state, inspect.isfunction):
        if function.__module__ == gf.state.__name__:
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


def test_a_check_rests_on_what_it_reads_and_on_no_drawing(tmp_path):
    cells = [
        "import numpy as np\nimport gfcore as gf\nfrom gfbook.check import check",
        "rng = np.random.default_rng(0)\nY = np.eye(2)\nz = rng.random()",
        "X0 = rng.random((2, 2))",
        "def path(t):\n    return gf.exact.linear(Y, X0, t)",
        "fig = []\nfig.append(path(3.0))\ndrawn = gf.rates.symmetric(Y)",
        "X = path(1.0)\nX[0, 0] += 0\nX0 = 0",
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
    # 0-2 import, 3-6 draw, 7 is the function, 8-10 are drawn, 13 comes too late
    assert set(check.before) == {0, 1, 2, 3, 4, 5, 6, 7, 11, 12}
    assert check.rests == {0, 1, 2, 4, 6, 7, 11, 12, 14}  # not on what only draws before it
