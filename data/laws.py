"""Write data/laws.csv: counts among a million random starts, for chapter 11.

Lines "promise": how many Gaussian starts of 5 by 10 weights of variance one and width k promise
the rate x. Lines "square" and "wide": for Y = diag(2, 1/2) with two and with four inputs and
weights of variance 1/k, how many networks have sqrt(k) (r - its limit) below x, where r is the
rate at the end of the flow. The last column counts the first 2,000, which the chapter draws
again by other means. It takes some seven minutes of one processor.

    python data/laws.py
"""

from pathlib import Path

import numpy as np

DRAWS, CHUNK = 1_000_000, 2_000
WIDTHS = {1: (17, 18), 10: (29, 30), 100: (99, 100), 1000: (632, 633)}
PLACES = {
    "square": np.array([-2.25, -1.5, -0.75, 0.0, 0.75, 1.5, 2.25]),
    "wide": np.array([-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0]),
}


def factors(rows: int, k: int, seed: list[int]) -> np.ndarray:
    """Return triangular L with L L^T like R0 R0^T, for R0 of standard normal entries."""
    rng = np.random.default_rng(seed)
    L = np.tril(rng.standard_normal((CHUNK, rows, rows)), -1)
    L[:, range(rows), range(rows)] = np.sqrt(rng.chisquare(k - np.arange(rows), (CHUNK, rows)))
    return L


def promises(k: int, chunk: int, m: int = 5, n: int = 10) -> np.ndarray:
    """Return Delta of the starts of a chunk."""
    L = factors(m + n, k, [k, chunk])
    q = np.linalg.eigvalsh(L.mT @ (np.repeat([1.0, -1.0], [m, n])[:, None] * L))
    return np.maximum(q[:, -m], 0) + np.maximum(-q[:, n - 1], 0)


def rates(n: int, k: int, chunk: int, step: float = 0.1, steps: int = 60) -> np.ndarray:
    """Return lambda_min(A) + lambda_min(B) at the end, by the classical Runge-Kutta method."""
    L = factors(2 + n, k, [n, k, chunk]) / np.sqrt(k)
    M = L @ L.mT
    Y = np.eye(2, n) * [[2.0], [0.5]]

    def slope(M: np.ndarray) -> np.ndarray:
        K = np.zeros_like(M)
        K[:, :2, 2:] = Y - M[:, :2, 2:]
        K[:, 2:, :2] = K[:, :2, 2:].mT
        half = K @ M
        return np.asarray(half + half.mT)

    for _ in range(steps):
        a = slope(M)
        b = slope(M + step / 2 * a)
        c = slope(M + step / 2 * b)
        M = M + step / 6 * (a + 2 * b + 2 * c + slope(M + step * c))
    return np.linalg.eigvalsh(M[:, :2, :2])[:, 0] + np.linalg.eigvalsh(M[:, 2:, 2:])[:, 0]


def counted(counts: list[np.ndarray]) -> list[tuple[int, int]]:
    """Return the sum of counts, and the first of them, for each place."""
    return list(zip(np.sum(counts, axis=0).tolist(), counts[0].tolist(), strict=True))


if __name__ == "__main__":
    chunks = range(DRAWS // CHUNK)
    lines = ["law,k,x,count,first"]
    for rate, widths in WIDTHS.items():
        for k in widths:
            found = counted([np.array([(promises(k, c) >= rate).sum()]) for c in chunks])
            lines += [f"promise,{k},{rate},{found[0][0]},{found[0][1]}"]
    rho = np.sqrt(1.25)
    for law, n, limit in (("square", 2, 2 * rho), ("wide", 4, rho + 1)):
        for k in (400, 6400):
            x = PLACES[law]
            each = [((rates(n, k, c) - limit)[:, None] * np.sqrt(k) < x).sum(0) for c in chunks]
            pairs = zip(x, counted(each), strict=True)
            lines += [f"{law},{k},{at},{total},{first}" for at, (total, first) in pairs]
    Path(__file__).with_suffix(".csv").write_text("\n".join(lines) + "\n")
