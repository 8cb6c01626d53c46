"""Matrices in units of their own, in which the squares of small entries do not underflow."""

import numpy as np

from gfcore._check import Array

SMALLEST = 1e-250  # sums of smaller squares have lost some to underflow


def sized(A: Array) -> tuple[Array, Array]:
    """Return each of a stack of matrices with entries up to 1, and its unit, (*stack, 1, 1).

    The unit is a power of two, so that no digit is lost.
    """
    _, power = np.frexp(np.abs(A).max(axis=(-2, -1), keepdims=True))
    unit = np.ldexp(1.0, power)
    return A / unit, unit


def norm(A: Array) -> Array:
    """Return the Frobenius norm of each of a stack of matrices."""
    with np.errstate(over="ignore"):
        square = squares(A)
    if ((square > SMALLEST) & (square < np.inf)).all():  # as well if there is none
        return np.asarray(np.sqrt(square))
    A, unit = sized(A)
    return np.asarray(unit[..., 0, 0] * np.sqrt(squares(A)))


def squares(A: Array) -> Array:
    """Return the sum of the squares of each of a stack of matrices."""
    rows = A.reshape(*A.shape[:-2], A.shape[-2] * A.shape[-1])
    return np.asarray(np.vecdot(rows, rows))
