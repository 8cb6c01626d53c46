"""The one-layer model, which is linear."""

import numpy as np
from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import Array


def linear(Y: ArrayLike, X0: ArrayLike, t: ArrayLike) -> Array:
    """X(t) = Y + (X0 - Y) e^(-t), the one-layer model (4), ``paper.eq_4``.

    Parameters
    ----------
    Y, X0 : (*stack, m, n) array_like
        Target and start.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*stack, *t.shape, m, n) array
        X(t), each entry to a few units in the last place.

    Raises
    ------
    ValueError
        If an argument is not finite and real, or the shapes differ.

    Examples
    --------
    >>> linear([[2.0]], [[0.0]], np.log(2))
    array([[1.]])
    """
    target, start = (_check.array(*a, 2, stack=True) for a in (("Y", Y), ("X0", X0)))
    _check.alike("X0", start, target.shape, "Y")
    time = _check.times(t)
    axes = tuple(range(-time.ndim - 2, -2))
    target, start = np.expand_dims(target, axes), np.expand_dims(start, axes)
    time = time[..., None, None]
    return target * -np.expm1(-time) + start * np.exp(-time)
