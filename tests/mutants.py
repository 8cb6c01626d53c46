"""Small faults put into gfcore one at a time: which claims of which chapters notice them?

``python tests/mutants.py`` runs every chapter against every fault in a function that it calls,
and writes data/mutants.csv: one row a fault and chapter, with the claims whose checks fail, or
the error that stops the chapter. A fault that nothing notices ends the run with an error.
"""

import contextlib
import csv
import functools
import inspect
import io
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import numpy as np

import gfbook.check
import gfcore as gf

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "data" / "mutants.csv"
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))


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
    """Return what makes a function or a property give a changed result."""

    def mutate(function: Any) -> Any:
        if isinstance(function, property):
            return property(lambda self: change(function.fget(self)))

        @functools.wraps(function)
        def mutant(*args: Any, **kwargs: Any) -> Any:
            return change(function(*args, **kwargs))

        return mutant

    return mutate


def times(factor: float) -> Callable[[Any], Any]:
    """Return what multiplies a number, an array or the first part of a tuple."""

    def change(value: Any) -> Any:
        if isinstance(value, tuple):
            return (change(value[0]), *value[1:])
        if isinstance(value, list):
            return [change(value[0]), *value[1:]]
        return factor * (value if hasattr(value, "dtype") else _number(value))

    return change


def _number(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, range) else value


def swap(weights: gf.Weights) -> gf.Weights:
    """Return weights whose first two hidden units of V have changed places."""
    V = np.array(weights.V)
    V[..., [0, -1]] = V[..., [-1, 0]]
    return gf.Weights(weights.U, V)


def larger(weights: gf.Weights) -> gf.Weights:
    """Return weights with U larger by 1%."""
    return gf.Weights(1.01 * weights.U, weights.V)


fast, large = times(1.01), times(1.01)
blunt = times(0.99)
flip = times(-1.0)


def turn(value: Any) -> Any:
    """Return the transpose of each matrix."""
    return np.swapaxes(value, -1, -2)


def first_lost(value: Any) -> Any:
    """Return a result whose first entry along the last axis is zero."""
    value = np.array(value, float)
    value[..., 0] = 0
    return value


# What is changed, the function or property, and what is done to it.
MUTANTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "linear: time 1% fast": ("exact.linear", argument("t", fast)),
    "linear: start 1% large": ("exact.linear", argument("X0", large)),
    "symmetric: time 1% fast": ("exact.symmetric", argument("t", fast)),
    "symmetric: start 1% large": ("exact.symmetric", argument("U0", large)),
    "symmetric: target 1% large": ("exact.symmetric", argument("Y", large)),
    "riccati: time 1% fast": ("exact.riccati", argument("t", fast)),
    "riccati: start's sign": ("exact.riccati", argument("X0", flip)),
    "riccati: result 1% small": ("exact.riccati", result(blunt)),
    "symmetric_modes: time 1% fast": ("exact.symmetric_modes", argument("t", fast)),
    "symmetric_modes: start 1% large": ("exact.symmetric_modes", argument("sigma0", large)),
    "spectral_constant: 1% small": ("exact.spectral_constant", result(blunt)),
    "spectral_constant: sign": ("exact.spectral_constant", result(flip)),
    "spectral_modes: time 1% fast": ("exact.spectral_modes", argument("t", fast)),
    "spectral_modes: imbalance 1% large": ("exact.spectral_modes", argument("lam", large)),
    "spectral_modes: start's sign": ("exact.spectral_modes", argument("x0", flip)),
    "spectral: time 1% fast": ("exact.spectral", argument("t", fast)),
    "spectral: result 1% small": ("exact.spectral", result(blunt)),
    "identity_imbalance: time 1% fast": ("exact.identity_imbalance", argument("t", fast)),
    "identity_imbalance: lam 1% large": ("exact.identity_imbalance", argument("lam", large)),
    "identity_imbalance: lam's sign": ("exact.identity_imbalance", argument("lam", flip)),
    "solve: time 1% fast": ("flow.solve", argument("t", fast)),
    "solve: target 1% large": ("flow.solve", argument("Y", large)),
    "solve: hidden units exchanged": ("flow.solve", argument("weights0", swap)),
    "solve_regularized: time 1% fast": ("flow.solve_regularized", argument("t", fast)),
    "solve_regularized: Q0's sign": ("flow.solve_regularized", argument("Q0", flip)),
    "solve_regularized: Q0 1% large": ("flow.solve_regularized", argument("Q0", large)),
    "run: step 1% large": ("descent.run", argument("step", large)),
    "run: start's U 1% large": ("descent.run", argument("weights0", larger)),
    "run_linear: step 1% large": ("descent.run_linear", argument("step", large)),
    "run_linear: target 1% large": ("descent.run_linear", argument("Y", large)),
    "run_many: step 1% large": ("descent.run_many", argument("step", large)),
    "rates.symmetric: 1% small": ("rates.symmetric", result(blunt)),
    "rates.symmetric_modes: 1% small": ("rates.symmetric_modes", result(blunt)),
    "rates.spectral: 1% small": ("rates.spectral", result(blunt)),
    "rates.spectral: imbalance dropped": ("rates.spectral", argument("lam", times(0.0))),
    "rates.identity_imbalance: 1% small": ("rates.identity_imbalance", result(blunt)),
    "rates.identity_imbalance: lam dropped": (
        "rates.identity_imbalance",
        argument("lam", times(0.0)),
    ),
    "rates.asymptotic: 1% small": ("rates.asymptotic", result(blunt)),
    "rates.asymptotic: 1% large": ("rates.asymptotic", result(large)),
    "rates.a_priori: 1% large": ("rates.a_priori", result(large)),
    "rates.measured: 1% small": (
        "rates.measured",
        result(lambda found: found._replace(rate=0.99 * found.rate)),
    ),
    "gaussian: std 1% large": ("initial.gaussian", argument("std", large)),
    "gaussian: U only 1% large": ("initial.gaussian", result(larger)),
    "balanced: U 1% large": ("initial.balanced", result(larger)),
    "balanced: hidden units exchanged": ("initial.balanced", result(swap)),
    "spectral start: U 1% large": ("initial.spectral", result(larger)),
    "spectral start: hidden units exchanged": ("initial.spectral", result(swap)),
    "symmetric spectral start: 1% large": (
        "initial.symmetric_spectral",
        result(large),
    ),
    "imbalanced: U 1% large": ("initial.imbalanced", result(larger)),
    "Weights.X: 1% small": ("Weights.X", result(blunt)),
    "Weights.Q: sign": ("Weights.Q", result(flip)),
    "Weights.Q: 1% small": ("Weights.Q", result(blunt)),
    "compress: U 1% large": ("Weights.compress", result(larger)),
    "rotate: G transposed": ("Weights.rotate", argument("G", turn)),
    "Trajectory.error: 1% small": ("Trajectory.error", result(blunt)),
    "Trajectory.singular_values: the largest lost": (
        "Trajectory.singular_values",
        result(first_lost),
    ),
    "Trajectory.Q: sign": ("Trajectory.Q", result(flip)),
    "Trajectory.Q_drift: lost": ("Trajectory.Q_drift", result(times(0.0))),
    **{
        f"paper.{name}: 1% large": (f"paper.{name}", result(large))
        for name in dir(gf.paper)
        if name.startswith("eq_") and name not in ("eq_6", "eq_7")  # they vanish
    },
}


def place(path: str) -> tuple[Any, str]:
    """Return the module or class of a function, and its name there."""
    owner: Any = gf
    *parts, name = path.split(".")
    for part in parts:
        owner = getattr(owner, part)
    return owner, name


def cells(chapter: Path) -> Iterator[str]:
    """Yield the code of a chapter."""
    for cell in nbformat.read(chapter, 4).cells:
        if cell.cell_type == "code":
            yield cell.source


def run(chapter: Path, mutate: Callable[[], None]) -> dict[str, Any]:
    """Run a chapter after `mutate`, and return which checks fail and what stops it."""
    mpl.use("agg")
    mutate()
    failed: list[str] = []
    made: list[str] = []

    def check(id: str, residual: Any, tol: float, altered: Any = None) -> None:
        made.append(id)
        holds = np.max(np.abs(residual)) <= tol
        bites = altered is None or np.min(np.abs(altered)) > tol
        if not (holds and bites):
            failed.append(id)

    gfbook.check.check = check
    os.chdir(chapter.parent)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    stopped = ""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for source in cells(chapter):
            try:
                exec(compile(source, chapter.stem, "exec"), namespace)
            except Exception as error:
                stopped = stopped or f"{type(error).__name__}: {error}"
    return {"failed": failed, "made": made, "stopped": stopped.splitlines()[:1]}


def traced(called: set[str]) -> None:
    """Note which of the functions with a fault a chapter calls."""
    for path, _ in MUTANTS.values():
        owner, name = place(path)
        original = inspect.getattr_static(owner, name, None)
        if original is None or path in called:
            continue

        def note(value: Any, path: str = path) -> Any:
            called.add(path)
            return value

        setattr(owner, name, result(note)(original))


def child(chapter: Path, mutant: str | None, pipe: Any) -> None:
    """Run a chapter in this process, which ends with it, and send what came of it."""
    called: set[str] = set()

    def mutate() -> None:
        if mutant is None:
            traced(called)
        else:
            path, change = MUTANTS[mutant]
            owner, name = place(path)
            setattr(owner, name, change(inspect.getattr_static(owner, name)))

    outcome = run(chapter, mutate)
    pipe.send(json.dumps(outcome | {"called": sorted(called)}))


def apart(chapter: Path, mutant: str | None) -> dict[str, Any]:
    """Run a chapter in a process of its own, from what this one has imported."""
    here, there = multiprocessing.Pipe(duplex=False)
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=child, args=(chapter, mutant, there))
    process.start()
    there.close()
    try:
        outcome: dict[str, Any] = json.loads(here.recv())
    except EOFError:
        outcome = {"failed": [], "made": [], "called": [], "stopped": ["the process died"]}
    process.join()
    return outcome


def survey(chapters: list[Path], names: list[str]) -> Iterator[tuple[str, str, list[str], str]]:
    """Yield fault, chapter, the claims that notice it, and what stopped the chapter."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sound = dict(zip(chapters, pool.map(lambda c: apart(c, None), chapters), strict=True))
        for chapter, outcome in sound.items():
            if outcome["failed"] or outcome["stopped"]:
                raise RuntimeError(f"{chapter.stem} fails without a fault: {outcome}")
        pairs = [(c, n) for c in chapters for n in names if MUTANTS[n][0] in sound[c]["called"]]
        for (chapter, name), outcome in zip(
            pairs, pool.map(lambda pair: apart(*pair), pairs), strict=True
        ):
            # A cell that stops takes later checks with it; these notice nothing of their own.
            yield name, chapter.stem, outcome["failed"], "".join(outcome["stopped"])


def main() -> None:
    """Write the table, and say which fault nothing notices."""
    rows = list(survey(CHAPTERS, list(MUTANTS)))
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["fault", "chapter", "claims that notice", "what stops the chapter"])
        for name, chapter, claims, stopped in rows:
            table.writerow([name, chapter, " ".join(claims), stopped])
    noticed = {name for name, _, claims, stopped in rows if claims or stopped}
    survived = [name for name in MUTANTS if name not in noticed]
    print(f"{len(MUTANTS)} faults, {len(rows)} runs, {len(noticed)} noticed by chapters")
    if survived:
        sys.exit("noticed by no chapter:\n" + "\n".join(survived))


if __name__ == "__main__":
    main()
