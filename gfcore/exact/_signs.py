"""Starts of any sign, and the time at which X(t) escapes.

As printed, (8) has values for any X0, but past an escape they do not solve (5). In the
eigenbasis of Y, with Z in the place of X0 and E and D as in `_riccati`, (8) is

    X = E (Z^(-1) + D^2)^(-1) E = E/D (I - D^(-1) N^(-1) D^(-1)) E/D,    N = Z + D^(-2).

D^(-2) falls, from infinity to -Y_-, with Y_- the negative part of Y. So the solution exists for
as long as N is positive definite, and for all t >= 0 exactly when Z0 = Z - Y_- is positive
semidefinite. There X = Y_- and a rest, which solves (5) from Z0 with |Y| in the place of Y.

Rows of N are scaled to one size before the sign of its least eigenvalue is asked: what is tiny
only beside others is kept. Where eigenvectors of Y mix directions of X0 of very different
size, Z has lost the tiny ones. A factor X0 = W K^(-1) W^T has not: the solution exists until
K + W^T D^2 W first becomes singular. `definite_until` says which of the two to ask.
"""

from collections.abc import Callable

import numpy as np

from gfcore import _check
from gfcore._check import EPS, Array
from gfcore._gauge import positive
from gfcore.exact._modes import TINY, mean_decay, scalar_escape
from gfcore.exact._riccati import brackets, from_factor, rounding

CLEAR = 1e-6  # of eigenvalues up to 1: no rounding error is as large
SUMS = 30.0  # the terms of Z may exceed what decides by that
PIVOT = 0.6  # of its row, an entry that large will do as a pivot


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


def signed_factor(X: Array, size: Array, split: bool = False) -> tuple[Array, Array]:
    """Return W and K, both (m, m), with X = W K^(-1) W^T; K is I if X has no negative sign.

    Where directions are of one size and sign, W holds eigenvectors, and K is +-I. Elsewhere W
    is triangular in the order of their sizes, as in `triangular`. Columns of W are zero for
    eigenvalues or pivots, all directions scaled to one size, below the rounding error of the
    sums that they are made of; those of X have terms bounded by `size`. The longest columns
    come first, as `_pivots` has to have them. With `split` all W are triangular.
    """
    X, size = (np.where(size < TINY, 0, A) for A in (X, size))
    scale = scales(size)
    X, size = (A / scale[..., None] / scale[..., None, :] for A in (X, size))
    x, V = np.linalg.eigh(X)
    noise = 4 * np.sqrt(X.shape[-1]) * EPS * np.linalg.norm(size, axis=(-2, -1))
    x = np.where(np.abs(x) > noise[..., None], x, 0)
    W = scale[..., None] * V * np.sqrt(np.abs(x))[..., None, :]
    K = np.where(x < 0, -1.0, 1.0)[..., None] * np.eye(X.shape[-1])
    uneven, negative = scale.max(-1) > 10 * scale.min(-1), (x < 0).any(-1)
    for i in map(tuple, np.argwhere(split | (uneven & ~negative))):
        if x[i][0] > CLEAR:
            by_size = np.argsort(-scale[i])
            L = np.linalg.cholesky(X[i][np.ix_(by_size, by_size)])
            W[i][by_size] = scale[i][by_size, None] * L
        else:
            W[i], K[i] = triangular(X[i], size[i], scale[i])
    order = np.argsort(-np.abs(W).max(-2), axis=-1, kind="stable")[..., None]
    K = np.take_along_axis(np.take_along_axis(K, order, -2), order.mT, -1)
    return np.take_along_axis(W, order.mT, -1), K


def scales(size: Array, scale: Array | None = None) -> Array:
    """Return d (m,) such that the largest entry of each row of size_ij/(d_i d_j) is 1, or 0.

    It is found from `scale`, or from 1, and to a fifth.
    """
    scale = np.ones(size.shape[:-1]) if scale is None else scale
    for _ in range(12):  # each halves the logarithm of what is still to be scaled
        rows = positive((size / scale[..., None] / scale[..., None, :]).max(-1))
        if rows.min() > 0.8 and rows.max() < 1.25:
            break
        scale = np.maximum(scale * np.sqrt(rows), np.sqrt(TINY))
    return scale


def triangular(X: Array, size: Array, scale: Array) -> tuple[Array, Array]:
    """Return W and K with W K^(-1) W^T = D X D, D = diag(scale), for one X scaled to one size.

    It is Bunch's and Kaufman's L D L^T with pivots of order one and two, of which the next is
    the row that is longest in D X D; after each, what is left is scaled to one size again, but
    for rows below their rounding error. K holds the inverses of the pivots, scaled to 1: their
    own eigenvectors would lose a diagonal that is small, or zero, beside the other entries.
    """
    m, W, K = len(X), np.zeros_like(X), np.eye(len(X))
    root = np.sqrt(np.diagonal(size))
    size = np.maximum(size, root[:, None] * root)
    filled, own, noise = 0, np.ones(m), np.zeros_like(X)
    T = np.eye(m)  # what is left is T X T^T
    while (alive := (np.abs(X) > noise).any(1)).any():
        X = X * np.outer(alive, alive)
        own = scales(np.abs(X), own)
        here, error = (A / own[:, None] / own for A in (X, noise))
        k = np.where(alive, own * scale, 0).argmax()
        j = np.abs(here[k]).argmax()
        pivots = [k]
        # A pivot of order one may not be rounding error, nor may one of order two be singular.
        if abs(here[k, k]) <= max(PIVOT * abs(here[k, j]), error[k, k]):
            pair = np.ix_([k, j], [k, j])
            pivots = [k, j]
            if np.abs(np.linalg.eigvalsh(here[pair])).min() <= np.linalg.norm(error[pair]):
                pivots = [j]
                if abs(here[j, j]) <= max(PIVOT * abs(here[k, j]), error[j, j]):
                    X[k, j] = X[j, k] = 0
                    continue
        inverse = np.linalg.inv(here[np.ix_(pivots, pivots)])
        unit = np.abs(inverse).max()
        share = here[:, pivots] @ inverse
        part = slice(filled, filled + len(pivots))
        W[:, part] = (scale * own)[:, None] * share / np.sqrt(unit)
        K[part, part] = inverse / unit
        filled += len(pivots)
        X = X - own[:, None] * (share @ here[pivots]) * own
        X = (X + X.T) / 2
        share = own[:, None] * share / own[pivots]
        T = T - share @ T[pivots]
        X[pivots], X[:, pivots], T[pivots] = 0, 0, 0
        noise = 4 * m * EPS * np.abs(T) @ size @ np.abs(T.T)
    return W, K


def signed_solution(target: Array, start: Array, t: Array) -> Array:
    """X(t) of (5) from an X0 with a negative sign, (T, m, m), or FiniteEscapeError."""
    w, P = np.linalg.eigh(target)
    mixed, down = np.count_nonzero(P, axis=0) > 1, np.diag(np.minimum(w, 0))
    Z, size = P.T @ start @ P, np.abs(P.T) @ np.abs(start) @ np.abs(P)
    Z = (Z + Z.T) / 2
    size += np.diag((np.diagonal(np.abs(P.T) @ np.abs(target) @ np.abs(P))) * (w < 0))
    escape, sure = definite_until(w, Z, size * np.logical_or.outer(mixed, mixed))
    if not sure:  # there small entries of X0 are lost beside large ones, but not in its factor
        W, K = signed_factor(start, np.abs(start), split=True)
        W, noise = P.T @ W, rounding(P, W)
        V, signs = signed_factor(Z - down, size)
        touches = np.array_equal(signs, np.eye(w.size))
        escape = escape_time(w, W, K, noise, CLEAR if touches else 0.0)
    if (t >= escape * (1 - 1e-12)).any():
        raise FiniteEscapeError(escape)
    exists = escape == np.inf
    X, left = mode_by_mode(w, Z, t) if sure else at_once(w, W, K, t, noise, exists)
    if exists:
        # Two expressions for one matrix: the second, Y_- and a rest, is the accurate one where
        # pivots of the first lose their digits, and the first where X decays, but Y_- does not.
        if sure:
            rest, _ = mode_by_mode(np.abs(w), Z - down, t)
        else:
            noise = 4 * w.size * EPS * np.sqrt(np.diagonal(size))
            V[np.abs(V).sum(1) <= noise] = 0
            order = np.argsort(np.abs(w))
            rest = from_factor(np.abs(w)[None, order], np.eye(w.size)[:, order], V, t)
        second = np.linalg.norm(size) + np.linalg.norm(rest, axis=(1, 2))
        near = np.linalg.norm(X, axis=(1, 2)) >= left * second
        X[near] = down + rest[near]
    X = P @ X @ P.T
    return np.asarray((X + X.mT) / 2)


def units(w: Array, Z: Array, t: Array) -> tuple[Array, Array, Array]:
    """Return 1/D, E/D and the lengths to which Z + D^(-2) is scaled, all (T, m)."""
    t = np.maximum(t, 1e-280)[:, None]  # stands for t = 0, where D is zero
    root = np.sqrt(4 * t * mean_decay(4 * t * np.abs(w)))
    rest = np.maximum(np.exp(-2 * t * np.maximum(w, 0)) / root, TINY)
    end = np.exp(2 * t * np.minimum(w, 0)) / root
    return rest, end, np.hypot(rest, np.sqrt(np.abs(np.diagonal(Z))))


def definite_until(w: Array, Z: Array, error: Array) -> tuple[float, bool]:
    """Time at which N = Z + D^(-2) ceases to be positive definite, and whether that is sure.

    The entries of Z have rounding errors of `error` by EPS. What these change an eigenvalue of
    the scaled N by is compared with it; where that is to be zero, with its slope in log t.
    """

    def falling(log_t: float) -> tuple[float, bool]:
        rest, end, unit = (a[0] for a in units(w, Z, np.exp([log_t])))
        with np.errstate(over="ignore", invalid="ignore"):
            H, wrong = (A / unit / unit[:, None] for A in (Z, error))
            h, V = np.linalg.eigh(np.clip(H, -2, 2) + np.diag((rest / unit) ** 2))
            u = V**2
            wrong = np.sqrt((wrong**2 @ u * u).sum(0))
        slope = 4 * np.exp(log_t) * (end * rest / unit) ** 2 @ u[:, 0]
        clear = np.append(slope + max(h[0], 0), h[1:])
        return float(h[0]), bool((wrong <= SUMS * clear).all())

    noise = 4 * w.size * EPS
    time = first_zero(lambda log_t: -falling(log_t)[0], w[-1], np.abs(Z).sum(), noise)
    least, sure = falling(np.log(min(time, _check.LARGEST)))
    return time, sure and (time < np.inf or least > noise)


def mode_by_mode(w: Array, Z: Array, t: Array) -> tuple[Array, Array]:
    """Return X(t) in the eigenbasis of Y, and the least pivot as a share of its terms, (T,).

    Each D_i alone changes (Z^(-1) + D^2)^(-1) by a matrix of rank one.
    """
    rest, end, unit = units(w, Z, t)
    u = np.minimum(unit, 1)  # what a large D multiplies may be too small to be squared
    X, left = Z / u[..., None] / u[:, None], np.ones(len(t))
    for i, (r, e, full) in enumerate(zip((rest / u).T, end.T, (unit / u).T ** 2, strict=True)):
        row = X[:, i].copy()
        pivot = np.maximum(r**2 + row[:, i], EPS * full)
        own = row[:, i] * (e / pivot * e)
        left = np.minimum(left, pivot / full)
        X -= row[..., None] * (row / pivot[:, None])[:, None]
        X[:, i] = X[:, :, i] = row * (r / pivot * e)[:, None]
        X[:, i, i] = own
    return X, np.where(left > 100 * EPS, left, 0)


def at_once(
    w: Array, W: Array, K: Array, t: Array, noise: Array, exists: bool
) -> tuple[Array, Array]:
    """Return the same from X0 = W K^(-1) W^T, with the least eigenvalue of C for the pivot."""
    G, C = single(w, W, K, t, noise)
    left = np.abs(np.linalg.eigvalsh(C)).min(1)
    clear = (left > 100 * EPS) | (not exists)
    unit = scales(np.abs(C))[..., None]
    G, C = G / unit, C / unit / unit.mT
    X = np.zeros((len(t), w.size, w.size))
    X[clear] = G[clear].mT @ np.linalg.solve(C[clear], G[clear])
    return X, np.where(clear, left, 0)


def single(w: Array, W: Array, K: Array, t: Array, noise: Array) -> tuple[Array, Array]:
    """Return G and C of one problem."""
    G, C = np.empty((len(t), *W.T.shape)), np.empty((len(t), *K.shape))
    one = w[None, None], W[None], t, lambda: noise[None], lambda _: W, K[None]
    for _, at, *both in brackets(*one):
        G[at], C[at] = both
    return G, C


def escape_time(w: Array, W: Array, K: Array, noise: Array, least: float) -> float:
    """Time at which K + W^T D^2 W first becomes singular.

    D^2 grows with t, so its eigenvalues do too: the first to reach zero is the largest of the
    negative ones. If it does not exceed `least` in the end, it is at zero but for rounding.
    """
    index = np.count_nonzero(np.linalg.eigvalsh(K) < 0) - 1

    def eigenvalue(log_t: float) -> float:
        _, C = single(w, W, K, np.exp([log_t]), noise)
        return float(np.linalg.eigvalsh(C)[0, index])

    longest = np.linalg.norm(W) ** 2 / np.abs(np.linalg.eigvalsh(K)).min()
    return first_zero(eigenvalue, w[-1], longest, least)


def first_zero(
    rising: Callable[[float], float], largest: float, longest: float, least: float
) -> float:
    """Time at which a function of log t is zero; infinite if it ends at `least` or below.

    No start up to `longest` escapes earlier than in the direction in which Y is largest.
    """
    from scipy.optimize import brentq  # type: ignore[import-untyped]

    first = scalar_escape(np.array([largest]), np.array([-longest]))[0]
    earliest, latest = np.log(first) - 1e-3, np.log(_check.LARGEST)
    if earliest >= latest or rising(latest) <= least:
        return np.inf  # after all times, or X0 - Y_- is below zero only by rounding
    root = brentq(rising, earliest, latest, xtol=1e-15, rtol=4 * EPS, maxiter=1000)
    return float(np.exp(root))
