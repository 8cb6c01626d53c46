"""Weights whose imbalance is a multiple of the identity, and the flow towards it."""

from __future__ import annotations

from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import Array
from gfcore.exact._basis import tilted
from gfcore.exact._riccati import from_factor
from gfcore.state import Trajectory, Weights


@_check.quiet
def identity_imbalance(Y: ArrayLike, weights0: Weights, lam: float, t: ArrayLike) -> Array:
    """R(t) R(t)^T of the flow (29) with the imbalance lam I (30), ``paper.eq_30``.

    It is in Y's own coordinates. From weights with Q0 = lam I this is the flow (12) itself;
    from others it is (26), the regularized flow. Its blocks are U U^T, U V^T = X, V U^T and
    V V^T.

    Parameters
    ----------
    Y : (*stack, m, n) array_like
        Target.
    weights0 : Weights
        Any start, any width k.
    lam : float
        The imbalance lambda_0, of any sign, zero included.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*stack, *t.shape, m+n, m+n) array
        R(t) R(t)^T, symmetric, with the accuracy of `symmetric`, whose formula this is with
        Y replaced by S-tilde/2 and U0 by R0/2. If Q0 = lam I that goes for each block, however
        different U and V are in size; from other starts that of the two which is smaller by a
        factor c loses its last log10(c) digits.

    Raises
    ------
    ValueError
        If an argument is not finite and real, or the shapes disagree.

    Examples
    --------
    >>> import numpy as np
    >>> M = identity_imbalance([[2.0]], Weights([[1.0]], [[1.0]]), lam=3.0, t=1e3)
    >>> np.allclose(M, [[4.0, 2.0], [2.0, 1.0]], rtol=1e-15)
    True
    """
    time, w, basis, _ = _prepared(Y, weights0, lam, t)
    # (30) in other units of time, for which no number is rounded.
    return from_factor(2 * w, basis, weights0.R, time / 4)


@_check.quiet
def identity_product(Y: ArrayLike, weights0: Weights, lam: float, t: ArrayLike) -> Trajectory:
    """X(t) alone of `identity_imbalance`, as a path with its error and singular values.

    Parameters
    ----------
    Y, weights0, lam, t
        As for `identity_imbalance`.

    Returns
    -------
    Trajectory
        X (*stack, *t.shape, m, n), without weights: R is known up to a rotation only.

    Raises
    ------
    ValueError
        As for `identity_imbalance`.

    Examples
    --------
    >>> path = identity_product([[2.0]], Weights([[1.0]], [[1.0]]), lam=3.0, t=[0.0, 1e3])
    >>> path.error([[2.0]]).round(12)
    array([0.5, 0. ])
    """
    time, w, basis, m = _prepared(Y, weights0, lam, t)
    X = from_factor(2 * w, basis, weights0.R, time / 4, m)
    _check.seal(time, X)
    return Trajectory(time, X)


def _prepared(
    Y: ArrayLike, weights0: Weights, lam: float, t: ArrayLike
) -> tuple[Array, Array, Array, int]:
    target, time = _check.target(Y, weights0, stack=True), _check.times(t)
    w, basis = tilted(target, _check.array("lam", lam, 0).item() / 2)
    return time, w, basis, target.shape[-2]
