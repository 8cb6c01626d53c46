"""Spectral starts, in which the modes of X = U V^T do not mix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gfcore import _check
from gfcore._check import EPS, Array
from gfcore._scale import norm
from gfcore.exact._basis import in_modes
from gfcore.exact._modes import agreeing, quotient, spectral_path
from gfcore.state import Weights

_OFF = 1e-12  # how far a start may be from spectral, relatively


@_check.quiet
def spectral_constant(sigma: ArrayLike, lam: ArrayLike, x0: ArrayLike) -> Array:
    """C of (22), ``paper.eq_22``, continued where the printed form is 0/0.

    C = (sigma - x0)/(sqrt((4 sigma^2 + lam^2)(4 x0^2 + lam^2)) + 4 sigma x0 + lam^2), which
    is (22) with its root rationalized, so that nothing cancels, where 4 sigma x0 + lam^2 is
    not negative; elsewhere (22) as it stands. The sign of C is that of sigma - x0.

    Parameters
    ----------
    sigma, lam, x0 : float or (*stack, m) array_like
        Singular value of Y, imbalance u0^2 - v0^2 and start u0 v0 of each mode.

    Returns
    -------
    (*stack, m) array, or a scalar
        C, to a few units in the last place. At x0 = sigma it is 0. Where lam = 0 and
        sigma x0 <= 0 it is infinite: x(t) then stays on its side of zero, and (17) describes
        it for no finite C.

    Raises
    ------
    ValueError
        If an argument is not finite and real, or the shapes disagree.

    Examples
    --------
    >>> spectral_constant(1.0, [0.0, 1e-9, 1.0], 0.1)
    array([1.125    , 1.125    , 0.2445419])
    >>> spectral_constant(1.0, 0.0, -0.1)
    array(inf)
    """
    s, lam, x = agreeing(sigma=sigma, lam=lam, x0=x0)
    half = np.abs(lam) / 2
    # In units of their own, in which no product underflows that matters.
    unit_s, unit_x = (np.ldexp(1.0, np.frexp(np.maximum(np.abs(a), half))[1]) for a in (s, x))
    a, b, c, d = s / unit_s, x / unit_x, half / unit_s, half / unit_x
    product, dot = np.hypot(a, c) * np.hypot(b, d), a * b + c * d
    apart = (s - x) / np.maximum(unit_s, unit_x) / np.minimum(unit_s, unit_x)
    top = np.where(dot >= 0, apart, product - dot)
    bottom = 4 * np.where(dot >= 0, product + dot, c * d * (s - x))
    with np.errstate(over="ignore"):
        C = quotient(top, bottom, np.copysign(np.inf, s - x))
    return np.where(s == x, 0.0, C)


@_check.quiet
def spectral_modes(sigma: ArrayLike, lam: ArrayLike, x0: ArrayLike, t: ArrayLike) -> Array:
    """sigma_i(t), the singular values of X(t) from a spectral start (17), ``paper.eq_17``.

    Parameters
    ----------
    sigma, lam, x0 : float or (*stack, m) array_like
        Singular value of Y, imbalance u0^2 - v0^2 and start u0 v0 of each mode, of any sign.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*stack, *t.shape, m) array, or (*t.shape,) for scalar modes
        sigma_i(t), each with a relative error of about 1e-15 (1 + t sqrt(4 sigma^2 + lam^2)),
        the second term only while the mode has not settled. Where x(t) passes through zero
        the absolute error stays as small as at neighboring times. What is below the smallest
        normal number counts as 0.

    Raises
    ------
    ValueError
        If an argument is not finite and real, or the shapes disagree.

    Examples
    --------
    A balanced mode never leaves its side of zero; the least imbalance takes it to sigma.

    >>> spectral_modes(1.0, [0.0, 1e-6], -0.5, t=40.0)
    array([-6.01617129e-36,  1.00000000e+00])
    """
    s, imbalance, x = agreeing(sigma=sigma, lam=lam, x0=x0)
    return spectral_path(s, imbalance, x, _check.times(t))


@_check.quiet
def spectral(
    Y: ArrayLike, weights0: Weights, t: ArrayLike, covariance: ArrayLike | None = None
) -> Array:
    """X(t) from a spectral initialization (Definition 3, Proposition 3).

    The modes move as in (17), ``paper.eq_17``, with C of (22), ``paper.eq_22``. Where inputs
    are not white, a mode of variance s obeys u' = (sigma - s u v) v and v' = (sigma - s u v) u,
    so that s u v moves as in (17) with s lam.

    Parameters
    ----------
    Y : (*stack, m, n) array_like
        Target.
    weights0 : Weights
        U0 = Phi U-bar G, V0 = Psi V-bar G for some singular value decomposition
        Y = Phi Sigma Psi^T, U-bar and V-bar rectangular diagonal, G orthogonal. Where singular
        values of Y repeat or vanish, Phi and Psi are chosen by the weights.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.
    covariance : (n, n) array_like, optional
        Sigma of the inputs, symmetric and positive semidefinite, where they are not white; Y is
        the correlation of outputs and inputs, whose right singular vectors are eigenvectors of
        Sigma. Where singular values of Y repeat or vanish, Sigma has a say in choosing them.
        Where Sigma is 0, so is Y, as is every correlation with inputs that do not vary.

    Returns
    -------
    (*stack, *t.shape, m, n) array
        X(t), to about 1e-14 of ||Y|| + ||U0|| ||V0||, or what relative changes of that size in
        Y, weights0, covariance and t do to it, if that is more: a mode that grows from weights
        far smaller than those that share its rows is known only as well as these are. Weights
        of a mode below 1e-13 of those that share its rows, and an imbalance below its rounding
        error, count as 0.

    Raises
    ------
    ValueError
        If weights0 is not a spectral initialization for Y to 1e-12, an argument is not finite
        and real, the shapes disagree, or covariance is not as above.

    Examples
    --------
    The singular vectors of the identity are those that the weights choose.

    >>> start = Weights([[3.0, 4.0], [-4.0, 3.0]], [[3.0, 4.0], [0.0, 0.0]])
    >>> np.allclose(spectral(np.eye(2), start, t=1e3), np.eye(2), rtol=0, atol=1e-15)
    True

    The input of four times the variance needs a fourth of the weight.

    >>> start = Weights(0.1 * np.eye(2), 0.1 * np.eye(2))
    >>> spectral(np.eye(2), start, 1e3, covariance=np.diag([4.0, 1.0])).round(12)
    array([[0.25, 0.  ],
           [0.  , 1.  ]])
    """
    target, time = _check.target(Y, weights0, stack=True), _check.times(t)
    *stack, m, n = target.shape
    X = np.empty((*stack, *time.shape, m, n))
    Sigma = None if covariance is None else _check.covariance(covariance, n, "Y")
    for i in np.ndindex(*stack):
        U, V, where = weights0.U[i], weights0.V[i], f" in problem {i}" if i else ""
        left, right, defect, (sigma, lam, x, unit) = in_modes(target[i], U, V, Sigma)
        defect *= 64 * (m + n) * EPS
        if defect > max(_OFF, 64 * (m + n) * EPS):
            both = "Y" if Sigma is None else "Y and covariance"
            raise ValueError(
                f"weights0 must be a spectral initialization for {both} (Definition 3){where}, "
                f"not off by {defect:.1e} relative, shapes {U.shape} and "
                f"{V.shape}"
            )
        if Sigma is None:
            path = spectral_path(sigma, lam, x, time, unit)
        else:
            # Of the largest product of weights; what has neither that nor a target rests.
            share = x * (unit / (norm(U) or 1.0)) * (unit / (norm(V) or 1.0))
            start = sigma, lam, x, unit
            path = coloured(target[i], Sigma, left, right, start, share, time, where)
        path = path[..., None, :]
        X[i] = (left * path @ right.conj().T).real
    return X


def coloured(
    Y: Array,
    Sigma: Array,
    left: NDArray[Any],
    right: NDArray[Any],
    start: tuple[Array, Array, Array, Array],
    share: Array,
    time: Array,
    where: str,
) -> Array:
    """x(t) of each mode where the variances of the inputs are the eigenvalues of Sigma."""
    sigma, lam, x, unit = start
    s = (right.conj() * (Sigma @ right)).sum(0).real
    size_Y, size = (np.linalg.norm(A, 2) or 1.0 for A in (Y, Sigma))
    seen = ~_check.unvaried(Sigma, right)
    # Vectors that Y and X0 hardly see need not be right: along them X hardly moves.
    moving = np.maximum(np.abs(sigma) / size_Y, np.abs(share))
    off = np.abs((Sigma @ right - right * s) * moving).max() / size
    off = max(off, np.abs(Y @ right - left * sigma).max() / size_Y)
    if off > _OFF:
        raise ValueError(
            "covariance must have the right singular vectors of Y for eigenvectors"
            f"{where}, but is off by {off:.1e} relative, shape {Sigma.shape}"
        )
    if (lost := np.abs(sigma[~seen]).max(initial=0)) > _OFF * size_Y:
        raise ValueError(
            f"covariance must not be 0 along right singular vectors of Y{where}, as it is for "
            f"that of {lost:.3g}: the weights grow for ever, shape {Sigma.shape}"
        )
    scale = np.where(seen, s, 1)
    path = spectral_path(np.where(seen, sigma, 0), scale * lam, scale * x, time, unit)
    # An input that never comes moves nothing.
    return np.where(seen, path / scale, x * unit * unit)
