"""The eigenvalues of Q = R^T J R from R, without loss where rows of weights differ in size.

Formed, Q = U^T U - V^T V knows its eigenvalues only to the rounding error of the largest. Let
R^T = G T with columns chosen by length, so that the rows of T fall off as the weights do. One
rotates pairs of rows of T until all are J-orthogonal, t_i J t_j = 0, which is Jacobi's method
for T J T^T. Then Q = B diag(q) B^T with q_i = t_i J t_i, the columns of B being eigenvectors,
and the errors of a row are relative to its own length. J = diag(I_m, -I_n).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gfcore._check import EPS, Array
from gfcore._gauge import independent, positive
from gfcore._scale import sized
from gfcore.exact._modes import quotient

Index = NDArray[np.intp]

SWEEPS = 40  # it takes about 8


class Values(NamedTuple):
    """How far Q is from one eigenvalue, and from two at full rank, and which are nearest."""

    one: float
    two: float
    lam: float
    q1: float
    q2: float


def values(R: Array, m: int) -> Values:
    """Return the one and the two values nearest to the eigenvalues of Q on the rows of R."""
    R, unit = sized(R)
    q, T, _ = eigenrows(R, m)
    size = (T * T).sum(1)
    lam, one = common(q, size)
    up = q > 0
    (q1, above), (q2, below) = common(q[up], size[up]), common(q[~up], size[~up])
    two = max(above, below) if len(q) == len(R) else np.inf
    return Values(one, two, *(unit.item() * value * unit.item() for value in (lam, q1, q2)))


def common(q: Array, size: NDArray[np.float64]) -> tuple[float, float]:
    """Return the number nearest to all of q, relative to their sizes, and its distance."""
    if not q.size:
        return 0.0, 0.0
    # Below the smallest normal number a square has lost its digits.
    weight = quotient(size.min(), size, 1.0) ** 2
    middle = float(weight @ q / weight.sum())
    return middle, float(quotient(np.abs(q - middle), size).max())


def eigenrows(R: Array, m: int) -> tuple[Array, Array, Array]:
    """Return q (r,), T (r, m+n) and B (k, r) with R = T^T B^T, r being the rank of R or 1."""
    length = positive(np.linalg.norm(R, axis=1))
    # Directions in which there is nothing but rounding errors are dropped; those of a short
    # row may be smaller than those errors in a long one.
    B, T = triangular(R.T / length, max(1, len(independent(R)[1])))
    G, T = triangular(T * length, len(T))
    B = B @ G
    # One array of both: the rotations are the same.
    both, J = np.concatenate([T, B.T], axis=1), np.repeat([1.0, -1.0], [m, len(R) - m])
    T, rounds = both[:, : len(R)], list(disjoint(len(T)))
    for _ in range(SWEEPS):
        length = np.linalg.norm(T, axis=1)
        off = np.abs((T * J) @ T.T) > len(R) * EPS * np.outer(length, length)
        if not np.triu(off, 1).any():
            break
        for i, j in rounds:
            far = off[i, j]
            i, j = i[far], j[far]
            if not i.size:
                continue
            p, q = both[i], both[j]
            x, y = p[:, : len(R)], q[:, : len(R)]
            xJ = x * J
            c, apart = np.vecdot(xJ, y), np.vecdot(y * J, y) - np.vecdot(xJ, x)
            angle = np.arctan2(2 * c * np.copysign(1.0, apart), np.abs(apart))[:, None] / 2
            cosine, sine = np.cos(angle), np.sin(angle)
            both[i], both[j] = cosine * p - sine * q, sine * p + cosine * q
    return (T * T) @ J, T, both[:, len(R) :].T


def disjoint(count: int) -> Iterator[tuple[Index, Index]]:
    """Yield all pairs of rows in rounds, in each of which no row stands twice."""
    ring = np.arange(count + count % 2)
    for _ in ring[1:]:
        i, j = ring[: len(ring) // 2], ring[: len(ring) // 2 - 1 : -1]
        real = np.maximum(i, j) < count
        yield i[real], j[real]
        ring = np.append(ring[:1], np.roll(ring[1:], 1))


def triangular(A: Array, rank: int) -> tuple[Array, Array]:
    """Return B with `rank` orthonormal columns and T with A = B T, columns taken by length."""
    from scipy.linalg import qr  # type: ignore[import-untyped]

    B, T, order = qr(A, mode="economic", pivoting=True)
    return B[:, :rank], T[:rank, np.argsort(order)]
