"""Weights whose imbalance has two eigenvalues: R R^T in closed form at any width k >= m+n.

Let M = R R^T, J = diag(I_m, -I_n), S = [[0, Y], [Y^T, 0]]. The flow (12) is M' = A M + M A with
A = S - (M - J M J)/2. Where Q = R^T J R has the eigenvalues q1 and q2 and no other on the
row space of R, J M has them too, so that M J M = lam M + mu J with lam = q1 + q2 and
mu = -q1 q2 >= 0. This is kept, and it turns M J M J and J M J M, of which
no Riccati equation has its like, into linear terms:

    M' = H M + M H - M^2 + mu I,    H = S + lam J/2.

Its solution from zero is a function of H. With Omega = (H^2 + mu I)^(1/2), and h, omega
standing for eigenvalues, of which H and Omega share the eigenvectors,

    bottom = (omega - h + (omega + h) e^(-2 omega t)) / (2 omega),
    D^2 = (1 - e^(-2 omega t)) / (2 omega bottom),    E = e^(-omega t) / bottom,

it is mu D^2. From M0 = R0 R0^T it is, because E' = (h - mu D^2) E and (D^2)' = E^2,

    M = mu D^2 + E R0 (I + R0^T D^2 R0)^(-1) R0^T E,

which one checks by differentiation. Both terms are positive semidefinite, so nothing cancels;
nothing grows with t but D, up to (omega + h)/mu where h > 0; M0 is not formed. For mu = 0 this
is (30), of whose kernels the second term makes use: E/D is bounded by 2 omega in all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import Array
from gfcore._gauge import independent, narrowed
from gfcore.exact._basis import tilted
from gfcore.exact._modes import mean_decay
from gfcore.exact._pivots import graded
from gfcore.exact._riccati import DIRECT, Times, chunks, longest, orthonormal, rounding, squared
from gfcore.exact.identity import identity_imbalance
from gfcore.state import Weights

NONE = 1e-140  # of the largest omega: a root of mu below this is zero


@_check.quiet
def two_imbalances(
    Y: ArrayLike, weights0: Weights, q1: float, q2: float, t: ArrayLike
) -> Array:
    """R(t) R(t)^T of the flow (12) where the imbalance has the two eigenvalues q1 and q2.

    It is in Y's own coordinates; its blocks are U U^T, U V^T = X, V U^T and V V^T. It is the
    flow from weights with M0 J M0 = (q1 + q2) M0 - q1 q2 J, M0 = R0 R0^T, J = diag(I_m, -I_n):
    for q1 > 0 > q2 these have full rank m+n, and Q0 has the eigenvalue q1 m times, q2 n times,
    and otherwise 0. If q1 or q2 is 0, Q0 is a multiple of the identity on the row space of R0.
    From other weights it is the solution of the same Riccati equation, to which the limit of
    infinite width brings those with independent entries.

    Parameters
    ----------
    Y : (*stack, m, n) array_like
        Target.
    weights0 : Weights
        Any start, any width k.
    q1, q2 : float
        The eigenvalues, q1 >= 0 >= q2.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*stack, *t.shape, m+n, m+n) array
        R(t) R(t)^T, symmetric. The relative error in the Frobenius norm is of the order of
        1e-15, or what relative changes of that size in Y, weights0, q1, q2 and t do to it, if
        that is more. With q2 = 0 or q1 = 0 it is `identity_imbalance`.

    Raises
    ------
    ValueError
        If q1 < 0, q2 > 0, an argument is not finite and real, or the shapes disagree.

    See Also
    --------
    gfcore.initial.orthogonal : weights of this kind with X(0) = 0.
    solvable : whether given weights are of this kind, and q1 and q2.

    Examples
    --------
    One mode of the flow from X(0) = 0 is Proposition 3 with lam = q1 - q2.

    >>> from gfcore.exact import spectral_modes
    >>> M = two_imbalances([[2.0]], Weights([[1.0, 0.0]], [[0.0, 0.5]]), 1.0, -0.25, t=0.3)
    >>> np.allclose(M[0, 1], spectral_modes(2.0, 1.25, 0.0, 0.3), rtol=1e-14)
    True
    """
    target, time = _check.target(Y, weights0, stack=True), _check.times(t)
    q1, below = _check.nonnegative("q1", q1), -_check.array("q2", q2, 0).item()
    if below < 0:
        raise ValueError(f"q2 must be <= 0, got {-below}")
    root, lam = np.sqrt(q1) * np.sqrt(below), q1 - below
    *stack, m, n = target.shape
    M = np.empty((*stack, *time.shape, m + n, m + n))
    for i in np.ndindex(*stack):
        parts, P = tilted(target[i], lam / 2)
        h = parts.sum(0)
        if root <= NONE * np.hypot(np.abs(h).max(), root):
            start = Weights(weights0.U[i], weights0.V[i])
            M[i] = identity_imbalance(target[i], start, lam, time)
        else:
            M[i] = from_eigenvalues(h, root, P, weights0.R[i], time.ravel()).reshape(M[i].shape)
    return M


def from_eigenvalues(h: Array, root: float, P: Array, R: Array, t: Array) -> Array:
    """M(t), (T, m+n, m+n), for H = P diag(h) P^T and mu = root^2 > 0."""
    omega = np.hypot(h, root)
    large = omega + np.abs(h)
    small = root * (root / large)  # omega - |h|
    minus, plus = np.where(h > 0, small, large), np.where(h > 0, large, small)
    narrow = narrowed(R)
    N, k = narrow.shape
    W, noise = P.T @ narrow, rounding(P, narrow)
    size = np.linalg.norm(W, axis=1)
    present = size > noise
    t = np.maximum(t, 1e-300)[:, None]  # stands for t = 0, where D is zero
    bottom = (minus + plus * np.exp(-2 * omega * t)) / (2 * omega)
    D = np.sqrt(t * mean_decay(2 * omega * t)) / np.sqrt(bottom)
    E = np.exp(-omega * t) / bottom
    most = np.exp(longest(np.where(present, size, 0)[None], noise[None]))
    direct = (D * most <= DIRECT / np.sqrt(k)).all(1)
    M = np.empty((t.size, N, N))

    def put(at: Times, b: Array, c: Array | None, hard: bool) -> None:
        b, _ = orthonormal(b, c, hard, both=False)
        own = root * D[at, None] * np.eye(N)
        G = np.concatenate([(E[at] / D[at])[:, None] * b, own], axis=1)
        M[at] = squared((G.reshape(-1, N) @ P.T).reshape(G.shape))

    for _, at in chunks(direct[None], N * k):
        put(at, np.where(present, D[at], 0)[:, None] * W.T, None, hard=False)
    thin = P.T @ independent(R)[0] if not direct.all() else W
    for _, at in chunks(~direct[None], N * k):
        one, flat = np.ones((len(D[at]), 1)), np.zeros((1, N))
        b, c, _ = graded(flat, D[at], one, thin, noise, k, None)
        put(at, b, c, hard=True)
    return M
