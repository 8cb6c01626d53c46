"""The symmetric factorization X = U U^T and its Riccati equation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import Array
from gfcore.exact._modes import agreeing, mean_decay, scalar_escape, spread
from gfcore.exact._riccati import from_factor
from gfcore.exact._signs import FiniteEscapeError, signed_factor, signed_solution


@_check.quiet
def symmetric(Y: ArrayLike, U0: ArrayLike, t: ArrayLike) -> Array:
    """X(t) of the symmetric factorization from X0 = U0 U0^T (8), ``paper.eq_8``.

    Exists for every t >= 0, whether or not Y is invertible. U0 is used as it is, X0 is never
    formed, so the rank of the start is kept for all times.

    Parameters
    ----------
    Y : (*stack, m, m) array_like
        Symmetric target.
    U0 : (*stack, m, k) array_like
        Initial weights, any width k >= 1.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*stack, *t.shape, m, m) array
        X(t), symmetric. The relative error in the Frobenius norm is of the order of 1e-15, or
        what relative changes of that size in Y, U0 and t do to X(t), if that is more: a start
        of rank below m between eigenvalues of Y nearly equal has the condition t ||Y||.
        Directions of U0 below the rounding error of its product with the eigenvectors of Y
        count as absent; columns of U0 that are dependent but for the rounding of its entries,
        as dependent.

    Raises
    ------
    ValueError
        If Y is not symmetric, an argument is not finite and real, or the shapes disagree.

    Examples
    --------
    A start of rank one learns the largest eigenvalue of Y, and nothing else.

    >>> X = symmetric(np.diag([2.0, 1.0]), [[1e-3], [1e-3]], t=100.0)
    >>> np.allclose(X, [[2.0, 0.0], [0.0, 0.0]], rtol=0, atol=1e-15)
    True
    """
    target, U = _check.symmetric("Y", Y, stack=True), _check.array("U0", U0, 2, stack=True)
    _check.shape("U0", U, (*target.shape[:-1], U.shape[-1]), "Y")
    w, P = np.linalg.eigh(target)
    return from_factor(w[None], P, U, _check.times(t))


@_check.quiet
def riccati(Y: ArrayLike, X0: ArrayLike, t: ArrayLike) -> Array:
    """X(t) of the Riccati equation (5) from any symmetric X0 (8), ``paper.eq_8``.

    Parameters
    ----------
    Y, X0 : (*stack, m, m) array_like
        Symmetric target and start. X0 need not be positive semidefinite.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*stack, *t.shape, m, m) array
        X(t), symmetric. The relative error in the Frobenius norm is of the order of 1e-15, or
        of what changes of each entry of Y and X0, and of t, by 1e-15 of itself do to X(t), if
        that is more; small entries beside large ones have digits of their own. The condition
        grows as 1/(1 - t/t*) towards an escape at t*, and as e^(4t|w|) for a start
        that touches a negative eigenvalue w of Y. Eigenvalues of X0, and of X0 less the
        negative part of Y, below their own rounding error count as zero. What is small only
        beside other rows and columns is not: diag(1, -1e-300) has a negative eigenvalue.

    Raises
    ------
    FiniteEscapeError
        If any time is at or past the escape (within 1e-12 of it, relatively). Past it (8) has
        values, but they do not solve (5). In a stack, `.problem` is the index of the first,
        and `.result` has the others, with NaN for each that escapes.
    ValueError
        If Y or X0 is not symmetric, not finite and real, or the shapes differ.

    Examples
    --------
    >>> riccati([[1.0]], [[-1.0]], 0.1)  # 1/(1 - 2/e^(0.4)) exactly
    array([[-2.93564975]])
    >>> riccati([[1.0]], [[-1.0]], 1.0)
    Traceback (most recent call last):
        ...
    gfcore.exact.FiniteEscapeError: the solution of (5) escapes to infinity at t = 0.1732867951
    """
    target, start = (_check.symmetric(*a, stack=True) for a in (("Y", Y), ("X0", X0)))
    _check.shape("X0", start, target.shape, "Y")
    time = _check.times(t)
    W, K = signed_factor(start, np.abs(start))
    negative = (K - np.eye(K.shape[-1])).any((-2, -1))
    if not negative.any():
        w, P = np.linalg.eigh(target)
        return from_factor(w[None], P, W, time)
    X = np.empty((*start.shape[:-2], *time.shape, *start.shape[-2:]))
    if not negative.all():
        X[~negative] = riccati(target[~negative], start[~negative], time)
    escapes: dict[tuple[int, ...], float] = {}
    for i in map(tuple, np.argwhere(negative)):
        try:
            path = signed_solution(target[i], start[i], time.reshape(-1))
            X[i] = path.reshape(X[i].shape)
        except FiniteEscapeError as error:
            escapes[tuple(map(int, i))], X[i] = error.time, np.nan
    if escapes:
        problem, escape = next(iter(escapes.items()))
        raise FiniteEscapeError(escape, problem, X if problem else None)
    return X


@_check.quiet
def symmetric_modes(sigma: ArrayLike, sigma0: ArrayLike, t: ArrayLike) -> Array:
    """sigma_i(t), the eigenvalues of X(t) from a symmetric spectral start (9), ``paper.eq_9``.

    Parameters
    ----------
    sigma, sigma0 : float or (*stack, m) array_like
        Eigenvalues of Y and of X0 in the same order, of any sign, zero included.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*stack, *t.shape, m) array, or (*t.shape,) for scalar modes
        sigma_i(t), each with a relative error of about 1e-15 (1 + 4 t |sigma_i|), down to
        where it underflows, and 1e-15/(1 - t/t*) towards an escape at t*.

    Raises
    ------
    FiniteEscapeError
        If any mode has escaped at any time, which needs sigma0 < min(sigma, 0). Of several,
        `.problem` is the index of the first to escape, and `.result` has all, with NaN from
        its escape on for each that does.
    ValueError
        If an argument is not finite and real, or the shapes disagree.

    Examples
    --------
    >>> symmetric_modes([2.0, 0.0, -1.0], [1.0, 1.0, 1.0], t=[0.0, 2.25])
    array([[1.00000000e+00, 1.00000000e+00, 1.00000000e+00],
           [1.99999997e+00, 1.00000000e-01, 6.17087098e-05]])
    """
    modes = agreeing(sigma=sigma, sigma0=sigma0)
    time, s, x = spread(_check.times(t), *modes)
    decay = np.exp(-4 * np.abs(s) * time)
    # Between sigma and 0 no term of (9) but x - sigma is small, and that one is exact.
    near = (x < 0) & (x >= 2 * s)
    # Above and below in units in which a tiny start does not underflow beside a large target.
    unit = np.where(near | (np.abs(x) > 1), 1, 2.0**400)
    top = unit * x * np.where(near, -s * decay, np.where(s > 0, 1, decay))
    bottom = np.where(s > 0, decay, 1) * unit
    bottom += unit * x * 4 * time * mean_decay(4 * np.abs(s) * time)
    bottom = np.where(near, (x - s) - x * decay, bottom)
    still = (x == 0) | (x == s)
    escaped = (bottom <= 0) & ~still
    path = np.where(still, x, top / np.where(still | escaped, 1, bottom))
    if escaped.any():
        when = scalar_escape(*modes)
        first = tuple(map(int, np.unravel_index(when.argmin(), when.shape)))
        result = np.where(escaped, np.nan, path) if first else None
        raise FiniteEscapeError(float(when.min()), first, result)
    return path
