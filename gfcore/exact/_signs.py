"""The sign of a start, X0 = W J W^T with J = +-1, and the time at which X(t) escapes.

As printed, (8) has values for any X0, but past an escape they do not solve (5). X = Y_- + Z,
with Y_- the negative part of Y, turns (5) into the same equation with |Y| in the place of Y.
So the solution exists for all t >= 0 exactly when Z0 = X0 - Y_- is positive semidefinite;
otherwise it escapes when J + W^T D^2 W first becomes singular.

Either way signs decide, and an eigenvalue has the sign computed only if it exceeds its
rounding error. Directions of very different size are therefore scaled to the same size
first, by a congruence, which keeps every sign: what is tiny only beside the others is kept.
"""

import numpy as np

from gfcore import _check
from gfcore._check import EPS, Array
from gfcore.exact._modes import TINY, scalar_escape
from gfcore.exact._riccati import brackets, rounding

CLEAR = 1e-6  # of eigenvalues up to 1: no rounding error is as large


class FiniteEscapeError(ArithmeticError):
    """The solution leaves every bound at a finite time, held in `.time`.

    Of several problems or modes, `.time` and `.problem` are the time and the index of the first
    that escapes, and `.result` is what the call would return, with NaN for those that do.

    Examples
    --------
    >>> import numpy as np
    >>> from gfcore.exact import riccati
    >>> try:
    ...     riccati([[1.0]], [[-1.0]], 1.0)
    ... except FiniteEscapeError as error:
    ...     print(f"{error.time:.12f} {np.log(2) / 4:.12f}")
    0.173286795140 0.173286795140
    """

    __module__ = "gfcore.exact"

    def __init__(
        self, time: float, problem: tuple[int, ...] = (), result: Array | None = None
    ) -> None:
        where = f" in problem {problem}" if problem else ""
        super().__init__(f"the solution of (5) escapes to infinity at t = {time:.10g}{where}")
        self.time, self.problem, self.result = time, problem, result

    def __reduce__(self) -> tuple[type, tuple[float, tuple[int, ...], Array | None]]:
        return type(self), (self.time, self.problem, self.result)


def signed_factor(X: Array, size: Array) -> tuple[Array, Array]:
    """Return W (m, m) and J (m,) with X = W diag(J) W^T, J = +-1.

    Zero are the columns of eigenvalues, all directions scaled to one size, below the rounding
    error of the sums that X is made of, whose terms are bounded by `size`. The longest columns
    come first, as `_pivots` has to have them.
    """
    X, size = (np.where(size < TINY, 0, A) for A in (X, size))
    scale = np.ones(X.shape[:-1])
    for _ in range(12):  # each halves the logarithm of what is still to be scaled
        rows = (size / scale[..., None] / scale[..., None, :]).max(-1)
        scale = np.maximum(scale * np.sqrt(np.where(rows > 0, rows, 1)), np.sqrt(TINY))
    X, size = (A / scale[..., None] / scale[..., None, :] for A in (X, size))
    x, V = np.linalg.eigh(X)
    noise = 4 * np.sqrt(X.shape[-1]) * EPS * np.linalg.norm(size, axis=(-2, -1))
    x = np.where(np.abs(x) > noise[..., None], x, 0)
    W = scale[..., None] * V * np.sqrt(np.abs(x))[..., None, :]
    order = np.argsort(-np.abs(W).max(-2), axis=-1, kind="stable")
    x = np.take_along_axis(x, order, -1)
    W = np.take_along_axis(W, order[..., None, :], -1)
    return W, np.where(x < 0, -1.0, 1.0)


def signed_solution(target: Array, start: Array, W: Array, J: Array, t: Array) -> Array:
    """X(t) of (5) from X0 = W diag(J) W^T, (T, m, m), or FiniteEscapeError."""
    w, P = np.linalg.eigh(target)
    W, noise = P.T @ W, rounding(P, W)
    # Z0 = X0 - Y_- in the eigenbasis of Y; only where it is not >= 0 does X(t) escape.
    down = np.minimum(w, 0)
    size = np.abs(P.T) @ np.abs(start) @ np.abs(P)
    size += np.diag((np.diagonal(np.abs(P.T) @ np.abs(target) @ np.abs(P))) * (w < 0))
    Z, signs = signed_factor(P.T @ start @ P - np.diag(down), size)
    exists = bool((signs > 0).all())
    # There small entries of X0 are lost beside large ones, but not in its factor.
    escape = escape_time(w, W, J, noise, CLEAR if exists else 0.0)
    exists &= escape == np.inf
    if (t >= escape * (1 - 1e-12)).any():
        raise FiniteEscapeError(escape)
    G, C = single(w, W, t, noise, J)
    c, V = np.linalg.eigh(C)
    G = V.mT @ G
    H = G / np.where(np.abs(c) < EPS, np.copysign(EPS, c), c)[..., None]
    X = G.mT @ H
    if exists:
        # Two expressions for one matrix: the second is the accurate one near X0 = Y_-,
        # where C loses its digits, the first where X decays and Y_- + Z loses its own.
        noise = 4 * w.size * EPS * np.sqrt(np.diagonal(size))
        K, _ = single(np.abs(w), Z, t, noise, None)
        first = np.linalg.norm(H, axis=(1, 2)) ** 2
        first[np.abs(c).min(1) < 100 * EPS] = np.inf
        second = np.linalg.norm(size) + np.linalg.norm(K, axis=(1, 2)) ** 2
        X = np.where((first <= second)[:, None, None], X, np.diag(down) + K.mT @ K)
    X = P @ X @ P.T
    return np.asarray((X + X.mT) / 2)


def single(w: Array, W: Array, t: Array, noise: Array, J: Array | None) -> tuple[Array, Array]:
    """Return G and C of one problem, whose eigenvalues have any order."""
    order, k = np.argsort(w), W.shape[1]
    # The errors of a difference such as Z may exceed rows that are not short beside others.
    W = np.where(np.abs(W).sum(1, keepdims=True) > noise[:, None], W, 0)
    G, C = np.empty((len(t), k, w.size)), np.empty((len(t), k, k))
    w, W, noise = w[order][None, None], W[order][None], noise[order][None]
    signs = None if J is None else J[None]
    for _, at, g, c in brackets(w, W, t, lambda: noise, lambda _: W[0], signs):
        G[at], C[at] = g[..., np.argsort(order)], c
    return G, C


def escape_time(w: Array, W: Array, J: Array, noise: Array, least: float) -> float:
    """Time at which J + W^T D^2 W first becomes singular.

    D^2 grows with t, so its eigenvalues do too: the first to reach zero is the largest of the
    negative ones. No start as long as X0 escapes earlier than in the direction in which Y is
    largest. If it does not exceed `least` in the end, it is at zero but for rounding: infinite.
    """
    from scipy.optimize import brentq  # type: ignore[import-untyped]

    index = np.count_nonzero(J < 0) - 1

    def eigenvalue(log_t: float) -> float:
        _, C = single(w, W, np.exp([log_t]), noise, J)
        return float(np.linalg.eigvalsh(C)[0, index])

    longest = np.array([-(np.linalg.norm(W) ** 2)])
    earliest, latest = np.log(scalar_escape(w[-1:], longest)[0]) - 1e-3, np.log(_check.LARGEST)
    if earliest >= latest or eigenvalue(latest) <= least:
        return np.inf  # after all times, or X0 - Y_- is below zero only by rounding
    root = brentq(eigenvalue, earliest, latest, xtol=1e-15, rtol=4 * EPS, maxiter=1000)
    return float(np.exp(root))
