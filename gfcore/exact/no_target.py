"""The flow without a target: the Gramian of the hidden units in closed form for any imbalance.

For Y = 0 the flow (12) is U' = -U V^T V, V' = -V U^T U, and the imbalance gives one Gramian by
the other, V^T V = P - Q for P = U^T U. Hence P' = -(V^T V P + P V^T V), or

    P' = Q P + P Q - 2 P^2,

which is the Riccati equation (5) of X = P/2 with Y replaced by Q/2; (8) solves it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import Array
from gfcore.exact._imbalance import eigenrows
from gfcore.exact._riccati import from_factor
from gfcore.state import Weights


@_check.quiet
def zero_target(weights0: Weights, t: ArrayLike) -> Array:
    """U(t)^T U(t) of the flow (12) for Y = 0, from any start and with any imbalance.

    With P = U^T U go V^T V = P - Q0, the loss (||Y||_F^2 + tr(P (P - Q0)))/2 and the singular
    values of X, the roots of the eigenvalues of P (P - Q0). It is the flow for Y != 0 as well
    from weights that see nothing of it, U0^T Y = 0 and Y V0 = 0, which none of them unlearns.
    Of what the end leaves of P - Q0 this keeps no more digits than the difference has; from
    the layers exchanged, ``zero_target(Weights(V0, U0), t)`` is V^T V to its own last digit.

    Parameters
    ----------
    weights0 : Weights
        Any start, any width k.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*stack, *t.shape, k, k) array
        U(t)^T U(t), symmetric. The relative error in the Frobenius norm is of the order of
        1e-15, or what relative changes of that size in U0, V0 and t do to it, if that is
        more: an imbalance that nearly cancels is known to 1e-15 of the weights, and t times
        that.

    Raises
    ------
    ValueError
        If an argument is not finite and real.

    Examples
    --------
    Two equal layers of one weight are forgotten as 1/t, u^2 = u0^2/(1 + 2 u0^2 t).

    >>> zero_target(Weights([[1.0]], [[1.0]]), t=[0.0, 2.0])
    array([[[1. ]],
    <BLANKLINE>
           [[0.2]]])
    """
    time = _check.times(t)
    *stack, m, k = _check.weights("weights0", weights0, stack=True).U.shape
    P = np.zeros((*stack, *time.shape, k, k))
    for i in np.ndindex(*stack):
        q, T, B = eigenrows(weights0.R[i], m)
        if not q.size:
            continue  # all weights are zero, and stay so
        order = np.argsort(q)
        one = np.eye(len(q))[:, order]
        path = from_factor(q[None, order] / 2, one, T[:, :m] / np.sqrt(2), time)
        P[i] = B @ (2 * path) @ B.T
    squares = np.einsum("...ii->...i", P)
    np.maximum(squares, 0, out=squares)  # what rounds to less than none
    return (P + P.mT) / 2
