"""How the house is built: what imports what, and where an equation is written."""

import ast
import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Equations of the paper, or enough of each to know it by. A copy may have other letters.
PRINTED = {
    "eq_5": ["2 * Y @ X + 2 * X @ Y - 4 * X @ X", "2 * (Y @ X + X @ Y) - 4 * X @ X"],
    "eq_8": ["eye + inv(Y) @ (expm(4 * t * Y) - eye) @ X0"],
    "eq_9": ["sigma + sigma0 * (exp(4 * t * sigma) - 1)"],
    "eq_12": ["(Y - U @ V.T) @ V", "(E @ V, E.T @ U)"],
    "eq_17": ["e**2 + 8 * sigma * C * e - 4 * lam**2 * C**2"],
    "eq_22": ["4 * s**2 * lam**2 + 16 * s**2 * x**2 + lam**4 + 4 * x**2 * lam**2"],
    "eq_26": ["(E @ V - U @ P / 2, E.T @ U + V @ P / 2)"],
    "eq_30": ["eye + inv(S) @ (expm(2 * t * S) - eye) @ R0 @ R0.T / 2"],
}
# Descent goes through a stack of starts, which the printed form does not take; the chapter has
# the flow of another loss, whose gradient stands for Y - U V^T.
OTHERS = {("gfcore/descent.py", "eq_12"), ("chapters/06-figure-3.ipynb", "eq_12")}


@functools.cache
def code(path):
    """Return the Python of a file, that of a notebook's cells together."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
    return ast.parse(text)


def sources(*folders):
    """Return {name: its code} of every file of Python below the folders."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*"))]
    paths = [p for p in paths if p.suffix in (".py", ".ipynb") and ".ipynb_" not in str(p)]
    return {path.relative_to(ROOT).as_posix(): code(path) for path in paths}


def shape(node):
    """Return an expression with its letters numbered as they come: E @ V is A @ B is 0 @ 1."""
    letters = {}

    def told(node):
        if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
            return (told(node.value), "T")
        if isinstance(node, ast.Name | ast.Attribute):
            return letters.setdefault(ast.unparse(node), len(letters))
        if isinstance(node, ast.List | ast.Tuple):
            return ("several", *map(told, node.elts))
        if isinstance(node, ast.AST):
            return (
                type(node).__name__,
                *(told(v) for k, v in ast.iter_fields(node) if k != "ctx"),
            )
        return tuple(map(told, node)) if isinstance(node, list) else repr(node)

    return told(node)


SHAPES = {
    shape(ast.parse(text, mode="eval").body): name
    for name, texts in PRINTED.items()
    for text in texts
}


def equations(tree):
    """Return which equations are written in a piece of code."""
    kinds = (ast.BinOp, ast.Tuple, ast.List)
    found = (SHAPES.get(shape(node)) for node in ast.walk(tree) if isinstance(node, kinds))
    return {name for name in found if name}


def imported(tree):
    """Return the dotted names that a piece of code imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_importing_gfcore_brings_in_numpy_alone():
    run = [sys.executable, "-c", "import sys, gfcore; print(*sys.modules)"]
    found = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"gfcore", "numpy"} <= {*found.split()}
    heavy = {"scipy", "matplotlib", "IPython", "yaml", "tqdm", "sympy", "mpmath", "gfbook"}
    later = {"numpy.random", "numpy.polynomial", "numpy.ma"}  # half as long as all of the rest
    assert (heavy | later).isdisjoint(found.split())


def test_gfcore_imports_numpy_scipy_and_itself():
    allowed = {"gfcore", "numpy", "scipy", *sys.stdlib_module_names}
    for name, tree in sources("gfcore").items():
        assert {each.partition(".")[0] for each in imported(tree)} <= allowed, name


def test_kernels_are_imported_from_inside_gfcore_alone():
    for name, tree in sources("gfbook", "chapters", "benchmarks").items():
        private = [
            each for each in imported(tree) if each.startswith("gfcore") and "._" in each
        ]
        assert private == [], name
    used = {each for tree in sources("gfcore").values() for each in imported(tree)}
    assert "gfcore._check" in used


def test_each_equation_is_written_once():
    found = sources("chapters", "gfcore", "gfbook", "tests", "benchmarks")
    assert equations(found.pop("gfcore/paper.py")) == {*PRINTED}
    written = {(name, eq) for name, tree in found.items() for eq in equations(tree)}
    assert written == OTHERS


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("np.concatenate([A @ B, A.mT @ C])", "eq_12"),
        ("dV = (state.Y - a @ b.T) @ b", "eq_12"),
        ("lambda X: 2 * (A @ X + X @ A) - 4 * X @ X", "eq_5"),
        ("return A @ B - C @ Q / 2, A.T @ C + B @ Q / 2", "eq_26"),
    ],
)
def test_a_copy_by_other_letters_is_seen(text, name):
    tree = ast.parse(f"def f():\n    {text}")
    assert equations(tree) == {name}
    assert equations(ast.parse("E @ V, U @ V.T, (E @ V, E @ U)")) == set()


def test_only_the_build_reads_the_ledger():
    readers = sources("gfcore", "gfbook", "chapters")
    readers = {name for name in readers if not name.startswith("gfbook/build/")}
    for name in readers:
        text = Path(ROOT, name).read_text(encoding="utf-8")
        assert not any(word in text for word in ("claims.yml", "gfbook.build", "paper.yml")), (
            name
        )


def test_docstrings_name_the_printed_equation():
    import gfcore as gf

    stable = {
        gf.exact.linear: "eq_4",
        gf.exact.symmetric: "eq_8",
        gf.exact.riccati: "eq_8",
        gf.exact.symmetric_modes: "eq_9",
        gf.exact.spectral_modes: "eq_17",
        gf.exact.spectral_constant: "eq_22",
        gf.exact.identity_imbalance: "eq_30",
        gf.flow.solve: "eq_12",
        gf.flow.solve_regularized: "eq_26",
        gf.descent.run_linear: "eq_32",
        gf.descent.run_symmetric: "eq_33",
    }
    for function, name in stable.items():
        assert f"``paper.{name}``" in function.__doc__, function
        assert hasattr(gf.paper, name)


def pytest_says(line, code=0):
    """Return what a run of make does that ends in a line."""
    return f"echo '{line}'; (exit {code})"


@pytest.mark.parametrize(
    ("first", "second", "closing", "code"),
    [
        (
            pytest_says("== 3000 passed, 9 deselected in 200.50s (0:03:20) =="),
            pytest_says("===== 100 passed, 1 skipped, 9 deselected in 11.25s ====="),
            "== 3100 passed, 1 skipped in 211.75s ==",
            0,
        ),
        (
            pytest_says("== 2 failed, 10 passed, 1 error in 2.00s ==", 2),
            pytest_says("== 1 failed, 3 passed, 2 warnings, 1 error in 1.00s ==", 2),
            "== 3 failed, 13 passed, 2 warnings, 2 errors in 3.00s ==",
            1,
        ),
        (
            "echo 'no Chromium'; (exit 2)",
            pytest_says("== 3 passed in 1.00s =="),
            "== 3 passed, 1 error in 1.00s ==",
            1,
        ),
        ("true", "true", "== 2 errors in 0.00s ==", 1),
        (
            pytest_says("== 5 passed in 1.00s ==", 2),
            pytest_says("== 1 passed in 1.00s =="),
            "== 6 passed, 1 error in 2.00s ==",
            1,
        ),
        (
            pytest_says("== 4 passed in 1.00s =="),
            pytest_says("== 1 error in 1.00s ==", 2),
            "== 4 passed, 1 error in 2.00s ==",
            1,
        ),
    ],
)
def test_one_line_closes_both_runs(tmp_path, first, second, closing, code):
    make = tmp_path / "make"
    make.write_text(f"#!/bin/sh\ncase $1 in test) {first};; test-slow) {second};; esac\n")
    make.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([ROOT / ".ci/run"], env=path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == closing
    assert done.returncode == code
    assert done.stderr == ""
