"""Speed, error and memory, side by side in one run with what one would use instead.

``python benchmarks/run.py`` writes the page record/benchmarks.md with its picture, which are
thus never typed; ``--quick`` takes small sizes and single runs, to see that it works, and
writes to _build/bench. Rivals take turns, so that whatever slows the machine slows all of them;
a figure is the least CPU time of the rounds, and the ratios are what carries over to another
machine. Diffrax takes part where it is installed.
"""

import argparse
import importlib.util
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

import matplotlib.pyplot as plt
import mpmath
import numpy as np
import yaml
from matplotlib.ticker import LogLocator
from playwright.sync_api import Browser, Response, sync_playwright
from scipy.integrate import odeint, solve_ivp

sys.path.insert(0, str(Path(__file__).parents[1]))  # what is beside this file is measured
import gfcore as gf
from benchmarks import inpage, live
from gfbook import plots
from gfbook.build import playground as built
from gfbook.build.browser import chromium
from gfbook.glue import powers
from gfbook.independent import precise
from gfbook.live.playground import Playground, complete

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
PAINT = """() => new Promise((seen) => new PerformanceObserver(
  (list) => seen(list.getEntries().at(-1).startTime)
).observe({type: "largest-contentful-paint", buffered: true}))"""
M, N, TIMES = 5, 10, 201  # rows and columns of Y, and times
TARGETS = 1e-9, 1e-12  # relative errors that all must reach
Call = Callable[[], np.ndarray]


def timed(
    calls: dict[str, Call], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Return the least CPU time of each call in seconds, the calls taking turns."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            before = clock()
            call()
            spent[name].append(clock() - before)
    return {name: min(values) for name, values in spent.items()}


def worst(X: np.ndarray, truth: np.ndarray) -> float:
    """Return the largest relative error over the times, in the Frobenius norm."""
    size = np.linalg.norm(truth, axis=(1, 2))
    return float((np.linalg.norm(X - truth, axis=(1, 2)) / size).max())


def slope(Y: np.ndarray, R: np.ndarray, lam: float | None) -> np.ndarray:
    """Right side of (12), or of (26) with lam I."""
    U, V = R[: len(Y)], R[len(Y) :]
    if lam is None:
        return np.concatenate(gf.paper.eq_12(Y, U, V))
    return np.concatenate(gf.paper.eq_26(Y, U, V, lam * np.eye(R.shape[1])))


def product(R: np.ndarray, m: int) -> np.ndarray:
    """Return U V^T for a stack of R = [U; V]."""
    return R[:, :m] @ R[:, m:].swapaxes(1, 2)


def dop853(Y, R, lam, t, rtol):
    """SciPy's explicit method of order 8, on the weights as they are."""
    run = solve_ivp(
        lambda _, x: slope(Y, x.reshape(R.shape), lam).ravel(),
        (0, t[-1]), R.ravel(), "DOP853", t, rtol=rtol, atol=1e-3 * rtol,
    )  # fmt: skip
    return product(run.y.T.reshape(-1, *R.shape), len(Y))


def lsoda(Y, R, lam, t, rtol):
    """SciPy's odeint, which turns to an implicit method where the flow is stiff."""
    x = odeint(
        lambda x, _: slope(Y, x.reshape(R.shape), lam).ravel(),
        R.ravel(), t, rtol=rtol, atol=1e-3 * rtol, mxstep=10**6,
    )  # fmt: skip
    return product(x.reshape(-1, *R.shape), len(Y))


def euler(Y, R, lam, t, step):
    """Gradient descent; the iterates nearest to the times."""
    every = max(1, round((t[1] - t[0]) / step))
    kept = [R]
    for j in range(1, every * (len(t) - 1) + 1):
        R = R + step * slope(Y, R, lam)
        if j % every == 0:
            kept.append(R)
    return product(np.array(kept), len(Y))


def by_diffrax(Y, begin: Call, lam, t, rtol, name="Dopri8", gram=False) -> Call:
    """Diffrax's solver of a name, compiled and warm, from the weights, or R R^T, of `begin`."""
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    m, width = len(Y), begin().shape[1]

    def field(_, R, args):
        if gram:
            E = Y - R[:m, m:]
            AG = jnp.concatenate([E @ R[m:], E.T @ R[:m]])
            return AG + AG.T
        if lam is None:
            return jnp.concatenate(gf.paper.eq_12(Y, R[:m], R[m:]))
        return jnp.concatenate(gf.paper.eq_26(Y, R[:m], R[m:], lam * jnp.eye(width)))

    @jax.jit
    def run(R):
        path = diffrax.diffeqsolve(
            diffrax.ODETerm(field), getattr(diffrax, name)(), 0.0, t[-1], None, R,
            saveat=diffrax.SaveAt(ts=jnp.asarray(t)), max_steps=10**6,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=1e-3 * rtol),
        )  # fmt: skip
        R = path.ys
        return R[:, :m, m:] if gram else R[:, :m] @ R[:, m:].swapaxes(1, 2)

    call = lambda: np.asarray(run(jnp.asarray(begin())))  # noqa: E731
    call()
    return call


def gram_slope(Y: np.ndarray, G: np.ndarray) -> np.ndarray:
    """Right side of the closed equation of G = R R^T along (12)."""
    m = len(Y)
    E = Y - G[:m, m:]
    AG = np.concatenate([E @ G[m:], E.T @ G[:m]])
    return AG + AG.T


def by_gram(Y, R, t, rtol, stiff):
    """Follow the closed equation by SciPy's odeint if stiff, or DOP853; it knows no weights."""
    G = R @ R.T
    flat = lambda x, _: gram_slope(Y, x.reshape(G.shape)).ravel()  # noqa: E731
    atol = 1e-3 * rtol * np.abs(G).max()
    if stiff:
        x = odeint(flat, G.ravel(), t, rtol=rtol, atol=atol, mxstep=10**6)
    else:
        run = solve_ivp(lambda t, x: flat(x, t), (0, t[-1]), G.ravel(), "DOP853", t,
                        rtol=rtol, atol=atol)  # fmt: skip
        x = run.y.T
    return x.reshape(-1, *G.shape)[:, : len(Y), len(Y) :]


def by_eigenvalues(S, R, t, rate):
    """Return (8) with rate 2, or (30) with rate 1, as one would type it, batched over t."""
    w, P = np.linalg.eigh(S)
    W, wt = P.T @ R, rate * t[:, None] * w
    B = np.exp(wt)[:, :, None] * W
    D = rate * np.expm1(2 * wt) / (2 * w)
    inner = np.eye(W.shape[1]) + (W.T * D[:, None]) @ W
    return P @ B @ np.linalg.solve(inner, B.swapaxes(1, 2)) @ P.T


def problem(k: int) -> tuple[np.ndarray, gf.Weights, np.ndarray]:
    """Return the target, a start and the times of Fig. 2, with its natural horizon 20/k."""
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((M, N))
    return Y, gf.initial.gaussian(M, N, k, 1.0, rng), np.linspace(0, 20 / k, TIMES)


def formula_matrix(Y: np.ndarray, lam: float) -> np.ndarray:
    """Return the matrix S of (30)."""
    S, S_bar = gf.paper.eq_24(Y)
    return S + lam * S_bar


def formula_30(Y: np.ndarray, R: np.ndarray, lam: float, t: float) -> np.ndarray:
    """X(t) of (30) as printed, with 200 digits."""
    m = len(Y)
    with mpmath.workdps(200):
        numbers = (np.vectorize(mpmath.mpf)(a)[()] for a in (Y, R, lam, t))
        many = precise(mpmath.expm), precise(mpmath.inverse)
        return gf.paper.eq_30(*numbers, *many).astype(float)[:m, m:]


def table(rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table; the first row is its head; numbers are at the right."""
    numbers = [all(re.fullmatch(r"[\d.,]*", cell) for cell in cells)
               for cells in zip(*rows[1:], strict=True)]  # fmt: skip
    lines = [f"| {' | '.join(row)} |" for row in rows]
    rule = "".join(" ---: |" if right else " --- |" for right in numbers)
    return "\n".join([lines[0], "|" + rule, *lines[1:], ""])


def exact_formula(quick: bool) -> str:
    """Compare (30) with integrating and descending on (26), at full width."""
    k = 20 if quick else 200
    lam = -2.25 * k  # near the best lambda_0 of Fig. 2
    Y, start, t = problem(k)
    # The exponentials of the formula as typed are right for a fourth of the horizon only.
    t, R, m = t / 4, start.R, M
    calls: dict[str, Call] = {
        "gfcore exact (30)": lambda: gf.exact.identity_product(Y, start, lam, t).X,
        "SciPy DOP853, rtol 1e-10": partial(dop853, Y, R, lam, t, 1e-10),
        "the formula by eigenvalues, batched": lambda: by_eigenvalues(
            formula_matrix(Y, lam), start.compress().R, t, 1
        )[:, :m, m:],
        "gradient descent, step 1e-5": partial(euler, Y, R, lam, t, 1e-4 if quick else 1e-5),
    }
    if importlib.util.find_spec("diffrax"):
        calls["Diffrax Dopri8, rtol 1e-10"] = by_diffrax(Y, lambda: R, lam, t, 1e-10)
    some = [1, TIMES // 20, TIMES // 4, TIMES - 1]
    truth = np.array([formula_30(Y, R, lam, t[i]) for i in some])
    spent = timed(calls, 1 if quick else 7)
    own = next(iter(spent.values()))
    rows = [("(30) at 201 times", "ms", "ratio to gfcore", "relative error")]
    for name, call in calls.items():
        rows.append((name, f"{1e3 * spent[name]:.1f}", f"{spent[name] / own:.1f}",
                     f"{worst(call()[some], truth):.0e}"))  # fmt: skip
    return f"## The closed form, (m, n, k) = ({M}, {N}, {k})\n\n" + table(rows)


def exact_symmetric(quick: bool) -> str:
    """Compare (8) with the formula as one would type it, down to where calls are all."""
    rng, t = np.random.default_rng(0), np.linspace(0, 1, TIMES)
    rows = [("(m, k)", "gfcore, ms", "by eigenvalues, batched, ms", "ratio", "apart by")]
    for m, k in ((15, 15), (15, 2), (10, 5), (5, 3), (2, 1)):
        A, U = rng.standard_normal((m, m)), rng.standard_normal((m, k))
        Y = (A + A.T) / 2
        own, typed = partial(gf.exact.symmetric, Y, U, t), partial(by_eigenvalues, Y, U, t, 2)
        spent = timed({"own": own, "typed": typed}, 1 if quick else 50)
        ratio = spent["typed"] / spent["own"]
        rows.append((f"({m}, {k})", *(f"{1e3 * a:.2f}" for a in spent.values()),
                     f"{ratio:.2f}", f"{worst(typed(), own()):.0e}"))  # fmt: skip
    return "## The closed form of the symmetric model, (8) at 201 times\n\n" + table(rows)


def exact_beyond(quick: bool) -> str:
    """Compare the closed forms beyond the paper with integrating the same starts."""
    rng, k = np.random.default_rng(0), 20 if quick else 200
    Y, _, t = problem(k)
    both = gf.initial.orthogonal(M, N, k, k, -k, rng)
    u, v = rng.uniform(5, 15, (2, M))
    parts = gf.initial.spectral(Y, u, v, k, rng)
    nothing, small = np.zeros((M, N)), gf.initial.gaussian(M, N, 20, 1.0, rng)

    def norm_of(start: gf.Weights) -> np.ndarray:
        P = gf.exact.zero_target(start, t)
        return np.sqrt(np.trace(P @ (P - start.Q), axis1=1, axis2=2))[:, None, None]

    def size(X: np.ndarray) -> np.ndarray:
        return np.linalg.norm(X, axis=(1, 2), keepdims=True)

    cases = {
        "two_imbalances": (
            Y,
            both,
            lambda: gf.exact.two_imbalances(Y, both, k, -k, t)[:, :M, M:],
        ),
        "direct_sum": (Y, parts, lambda: gf.exact.direct_sum(Y, parts, t)[:, :M, M:]),
        "zero_target, of the norm of X": (nothing, small, lambda: norm_of(small)),
    }
    some = [1, TIMES // 20, TIMES // 4, TIMES - 1]
    rows = [("formula, at 201 times", "k", "solver", "ms", "ratio", "relative error")]
    for name, (target, begin, formula) in cases.items():
        narrow, of = begin.compress().R, size if target is nothing else np.asarray
        truth = of(truth_of(target, narrow, t[[0, *some]])[1:])

        def flow(rtol, target=target, begin=begin):
            return lambda: gf.flow.solve(target, begin, t, rtol=rtol).X

        def peer(rtol, target=target, narrow=narrow):
            return partial(dop853, target, narrow, None, t, rtol)

        def wrong(X, of=of, truth=truth):
            return worst(of(X[some]), truth)

        found = {
            "gfcore exact": (formula, worst(formula()[some], truth)),
            "gfcore flow.solve": cheapest(flow, wrong, 1e-9),
            "DOP853, compressed by hand": cheapest(peer, wrong, 1e-9),
        }
        spent = timed({solver: call for solver, (call, _) in found.items()}, 1 if quick else 7)
        for solver, (_, error) in found.items():
            ratio = spent[solver] / spent["gfcore exact"]
            ms, width_ = f"{1e3 * spent[solver]:.1f}", str(begin.U.shape[1])
            rows.append((name, width_, solver, ms, f"{ratio:.1f}", f"{error:.0e}"))
    return "## Closed forms beyond the paper, flows at an error of 1e-09\n\n" + table(rows)


def truth_of(Y: np.ndarray, R: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Integrate R, or R R^T where that is smaller, each time the end of steps of its own."""
    narrow = R.shape[1] < sum(Y.shape)
    path = [R if narrow else R @ R.T]

    def flat(_, x):
        x = x.reshape(path[0].shape)
        return (slope(Y, x, None) if narrow else gram_slope(Y, x)).ravel()

    for before, after in pairwise(t):
        run = solve_ivp(flat, (before, after), path[-1].ravel(), "DOP853",
                        rtol=3e-14, atol=1e-15 * np.linalg.norm(path[0]))  # fmt: skip
        path.append(run.y[:, -1].reshape(path[0].shape))
    found = np.array(path)
    return product(found, len(Y)) if narrow else found[:, : len(Y), len(Y) :]


def cheapest(make: Callable[[float], Call], wrong: Callable[[np.ndarray], float], target):
    """Return the call at the loosest tolerance that reaches the target error, and its error."""
    found = []
    # In half decades: in whole ones, whose error happens to be just below the target wins.
    for rtol in 10.0 ** np.arange(round(np.log10(target)) + 4, -13.1, -0.5):
        call = make(rtol)
        found.append((call, wrong(call())))
        if found[-1][1] <= target:
            return found[-1]
    return min(found, key=lambda pair: pair[1])


def rivals(label, makers, wrong, targets, rounds):
    """Return rows of the table: each solver at the tolerance that reaches each target."""
    rows, times = [], {}
    for target in targets:
        best = {name: cheapest(make, wrong, target) for name, make in makers.items()}
        spent = timed({name: call for name, (call, _) in best.items()}, rounds)
        own = next(iter(spent.values()))
        times.setdefault(target, spent)
        for name, seconds in spent.items():
            error = f"{best[name][1]:.1e}" + " (too large)" * (best[name][1] > target)
            ms, ratio = f"{1e3 * seconds:.1f}", f"{seconds / own:.2f}"
            rows.append((label, f"{target:.0e}", name, ms, ratio, error))
    return rows, times


HEAD = ("", "error", "solver", "ms", "ratio to gfcore", "relative error")


def width(quick: bool) -> tuple[str, dict[str, list[tuple[int, float]]]]:
    """flow.solve against general solvers, at equal measured error and growing width."""
    rows = [("k", *HEAD[1:])]
    curves: dict[str, list[tuple[int, float]]] = {}
    for k in (50, 200) if quick else (15, 50, 200, 1000, 10_000, 1_000_000):
        Y, start, t = problem(k)
        whole, narrow = start.R, start.compress().R
        truth = truth_of(Y, narrow, t)
        makers: dict[str, Callable[[float], Call]] = {
            "gfcore flow.solve": lambda rtol: lambda: gf.flow.solve(Y, start, t, rtol).X,
            "DOP853, compressed by hand": lambda rtol: (
                lambda: dop853(Y, start.compress().R, None, t, rtol)
            ),
            "odeint, compressed by hand": lambda rtol: (
                lambda: lsoda(Y, start.compress().R, None, t, rtol)
            ),
            "DOP853 on RRᵀ": lambda rtol: partial(by_gram, Y, whole, t, rtol, False),
            "odeint on RRᵀ": lambda rtol: partial(by_gram, Y, whole, t, rtol, True),
        }
        # The general solvers take the weights whole as long as that can be waited for.
        if k <= 200:
            makers["SciPy DOP853"] = lambda rtol: partial(dop853, Y, whole, None, t, rtol)
        if k <= 50:
            makers["SciPy odeint"] = lambda rtol: partial(lsoda, Y, whole, None, t, rtol)
        if importlib.util.find_spec("diffrax"):
            for name in ("Dopri8", "Tsit5"):
                makers[f"Diffrax {name} on RRᵀ"] = partial(
                    by_diffrax, Y, lambda: whole @ whole.T, None, t, name=name, gram=True
                )
        rounds = 1 if quick else 3 if k > 10_000 else 15
        more, times = rivals(f"{k:,}", makers, lambda X: worst(X, truth), TARGETS, rounds)
        rows += more
        for name, seconds in times[TARGETS[0]].items():
            curves.setdefault(name, []).append((k, seconds))
    head = f"## The flow at equal error, at {TIMES} times to t = 20/k\n\n"
    return head + table(rows), curves


def shapes(quick: bool) -> str:
    """flow.solve against DOP853 on weights that are wide, tall or square and large."""
    rows = [("(m, n, k)", *HEAD[1:])]
    # The size ||R||_F of a start, if it is not that of most starts, and the last time. Large
    # weights, or a long time, make the problem stiff.
    sizes = [((2, 40, 4), None, 5.0), ((20, 20, 20), 20.0, 5.0)]
    if not quick:
        usual = [(10, 784, 50), (2, 3000, 4), (120, 120, 120), (316, 316, 316)]
        sizes = [(size, None, 5.0) for size in usual]
        sizes += [((40, 30, 50), 30.0, 20.0), ((36, 36, 200), 30.0, 20.0)]
        sizes += [((120, 120, 120), 100.0, 5.0)]
    for (m, n, k), whole, last in sizes:
        rng = np.random.default_rng(0)
        Y = rng.standard_normal((m, n)) / np.sqrt(n)
        std = whole / np.sqrt((m + n) * k) if whole else max(m, n) ** -0.5
        start, t = gf.initial.gaussian(m, n, k, std, rng), np.linspace(0, last, 21)
        label = f"{(m, n, k)}" + (f", stiff: size {whole:g} to t = {last:g}" if whole else "")
        some = [0, 2, 8, 20]
        truth = truth_of(Y, start.R, t[some])
        makers: dict[str, Callable[[float], Call]] = {
            "gfcore flow.solve": lambda rtol: lambda: gf.flow.solve(Y, start, t, rtol).X,
            "SciPy DOP853": lambda rtol: partial(dop853, Y, start.R, None, t, rtol),
        }
        wrong = lambda X: worst(X[some], truth)  # noqa: E731
        rows += rivals(label, makers, wrong, TARGETS[:1], 1)[0]
    return "## Wide and square problems, at 21 times\n\n" + table(rows)


def many(quick: bool) -> str:
    """Stacks of problems in one call, against a loop over them."""
    rows = [("problems", "call", "milliseconds a problem", "ratio to one call")]
    for m, n, k in ((2, 3, 5), (5, 10, 15)):
        count, rng = 20 if quick else 10_000, np.random.default_rng(0)
        Y = rng.standard_normal((count, m, n))
        start = gf.initial.gaussian(m, n, k, 0.5, rng)
        U, V = (start.U + 0.1 * rng.standard_normal((count, m, k)),
                start.V + 0.1 * rng.standard_normal((count, n, k)))  # fmt: skip
        stack, t = gf.Weights(U, V), np.linspace(0, 4, 21)
        first = [gf.Weights(u, v) for u, v in zip(U[:20], V[:20], strict=True)]
        calls = {
            "flow.solve_many": (count, lambda: gf.flow.solve_many(Y, stack, t)),
            "a loop over flow.solve": (
                20, lambda: [gf.flow.solve(y, w, t) for y, w in zip(Y, first, strict=False)]
            ),
            "exact (30), stacked": (
                count, lambda: gf.exact.identity_imbalance(Y, stack, 0.3, 1.0)
            ),
            "a loop over exact (30)": (
                20,
                lambda: [gf.exact.identity_imbalance(y, w, 0.3, 1.0)
                         for y, w in zip(Y, first, strict=False)],
            ),
        }  # fmt: skip
        spent = timed({name: call for name, (_, call) in calls.items()}, 1)
        each = {name: seconds / calls[name][0] for name, seconds in spent.items()}
        for one, loop in zip(list(each)[::2], list(each)[1::2], strict=True):
            for name in (one, loop):
                ratio = f"{each[name] / each[one]:.1f}"
                rows.append((f"{(m, n, k)}", name, f"{1e3 * each[name]:.2f}", ratio))
    return "## Stacks of problems\n\n" + table(rows)


def machine() -> str:
    """Name the processor, and how many threads the products of matrices may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "all")
    name = names[0] if names else platform.machine()
    return f"{name}, {os.cpu_count()} cores, BLAS threads: {threads}"


def memory(quick: bool) -> str:
    """Peak memory of flow.solve, as a multiple of the start's own size."""
    rows = [("k", "start, MB", "peak beyond it, MB", "k x k array, MB")]
    for k in (200, 2_000) if quick else (10_000, 1_000_000):
        Y, start, t = problem(k)
        tracemalloc.start()
        gf.flow.solve(Y, start, t)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        size = start.U.nbytes + start.V.nbytes
        rows.append(
            (f"{k:,}", f"{size / 1e6:.1f}", f"{peak / 1e6:.1f}", f"{8 * k * k / 1e6:,.0f}")
        )
    return "## Memory of flow.solve\n\n" + table(rows)


def imports(quick: bool) -> str:
    """CPU time of a fresh Python that imports gfcore, or what it stands on."""
    rows = [("import", "milliseconds", "ratio", "aim")]
    spent: dict[str, float] = {}
    kept = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # as from the second import on
    for _ in range(1 if quick else 9):
        for name in ("numpy", "gfcore"):
            run = [sys.executable, "-c", f"import {name}, time; print(time.process_time())"]
            took = float(subprocess.run(run, capture_output=True, check=True, env=kept).stdout)
            spent[name] = min(took, spent.get(name, took))
    own = next(iter(spent.values()))
    rows += [
        (name, f"{1e3 * a:.0f}", f"{a / own:.2f}", aim)
        for (name, a), aim in zip(spent.items(), ("", "1.3"), strict=True)
    ]
    return "## What an import costs\n\n" + table(rows)


def growth(quick: bool) -> str:
    """One time of (30) and (8) against one eigendecomposition and two products."""
    rows = [("m = n = k", "formula", "gfcore, ms", "eigh and two products, ms", "ratio")]
    for m in (10, 30) if quick else (10, 30, 100, 300, 1000):
        rng = np.random.default_rng(0)
        Y = rng.standard_normal((m, m)) / np.sqrt(m)
        start = gf.initial.gaussian(m, m, m, m**-0.5, rng)

        def limit(S):
            w, P = np.linalg.eigh(S)
            return (P * w) @ P.T @ P

        calls: dict[str, Call] = {
            "(30)": lambda: gf.exact.identity_imbalance(Y, start, 1.0, 1.0),
            "(8)": lambda: gf.exact.symmetric(Y + Y.T, start.U, 1.0),
            "limit of (30)": lambda: limit(formula_matrix(Y, 1.0)),
            "limit of (8)": lambda: limit(Y + Y.T),
        }
        spent = timed(calls, 1 if m > 100 or quick else 5)
        for name in ("(30)", "(8)"):
            own, least = spent[name], spent[f"limit of {name}"]
            rows.append((str(m), name, f"{1e3 * own:.1f}", f"{1e3 * least:.1f}",
                         f"{least / own:.2f}"))  # fmt: skip
    return "## Growth with the size of Y, one time\n\n" + table(rows)


def draws(quick: bool) -> str:
    """Find the sharp rate and the a-priori bound of many end states."""
    rows = [("(m, n, k)", "draws", "seconds on one core")]
    for shape in ((2, 3, 5), (5, 10, 15)):
        count, groups = (100, 1) if quick else (25_000, 40)
        (m, n, k), rng = shape, np.random.default_rng(0)

        def some():
            end = gf.Weights(
                rng.standard_normal((count, m, k)), rng.standard_normal((count, n, k))
            )
            sharp, bound = gf.rates.asymptotic(end), gf.rates.a_priori(end.X, end)
            assert (bound <= sharp * (1 + 1e-12)).all()
            return sharp

        spent = sum(timed({"": some}, 1)[""] for _ in range(groups))
        rows.append((f"{shape}", f"{count * groups:,}", f"{spent:.1f}"))
    return "## Rates of end states\n\n" + table(rows)


def ensemble(quick: bool) -> str:
    """Many starts of Fig. 1 by gradient descent, one batched call against a loop."""
    count, steps = (200, 20) if quick else (4_000, 100)
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((M, N))
    starts = [gf.initial.gaussian(M, N, 50, 0.1, rng).compress() for _ in range(count)]
    calls = {
        "descent.run_many, one call": lambda: gf.descent.run_many(
            Y, starts, 1e-3, steps, steps
        ),
        "a loop over descent.run": lambda: [
            gf.descent.run(Y, start, 1e-3, steps, steps) for start in starts
        ],
    }
    spent = timed(calls, 1)
    own = next(iter(spent.values()))
    rows = [(f"{count:,} starts, {steps} steps", "seconds", "ratio")]
    rows += [(name, f"{a:.2f}", f"{a / own:.1f}") for name, a in spent.items()]
    return "## An ensemble of the starts of Figure 1\n\n" + table(rows)


def explorers(quick: bool) -> str:
    """From a move of a slider until its answer is drawn, on a page and with a kernel."""
    count = 5 if quick else 100
    rows = [(f"{count} moves of a slider", "median, ms", "95th percentile, ms", "aim, ms")]
    hosts = {
        "on a page": (live.book, "16"),
        "in JupyterLab, kernel on this machine": (live.lab, "100"),
    }
    path = chromium()
    if path is None:
        rows += [(name, *["not run: no Chromium"] * 2, aim) for name, (_, aim) in hosts.items()]
        return "## Explorers\n\n" + table(rows)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, (host, aim) in hosts.items():
            where = (browser, Path(folder)) if host is live.lab else (browser,)
            with host(*where) as box:
                positions = [20 * (i % 2) + i % 19 + 1 for i in range(count)]
                spent = box.evaluate(live.MOVES, positions)
            late = quantiles(spent, n=20, method="inclusive")[-1]
            rows.append((name, f"{median(spent):.1f}", f"{late:.1f}", aim))
        browser.close()
    return "## Explorers\n\n" + table(rows)


def weighed(browser: Browser, url: str) -> tuple[int, float]:
    """Load a page with nothing cached; return its kilobytes, compressed, and its paint in ms.

    What the explorers on it know is not counted; the largest contentful paint is the time.
    """
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(url, wait_until="networkidle")
    painted = page.evaluate(PAINT)
    weight = live.weight(answers)
    page.close()
    return weight // 1000, painted


def pages(quick: bool) -> str:
    """First load of each page of the built book, served by this machine."""
    rows = [("first load", "median", "largest", "which page", "aim")]
    paths = [path.relative_to(SITE) for path in sorted(SITE.rglob("*.html"))]
    # Not the parts of the theme, nor the page that leads to the first one.
    names = [str(path) for path in paths if path.parts[0] not in ("_static", "index.html")]
    path = chromium()
    if path is None or not names:
        why = "not run: no Chromium" if names else "not run: no book is built"
        return "## Pages\n\n" + table([*rows, (why, *[""] * 4)])
    with live.served(SITE) as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        found = {name: weighed(browser, home + name) for name in names[:: 9 if quick else 1]}
        browser.close()
    units = [("kilobytes, compressed, without explorers' data", "1000"),
             ("milliseconds to the largest contentful paint", "1500")]  # fmt: skip
    for i, (unit, aim) in enumerate(units):
        most = max(found, key=lambda name: found[name][i])
        middle = median(values[i] for values in found.values())
        which = Path(most).stem
        rows.append((unit, f"{middle:.0f}", f"{found[most][i]:.0f}", which, aim))
        rows += [
            (
                f"{unit.split()[0]} of the playground",
                "",
                f"{values[i]:.0f}",
                Path(name).stem,
                aim,
            )
            for name, values in found.items()
            if "playground" in name
        ]
    return "## Pages\n\n" + table(rows)


def playground(quick: bool) -> str:
    """From the form of the playground to its pictures and numbers, in this Python."""
    data = yaml.safe_load((ROOT / built.FILE).read_text(encoding="utf-8"))
    page, spent = Playground(ROOT / built.MODULE), {}
    for preset in data["presets"][: 2 if quick else None]:
        values = complete(data["fields"], preset["state"])
        spent |= timed({preset["id"]: partial(page.show, values)}, 1 if quick else 3)
    most = max(spent, key=spent.__getitem__)
    middle, largest = f"{1e3 * median(spent.values()):.0f}", f"{1e3 * spent[most]:.0f}"
    head = ("one answer of the playground", "median", "largest", "which example")
    return "## The playground\n\n" + table([head, ("CPU milliseconds", middle, largest, most)])


def python_in_the_page(quick: bool) -> str:
    """Python in the page: what it loads, and the CPU that it takes of a reader's machine."""
    rows = [("Python in the page, in Chromium", "measured", "aim")]
    return "## Python in the page\n\n" + table(rows + inpage.section(SITE, quick))


def plot(curves: dict[str, list[tuple[int, float]]], path: Path) -> None:
    """Draw the time against the width for each solver, those of one method in one color."""
    plots.style(height=4.2)
    fig, ax = plt.subplots()
    for i, (name, points) in enumerate(curves.items()):
        k, seconds = np.array(points).T
        look = plots.TWO_LAYER if "gfcore" in name else plots.ONE_LAYER
        if "odeint" in name:
            look = plots.THEORY
        ax.loglog(k, 1e3 * seconds, marker="osDv^<>"[i % 7], ms=5, label=name, **look)
    ax.set(xlabel="width $k$", ylabel=f"ms at an error of {powers(f'{TARGETS[0]:.0e}')}")
    ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("{x:g}")
    fig.legend(loc="outside lower center", ncols=2, fontsize=8)
    fig.savefig(path, metadata={"Date": None})


PAGE = """% Written by `make bench`, from benchmarks/run.py.
# Benchmarks

How long gfcore takes, and how wrong it is, beside what one would use instead. Everything ran in
one process on {machine}, with {versions}.
Rivals took turns; a time is the least CPU time of some rounds. A ratio above 1 means that
gfcore is faster; ratios carry over to another machine, times do not. `make bench` writes this
page anew.

```{{figure}} benchmarks.svg
:alt: CPU time of each solver against the width k, at equal error

The flow at {times} times, at an error of {target:.0e}.
```

{parts}"""


def main() -> None:
    """Run everything and write the page and its picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, single runs")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    output = given.output or ROOT / ("_build/bench" if given.quick else "record")
    output.mkdir(parents=True, exist_ok=True)
    installed = [
        "numpy",
        "scipy",
        *(["diffrax"] if importlib.util.find_spec("diffrax") else []),
    ]
    versions = f"Python {platform.python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in installed
    )
    text, curves = width(given.quick)
    parts = [text]
    sections = (
        exact_formula,
        exact_symmetric,
        exact_beyond,
        shapes,
        growth,
        many,
        draws,
        ensemble,
        memory,
        imports,
        explorers,
        pages,
        playground,
        python_in_the_page,
    )
    for section in sections:
        sys.stderr.write(parts[-1])  # as they come: some take minutes
        parts.append(section(given.quick))
    page = PAGE.format(
        machine=machine(), versions=versions, times=TIMES, target=TARGETS[0],
        parts="\n".join(parts),
    )  # fmt: skip
    (output / "benchmarks.md").write_text(page, encoding="utf-8")
    plot(curves, output / "benchmarks.svg")
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
