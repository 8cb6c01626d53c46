"""Which of the exact solutions a start has, and how far it is from the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import EPS, Array
from gfcore._scale import norm
from gfcore.exact._basis import in_modes
from gfcore.exact._imbalance import values
from gfcore.exact.direct_sum import in_parts
from gfcore.state import Weights


@dataclass(frozen=True)
class Solvable:
    """By which formula a start is solved, as `solvable` finds it.

    Parameters
    ----------
    formula : str or None
        Name of the function of `gfcore.exact` that solves the flow from this start, or None.
    nearest : str
        Name of the function whose kind of start is nearest; `formula`, if there is one.
    distance : float
        How far that kind is, relative; 0 to rounding if there is a formula.
    parameters : mapping
        What the nearest needs beside Y, the weights and t: lam, or q1 and q2, or nothing.
    distances : mapping
        The distance of each kind by its name; infinite if the rank of the start rules it out.
    """

    formula: str | None
    nearest: str
    distance: float
    parameters: Mapping[str, float]
    distances: Mapping[str, float]

    def __post_init__(self) -> None:
        for name in ("parameters", "distances"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        own = self.formula, self.nearest, self.distance
        return type(self), (*own, dict(self.parameters), dict(self.distances))


@_check.quiet
def solvable(Y: ArrayLike, weights0: Weights) -> Solvable:
    """Say by which exact solution the flow (12) from given weights is solved, or by none.

    The kinds are those of `identity_imbalance` (one eigenvalue of Q on the row space of
    R0 = [U0; V0]; balanced starts, starts of one hidden unit and U0 = V0 are among them),
    `two_imbalances` (two, and R0 of rank m+n; so is every start for m = n = 1, if not of the
    first kind), `zero_target` (U0^T Y = 0 and Y V0 = 0), `spectral` (Definition 3) and
    `direct_sum` (problems of the first two kinds side by side, hidden by rotations).

    Parameters
    ----------
    Y : (m, n) array_like
        Target.
    weights0 : Weights
        Any start, any width k; not a stack.

    Returns
    -------
    Solvable
        The formula is the first of these kinds whose distance is at most 64 (m+n) 2^-52. The
        distance of the first two is the largest difference of an eigenvalue q_i = |u_i|^2 -
        |v_i|^2 of Q from the one or two values nearest to all, relative to |u_i|^2 + |v_i|^2,
        u_i and v_i being the weights of an eigenvector; of `zero_target`, the larger of
        ||U0^T Y||/(||U0|| ||Y||) and ||Y V0||/(||Y|| ||V0||); of `spectral`, what is left off
        the diagonals in the best common basis, relative to Y and each layer; of `direct_sum`,
        the largest distance of a part, the parts being those that are apart to rounding.

    Raises
    ------
    ValueError
        If an argument is not finite and real, or the shapes disagree.

    Examples
    --------
    >>> found = solvable([[2.0]], Weights([[1.0, 2.0]], [[0.0, 1.0]]))
    >>> found.formula
    'two_imbalances'
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> wide = Weights(rng.standard_normal((2, 9999)), rng.standard_normal((3, 9999)))
    >>> found = solvable(np.eye(2, 3), wide)
    >>> found.formula, found.nearest, f"{found.distance:.0e}"
    (None, 'two_imbalances', '4e-02')
    """
    target = _check.target(Y, weights0)
    m, n = target.shape
    one, two, lam, q1, q2 = values(weights0.R, m)
    U, V = weights0.U, weights0.V
    parts = in_parts(target, U, V)
    alone = len(parts) == 1
    seen = max(share(U.T, target), share(target, V))
    tolerance = 64 * (m + n) * EPS
    distances = {
        "identity_imbalance": one,
        "two_imbalances": two,
        "zero_target": seen,
        "spectral": float(in_modes(target, U, V)[2]) * tolerance,
        "direct_sum": min(one, two) if alone else max(part.distance for part in parts),
    }
    solved = [name for name, distance in distances.items() if distance <= tolerance]
    nearest = solved[0] if solved else min(distances, key=lambda name: distances[name])
    parameters = {"identity_imbalance": {"lam": lam}, "two_imbalances": {"q1": q1, "q2": q2}}
    return Solvable(
        solved[0] if solved else None,
        nearest,
        distances[nearest],
        parameters.get(nearest, {}),
        distances,
    )


def share(A: Array, B: Array) -> float:
    """Return the size of a product relative to its factors, 0 if one is zero."""
    if not (A.any() and B.any()):
        return 0.0
    return float(norm(A / norm(A) @ (B / norm(B))))
