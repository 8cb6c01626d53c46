"""Direct sums: target and weights fall into parts after a rotation, each solved by itself.

Let M0 = R0 R0^T, S = [[0, Y], [Y^T, 0]], J = diag(I_m, -I_n). Spaces P_i of outputs and B_i of
inputs that S, M0 and J leave alone are left alone by the flow (12) as well, which is one of its
own in each of them. Where the imbalance of each part has one eigenvalue there, or two at full
rank, M J M = Lam M + Theta J with Lam and Theta that are numbers on each part, and

    M = ((C + D H) M0 + Theta D) (C - D H + D M0)^(-1),    H = S + J Lam/2,

with C and D made of Omega = (H^2 + Theta)^(1/2) as in `two_values`. Part by part nothing in it
grows. A spectral start is such a sum, of parts with one output and one input.

What commutes with S, M0 and J are the projections on the parts. A symmetric product of such
matrices has eigenvectors that lie in one part each, if no eigenvalue of one is that of another,
and then each entry of Y, U0 V0^T, U0 U0^T and V0 V0^T between the eigenvectors links two of the
same part. See Murota, Kanno, Kojima and Kojima, "A numerical algorithm for block-diagonal
decomposition of matrix *-algebras", 2010, which goes on to the parts that are equal to one
another; here these may stay together, as they have the same eigenvalues.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import EPS, Array
from gfcore._scale import norm
from gfcore.exact._imbalance import Values, values
from gfcore.exact._modes import quotient, spectral_path
from gfcore.exact.identity import identity_imbalance
from gfcore.exact.two_values import two_imbalances
from gfcore.state import Weights

# Weights at which `bases` mixes products. Different parts may happen to have one eigenvalue in
# one mixture; they hardly do in three.
MIXTURES = ((1.57, 1.36, 1.41, 0.73, 1.12), (0.81, -1.93, 0.63, 1.31, -0.77),
            (-0.58, 1.21, -0.37, 0.92, 1.66))  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A part: what it spans, its own target and R0 = [U0; V0], and its imbalance."""

    basis: Array
    Y: Array
    R: Array

    @cached_property
    def found(self) -> Values:
        """Its imbalance, one value or two."""
        return values(self.R, len(self.Y))

    @property
    def distance(self) -> float:
        """How far it is from one eigenvalue, or two; without outputs or inputs it rests."""
        return min(self.found.one, self.found.two) if self.Y.size else 0.0

    def solved(self, t: Array) -> Array:
        """R R^T of this part alone."""
        one, two, lam, q1, q2 = self.found
        m = len(self.Y)
        start = Weights(self.R[:m], self.R[m:])
        if one <= two:
            return identity_imbalance(self.Y, start, lam, t)
        return two_imbalances(self.Y, start, q1, q2, t)


@_check.quiet
def direct_sum(Y: ArrayLike, weights0: Weights, t: ArrayLike) -> Array:
    """R(t) R(t)^T of the flow (12) where target and weights are a direct sum, hidden or not.

    It is in Y's own coordinates; its blocks are U U^T, U V^T = X, V U^T and V V^T. Y and the
    weights fall into parts, after a rotation of the outputs, one of the inputs and one of the
    hidden units: between outputs of one part and inputs or hidden units of another there is
    nothing. In each part Q0 has one eigenvalue on the row space of R0 = [U0; V0], or two and R0
    has full rank there. That is M0 J M0 = Lam M0 + Theta J with matrices Lam and Theta that
    commute with Y, R0 R0^T and J = diag(I_m, -I_n). A single part will do, so that for
    m = n = 1 every start is of this kind, of any width and with any Q0.

    Parameters
    ----------
    Y : (*stack, m, n) array_like
        Target.
    weights0 : Weights
        A start of this kind, any width k. The parts are looked for.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*stack, *t.shape, m+n, m+n) array
        R(t) R(t)^T, symmetric. The relative error in the Frobenius norm is of the order of
        1e-14, or what relative changes of that size in Y, weights0 and t do to it, if that is
        more. That is so for the largest part: what others have less than 1e-14 of its size is
        taken for rounding.

    Raises
    ------
    ValueError
        If a part is off either kind by more than 64 (m+n) 2^-52, relative to its own weights,
        an argument is not finite and real, or the shapes disagree.

    See Also
    --------
    solvable : whether a start is of this kind, and how far it is from it.

    Examples
    --------
    One output and one input, whatever the imbalance: the weights settle at X = Y.

    >>> direct_sum([[3.0]], Weights([[1.0, 2.0]], [[0.0, 1.0]]), t=9.0).round(4)
    array([[5.7417, 3.    ],
           [3.    , 1.7417]])

    Two of these, turned: a sum of different imbalances.

    >>> P = np.array([[0.6, -0.8], [0.8, 0.6]])
    >>> start = Weights(P * [1.0, 2.0], P.T * [0.5, 0.1])
    >>> X = direct_sum(P * [2.0, 0.5] @ P, start, t=40.0)[:2, 2:]
    >>> np.allclose(P.T @ X @ P.T, np.diag([2.0, 0.5]), rtol=1e-13)
    True
    """
    target, time = _check.target(Y, weights0, stack=True), _check.times(t)
    *stack, m, n = target.shape
    M = np.zeros((*stack, *time.shape, m + n, m + n))
    for i in np.ndindex(*stack):
        parts = in_parts(target[i], weights0.U[i], weights0.V[i])
        distance = max(part.distance for part in parts)
        if distance > 64 * (m + n) * EPS:
            where = f" in problem {i}" if i else ""
            raise ValueError(
                f"weights0 must fall into parts with one or two imbalances{where}, not off by "
                f"{distance:.1e} relative, shapes {weights0.U.shape} and {weights0.V.shape}"
            )
        for part in parts:
            if part.Y.size > 1:
                M[i] += part.basis @ part.solved(time) @ part.basis.T
            elif not part.Y.size:  # which rests
                root = part.basis @ part.R
                M[i] += root @ root.T
        if pairs := [part for part in parts if part.Y.size == 1]:
            M[i] += of_pairs(pairs, time)
    return M


def of_pairs(parts: list[Part], t: Array) -> Array:
    """Sum R R^T of all parts of one output and one input, (*t.shape, m+n, m+n).

    In each the determinant of R R^T = [[a, x], [x, b]] is kept, -q1 q2, as well as a - b, which
    is q1 + q2. So (a + b)^2 = (q1 - q2)^2 + 4 x^2, and x' = (y - x)(a + b) is a mode as in
    (21), with the imbalance q1 - q2.
    """
    y, R = np.array([part.Y.item() for part in parts]), np.zeros((len(parts), 2, 2))
    for r, part in zip(R, parts, strict=True):
        r[:, : part.R.shape[1]] = part.R
    _, power = np.frexp(np.abs(R).max(axis=(1, 2)))
    unit = np.ldexp(1.0, np.where(power < -200, power, 0))  # that squares do not underflow
    R = R / unit[:, None, None]
    found = [
        part.found if one == 1 else values(r, 1)
        for part, one, r in zip(parts, unit, R, strict=True)
    ]
    ends = [(v.q1, v.q2) if v.two < v.one else (max(v.lam, 0), min(v.lam, 0)) for v in found]
    q1, q2 = np.array(ends).T
    x = spectral_path(y, q1 - q2, np.vecdot(R[:, 0], R[:, 1]), t, unit)
    q1, q2 = q1 * unit * unit, q2 * unit * unit
    larger = (np.hypot(q1 - q2, 2 * x) + np.abs(q1 + q2)) / 2
    smaller = x * quotient(x, larger) - quotient(q1, larger) * q2
    a, b = (np.where(up, larger, smaller) for up in (q1 + q2 > 0, q1 + q2 <= 0))
    out, into = np.stack([part.basis for part in parts], axis=2).swapaxes(0, 1)
    a, b, x = (s[..., None, :] for s in (a, b, x))
    both = np.concatenate([out * a + into * x, out * x + into * b], axis=-1)
    return np.asarray(both @ np.concatenate([out, into], axis=-1).T)


def in_parts(Y: Array, U: Array, V: Array) -> list[Part]:
    """Return the parts of target and weights."""
    from scipy.linalg import block_diag  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    m, n = Y.shape
    A, u, v = (W / (norm(W) or 1.0) for W in (Y, U, V))
    noise = 64 * (m + n) * EPS
    count, labels, P, B = 1, np.zeros(m + n, int), np.eye(m), np.eye(n)
    for weights in MIXTURES:
        left, right = bases(A, u, v, weights)
        rows = np.concatenate([left.T @ u, right.T @ v])
        links = np.abs(rows @ rows.T) > noise
        links[:m, m:] |= np.abs(left.T @ A @ right) > noise
        more, found = connected_components(links, directed=False)
        if more > count:
            count, labels, P, B = more, found, left, right
    parts = []
    for label in range(count):
        p, b = P[:, labels[:m] == label], B[:, labels[m:] == label]
        # Hidden units that have nothing to do with this part but for rounding are left out.
        _, s, turn = np.linalg.svd(np.concatenate([p.T @ u, b.T @ v]), full_matrices=False)
        own = turn[s > noise].T if (s > noise).any() else np.zeros((len(turn.T), 1))
        R = np.concatenate([p.T @ U @ own, b.T @ V @ own])
        parts.append(Part(block_diag(p, b), p.T @ Y @ b, R))
    return parts


def bases(A: Array, U: Array, V: Array, weights: tuple[float, ...]) -> tuple[Array, Array]:
    """Return orthonormal bases of outputs and inputs of which each vector is in one part."""
    X = U @ V.T

    def mixture(A: Array, U: Array, V: Array, X: Array) -> Array:
        a, b, c, d, e = weights
        both = A @ X.T
        T = a * U @ U.T + b * A @ A.T + c * (both + both.T) + d * X @ X.T
        return np.asarray(np.linalg.eigh(T + e * (A @ V) @ (A @ V).T).eigenvectors)

    return mixture(A, U, V, X), mixture(A.T, V, U, X.T)
