"""Gradient descent, the explicit Euler discretization of the flow: (32), (33), footnote 2."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import Array
from gfcore._gauge import narrowed
from gfcore.state import BatchError, Trajectory, Weights

_GROUP = 128  # starts that go through the iterations together


@_check.quiet
def run(Y: ArrayLike, weights0: Weights, step: float, steps: int, every: int = 1) -> Trajectory:
    """Gradient descent on the two-layer loss (11), the Euler steps of (12), ``paper.eq_12``.

    Both layers move at once,

        U_{j+1} = U_j + step E_j V_j,  V_{j+1} = V_j + step E_j^T U_j,  E_j = Y - U_j V_j^T.

    Parameters
    ----------
    Y : (m, n) array_like
        Target.
    weights0 : Weights
        Start, U0 (m, k) and V0 (n, k), of any width.
    step : float
        Step size, eta in the paper, > 0.
    steps : int
        Number of steps, >= 0.
    every : int
        Keep iterates 0, every, 2 every, ...; the others are not stored.

    Returns
    -------
    Trajectory
        t = step times iteration, X (steps // every + 1, m, n) and the weights, compressed to
        min(k, m+n) hidden units: the iterates are those of the full width, rotated once
        (`Weights.compress`).

    Raises
    ------
    ValueError
        If the shapes of Y and weights0 disagree, an entry is not a finite real number, step is
        not positive, steps < 0 or every < 1.
    ArithmeticError
        If an entry of the weights exceeds 1e75, which names the step and the iteration.

    Notes
    -----
    Near a minimum the iterates converge only if step < 2 / (sigma_1(U)^2 + sigma_1(V)^2).

    Examples
    --------
    >>> path = run([[1.0]], Weights([[0.5]], [[0.5]]), step=0.1, steps=100, every=50)
    >>> path.t.round(6), path.X[:, 0, 0].round(6)
    (array([ 0.,  5., 10.]), array([0.25    , 0.999945, 1.      ]))
    """
    _check.target(Y, weights0)
    try:
        return run_many(Y, [weights0], step, steps, every)[0]
    except BatchError as error:
        raise error.errors[0] from None


@_check.quiet
def run_many(
    Y: ArrayLike, starts: Iterable[Weights], step: float, steps: int, every: int = 1
) -> list[Trajectory]:
    """Gradient descent (footnote 2) from many starts of one shape, as one batched call.

    Parameters
    ----------
    Y : (m, n) array_like
        Target, the same for all.
    starts : iterable of Weights
        Starts of the same shapes.
    step, steps, every
        As for `run`.

    Returns
    -------
    list of Trajectory
        What `run` gives for each start, up to rounding.

    Raises
    ------
    ValueError
        As for `run`, and if the shapes of the starts differ, which names the one that does.
    BatchError
        If the weights of some exceed 1e75, when all are done: `.errors` tells of each by its
        index, and `.result` is the list of all, with NaN from there on where one fails.

    Notes
    -----
    The starts go through the iterations in groups that fit a processor's cache.

    Examples
    --------
    >>> starts = [Weights([[a]], [[a]]) for a in (0.5, 2.0)]
    >>> [path.X.round(6).item(-1) for path in run_many([[1.0]], starts, step=0.1, steps=100)]
    [1.0, 1.0]
    """
    target = _check.array("Y", Y, 2)
    step = _check.positive("step", step)
    steps, every = _check.count("steps", steps, 0), _check.count("every", every, 1)
    begun = _several(target, starts)
    narrow = [weights.compress() for weights in begun]

    def slope(R: Array) -> Array:
        # `paper.eq_12`, for all starts of a group at once.
        U, V = R[:, :m], R[:, m:]
        E = target - U @ V.mT
        return np.concatenate([E @ V, E.mT @ U], axis=1)

    paths: list[Trajectory] = []
    failed: dict[int, ArithmeticError] = {}
    for first in range(0, len(narrow), _GROUP):
        group = narrow[first : first + _GROUP]
        m = target.shape[0]
        t, R, lost = _iterate(slope, np.stack([a.R for a in group]), step, steps, every)
        failed |= {first + i: error for i, error in lost.items()}
        X = R[:, :, :m] @ R[:, :, m:].mT
        _check.seal(t, X, R)
        paths += [
            Trajectory(t, X[:, i], R[:, i, :m], R[:, i, m:], start.Q)
            for i, start in enumerate(group)
        ]
    if failed:
        raise BatchError(failed, paths)
    return paths


def _several(target: Array, starts: Iterable[Weights]) -> list[Weights]:
    """Return the starts as a list of Weights of one shape, or raise ValueError."""
    if isinstance(starts, Weights):
        raise ValueError("starts must be several Weights, for one weights0 there is run")
    begun = list(_check.iterable("starts", starts))
    for i, weights in enumerate(begun):
        try:
            _check.target(target, weights)
            _check.shape("U", weights.U, begun[0].U.shape, "starts[0]")
        except ValueError as error:
            raise ValueError(f"starts[{i}] does not fit: {error}") from None
    return begun


@_check.quiet
def run_linear(
    Y: ArrayLike, X0: ArrayLike, step: float, steps: int, every: int = 1
) -> Trajectory:
    """Gradient descent on the one-layer loss (2), as in (32), ``paper.eq_32``.

    X_{j+1} = X_j + step (Y - X_j), for matrices.

    Parameters
    ----------
    Y, X0 : (m, n) array_like
        Target and start.
    step, steps, every
        As for `run`.

    Returns
    -------
    Trajectory
        t and X (steps // every + 1, m, n), without weights.

    Raises
    ------
    ValueError, ArithmeticError
        As for `run`.

    Examples
    --------
    >>> run_linear([[1.0]], [[0.0]], step=0.5, steps=3).X[:, 0, 0]
    array([0.   , 0.5  , 0.75 , 0.875])
    """
    target, start = _check.array("Y", Y, 2), _check.array("X0", X0, 2)
    _check.shape("X0", start, target.shape, "Y")
    t, X = _iterate_one(lambda X: target - X, start, step, steps, every)
    _check.seal(t, X)
    return Trajectory(t, X)


@_check.quiet
def run_symmetric(
    Y: ArrayLike, U0: ArrayLike, step: float, steps: int, every: int = 1
) -> Trajectory:
    """Gradient descent on (3), the Euler steps of ``paper.eq_3_flow``.

    U_{j+1} = U_j + 2 step (Y - U_j U_j^T) U_j, which is (33), ``paper.eq_33``, for matrices.

    Parameters
    ----------
    Y : (m, m) array_like
        Symmetric target.
    U0 : (m, k) array_like
        Start, of any width.
    step, steps, every
        As for `run`.

    Returns
    -------
    Trajectory
        t and X = U U^T (steps // every + 1, m, m), with U and V = U compressed to min(k, m)
        hidden units.

    Raises
    ------
    ValueError
        As for `run`, and if Y is not symmetric.
    ArithmeticError
        As for `run`.

    Notes
    -----
    In exact arithmetic these are the iterates of `run` from U = V = U0 with twice the step. In
    floating point those may leave U = V, if Y has a negative eigenvalue; these cannot.

    Examples
    --------
    >>> run_symmetric([[1.0]], [[0.5]], step=0.1, steps=2).U[:, 0, 0]
    array([0.5       , 0.575     , 0.65197812])
    """
    target, start = _check.symmetric("Y", Y), _check.array("U0", U0, 2)
    _check.shape("U0", start, (target.shape[0], start.shape[1]), "Y")
    t, U = _iterate_one(
        lambda U: 2 * (target - U @ U.mT) @ U, narrowed(start), step, steps, every
    )
    X = U @ U.mT
    _check.seal(t, X, U)
    return Trajectory(t, X, U, U)


def _iterate_one(
    slope: Callable[[Array], Array], start: Array, step: float, steps: int, every: int
) -> tuple[Array, Array]:
    """Return times and iterates of one start, or raise what stops it."""
    step = _check.positive("step", step)
    steps, every = _check.count("steps", steps, 0), _check.count("every", every, 1)
    t, kept, failed = _iterate(slope, start[None], step, steps, every)
    if failed:
        raise failed[0]
    return t, kept[:, 0]


def _iterate(
    slope: Callable[[Array], Array], start: Array, step: float, steps: int, every: int
) -> tuple[Array, Array, dict[int, ArithmeticError]]:
    """Return times, iterates 0, every, 2 every, ... of x + step slope(x), and what failed.

    The first axis of x counts the starts; one that exceeds every bound is NaN from there on.
    """
    x, failed, bound = start, dict[int, ArithmeticError](), f"{_check.LARGEST:g}"
    kept = np.empty((steps // every + 1, *start.shape))
    kept[0] = start
    with np.errstate(over="ignore", invalid="ignore"):
        for j in range(1, steps + 1):
            x = x + step * slope(x)
            if not np.abs(x).max() <= _check.LARGEST:
                inside = (np.abs(x) <= _check.LARGEST).all(axis=tuple(range(1, x.ndim)))
                x[~inside] = np.nan
                for i in sorted(set(map(int, np.flatnonzero(~inside))) - set(failed)):
                    failed[i] = ArithmeticError(
                        f"descent with step {step:g} exceeds {bound} at iteration {j}"
                    )
                if len(failed) == len(x):
                    break
            if j % every == 0:
                kept[j // every] = x
    if len(failed) == len(start):
        kept[(j - 1) // every + 1 :] = np.nan
    return step * every * np.arange(len(kept), dtype=float), kept, failed
