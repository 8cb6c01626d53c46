"""Small faults put into gfcore one at a time: which claims of which chapters notice them?

``make mutants`` writes data/mutants.csv: a row for every fault and every chapter
whose checks rest on the function with the fault, with the claims that notice it, those that do
not, and what stops the chapter if anything does. Where no claim of the book notices a fault the
tests of that function are run with it, and a row names the test that fails. What neither
notices ends the run with an error. ``python tests/mutants.py 07-conclusion`` makes the rows of
one chapter anew, and ``python tests/mutants.py 12`` runs a dozen rows again and compares them.

A check rests on the statements of its chapter that lead to it, found backwards from the names
that it reads. Only these are run, and with a fault only those from the first call of its
function on, in a fork of the process that has run what comes before. What is drawn is left out,
and so is, with a fault, what leads to a check by its random draws alone: they are kept.
"""

import ast
import builtins
import contextlib
import csv
import functools
import inspect
import io
import json
import multiprocessing
import os
import re
import signal
import symtable
import sys
import textwrap
import traceback
import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))  # what is beside this file gets the faults

import matplotlib as mpl
import nbformat
import numpy as np
import pytest

import gfbook.check
import gfbook.ensemble
import gfbook.explore
import gfbook.independent
import gfbook.plots
import gfcore as gf

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "data" / "mutants.csv"
HEAD = ("fault", "where", "claims that notice", "claims that do not", "what stops")
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
LIMIT = 60  # seconds of processor time that a chapter with a fault may take
MODULES = (gf.exact, gf.flow, gf.descent, gf.rates, gf.initial, gf.paper)


def argument(name: str, change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return what makes a function take a changed value of one argument."""

    def mutate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def mutant(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            bound.arguments[name] = change(bound.arguments[name])
            return function(*bound.args, **bound.kwargs)

        return mutant

    return mutate


def result(change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return what makes a function give a changed result."""

    def mutate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def mutant(*args: Any, **kwargs: Any) -> Any:
            return change(function(*args, **kwargs))

        return mutant

    return mutate


def edit(old: str, new: str) -> Callable[..., Any]:
    """Return what changes the code of a function, as `ast.unparse` spells it, in one place."""

    def mutate(function: Callable[..., Any]) -> Callable[..., Any]:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        assert isinstance(node, ast.FunctionDef)
        node.decorator_list, node.body = [], node.body[1:]  # the first is the docstring
        text = ast.unparse(node)
        if text.count(old) != 1:
            raise ValueError(f"{function.__qualname__} has {text.count(old)} times {old!r}")
        namespace = dict(vars(inspect.getmodule(function)))
        exec(text.replace(old, new), namespace)
        mutant: Callable[..., Any] = namespace[function.__name__]
        return mutant

    return mutate


def times(factor: float) -> Callable[[Any], Any]:
    """Return what multiplies a number, an array or the numbers of a list."""
    return lambda value: factor * np.asarray(value)


def shifted(weights: gf.Weights) -> gf.Weights:
    """Return weights with the first and the last hidden unit of V exchanged."""
    V = np.array(weights.V)
    V[..., [0, -1]] = V[..., [-1, 0]]
    return gf.Weights(weights.U, V)


def larger(weights: gf.Weights) -> gf.Weights:
    """Return weights with U larger by 1%."""
    return gf.Weights(1.01 * weights.U, weights.V)


def first(weights: Any) -> list[gf.Weights]:
    """Return the first of several starts in the place of each."""
    if isinstance(weights, gf.Weights):
        U, V = (
            np.broadcast_to(W.reshape(-1, *W.shape[-2:])[0], W.shape)
            for W in (weights.U, weights.V)
        )
        return gf.Weights(U, V)
    weights = list(weights)
    return weights[:1] * len(weights)


def later(path: gf.Trajectory) -> gf.Trajectory:
    """Return a path with its times 1% large."""
    return gf.Trajectory(1.01 * path.t, path.X, path.U, path.V, path.Q0)


large, small, flip, none = times(1.01), times(0.99), times(-1.0), lambda _: None
slow_rate = result(lambda found: found._replace(rate=0.99 * found.rate))

# What is changed, the function or property, and what is done to it.
MUTANTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "linear: time 1% fast": ("exact.linear", argument("t", large)),
    "linear: start 1% large": ("exact.linear", argument("X0", large)),
    "linear: covariance dropped": ("exact.linear", argument("covariance", none)),
    "symmetric: time 1% fast": ("exact.symmetric", argument("t", large)),
    "symmetric: start 1% large": ("exact.symmetric", argument("U0", large)),
    "symmetric: target 1% large": ("exact.symmetric", argument("Y", large)),
    "riccati: time 1% fast": ("exact.riccati", argument("t", large)),
    "riccati: start's sign": ("exact.riccati", argument("X0", flip)),
    "riccati: result 1% small": ("exact.riccati", result(small)),
    "symmetric_modes: time 1% fast": ("exact.symmetric_modes", argument("t", large)),
    "symmetric_modes: start 1% large": ("exact.symmetric_modes", argument("sigma0", large)),
    "symmetric_modes: wrong branch": (
        "exact.symmetric_modes",
        edit("np.where(s > 0, 1, decay)", "np.where(s < 0, 1, decay)"),
    ),
    "spectral_constant: 1% small": ("exact.spectral_constant", result(small)),
    "spectral_constant: sign": ("exact.spectral_constant", result(flip)),
    "spectral_constant: lam^2 dropped": (
        "exact.spectral_constant",
        edit("a * b + c * d", "a * b"),
    ),
    "spectral_modes: time 1% fast": ("exact.spectral_modes", argument("t", large)),
    "spectral_modes: imbalance 1% large": ("exact.spectral_modes", argument("lam", large)),
    "spectral_modes: start's sign": ("exact.spectral_modes", argument("x0", flip)),
    "spectral: time 1% fast": ("exact.spectral", argument("t", large)),
    "spectral: result 1% small": ("exact.spectral", result(small)),
    "spectral: modes exchanged": (
        "exact.spectral",
        edit("left * path @", "left * path[..., ::-1] @"),
    ),
    "spectral: covariance dropped": ("exact.spectral", argument("covariance", none)),
    "identity_imbalance: time 1% fast": ("exact.identity_imbalance", argument("t", large)),
    "identity_imbalance: lam 1% large": ("exact.identity_imbalance", argument("lam", large)),
    "identity_imbalance: lam's sign": ("exact.identity_imbalance", argument("lam", flip)),
    "identity_imbalance: S-tilde 1% large": (
        "exact.identity_imbalance",
        edit("2 * w", "2.02 * w"),
    ),
    "identity_product: time 1% fast": ("exact.identity_product", argument("t", large)),
    "identity_product: lam's sign": ("exact.identity_product", argument("lam", flip)),
    "two_imbalances: time 1% fast": ("exact.two_imbalances", argument("t", large)),
    "two_imbalances: q1 1% large": ("exact.two_imbalances", argument("q1", large)),
    "two_imbalances: difference for sum": (
        "exact.two_imbalances",
        edit("q1 - below", "q1 + below"),
    ),
    "direct_sum: time 1% fast": ("exact.direct_sum", argument("t", large)),
    "direct_sum: target 1% large": ("exact.direct_sum", argument("Y", large)),
    "direct_sum: bases exchanged": (
        "exact.direct_sum",
        edit("part.basis.T", "part.basis[::-1].T"),
    ),
    "zero_target: time 1% fast": ("exact.zero_target", argument("t", large)),
    "zero_target: a factor of 2 dropped": ("exact.zero_target", edit("2 * path", "path")),
    "solvable: q2's sign": ("exact.solvable", edit("'q2': q2", "'q2': -q2")),
    "solve: time 1% fast": ("flow.solve", argument("t", large)),
    "solve: target 1% large": ("flow.solve", argument("Y", large)),
    "solve: hidden units exchanged": ("flow.solve", argument("weights0", shifted)),
    "solve: rates exchanged": ("flow.solve", argument("rates", lambda pair: pair[::-1])),
    "solve: covariance dropped": ("flow.solve", argument("covariance", none)),
    "solve_many: time 1% fast": ("flow.solve_many", argument("t", large)),
    "solve_many: target 1% large": ("flow.solve_many", argument("Y", large)),
    "solve_many: one start for all": ("flow.solve_many", argument("weights0", first)),
    "solve_regularized: time 1% fast": ("flow.solve_regularized", argument("t", large)),
    "solve_regularized: Q0's sign": ("flow.solve_regularized", argument("Q0", flip)),
    "solve_regularized: Q0 1% large": ("flow.solve_regularized", argument("Q0", large)),
    "run: start's U 1% large": ("descent.run", argument("weights0", larger)),
    "run: times 1% large": ("descent.run", result(later)),
    "run_linear: step 1% large": ("descent.run_linear", argument("step", large)),
    "run_linear: target 1% large": ("descent.run_linear", argument("Y", large)),
    "run_many: step 1% large": ("descent.run_many", argument("step", large)),
    "run_many: V moves after U": (
        "descent.run_many",
        edit("E.mT @ U]", "E.mT @ (U + step * E @ V)]"),
    ),
    "run_symmetric: step 1% large": ("descent.run_symmetric", argument("step", large)),
    "run_symmetric: a factor of 2 dropped": (
        "descent.run_symmetric",
        edit("2 * (target", "(target"),
    ),
    "rates.symmetric: 1% small": ("rates.symmetric", result(small)),
    "rates.symmetric: largest for smallest": (
        "rates.symmetric",
        edit(".min()", ".max()"),
    ),
    "rates.symmetric_modes: one mode 1% small": (
        "rates.symmetric_modes",
        edit("size[:, None] + size", "0.99 * size[:, None] + size"),
    ),
    "rates.spectral: sigma 1% small": ("rates.spectral", argument("sigma", small)),
    "rates.spectral: imbalance 1% large": ("rates.spectral", argument("lam", large)),
    "rates.spectral: imbalance dropped": ("rates.spectral", argument("lam", times(0.0))),
    "rates.identity_imbalance: 1% small": ("rates.identity_imbalance", result(small)),
    "rates.identity_imbalance: lam dropped": (
        "rates.identity_imbalance",
        argument("lam", times(0.0)),
    ),
    "rates.identity_imbalance: square for wide": (
        "rates.identity_imbalance",
        edit("s if m == n else odd", "s"),
    ),
    "rates.identity_imbalance: sides exchanged": (
        "rates.identity_imbalance",
        edit("'UUT': 2 * (odd if m > n", "'UUT': 2 * (odd if m < n"),
    ),
    "rates.asymptotic: V's part 1% small": (
        "rates.asymptotic",
        edit("v * (k >= n)", "0.99 * v * (k >= n)"),
    ),
    "rates.asymptotic: V's part dropped": (
        "rates.asymptotic",
        edit("+ v * (k >= n)", ""),
    ),
    "rates.asymptotic: larger for smaller": (
        "rates.asymptotic",
        edit("np.minimum(u, v)", "np.maximum(u, v)"),
    ),
    "rates.tangent_kernel: U's part 1% large": (
        "rates.tangent_kernel",
        edit("A, B = (U @ U.mT", "A, B = (1.01 * U @ U.mT"),
    ),
    "rates.tangent_kernel: covariance dropped": (
        "rates.tangent_kernel",
        argument("covariance", none),
    ),
    "rates.a_priori: 1% large": ("rates.a_priori", result(large)),
    "rates.a_priori: Delta_3 dropped": ("rates.a_priori", edit("asarray(both + ", "asarray(")),
    "rates.measured: 1% small": ("rates.measured", slow_rate),
    "rates.reach: 1% late": ("rates.reach", result(large)),
    "rates.reach: level 1% large": ("rates.reach", argument("level", large)),
    "gaussian: std 1% large": ("initial.gaussian", argument("std", large)),
    "gaussian: variance for std": ("initial.gaussian", argument("std", np.sqrt)),
    "orthogonal: q1 1% large": ("initial.orthogonal", argument("q1", large)),
    "orthogonal: q2's square root dropped": (
        "initial.orthogonal",
        edit("np.sqrt(below)", "below"),
    ),
    "balanced: U 1% large": ("initial.balanced", result(larger)),
    "balanced: hidden units exchanged": ("initial.balanced", result(shifted)),
    "balanced: det_sign forgotten": ("initial.balanced", argument("det_sign", none)),
    "spectral start: U 1% large": ("initial.spectral", result(larger)),
    "spectral start: hidden units exchanged": ("initial.spectral", result(shifted)),
    "symmetric spectral start: 1% large": ("initial.symmetric_spectral", result(large)),
    "symmetric spectral start: ascending": (
        "initial.symmetric_spectral",
        edit("[:, ::-1]", ""),
    ),
    "imbalanced: U 1% large": ("initial.imbalanced", result(larger)),
    "imbalanced: lam 1% large": ("initial.imbalanced", argument("lam", large)),
    "blocks: U U^T 1% large": ("state.blocks", edit("M[..., :m, :m]", "1.01 * M[..., :m, :m]")),
    "blocks: X transposed": (
        "state.blocks",
        edit("M[..., :m, m:]", "M[..., m:, :m]"),
    ),
    "blocks: U U^T for V V^T": ("state.blocks", edit("M[..., m:, m:]", "M[..., :m, :m]")),
    "laws: one more": ("state.laws", result(lambda count: count + 1)),
    "relative_error: 1% small": ("state.relative_error", result(small)),
    "relative_error: target 1% large": (
        "state.relative_error",
        edit("(products, target)", "(products, 1.01 * target)"),
    ),
    "Weights.X: 1% small": ("Weights.X", result(small)),
    "Weights.Q: sign": ("Weights.Q", result(flip)),
    "Weights.Q: V's part 1% large": (
        "Weights.Q",
        edit("- self.V", "- 1.01 * self.V"),
    ),
    "Weights.R: U 1% large": ("Weights.R", edit("[self.U", "[1.01 * self.U")),
    "compress: U 1% large": ("Weights.compress", result(larger)),
    "rotate: G transposed for V": (
        "Weights.rotate",
        edit("self.V @ rotation", "self.V @ rotation.T"),
    ),
    "Trajectory.error: 1% small": ("Trajectory.error", result(small)),
    "Trajectory.error: target 1% large": (
        "Trajectory.error",
        edit("(self.X, target,", "(self.X, 1.01 * target,"),
    ),
    "Trajectory.singular_values: ascending": (
        "Trajectory.singular_values",
        result(lambda s: s[..., ::-1]),
    ),
    "Trajectory.singular_values: 1% small": ("Trajectory.singular_values", result(small)),
    "Trajectory.Q: sign": ("Trajectory.Q", result(flip)),
    "Trajectory.Q: V's part 1% large": (
        "Trajectory.Q",
        edit("- self.V", "- 1.01 * self.V"),
    ),
    "Trajectory.Q_drift: lost": ("Trajectory.Q_drift", result(times(0.0))),
}
# The printed formulas: the equation, a term of it, and what takes its place.
for _number, _old, _new in [
    ("2", "Y - X", "Y - 1.01 * X"),
    ("3", "U @ U.T", "1.01 * U @ U.T"),
    ("3_flow", "2 *", "2.02 *"),
    ("3_flow", "U @ U.T", "1.01 * U @ U.T"),
    ("3_flow", "(Y -", "(-Y -"),
    ("4", "exp(-t)", "exp(-1.01 * t)"),
    ("4", "X0 - Y", "1.01 * X0 - Y"),
    ("5", "4 *", "4.04 *"),
    ("6", "2 *", "2.02 *"),
    ("7", "Y - X", "Y - 1.01 * X"),
    ("8", "4 * t", "4.04 * t"),
    ("8", "- eye", "+ eye"),
    ("8", "inv(Y)", "inv(1.01 * Y)"),
    ("9", "4 * t", "4.04 * t"),
    ("9", "sigma0 - sigma", "1.01 * sigma0 - sigma"),
    ("9", "return sigma +", "return 1.01 * sigma +"),
    ("11", "U @ V.T", "1.01 * U @ V.T"),
    ("12", "Y - U @ V.T", "Y - 1.01 * U @ V.T"),
    ("12", "E.T @ U", "1.01 * E.T @ U"),
    ("12", "(E @ V,", "(E @ V[:, ::-1],"),
    ("13", "- V.T", "- 1.01 * V.T"),
    ("13", "- V.T", "+ V.T"),
    ("14", "V_bar @ G.T", "V_bar @ G"),
    ("17", "sqrt(4 *", "sqrt(4.04 *"),
    ("17", "2 * C * lam", "2.02 * C * lam"),
    ("17", "8 *", "8.08 *"),
    ("17", "- 4 * lam", "+ 4 * lam"),
    ("19", "* u)", "* u * 1.01)"),
    ("19", "* v,", "* u,"),
    ("20", "- v", "- 1.01 * v"),
    ("21", "2 *", "2.02 *"),
    ("21", "lam ** 2", "1.01 * lam ** 2"),
    ("22", "+ lam ** 4", "+ 1.01 * lam ** 4"),
    ("22", "- lam ** 2", "- 1.01 * lam ** 2"),
    ("22", "root - 4", "root - 4.04"),
    ("23", "2 * C", "2.02 * C"),
    ("23", "sqrt(4 *", "sqrt(4.04 *"),
    ("24", "[Y.T,", "[1.01 * Y.T,"),
    ("24", "+ [-1.0]", "+ [1.0]"),
    ("25", "R / 2", "R / 2.02"),
    ("25", "S_bar @ R", "1.01 * S_bar @ R"),
    ("26", "U @ P / 2", "U @ P / 2.02"),
    ("26", "+ V @ P", "- V @ P"),
    ("28", "/ 8", "/ 8.08"),
    ("29", "lam *", "1.01 * lam *"),
    ("29", "/ 2", "/ 2.02"),
    ("30", "/ 2", "/ 2.02"),
    ("30", "expm(2 *", "expm(2.02 *"),
    ("30", "lam *", "-lam *"),
    ("32", "eta *", "1.01 * eta *"),
    ("33", "2 * eta", "2.02 * eta"),
    ("34", "- X", "- 1.01 * X"),
    ("35", "U ** 2", "1.01 * U ** 2"),
    ("36", "- sigma", "- 1.01 * sigma"),
    ("37", "-4 *", "-4.04 *"),
    ("37", "1 - c", "1 + c"),
    ("38", "4 * eta ** 2", "4.04 * eta ** 2"),
    ("39", "4 * eta", "4.04 * eta"),
]:
    MUTANTS[f"({_number}): {_new} for {_old}"] = (f"paper.eq_{_number}", edit(_old, _new))

# The functions that are called: the sound ones, or one with a fault; and who wants to know.
in_use: dict[str, Callable[..., Any]] = {}
called: Callable[[str], object] = len


def place(path: str) -> tuple[Any, str]:
    """Return the module or class of a function, and its name there."""
    *parts, name = path.split(".")
    return functools.reduce(getattr, parts, gf), name


def install() -> None:
    """Put between every function that has a mutant and its callers what looks it up at a call.

    To be done before a chapter or a test imports a function by its name.
    """
    for path in {path for path, _ in MUTANTS.values()}:
        owner, name = place(path)
        original = inspect.getattr_static(owner, name)
        sound = in_use[path] = original.fget if isinstance(original, property) else original

        def entry(*args: Any, path: str = path, **kwargs: Any) -> Any:
            called(path)
            return in_use[path](*args, **kwargs)

        functools.update_wrapper(entry, sound)
        if isinstance(owner, type):
            new = property(entry) if isinstance(original, property) else entry
            setattr(owner, name, new)
        for module in list(sys.modules.values()):
            if isinstance(module, types.ModuleType) and module.__name__.startswith("gf"):
                for known in [known for known, value in vars(module).items() if value is sound]:
                    setattr(module, known, entry)


def put(mutant: str) -> None:
    """Put a fault into gfcore, of which the functions are installed."""
    path, change = MUTANTS[mutant]
    in_use[path] = change(in_use[path])


@dataclass
class Statement:
    """A statement of a chapter: what it reads, changes and sets anew."""

    code: Any
    reads: set[str]
    changes: set[str]
    sets: set[str]
    checks: bool
    before: list[int] = field(default_factory=list)  # what leads to it, random draws too
    rests: set[int] = field(default_factory=set)  # what gives it values, itself included


def base(node: ast.AST) -> str:
    """Return the name in front of attributes and subscripts, if there is one."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def loaded(node: ast.AST) -> set[str]:
    """Return the names in an expression."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def named(node: ast.stmt) -> tuple[set[str], set[str]]:
    """Return the names of the chapter that a statement reads, and those that it sets."""
    top = symtable.symtable(ast.unparse(node), "chapter", "exec")
    sets = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    reads = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    for scope in scopes(top):
        reads |= {s.get_name() for s in scope.get_symbols() if s.is_global()}
    return reads, sets


def anew(loop: ast.For) -> set[str]:
    """Return the names that a loop sets in each round before it reads them."""
    read, found = loaded(loop.iter), set[str]()
    target = ast.fix_missing_locations(ast.Assign([loop.target], ast.Constant(0)))
    for part in (target, *loop.body):
        reads, sets = named(part)
        if isinstance(part, ast.For):
            sets = anew(part)
            reads -= sets
        elif not isinstance(part, ast.Assign):
            reads, sets = reads | sets, set()
        read |= reads - found
        found |= sets - read
    return found


def seeded(node: ast.stmt) -> set[str]:
    """Return the names that a statement sets to generators of random numbers."""
    if not isinstance(node, ast.Assign):
        return set()
    target, value = node.targets[0], node.value
    each = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        each = list(zip(target.elts, value.elts, strict=True))
    return {
        name.id
        for name, made in each
        if isinstance(name, ast.Name) and isinstance(made, ast.Call)
        if ast.unparse(made.func).endswith("default_rng")
    }


def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """Yield the scopes within one."""
    for child in table.get_children():
        yield child
        yield from scopes(child)


def statement(node: ast.stmt, known: dict[str, set[str]]) -> Statement:
    """Return a statement, with the names that it reads, changes and sets.

    `known` are the names that are imported, of generators, and of functions that check.
    """
    reads, sets = named(node)
    changes = reads & known["generators"]
    known["generators"] |= seeded(node)
    checks = False
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute | ast.Subscript) and isinstance(part.ctx, ast.Store):
            changes.add(base(part))
        if isinstance(part, ast.Call):
            checks |= base(part.func) in known["checks"]
        if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            # path.append() changes path; np.seterr() and check() change nothing that is read
            changes |= {base(part.value.func)} - known["imported"]
        if isinstance(part, ast.AugAssign) and not isinstance(node, ast.FunctionDef):
            reads.add(base(part.target))  # which symtable says is set, and no more
    for loop in (part for part in ast.walk(node) if isinstance(part, ast.For)):
        if changes & loaded(loop.target):  # one of several things, under another name
            changes |= loaded(loop.iter) - known["imported"] - {*dir(builtins)}
    reads -= anew(node) if isinstance(node, ast.For) else set()
    if isinstance(node, ast.FunctionDef):
        known["checks"] |= sets if checks else set()
        return Statement(compiled(node), reads, sets, sets, False)
    if isinstance(node, ast.Import | ast.ImportFrom):
        known["imported"] |= sets
    plain = isinstance(node, ast.Assign | ast.AnnAssign | ast.Import | ast.ImportFrom)
    return Statement(compiled(node), reads, changes | sets, sets if plain else set(), checks)


def compiled(node: ast.stmt) -> Any:
    return compile(ast.Module([node], []), "chapter", "exec")


def statements(chapter: Path) -> list[Statement]:
    """Return the statements of a chapter, each check with those that it rests on."""
    known: dict[str, set[str]] = {"imported": set(), "generators": set(), "checks": {"check"}}
    inner: dict[str, set[str]] = {}  # what a function reads when it is called
    found: list[Statement] = []
    for cell in nbformat.read(chapter, 4).cells:
        for node in ast.parse(cell.source if cell.cell_type == "code" else "").body:
            s = statement(node, known)
            function = node.value if isinstance(node, ast.Assign) else node
            if isinstance(function, ast.FunctionDef | ast.Lambda):  # read when it is called
                inner |= dict.fromkeys(s.sets, s.reads)
                s.reads = loaded(function.args)
            todo = list(s.reads)
            while todo:
                new = inner.get(todo.pop(), set()) - s.reads
                s.reads |= new
                todo += new
            if not isinstance(function, ast.FunctionDef | ast.Lambda):
                holds = any(isinstance(part, ast.Lambda) for part in ast.walk(node))
                inner |= dict.fromkeys(s.sets, s.reads if holds else set())
            if s.checks:
                s.before = leading(found, s.reads, set())
                s.rests = {len(found), *leading(found, s.reads, known["generators"])}
                s.rests |= {i for i in s.before if found[i].sets & known["generators"]}
            found.append(s)
    return found


def leading(found: list[Statement], reads: set[str], without: set[str]) -> list[int]:
    """Return which statements lead to one that comes after them and reads some names."""
    needed, before = reads - without, []
    for i, s in reversed(list(enumerate(found))):
        if s.changes & needed:
            before.append(i)
            needed = (needed - s.sets) | (s.reads - without)
    return before


class Run:
    """A chapter that is run: its names, its checks and what stops it."""

    def __init__(self, chapter: Path) -> None:
        self.all = statements(chapter)
        self.checks = [i for i, s in enumerate(self.all) if s.checks]
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.made: dict[int, dict[str, bool]] = defaultdict(dict)  # does the claim hold?
        self.states: dict[str, Any] = {}  # of the generators, before each statement
        self.stopped = ""
        self.now = -1
        mpl.use("agg")
        os.chdir(chapter.parent)
        gfbook.check.check = self.check

    def check(self, id: str, residual: Any, tol: float, altered: Any = None) -> None:
        holds = np.max(np.abs(residual)) <= tol
        bites = altered is None or np.min(np.abs(altered)) > tol
        self.made[self.now][id] = bool(holds and bites)

    def needed(self, checks: list[int]) -> list[int]:
        """Return the statements on which some checks rest, and these, in order."""
        return sorted({i for c in checks for i in (*self.all[c].before, c)})

    def step(self, i: int) -> None:
        """Run a statement; where it fails, what it sets is missing to those that follow.

        Random draws are as in the run without a fault, whatever was left out or failed before.
        """
        self.now = i
        for name, value in self.names.items():
            if isinstance(value, np.random.Generator):
                bits = value.bit_generator
                bits.state = self.states.setdefault(f"{i} {name}", bits.state)
        try:
            exec(self.all[i].code, self.names)
        except Exception as error:
            self.stopped = self.stopped or f"{type(error).__name__}: {error}".splitlines()[0]
            for name in self.all[i].changes:
                self.names.pop(name, None)


def forked(work: Callable[[], Any]) -> Any:
    """Return what a fork of this process makes of something."""
    there, here = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(there)
            with os.fdopen(here, "w") as pipe:
                json.dump(work(), pipe)
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(here)
    with os.fdopen(there) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    if not said:
        raise RuntimeError("a fork of this process died")
    return json.loads(said)


def quiet() -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
    stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
    return stack


def calls(chapter: Path) -> tuple[dict[str, list[int]], dict[str, Any]]:
    """Return in which statements a chapter calls each function, and its generators' states.

    All its checks have to hold.
    """
    global called
    found: dict[str, set[int]] = defaultdict(set)
    run = Run(chapter)
    called = lambda path: found[path].add(run.now)  # noqa: E731
    with quiet():
        for i in run.needed(run.checks):
            run.step(i)
    if run.stopped or not all(all(made.values()) for made in run.made.values()):
        raise RuntimeError(f"{chapter.stem} fails without a fault: {run.stopped} {run.made}")
    return {path: sorted(where) for path, where in found.items()}, run.states


class Overtime(BaseException):
    """A chapter takes too long with a fault; no Exception, which a chapter may catch."""


def outcome(run: Run, checks: list[int], begin: int, mutant: str) -> tuple[list[int], Any, str]:
    """Run the rest of a chapter with a fault; return the checks that were made, and how."""

    def over(*_: Any) -> None:
        raise Overtime

    signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    put(mutant)
    try:
        with quiet():
            for i in sorted(set().union(*(run.all[c].rests for c in checks))):
                if i >= begin:
                    run.step(i)
    except Overtime:
        run.stopped = f"{LIMIT} s were not enough"
        checks = [c for c in checks if c in run.made]  # nobody has seen the others
    return checks, [run.made.get(c, {}) for c in checks], run.stopped


def rows(task: tuple[Path, list[str]]) -> list[tuple[str, ...]]:
    """Return the rows of one chapter, for some of the faults."""
    chapter, names = task
    where, states = forked(lambda: calls(chapter))
    run = Run(chapter)
    run.states = states
    found: dict[str, Any] = {}
    resting = {}
    for name in names:
        at = set(where.get(MUTANTS[name][0], ()))
        checks = [c for c in run.checks if at & run.all[c].rests]
        if checks:
            resting[name] = checks, min(at & set().union(*(run.all[c].rests for c in checks)))
    for i in run.needed(run.checks):
        for name, (checks, begin) in resting.items():
            if begin == i:
                found[name] = forked(lambda c=checks, n=name: outcome(run, c, i, n))  # noqa: B023
        with quiet():
            run.step(i)
    table = []
    for name, (checks, made, stopped) in found.items():
        notice, rest = set(), set()
        for c, holds in zip(checks, made, strict=True):
            for id in run.made[c]:
                (rest if holds.get(id) else notice).add(id)
        table.append(
            (
                name,
                chapter.stem,
                " ".join(sorted(notice)),
                " ".join(sorted(rest - notice)),
                stopped,
            )
        )
    return table


class Failures:
    """A plugin of pytest that keeps file and name of the tests that fail."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.found.append((report.location[0], report.location[2].split("[")[0]))


def tested(name: str) -> tuple[str, ...]:
    """Return a row for the tests of a faulty function: the first that fails, or none.

    Those in which its name stands come first.
    """
    module, *_, function = MUTANTS[name][0].split(".")
    module = "state" if module in ("Weights", "Trajectory") else module
    files = sorted((ROOT / "tests" / "maths").glob(f"test_{module}*.py"))
    first = [
        f"{file}::{node.name}"
        for file in files
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if re.search(rf"\b{function}\b", ast.unparse(node))
    ]

    def failing(tests: list[str], fault: bool) -> list[tuple[str, str]]:
        if fault:
            put(name)
        os.chdir(ROOT)
        failures = Failures()
        with quiet():
            pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=[failures])
        return failures.found

    found = forked(lambda: failing([*first, *map(str, files)], True))
    where, test = (*found, ("tests/", ""))[0]
    if test and forked(lambda: failing([f"{where}::{test}"], False)):
        sys.exit(f"{where}::{test} fails without a fault as well")
    return name, where, "", "", test


def survey(chapters: list[Path], names: list[str]) -> list[tuple[str, ...]]:
    """Return the rows of some chapters and faults; JOBS says on how many processors."""
    processes = int(os.environ.get("JOBS", os.cpu_count() or 1))
    tasks = sorted(((c, names) for c in chapters), key=lambda task: -task[0].stat().st_size)
    with multiprocessing.get_context("fork").Pool(processes, maxtasksperchild=1) as pool:
        return [row for part in pool.imap_unordered(rows, tasks) for row in part]


def read() -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def again(count: int) -> None:
    """Run some rows of the table again, and say which come out otherwise."""
    of_chapters = [row for row in read() if not row[1].startswith("tests/")]
    drawn = np.random.default_rng(0).choice(len(of_chapters), count, replace=False)
    for row in (of_chapters[i] for i in drawn):
        found = survey([ROOT / "chapters" / f"{row[1]}.ipynb"], [row[0]])
        if [(*other[:4], bool(other[4])) for other in found] != [(*row[:4], bool(row[4]))]:
            sys.exit(f"the table has {row}, this run {found}")


def write(table: list[tuple[str, ...]]) -> None:
    """Write the table, fault by fault."""
    order = list(MUTANTS)
    table.sort(key=lambda row: (order.index(row[0]), row[1]))
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([HEAD, *table])


def main() -> None:
    """Write the table, or its rows of the chapters that are named; say what nothing notices."""
    install()
    if sys.argv[1:] and sys.argv[1].isdigit():
        return again(int(sys.argv[1]))
    chapters = [ROOT / "chapters" / f"{name}.ipynb" for name in sys.argv[1:]] or CHAPTERS
    kept = [row for row in read() if row[1] not in sys.argv] if sys.argv[1:] else []
    table = survey(chapters, list(MUTANTS))
    table += [row for row in kept if row[0] in MUTANTS and "/" not in row[1]]
    noticed = {row[0] for row in table if row[2]}
    tests = {row[0]: row for row in kept if row[4] and "/" in row[1]}
    table += [tests.get(name) or tested(name) for name in MUTANTS if name not in noticed]
    write(table)
    print(f"{len(MUTANTS)} faults, {len(table)} runs, {len(noticed)} noticed by claims")
    survivors = [row[0] for row in table if row[1].startswith("tests/") and not row[4]]
    if survivors:
        sys.exit("noticed by no claim and no test:\n" + "\n".join(survivors))


if __name__ == "__main__":
    main()
