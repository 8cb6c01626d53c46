"""Reference values of the exact solutions, from formulas that gfcore does not use.

``python data/reference.py`` writes data/reference/*.json; with ``--check`` it says whether
they are current. All arithmetic is mpmath's, with 120 digits and again with 160; a value is
stored only if its 21 digits agree. The formulas:

- (8) and (30) by Cramer's rule. With Z = X0 in the eigenbasis of Y, e_i = exp(2 t w_i) and
  f_i = (exp(4 t w_i) - 1)/w_i,
  X_ij = e_i e_j (sum_S f_S det Z[S+i, S+j]) / (sum_S f_S det Z[S, S]), the sums over all sets
  S of indices without i and j, f_S the product of f over S. It holds for every symmetric X0
  and stays accurate where e^(4tw) spans millions of orders of magnitude.
- (9) as (8) with m = 1. (17) with (22) as printed; (21) at lam = 0, where (22) is 0/0.
- The escape of (5): when X0^(-1) + F(t) first has fewer negative eigenvalues than X0.

Beside each value stands its floor: the largest relative change of it when every argument
changes by 2^-52 of its norm, in four ways.
"""

import json
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations, cycle
from pathlib import Path
from typing import Any

import mpmath as mp

FOLDER = Path(__file__).parent / "reference"
DIGITS, DRAWS = 21, 4
TIMES = [0.0, 1e-8, 1e-3, 0.1, 1.0, 10.0, 1e3, 1e6]
SPECTRA = {
    "general": [2.3, -1.1, 0.7, -0.4, 1.9, 0.2],
    "ten orders": [30.0, -1e-7, 3e-9, 1e-3, -1.0, 1e-5],
    "singular": [0.0, 1.5, -0.8, 0.0, 2.0, 1.0],
    "repeated": [2.0, 2.0, -1.0, -1.0, 2.0, -1.0],
    "negative": [-0.3, -1.2, -0.7, -2.5, -0.1, -0.4],
    "close": [1.0, 1.000001, 0.999999, 1.00000001, 1.0, 0.5],
    "large": [1e4, -2e3, 500.0, -4e4, 3e4, 7.0],
    "small": [1e-6, -3e-7, 2e-8, -5e-6, 4e-7, 1e-8],
}
MODES: dict[str, tuple[list[float], list[float], list[float]]] = {  # sigma, u, v
    "distinct": ([3, 2, 0.5, 0.25], [1, 0.5, -2, 4], [0.5, 2, 1, -0.125]),
    "equal sigma": ([2, 2, 2, 2], [1, 0.5, 2, 0.25], [1, 1, 0.5, -1]),
    "zero sigma": ([1, 0, 0, 0], [0.5, 1, 2, 1], [1, 0.5, 0.5, -1]),
    "all equal": ([1, 1, 1, 1], [2, 2, 2, 2], [1, 1, 1, 1]),
    "absent": ([2, 1, 1, 0.5], [1, 0, 0, 1], [1, 0, 1, 0]),
    "balanced": ([2, 1, 0.5, 4], [0.5, 1, 2, 0.125], [0.5, 1, 2, 0.125]),
    "saddle": ([2, 1, 1, 2], [0.5, 1, 2, 1], [-0.5, -1, -2, -1]),
}
Case = dict[str, Any]


def draw(rng: random.Random, rows: int, columns: int, scale: float = 1.0) -> mp.matrix:
    """Return independent uniform entries of float64, the same on every machine."""
    return mp.matrix(
        [[scale * (2 * rng.random() - 1) for _ in range(columns)] for _ in range(rows)]
    )


def product(P: mp.matrix, diagonal: list[float], Q: mp.matrix) -> mp.matrix:
    """Return P diag(diagonal) Q^T, with as many columns of P and Q as there are entries."""
    r = len(diagonal)
    return P[:, :r] * mp.diag(diagonal) * Q[:, :r].T


def settings(*sizes: int) -> Iterator[tuple[str, random.Random, list[float], mp.matrix]]:
    """Yield a name, a source of numbers, eigenvalues and eigenvectors for each kind of Y."""
    for m in sizes:
        for spectrum, w in SPECTRA.items():
            for basis in ("diagonal", "dense"):
                name = f"{m}, {spectrum}, {basis}"
                rng = random.Random(name)
                P = mp.eye(m) if basis == "diagonal" else mp.qr(draw(rng, m, m))[0]
                yield name, rng, w[:m], P


def symmetric_cases() -> Iterator[Case]:
    """U0 full, of low rank, wide, graded, at the target, above it and below it."""
    turn = cycle(range(8))
    for name, rng, w, P in settings(1, 2, 3, 4, 6):
        m = len(w)
        starts = [
            draw(rng, m, m),
            draw(rng, m, 1, 1e-8),
            draw(rng, m, max(1, m - 1), 1e4),
            draw(rng, m, m + 2, 1e-3),
            mp.diag([1e-8, 1e4, 1.0, 1e-4, 1e2, 1e-6][:m]) * draw(rng, m, m),
            product(P, [max(a, 0) ** 0.5 for a in w], P),
            product(P, [(max(a, 0) + 3) ** 0.5 for a in w], P),
            product(P, [(max(a, 0) / 2) ** 0.5 for a in w], P),
        ]
        for kind in (next(turn), next(turn))[: 1 if m in (1, 6) else 2]:
            yield {"name": f"{name}, {kind}", "Y": product(P, w, P), "U0": starts[kind]}


def riccati_cases() -> Iterator[Case]:
    """X0 indefinite, small, of all signs, at and between rest points, huge and of low rank."""
    turn = cycle(range(10))
    for name, rng, w, P in settings(1, 2, 3):
        m = len(w)
        A = draw(rng, m, m)
        starts = [
            A + A.T,
            (A + A.T) * 2.0**-27,
            A + A.T - 1e4 * mp.eye(m),
            product(P, [min(a, 0) / 2 + 1e-3 for a in w], P),
            product(P, w, P),
            product(P, [min(a, 0) - 1e-3 for a in w], P),
            A * A.T,
            1e4 * A * A.T,
            product(P, [a + 0.5 for a in w], P),
            A[:, 0] * A[:, 0].T - A[:, m - 1] * A[:, m - 1].T,
        ]
        for kind in (next(turn), next(turn), next(turn)):
            yield {"name": f"{name}, {kind}", "Y": product(P, w, P), "X0": starts[kind]}


def identity_imbalance_cases() -> Iterator[Case]:
    """All shapes, widths and scales, lam of both signs; at, above, opposite to the target."""
    lams = cycle([0.0, 1e-12, -1e-12, 1e-6, -0.5, 2.0, -100.0, 1e4, -1e4])
    scales = cycle([1.0, 1e-8, 1e4, 1e-2, 1.0])
    factors = cycle([1.0, 3.0, -1.0])
    for m, n in ((1, 1), (1, 3), (3, 1), (2, 2), (2, 3), (3, 2), (3, 3)):
        for spectrum in ("general", "ten orders", "singular", "repeated", "large", "small"):
            rng = random.Random(f"{m}x{n}, {spectrum}")
            Phi, Psi = (mp.qr(draw(rng, a, a))[0] for a in (m, n))
            sigma = [abs(a) for a in SPECTRA[spectrum][: min(m, n)]]
            Y = product(Phi, sigma, Psi)
            for k in (1, 2, m + n + 1)[m % 2 :]:
                lam, scale = next(lams), next(scales)
                name = f"{m}x{n}, {spectrum}, lam {lam:g}, k {k}, scale {scale:g}"
                U, V = draw(rng, m, k, scale), draw(rng, n, k, scale)
                yield {"name": name, "Y": Y, "U": U, "V": V, "lam": lam}
            lam, factor = next(lams), next(factors)
            name = f"{m}x{n}, {spectrum}, lam {lam:g}, {factor:g} times the target"
            # No column of zeros, which a rounded rotation would not leave zero.
            seen = [i for i, a in enumerate(sigma) if a] or [0]
            root = mp.diag(sigma).apply(mp.sqrt)
            U, V = (A[:, : len(sigma)] * root for A in (Phi, factor * Psi))
            U, V = (mp.matrix([[row[i] for i in seen] for row in A.tolist()]) for A in (U, V))
            yield {"name": name, "Y": Y, "U": U, "V": V, "lam": lam}


def spectral_cases() -> Iterator[Case]:
    """Spectral starts without rounding: all orthogonal entries are 0, 1, -1 or +-1/2."""
    exact = {m: mp.matrix(m, m) for m in (1, 2, 3, 4, 5)}
    for m, Phi in exact.items():
        for i in range(m):
            Phi[i, (i + 1) % m] = (-1) ** i
    exact[4] = mp.matrix([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    for m, n, k in (
        (1, 1, 1),
        (1, 4, 4),
        (4, 1, 5),
        (4, 4, 4),
        (4, 4, 2),
        (2, 4, 5),
        (4, 3, 4),
    ):
        for name, values in MODES.items():
            r, width = min(m, n), min(m, n, k)
            sigma, u, v = values[0], *(a[:width] + [0.0] * (4 - width) for a in values[1:])
            yield {
                "name": f"{m}x{n}, k {k}, {name}",
                "Y": product(exact[m], sigma[:r], exact[n]),
                "U": product(exact[m], u[: min(m, k)], exact[k]),
                "V": product(exact[n], v[: min(n, k)], exact[k]),
                "modes": mp.matrix([sigma[:r], u[:r], v[:r]]),
                "Phi": exact[m][:, :r],
                "Psi": exact[n][:, :r],
            }


def modes_cases() -> Iterator[Case]:
    """(9) without escapes, and (17), through zero and near it too."""
    rng = random.Random("modes")
    for sigma in (0.0, 1e-10, 0.3, 1.0, 2.7, 1e4, -1.3):
        for x0 in (
            0.0,
            sigma,
            1.5 * sigma,
            sigma / 2,
            -sigma,
            1e-8,
            -1e-8,
            0.7,
            -0.7,
            1e4,
            -1e4,
        ):
            if x0 >= min(sigma, 0):
                yield {"name": f"(9), {sigma:g}, {x0:g}", "sigma": sigma, "x0": x0}
            for lam in rng.sample([0.0, 1e-12, -1e-9, 1e-4, 0.1, -1.0, 3.0, 100.0, -1e4], 3):
                name = f"(17), {sigma:g}, {lam:g}, {x0:g}"
                yield {"name": name, "sigma": sigma, "lam": lam, "x0": x0}


def cases(kind: str) -> list[Case]:
    """Return the inputs of one file, in float64."""
    makers = {
        "symmetric": symmetric_cases,
        "riccati": riccati_cases,
        "identity_imbalance": identity_imbalance_cases,
        "spectral": spectral_cases,
        "modes": modes_cases,
    }
    with mp.workdps(50):
        return [
            {
                name: [[float(b) for b in row] for row in a.tolist()]
                if isinstance(a, mp.matrix)
                else a
                for name, a in case.items()
            }
            | {"t": TIMES}
            for case in makers[kind]()
        ]


def minors(Z: mp.matrix, largest: int) -> dict[tuple[int, int], Any]:
    """Return det Z[A, B] for all sets A, B (bit masks) of equal size up to `largest`."""
    table = {(0, 0): mp.mpf(1)}
    for count in range(1, largest + 1):
        sets = [sum(1 << i for i in c) for c in combinations(range(Z.rows), count)]
        for A in sets:
            i = A.bit_length() - 1
            for B in sets:
                table[A, B] = mp.fsum(
                    (-1) ** (B >> j + 1).bit_count() * Z[i, j] * table[A ^ 1 << i, B ^ 1 << j]
                    for j in range(Z.rows)
                    if B >> j & 1
                )
    return table


def riccati(Y: mp.matrix, X0: mp.matrix, rank: int, times: list[Any]) -> list[mp.matrix]:
    """Return X(t) of (8); minors of X0 larger than its rank are zero."""
    w, P = mp.eigsy(Y)
    m, table, result = len(w), minors(P.T * X0 * P, rank), []
    subsets = [S for S in range(1 << m) if S.bit_count() <= rank]
    for t in times:
        e = [mp.exp(2 * t * a) for a in w]
        f = [mp.expm1(4 * t * a) / a if a else 4 * t for a in w]
        f_S = {S: mp.fprod(f[i] for i in range(m) if S >> i & 1) for S in subsets}
        determinant = mp.fsum(f_S[S] * table[S, S] for S in subsets)
        X = mp.matrix(m, m)
        for i in range(m):
            for j in range(m):
                X[i, j] = mp.fsum(
                    (-1) ** ((S >> i).bit_count() + (S >> j).bit_count())
                    * (f_S[S] * table[S | 1 << i, S | 1 << j] * e[i] * e[j] / determinant)
                    for S in subsets
                    if not (S >> i | S >> j) & 1 and S.bit_count() < rank
                )
        result.append(P * X * P.T)
    return result


def escape(Y: mp.matrix, X0: mp.matrix) -> Any:
    """Return the first time at which X0^(-1) + F(t) is singular, or infinity."""
    w, P = mp.eigsy(Y)
    Z = P.T * X0 * P
    excess = min(mp.eigsy(Z - mp.diag([min(a, 0) for a in w]), eigvals_only=True))
    if excess > -(mp.mpf(10) ** -50):
        return mp.inf

    def negative(t: Any) -> int:
        F = [mp.expm1(4 * t * a) / a if a else 4 * t for a in w]
        scale = mp.diag([1 / mp.sqrt(1 + a) for a in F])
        bracket = scale * (Z**-1 + mp.diag(F)) * scale
        return sum(a < 0 for a in mp.eigsy(bracket, eigvals_only=True))

    # F >= 4 t, so X has escaped by 1/(4 |excess|).
    late, before = -1 / (2 * excess), negative(mp.mpf(0))
    while negative(late / 2) < before:
        late /= 2
    early = late / 2
    while late - early > late * mp.mpf(10) ** (-DIGITS - 5):
        middle = (early + late) / 2
        early, late = (middle, late) if negative(middle) == before else (early, middle)
    return late


def symmetric_mode(sigma: Any, x0: Any, t: Any) -> Any:
    """Return x(t) of (9)."""
    if x0 == sigma or t == 0:
        return x0
    f = mp.expm1(4 * t * sigma) / sigma if sigma else 4 * t
    return x0 * mp.exp(4 * t * sigma) / (1 + x0 * f)


def spectral_mode(sigma: Any, lam: Any, x0: Any, t: Any) -> Any:
    """Return x(t) of (17), with C of (22)."""
    if lam == 0 or x0 == sigma or t == 0:
        return symmetric_mode(sigma, x0, mp.sign(x0) * t / 2)
    root = mp.sqrt(4 * sigma**2 * lam**2 + 16 * sigma**2 * x0**2 + lam**4 + 4 * x0**2 * lam**2)
    C = (root - 4 * sigma * x0 - lam**2) / (4 * lam**2 * (sigma - x0))
    z = mp.exp(t * mp.sqrt(4 * sigma**2 + lam**2))
    top = sigma * z**2 - 2 * C * lam**2 * z - 4 * sigma * lam**2 * C**2
    return top / (z**2 + 8 * sigma * C * z - 4 * lam**2 * C**2)


def answers(case: Case) -> list[mp.matrix]:
    """Return the solution of a case in mpmath's numbers at each of its times."""
    t = case["t"]
    if "U0" in case:
        U0 = case["U0"]
        return riccati(case["Y"], U0 * U0.T, min(U0.rows, U0.cols), t)
    if "X0" in case:
        Y, X0 = case["Y"], case["X0"]
        return [Y for _ in t] if Y == X0 else riccati(Y, X0, Y.rows, t)
    if "modes" in case:
        modes = case["modes"].T.tolist()
        x = [[spectral_mode(s, u**2 - v**2, u * v, a) for s, u, v in modes] for a in t]
        return [product(case["Phi"], a, case["Psi"]) for a in x]
    if "Y" in case:
        Y, U, V, half = case["Y"], case["U"], case["V"], case["lam"] / 2
        m, n = Y.rows, Y.cols
        S, R = mp.matrix(m + n, m + n), mp.matrix(m + n, U.cols)
        S[:m, :m], S[:m, m:], S[m:, :m], S[m:, m:] = half * mp.eye(m), Y, Y.T, -half * mp.eye(n)
        R[:m, :], R[m:, :] = U, V
        return [4 * X for X in riccati(S / 2, R * R.T / 4, min(R.rows, R.cols), t)]
    sigma, x0 = case["sigma"], case["x0"]
    if "lam" in case:
        return [mp.matrix([spectral_mode(sigma, case["lam"], x0, a)]) for a in t]
    return [mp.matrix([symmetric_mode(sigma, x0, a)]) for a in t]


def exactly(case: Case) -> Case:
    """Return the case in mpmath's numbers."""
    result = dict(case)
    for name, a in case.items():
        if isinstance(a, float):
            result[name] = mp.mpf(a)
        elif name != "name":
            result[name] = mp.matrix(a) if isinstance(a[0], list) else [mp.mpf(b) for b in a]
    return result


def disturbed(case: Case, draw_number: int) -> Case:
    """Return the case with every argument changed by 2^-52 of its norm."""
    rng, eps, result = random.Random(draw_number), mp.mpf(2) ** -52, dict(case)
    for name, a in case.items():
        if isinstance(a, mp.matrix):
            axis = draw(rng, max(a.rows, a.cols), 1)
            reflection = mp.eye(len(axis)) - 2 * axis * axis.T / (axis.T * axis)[0]
            norm = mp.sqrt(max(mp.eigsy(a.T * a, eigvals_only=True)))
            norm *= rng.choice((-1, 1))
            result[name] = a + eps * norm * reflection[: a.rows, : a.cols]
        elif name != "name":
            factor = 1 + rng.choice((-eps, eps))
            result[name] = [b * factor for b in a] if isinstance(a, list) else a * factor
    return result


def completed(case: Case) -> Case:
    """Return the case with its answers, their floors and its escape, if it has one."""
    outputs: Case = {}
    with mp.workdps(120):
        exact = exactly(case)
        time = escape(exact["Y"], exact["X0"]) if "X0" in case else mp.inf
        if time < mp.inf:
            near = [float(time * (1 - mp.mpf(10) ** -d)) for d in (1, 3, 6)]
            case = case | {"t": sorted([t for t in TIMES if t < near[0]] + near)}
            exact = exactly(case)
            others = [disturbed(exact, i) for i in range(DRAWS)]
            change = max(abs(escape(a["Y"], a["X0"]) / time - 1) for a in others)
            outputs = {
                "escape": mp.nstr(time, DIGITS),
                "escape_floor": float(mp.nstr(change, 3)),
            }
        X = answers(exact)
        floor = [mp.mpf(0) for _ in X]
        # A spectral start, or one at the fixed point Y, is no longer one when disturbed.
        if "modes" not in case and case.get("X0") != case.get("Y", 0):
            for i in range(DRAWS):
                other = answers(disturbed(exact, i))
                floor = [
                    max(old, mp.norm(a - b) / (mp.norm(b) or 1))
                    for old, a, b in zip(floor, other, X, strict=True)
                ]
        outputs |= {"floor": [float(mp.nstr(a, 3)) for a in floor], "X": strings(X)}
    with mp.workdps(160):
        if strings(answers(exactly(case))) != outputs["X"]:
            raise ArithmeticError(f"{case['name']}: 120 and 160 digits disagree")
    return case | outputs


def strings(X: list[mp.matrix]) -> list[list[list[str]]]:
    """Return the entries as decimals, those that are zero but for rounding as zero."""
    return [
        [
            [
                mp.nstr(a if abs(a) > mp.norm(A) * mp.mpf(10) ** -60 else mp.mpf(0), DIGITS)
                for a in row
            ]
            for row in A.tolist()
        ]
        for A in X
    ]


def main(arguments: list[str]) -> int:
    """Write the files or, with --check, compare them; 1 if they are not current."""
    stale = []
    for kind in ("symmetric", "riccati", "identity_imbalance", "spectral", "modes"):
        path, inputs = FOLDER / f"{kind}.json", cases(kind)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            with ProcessPoolExecutor() as pool:
                lines = [json.dumps(a) for a in pool.map(completed, inputs, chunksize=4)]
            path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
            continue
        stored = json.loads(path.read_text()) if path.exists() else []
        if len(stored) != len(inputs):
            stale.append(f"{kind}: {len(stored)} cases, not {len(inputs)}")
        # The inputs of every case, and all of a few.
        chosen = random.Random(kind).sample(range(len(inputs)), 4)
        for i, (old, case) in enumerate(zip(stored, inputs, strict=False)):
            expected = completed(case) if i in chosen else case | {"t": old.get("t")}
            if any(old.get(name) != a for name, a in expected.items()):
                stale.append(f"{kind}: {case['name']}")
    print("\n".join(["not current:", *stale]) if stale else "current")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
