"""The one-layer model, which is linear."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import Array
from gfcore.exact._modes import mean_decay


@_check.quiet
def linear(
    Y: ArrayLike, X0: ArrayLike, t: ArrayLike, covariance: ArrayLike | None = None
) -> Array:
    """X(t) = Y + (X0 - Y) e^(-t), the one-layer model (4), ``paper.eq_4``.

    For inputs that are not white, X' = Y - X Sigma, with Y the correlation of outputs and
    inputs and Sigma the covariance of the inputs (footnote 3).

    Parameters
    ----------
    Y, X0 : (*stack, m, n) array_like
        Target and start.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.
    covariance : (n, n) array_like, optional
        Sigma, symmetric and positive semidefinite. The identity if not given.

    Returns
    -------
    (*stack, *t.shape, m, n) array
        X(t), each entry to a few units in the last place; with `covariance` as accurate as
        relative changes of 1e-15 in it allow. Along inputs that never occur X grows as t Y.

    Raises
    ------
    ValueError
        If an argument is not finite and real, the shapes differ, or `covariance` is not
        symmetric and positive semidefinite.

    Examples
    --------
    >>> linear([[2.0]], [[0.0]], np.log(2))
    array([[1.]])
    >>> linear([[2.0, 2.0]], [[0.0, 0.0]], 1e3, covariance=[[4.0, 0.0], [0.0, 1.0]])
    array([[0.5, 2. ]])
    """
    target, start = (_check.array(*a, 2, stack=True) for a in (("Y", Y), ("X0", X0)))
    _check.shape("X0", start, target.shape, "Y")
    time = _check.times(t)
    axes = tuple(range(-time.ndim - 2, -2))
    target, start = np.expand_dims(target, axes), np.expand_dims(start, axes)
    time = time[..., None, None]
    if covariance is None:
        return target * -np.expm1(-time) + start * np.exp(-time)
    s, P = np.linalg.eigh(_check.covariance(covariance, target.shape[-1], "Y"))
    decay = time * np.maximum(s, 0)
    X = target @ P * time * mean_decay(decay) + start @ P * np.exp(-decay)
    return np.asarray(X @ P.T)
