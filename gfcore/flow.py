"""The gradient flow itself, integrated numerically at any width: (12) and (26).

First the problem is made small without changing it: hidden units beyond m+n are turned off
(`Weights.compress`), and rows of U and V outside the span of U(0) and Y, or V(0) and Y^T, stay
0, since U' = E V and V' = E^T U with E = Y - U V^T. Then one of three methods follows the path,
each in a file that stands alone: a Taylor series (`_taylor`); explicit steps, where matrices
are so large that their products are all that counts (`_explicit`); and implicit steps
(`_radau`) for the rest of a path that is stiff to the first two, and for the regularized flow.

How far off the answer is, a bound says where errors can grow by little: what each step leaves
out, times what the flow makes of it at most, exp(integral of ||E||), as `_taylor` shows.

Elsewhere a second path tells. It has ten times the tolerance and a start a few rounding errors
away, and so shows what the problem makes of errors of either kind. At a saddle that one leaves
by such errors alone the two part for a while only: one looks at them often, and does not
forget. Explicit steps, of which one cannot afford twice as many, have a shorter one, and scale
what it shows.

A small start learns one mode of Y after the other. Hidden units are rotated so that the late
ones have units of their own; in the units as given their digits are lost beside the early ones.

The implicit steps are imported where they are used: their coefficients, and what finds them,
would be half of an import of gfcore.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gfcore import _check, _explicit, _taylor
from gfcore._check import EPS, Array
from gfcore._gauge import independent, narrowed, positive
from gfcore._scale import norm as _norm
from gfcore._scale import squares
from gfcore._taylor import ROUNDING, SLOWEST, STEP, Reached
from gfcore.state import BatchError, Trajectory, Weights

_FINEST = 1e-13  # the smallest tolerance that rounding leaves room for
# The least and the most that a step of the series may lose: more, and (13) would drift by it,
# so where the tolerance is loose, a thousandth of that.
_SERIES = 1e-15, 1e-13
_SPARE = 45  # what a bound of the error is more than a first guess has
_KEPT = 1e-12  # how well (13) is kept, or a hundredth of rtol if that is more
# A rough path of explicit steps has this tolerance, low order and single precision, or so many
# times the fine tolerance. Its error tells that of the fine path, by the ratio of the two
# tolerances and with a margin.
_ROUGH = 1e-3
_LOOSER = 5000
_MARGIN = 4, 25
_SINGLE = 1e-12, 1e4  # sizes of which single precision holds all that a step needs
_FAR = 2**28  # times the rounding errors of a start, those that single precision sees
_CLOSEST = 1e-5  # of rtol, what the estimate of implicit steps is at least
_NEAR = 1e-8  # singular values of a start with rows and columns of one length, to look closer
_OFTEN = 1.1  # ratio of times at which one looks at two paths that may part
_AGREED = 0.05  # of a singular value of Y; two paths that are closer are at one about its mode
_LEFT = "the weights leave the range of numbers after t = {:.6g}"
_GROUP = 2**24  # bytes of paths that are found together


_Bases = tuple[Array | None, Array | None]


class _Start(NamedTuple):
    """The starts of a stack of problems, R = Z C up to rounding."""

    R: Array  # (B, m+n, k), as wide as the path is returned
    Z: Array  # (B, m+n, k), with 0 for hidden units that are all rounding
    C: Array | None  # (B, k, k), None if all are I
    lost: Array | None  # of each row of R in Z C, with what rounds it, (B, m+n); None for 0
    mixed: NDArray[np.bool_]  # whether the units of Z are rotated ones, (B,)

    def part(self, s: slice | NDArray[np.intp], root: Array | float = 1.0) -> _Start:
        """Return some of the starts, and their rows over `root`, (m+n, 1)."""
        C, lost = (None if a is None else a[s] for a in (self.C, self.lost))
        lost = None if lost is None else lost / np.ravel(root)
        return _Start(self.R[s] / root, self.Z[s] / root, C, lost, self.mixed[s])


def _start(U: Array, V: Array) -> _Start:
    """Return the starts of U (B, m, k) and V (B, n, k), with at most m+n hidden units.

    Units that are all rounding are turned off, which keeps the rank.
    """
    R = np.ascontiguousarray(narrowed(U, V))  # bits of products depend on how it lies
    rows, k = R.shape[1:]
    wide = U.shape[2] > k
    mixed = np.full(len(R), wide)
    H = R / positive(np.abs(R).max(2))[..., None]
    if not wide:  # else a rotation has mixed units, and rounded all alike
        H /= positive(np.abs(H).max(1))[:, None]
    s = np.linalg.svd(H, compute_uv=False)
    doubtful = np.flatnonzero((s > _NEAR * s[:, :1]).sum(1) < R.any(axis=1).sum(axis=1))
    if not doubtful.size:
        return _Start(R, R, None, None, mixed)
    C, lost = np.eye(k)[None].repeat(len(R), 0), np.zeros((len(R), rows))
    Z, changed = R.copy(), False
    for i in doubtful:
        whole = np.concatenate([U[i], V[i]])
        z, c = independent(whole)
        r = len(c)
        if r == min(whole.any(axis=0).sum(), k):
            continue
        changed = mixed[i] = True
        Z[i], Z[i, :, :r] = 0, z
        if wide:
            R[i] = Z[i]
        else:
            C[i], C[i, :r] = 0, c
        lost[i] = np.abs(whole - z @ c).sum(1) + EPS * np.abs(whole).max(1)
    return _Start(R, Z, C, lost, mixed) if changed else _Start(R, R, None, None, mixed)


def _flow(
    Y: Array, start: _Start, t: Array, rtol: float, Sigma: Array | None
) -> tuple[Array, Array, dict[int, ArithmeticError]]:
    """Follow (12) for a stack of problems, Y (B, m, n), to t (T,).

    Returns R (B, T, m+n, k), the estimated error of X (B, T), and what failed, which is NaN.
    """
    tol = np.zeros(len(Y)) if Sigma is not None else _promising(Y, start.R, rtol)
    if start.lost is not None:
        tol[start.lost.any(axis=1)] = 0
    if not (alone := np.flatnonzero(tol)).size:
        return _compared(Y, start, t, rtol, Sigma)
    found, bound, good = _bounded(Y[alone], start.R[alone], t, rtol, tol[alone])
    if good.all() and alone.size == len(Y):
        return found, bound, {}
    paths, error = np.empty((len(Y), *found.shape[1:])), np.empty((len(Y), t.size))
    paths[alone], error[alone] = found, bound
    rest = np.delete(np.arange(len(Y)), alone[good])
    paths[rest], error[rest], failed = _compared(Y[rest], start.part(rest), t, rtol, Sigma)
    return paths, error, {int(rest[i]): problem for i, problem in failed.items()}


def _promising(Y: Array, R: Array, rtol: float) -> Array:
    """Return tolerances at which the bound of the error may be small enough, (B,), or 0.

    It is taken for so much of ||R||^2 as steps lose, grown by exp(integral of ||E||), where E
    decays with the mean rate of its entries. A small start grows by far more, and weights that
    are too narrow for Y grow for ever. The times have no say, so that a later one changes
    neither method nor tolerance.
    """
    (m, n), k = Y.shape[1:], R.shape[2]
    if k < min(m, n) or _explicit.suits(min(m, n + k) * min(n, m + k) * k):
        return np.zeros(len(Y))
    U, V = R[:, :m], R[:, m:]
    X, U_size, V_size = U @ V.mT, squares(U), squares(V)
    with np.errstate(all="ignore"):
        grown = np.exp(_norm(Y - X) / (U_size / m + V_size / n)) * (U_size + V_size)
        tol = rtol * np.minimum(_norm(X), _norm(Y)) / grown / _SPARE
    return np.where(tol > STEP, np.minimum(tol, max(_SERIES[1], rtol / 1000)), 0.0)


def _bounded(
    Y: Array, R: Array, t: Array, rtol: float, tol: Array
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Follow paths alone; return them, bounds of the error of X, and which are small enough."""
    few, R, bases = _few_rows(Y, R)
    path, m = _taylor.path(few, R, t, tol, None), few.shape[1]
    X_size, rounding = _norm(_products(path.states, m)), ROUNDING * _product(path.states, m)
    bound = path.error * _norm(path.states)
    good = bound <= _asked(X_size, _norm(few), rtol) + rounding
    good[:, 0] &= path.done == t.size
    paths = _by(bases, path.states, m, lambda basis: basis[:, None])
    return paths, bound + rounding, good.all(axis=1)


def _compared(
    Y: Array, start: _Start, t: Array, rtol: float, Sigma: Array | None
) -> tuple[Array, Array, dict[int, ArithmeticError]]:
    """Do `_flow` with a second path beside each."""
    Z, C = start.Z, start.C
    more = 0.0 if start.lost is None else _regained(Y, start.lost, ~np.any(Z, axis=1))
    bases: _Bases = (None, None)
    grain, rate = _grain(Z, start.mixed), float(_fastest(Y).max())
    if Sigma is None:
        m = Y.shape[1]
        Y, Z, bases = _few_rows(Y, Z)
        grain = _by(bases, grain, m, _rounded)
        if isinstance(more, np.ndarray):
            more = _by(bases, more, m, lambda basis: basis.mT)
    explicit = Sigma is None and _explicit.suits(Y[0].size * Z.shape[2])
    modes = _order_of_learning(Y, Z)
    spread = _spread(modes, grain)
    unseen = _unseen(modes, t) + _shifted(modes, spread, t)
    turn = modes.G if explicit else _apart(Y, Z, modes.G)
    Z = np.stack([_nudged(modes, Z, grain, spread) + more, Z])
    if turn is not None:
        Z, C = Z @ turn, turn.mT if C is None else turn.mT @ C
    if explicit:
        paths, error, failed = _one_by_one(Y, Z, t, rtol)
    else:
        times, asked = _watched(t, rate, rtol)
        paths, error, failed = _together(Y, Z, times, rtol, Sigma)
        error = _lasting(error, paths, times, Sigma)[:, asked]
        paths = paths.take(asked, axis=1)
    error = error + unseen
    if C is not None:
        paths = paths @ C[:, None]
    return _by(bases, paths, Y.shape[1], lambda basis: basis[:, None]), error, failed


def _watched(t: Array, rate: float, rtol: float) -> tuple[Array, NDArray[np.intp]]:
    """Return times among which are those of t, and where these are.

    What grows at a saddle from rounding errors, or from errors of the size rtol, takes at
    least log(1/rtol) / rate, with the rate ||Y|| of (12), and is done before long. Two paths
    differ for that short while only, some tenth of all the time, so one has to look that often.
    """
    first = -math.log(rtol) / max(rate, SLOWEST)
    count = max(0, math.ceil(math.log(max(t[-1], SLOWEST) / first) / math.log(_OFTEN)))
    more = t[-1] / _OFTEN ** np.arange(1, count)
    i = np.minimum(t.searchsorted(more), t.size - 1)
    times = np.concatenate([t, more[t[i] > (1 + _OFTEN) / 2 * more]])
    order = np.argsort(times, kind="stable")
    return times[order], np.argsort(order)[: t.size]


def _fastest(Y: Array) -> Array:
    """Return ||Y|| of each of a stack, rounded up: one set of times will do for many."""
    return np.asarray(np.ldexp(1.0, np.frexp(_norm(Y))[1]))


def _few_rows(Y: Array, R: Array) -> tuple[Array, Array, _Bases]:
    """Return Y and R in bases of the rows of U and V that move, None where all do."""
    (m, n), k = Y.shape[1:], R.shape[2]
    U, V, U_basis, V_basis = R[:, :m], R[:, m:], None, None
    # Y first, and products: what U and V have along Y may be small beside their other rows.
    if n > k + m:
        V_basis, T = np.linalg.qr(np.concatenate([Y.mT, V], axis=2))
        V, Y = V_basis.mT @ V, T[:, :, :m].mT
    if m > k + n:
        U_basis, T = np.linalg.qr(np.concatenate([Y, U], axis=2))
        U, Y = U_basis.mT @ U, T[:, :, :n]
    return Y, np.concatenate([U, V], axis=1), (U_basis, V_basis)


def _by(bases: _Bases, R: Array, m: int, of: Callable[[Array], Array]) -> Array:
    """Return R with its first m rows, U, and V multiplied `of` their bases, where these are."""
    if all(basis is None for basis in bases):
        return R
    sides = zip(bases, np.split(R, [m], axis=-2), strict=True)
    return np.concatenate([x if B is None else of(B) @ x for B, x in sides], axis=-2)


def _together(
    Y: Array, R: Array, t: Array, rtol: float, Sigma: Array | None
) -> tuple[Array, Array, dict[int, ArithmeticError]]:
    """Follow a stack by the series, R (2, B, m+n, k) a second start and the start itself."""
    failed: dict[int, ArithmeticError] = {}
    todo, m = np.arange(len(Y)), Y.shape[1]
    size = np.linalg.norm(Y, axis=(1, 2))
    tol = rtol / 10 * size / np.maximum(np.maximum(size, _product(R[1], m)), 1e-300)
    tol = np.clip(tol, _SERIES[0], max(_SERIES[1], rtol / 1000))
    while todo.size:
        count = todo.size
        both = _taylor.path(
            np.concatenate([Y[todo], Y[todo]]),
            np.concatenate(R[:, todo]),
            t,
            np.concatenate([10 * tol, tol]),
            np.repeat([True, False], count),
            Sigma,
        )
        rough, fine = both.states[:count], both.states[count:]
        # What each step rounds adds up while the path grows; what it leaves out the gap shows,
        # but for what the last terms of the two paths happen to share.
        steps = both.steps[count:]
        size = _product(fine, m)
        lost = (6 * tol[:, None] * (steps > 0) + STEP * steps) * size
        both_X = _products(rough, m), _products(fine, m)
        found, good, _ = _estimate(Y[todo], *both_X, size, rtol, lost, t=t)
        # Errors of the two may have the same sign.
        found += np.maximum(found - lost - ROUNDING * size, 0)
        if count == len(Y):
            paths, error = fine, found
        else:
            paths[todo], error[todo] = fine, found
        ended = (both.done.reshape(2, count) == t.size).all(axis=0)
        for j in np.flatnonzero(~ended):
            i, pair = todo[j], [
                Reached(both.states[j + half], both.done[j + half], both.now[j + half],
                        both.R[j + half], None) for half in (0, count)
            ]  # fmt: skip
            try:
                paths[i], error[i], _ = _finish(Y[i], None, pair, t, rtol, lost[j], 1.0, Sigma)
            except ArithmeticError as problem:
                failed[int(i)] = ArithmeticError(f"{problem}{_endless(Y[i], Sigma)}")
        again = ended & ~good.all(axis=1) & (tol > _SERIES[0])
        todo, tol = todo[again], np.full(again.sum(), _SERIES[0])
    for i in np.flatnonzero(~np.isfinite(error).all(axis=1)):
        failed.setdefault(int(i), ArithmeticError(_LEFT.format(t[np.isfinite(error[i])][-1])))
    for i in failed:
        paths[i] = error[i] = np.nan
    return paths, error, failed


def _endless(Y: Array, Sigma: Array | None) -> str:
    """Say so if no weights have the correlation Y, so that those of the flow grow for ever."""
    if Sigma is None:
        return ""
    Psi = np.linalg.eigh(Sigma).eigenvectors
    beyond = np.linalg.norm(Y @ Psi[:, _check.unvaried(Sigma, Psi)])
    if beyond <= ROUNDING * np.linalg.norm(Y):
        return ""
    return f", as {beyond:.3g} of Y is where inputs have no variance: the weights grow for ever"


def _one_by_one(
    Y: Array, R: Array, t: Array, rtol: float
) -> tuple[Array, Array, dict[int, ArithmeticError]]:
    """Follow large problems, R (2, B, m+n, k) a second start and the start itself."""
    paths = np.empty((len(Y), t.size, *R.shape[2:]))
    error, failed = np.empty(paths.shape[:2]), {}
    for i, y in enumerate(Y):
        try:
            error[i] = _large(y, R[0, i], R[1, i], t, rtol, paths[i])
        except ArithmeticError as problem:
            paths[i], error[i], failed[i] = np.nan, np.nan, problem
    return paths, error, failed


def _large(Y: Array, nudged: Array, R: Array, t: Array, rtol: float, states: Array) -> Array:
    """Put the path of R, by explicit steps, and implicit ones where it is stiff, into `states`.

    Returns the estimated error of X (T,).
    """
    J = np.repeat([1.0, -1.0], Y.shape)[:, None]
    K, m, sizes = R.T @ (J * R), len(Y), (np.abs(Y).max(), np.abs(R).max())
    # Large weights leave to X, once it is near Y, their own size times what a step may lose.
    ample = R.shape[1] ** 0.5 * _norm(Y) / np.maximum(_product(R, m), 1e-300)
    tol = max(min(rtol, _ROUGH) / 100 * min(1.0, 5 * float(ample)), _FINEST)
    single = _SINGLE[0] < min(sizes) and max(sizes) < _SINGLE[1]
    before = np.zeros(t.size)
    while True:
        fine, apart = _explicit.path(Y, R, t, tol, states)
        found = fine.states[: fine.done]
        whole = squares(found)
        largest = np.maximum.accumulate(np.append(np.vdot(R, R), whole))
        _put_back(found, K, J, largest[1:], rtol)
        X, size = _products(found, m), _product(found, m)
        lost = np.zeros(t.size)
        lost[: fine.done] = 3 * (apart[: fine.done] + ROUNDING * size)
        # What the steps are allowed, where both paths happen to be that good.
        lost[: fine.done] += 4 * tol * (_norm(X) + 1e-3 * sizes[1] * whole**0.5)
        # At the end of a step, errors that are about to decay; of that not even half is seen.
        lost[: fine.done] += 8 * tol * size / R.shape[1] ** 0.5
        # The error of such steps is in proportion to the tolerance. A rough path from a start
        # farther away tells it; one of low order in single precision for a tenth of the cost,
        # as long as what it finds is small.
        ways = [(50 * tol, 1.0, 8)]
        if fine.done == t.size:
            ways.insert(0, (_LOOSER * tol, _MARGIN[1] / _LOOSER, 8))
            if single:
                ways.insert(0, (_ROUGH, _MARGIN[0] * tol / _ROUGH, 3))
        for level, share, order in ways:
            kind: Any = np.float32 if order == 3 else np.float64
            away = (nudged - R) * max(1 / share, _FAR if order == 3 else 1)
            target, start = (np.asarray(a, kind) for a in (Y, R + away))
            # Not beyond where the fine one rests, which single precision would not see.
            until = np.minimum(t, fine.now) if fine.done == t.size else t
            drawn = np.empty(states.shape, kind)
            rough, _ = _explicit.path(target, start, until, level, drawn, order, least=2)
            if not (ended := rough.done == fine.done == t.size):
                continue
            X_rough = _products(drawn, m)
            error, good, close = _estimate(Y, X_rough, X, size, rtol, lost, share)
            error = 2 * error  # where X has few entries, two paths may be close by chance
            if close:
                break
            # The first rough path is the same at all tolerances.
            single = single and order == 8
        if not ended:
            _put_back(fine.R[None], K, J, largest[-1:], rtol)
            _, error, good = _finish(Y, None, [rough, fine], t, rtol, lost, share)
        # What is the same at two tolerances are errors of the start, which no third changes.
        other = ~good & (np.abs(error - before) > before / 4)
        if not other.any() or tol <= _FINEST:
            return error
        tol, before = max(tol / 10, _FINEST), error


def _put_back(Z: Array, K: Array, J: Array, largest: Array, rtol: float) -> None:
    """Put the imbalance (13), K, back in states Z (N, m+n, k) that have lost it, in place.

    What may be lost is a share of the `largest` ||R||^2 so far: K has the rounding errors of
    that, which are far above the state itself where the weights decay.
    """
    from gfcore import _radau

    U, V = np.split(Z, [np.count_nonzero(J > 0)], axis=1)
    drift = np.linalg.norm(U.mT @ U - V.mT @ V - K, axis=(1, 2))
    off = drift > max(_KEPT, rtol / 100) / 2 * largest
    if off.any():
        Z[off] = _radau.conserve(Z[off], K, J)


def _finish(
    Y: Array,
    Q0: Array | None,
    begun: Sequence[Reached],
    t: Array,
    rtol: float,
    lost: Array | float = 0.0,
    share: float = 1.0,
    Sigma: Array | None = None,
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Follow a rough and a fine path from where they are to the end, by implicit steps."""
    from gfcore import _radau

    (rough, fine), m, pushed = begun, len(Y), 0.0 if Q0 is None else _pushed(Q0)
    tol, step_error, before = rtol, np.zeros(t.size) + lost, np.zeros(t.size)
    while True:
        for part, level in (rough, 10 * tol), (fine, tol):
            rest = slice(part.done, None)
            part.states[rest], step_error[rest] = _radau.path(
                Y, part.R, Q0, t[rest], level, part is fine, part.now, Sigma
            )
        X_rough, X = (_products(part.states, m) for part in begun)
        error, good, close = _estimate(
            Y, X_rough, X, _product(fine.states, m), rtol, step_error, share, t, pushed
        )
        # Where rounding is what is left, the two paths may be close by chance; not so twice.
        error = np.maximum(error, before / 6)
        # Errors of the start part them, or rounding is what is left.
        vain = before.any() and (not close or error.max() >= before.max() / 2)
        if good.all() or vain or tol <= _FINEST:
            # Ten times the tolerance is not always ten times the error here, and both paths may
            # be far better than was asked for.
            return fine.states, 3 * error + _CLOSEST * rtol * _norm(X), good
        tol, before = max(tol / 10, _FINEST), error


def _estimate(
    Y: Array,
    X_rough: Array,
    X: Array,
    size: Array,
    rtol: float,
    lost: Array,
    share: float = 1.0,
    t: Array | None = None,
    pushed: float = 0.0,
) -> tuple[Array, NDArray[np.bool_], bool]:
    """Return the estimated error of X at each time, and where rtol and rounding allow it.

    Of the distance between the two paths the error of the fine one is a `share`, as long as
    they are close; the last result is whether they are. What the steps have `lost` at least
    comes on top, and what rounds weights of which ||U||_F ||V||_F is the `size`.
    """
    apart = X - X_rough
    gap, X_size, Y_size = (_norm(x) for x in (apart, X, Y))
    close = gap <= X_size / 100
    gap = np.where(close, share * gap, gap)
    rounding = ROUNDING * size
    if t is not None and t[-1] * (Y_size.max() + pushed) > -math.log(rtol):
        lost = lost + _undecided(Y, apart, t, rtol, pushed)
    good = gap + lost <= _asked(X_size, Y_size, rtol) + rounding
    return gap + lost + rounding, good, bool(close.all())


def _asked(X_size: Array, Y_size: Array, rtol: float) -> Array:
    """Return the error that rtol allows, by ||X|| at all times and ||Y||, (*stack, T)."""
    earlier = np.minimum(np.maximum.accumulate(X_size, axis=-1), Y_size[..., None])
    return np.asarray(rtol * np.maximum(X_size, earlier))


def _undecided(Y: Array, apart: Array, t: Array, rtol: float, pushed: float) -> Array:
    """Return the size of modes of Y that errors may have brought to X too early, or too late.

    From the time on when two paths, `apart` by so much, (*stack, T, m, n), are not at one about
    a mode that errors can have made grow, the third, which is right, may have it or not. Modes
    grow as fast as their singular values and what a penalty has `pushed`.
    """
    Phi, sigma, _ = np.linalg.svd(Y, full_matrices=False)
    off = _norm((Phi.mT[..., None, :, :] @ apart)[..., None, :])
    sigma = sigma[..., None, :]
    doubt = (off > _AGREED * sigma) & (t[:, None] * (sigma + pushed) > -math.log(rtol))
    size = np.where(np.logical_or.accumulate(doubt, axis=-2), sigma, 0.0)
    return np.asarray(np.hypot.reduce(size, axis=-1))


def _pushed(Q0: Array) -> float:
    """Return how fast the penalty towards Q0 makes hidden units grow that are almost zero."""
    return float(np.linalg.norm(Q0, 2)) / 2


def _lasting(error: Array, R: Array, t: Array, Sigma: Array | None) -> Array:
    """Return errors (B, T) of which none vanishes faster than the flow can forget it.

    Decays are no faster than ||U||^2 + ||V||^2, with inputs of variance one at most.
    """
    rate = squares(R) * (1.0 if Sigma is None else np.linalg.norm(Sigma, 2))
    fall = np.diff(t) * np.maximum(rate[:, 1:], rate[:, :-1])
    fall = np.cumsum(np.minimum(fall, 1e3), axis=1)  # more forgets everything
    with np.errstate(divide="ignore"):
        kept = np.log(error)
    kept[:, 1:] += fall
    kept = np.maximum.accumulate(kept, axis=1)
    kept[:, 1:] -= fall
    return np.asarray(np.maximum(error, np.exp(kept)))


def _products(R: Array, m: int) -> Array:
    """Return U V^T for each of a stack of R = [U; V]."""
    return np.asarray(R[..., :m, :] @ R[..., m:, :].mT)


def _product(R: Array, m: int) -> Array:
    """Return ||U||_F ||V||_F for each of a stack of R = [U; V]."""
    return _norm(R[..., :m, :]) * _norm(R[..., m:, :])


class _Modes(NamedTuple):
    """The modes of each Y of a stack, those first that a start learns first."""

    Phi: Array  # (B, m, r), singular vectors of Y
    Psi: Array  # (B, n, r)
    G: Array  # (B, k, k), hidden units for them
    sigma: Array  # (B, q), q = min(r, k), singular values
    L: Array  # (B, r, k), what each has of the start in these units, a lower triangle


def _order_of_learning(Y: Array, R: Array) -> _Modes:
    """Return the modes of Y in the order in which R learns them, with hidden units.

    In the units G the parts of the modes that grow are triangular: that of the first is in one
    unit, that of the second in two, and so on.
    """
    Phi, sigma, PsiT = np.linalg.svd(Y, full_matrices=False)
    m = Y.shape[-2]
    rows = Phi.mT @ R[..., :m, :] + PsiT @ R[..., m:, :]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        times = (np.log(sigma) / 2 - np.log(np.hypot.reduce(rows, axis=-1))) / sigma
    order = np.argsort(np.fmin(times, np.inf), axis=-1, kind="stable")
    one = np.arange(len(Y))[:, None]
    sigma = sigma[one, order]
    rows, Phi, Psi = (a[one, order].mT for a in (rows, Phi.mT, PsiT))
    G, L = np.linalg.qr(rows, mode="complete")
    outwards = np.copysign(1.0, np.diagonal(L, axis1=-2, axis2=-1))
    q = outwards.shape[-1]
    G[..., :q] *= outwards[..., None, :]
    L[..., :q, :] *= outwards[..., None]
    return _Modes(Phi, Psi, G, sigma[..., :q], L.mT)


def _grain(R: Array, mixed: NDArray[np.bool_]) -> Array:
    """Return what the entries of R have been rounded at: where units are mixed, their rows."""
    used = R.any(axis=1, keepdims=True)
    rows = _norm(R[..., None, :])[..., None] * used
    rows /= np.sqrt(positive(used.sum(axis=2, keepdims=True)))
    return np.where(mixed[:, None, None], rows, np.abs(R))


def _rounded(basis: Array) -> Array:
    """Return by what the grain of rows is multiplied in a basis.

    It rounds, a product does, and as much comes from Y in that basis.
    """
    return 3 * np.abs(basis.mT)


def _spread(modes: _Modes, grain: Array) -> list[Array]:
    """Return how Phi^T U G and Psi^T V G, (B, r, k), are spread by errors of entries, grain."""
    top = positive(grain.max(axis=(-2, -1), keepdims=True))
    both = np.split((grain / top) ** 2 @ modes.G**2, [modes.Phi.shape[-2]], axis=-2)
    return [
        top * ((P**2).mT @ half) ** 0.5
        for P, half in zip((modes.Phi, modes.Psi), both, strict=True)
    ]


def _shifted(modes: _Modes, spread: list[Array], t: Array) -> Array:
    """Return what rounding errors of starts of this spread become in their modes, (B, T).

    It has grown with the mode, x = sigma z / (1 + z) with z = (size / 2)^2 exp(2 sigma t) /
    sigma, and is forgotten when that is learned. Where noise is all, see `_undecided`.
    """
    *_, sigma, L = modes
    size, *noise = (np.diagonal(a, axis1=-2, axis2=-1) for a in (L, *spread))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = EPS * np.hypot(*noise) / size
        counted = (share < ROUNDING / 4).all(axis=-1, keepdims=True)  # with all that is rounded
        if counted.all():
            return np.zeros((len(sigma), t.size))
        log_z = 2 * np.log(size / 2) - np.log(sigma)
        log_z = log_z[:, None] + 2 * sigma[:, None] * t[:, None]
    share = np.where((share < _AGREED) & ~counted, share, 0)[:, None]
    z = np.exp(np.minimum(np.where(share > 0, log_z, 0), 300))
    return np.asarray((2 * sigma[:, None] * share * z / (1 + z) ** 2).sum(axis=2))


def _unseen(modes: _Modes, t: Array) -> Array:
    """Return what both paths may miss of modes that grow from these sizes, (B, T).

    A rounding error in the unit of a late mode grows with the mode that comes first, and leaves
    the late one a rounding error of what it has become.
    """
    *_, sigma, L = modes
    size = np.diagonal(L, axis1=-2, axis2=-1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        when = np.maximum((np.log(sigma) / 2 - np.log(size)) / sigma, 0)
        ahead = (sigma[..., None] - sigma[:, None]) * when[..., None]
        lost = sigma[:, None] * np.minimum(EPS**2 * np.exp(ahead), 1)
    # Less than what the early mode itself rounds?
    if (less := (lost.sum(2) < EPS * sigma).all(axis=1)).all():
        return np.zeros((len(sigma), t.size))
    lost[less] = 0
    learned = t[:, None, None] > np.fmin(when, np.inf)[:, None, :, None]
    return np.asarray(np.where(learned, lost[:, None], 0).max(axis=2).sum(axis=2))


def _apart(Y: Array, R: Array, G: Array) -> Array | None:
    """Return G where a start is small, elsewhere I; None if no start is.

    From a small start one mode is learned after the other, each in units that those before it
    leave free. If these are not apart, all digits of the later ones are lost beside what the
    first have become; they are then learned from rounding errors, and too early.
    """
    small = (_norm(R) ** 2 < 0.1 * _norm(Y))[:, None, None]
    return np.where(small, G, np.eye(G.shape[-1])) if small.any() else None


def _nudged(modes: _Modes, R: Array, grain: Array, spread: list[Array]) -> Array:
    """Return each R a few rounding errors away, so that one sees how they are magnified.

    A rounding error matters most in a mode of Y that sets out from almost nothing. The modes
    do so in the order in which they are learned, each in the hidden unit of G that those before
    it leave free. There the change is one standard deviation, outwards; in the other modes it
    is that as well, but inwards: what a unit has of equal modes must turn, and not only grow.
    U and V change to the same side. A random change alone may happen to miss all that matters.
    """
    Phi, Psi, G, sigma, L = modes
    size = positive(grain.max(axis=(-2, -1), keepdims=True))
    change = grain / size * _noise(R.shape[-2:])
    signs, own = -np.copysign(1.0, L), np.arange(sigma.shape[-1])
    signs[..., own, own] = 1.0
    halves = np.split(change, [Phi.shape[-2]], axis=-2)
    for P, part, much in zip((Phi, Psi), halves, spread, strict=True):
        part += P @ (signs * much / size - P.mT @ (part @ G)) @ G.mT
    return np.asarray(R + 4 * EPS * size * change)


def _regained(Y: Array, lost: Array, free: NDArray[np.bool_]) -> Array:
    """Return what rows (B, m+n) have lost, in all modes of Y and the `free` units, (B, k).

    If the start has so small a part, or one that its rounding gave it, that grows.
    """
    Phi, _, PsiT = np.linalg.svd(Y, full_matrices=False)
    units = _noise((PsiT.shape[1], free.shape[1])) * free[:, None]
    units = units / positive(np.linalg.norm(units, axis=2, keepdims=True))
    U_lost, V_lost = np.split(lost[..., None], [Y.shape[1]], axis=1)
    parts = [
        P * np.linalg.norm(P * size, axis=1, keepdims=True)
        for P, size in ((Phi, U_lost), (PsiT.mT, V_lost))
    ]
    return np.asarray(4 * np.concatenate(parts, axis=1) @ units)


@lru_cache(4)
def _noise(shape: tuple[int, int]) -> Array:
    return np.random.default_rng(0).standard_normal(shape)


def _scaled(
    Y: Array,
    start: _Start,
    t: Array,
    rtol: float,
    Sigma: Array | None,
    rates: tuple[float, float],
) -> tuple[Array, Array, dict[int, ArithmeticError]]:
    """Do `_flow` with a rate a of U and b of V.

    With c = sqrt(a b) it is (12) for U / sqrt(a/c) and V / sqrt(b/c), with the time c t.
    """
    if rates == (1.0, 1.0):
        return _flow(Y, start, t, rtol, Sigma)
    a, b = rates
    m, n = Y.shape[1:]
    c = math.sqrt(a) * math.sqrt(b)
    root = np.repeat(np.sqrt([a / c, b / c]), [m, n])[:, None]
    paths, error, failed = _flow(Y, start.part(slice(None), root), c * t, rtol, Sigma)
    return paths * root, error, failed


def _trajectory(
    m: int, t: Array, start: Array, R: Array, error: Array, rates: tuple[float, float]
) -> Trajectory:
    """Return the path R from the start (*stack, m+n, k)."""
    (a, b), axes = rates, (*start.shape[:-2], *t.shape)
    U, V = start[..., :m, :], start[..., m:, :]
    Q0 = U.mT @ U / a - V.mT @ V / b
    R = R.reshape((*axes, *R.shape[-2:]))
    U, V = R[..., :m, :], R[..., m:, :]
    error = error.reshape(axes)
    path = Trajectory.__new__(Trajectory)  # as all fits, without a check of all numbers
    state = {"t": t, "X": U @ V.mT, "U": U, "V": V, "Q0": Q0, "error_estimate": error}
    path.__setstate__({**state, "rates": rates})
    return path


@_check.quiet
def solve(
    Y: ArrayLike,
    weights0: Weights,
    t: ArrayLike,
    rtol: float = 1e-10,
    covariance: ArrayLike | None = None,
    rates: tuple[float, float] = (1.0, 1.0),
) -> Trajectory:
    """Integrate the gradient flow (12), ``paper.eq_12``.

    U' = E V and V' = E^T U with E = Y - U V^T.

    Parameters
    ----------
    Y : (m, n) array_like
        Target.
    weights0 : Weights
        Start, U0 (m, k) and V0 (n, k), of any width.
    t : array_like
        Times, a scalar or one non-decreasing axis, >= 0.
    rtol : float
        Relative tolerance, from 1e-13 to below 1.
    covariance : (n, n) array_like, optional
        Sigma of the inputs, symmetric and positive semidefinite, where they are not white; Y is
        the correlation of outputs and inputs. Then E = Y - U V^T Sigma.
    rates : (float, float)
        Learning rates a of U and b of V, from 1e-155 on: U' = a E V and V' = b E^T U.

    Returns
    -------
    Trajectory
        X (*t.shape, m, n) and the weights, compressed to min(k, m+n) hidden units, which is
        all that the width costs (`Weights.compress`). The imbalance (13), with rates
        U^T U / a - V^T V / b, is that of the start to 1e-12, as a rule 1e-14, of the largest
        ||U||_F^2 / a + ||V||_F^2 / b so far, in the Frobenius norm: it may be far smaller.
        Where rtol is above 1e-10, it is that to rtol / 100.

    Raises
    ------
    ValueError
        If the shapes of Y and weights0 disagree, an entry is not a finite real number, t
        decreases or is negative, rtol, covariance or rates are out of range.
    ArithmeticError
        If 100,000 steps do not reach the last time, or 2,000 show that they will not, or the
        weights leave the range of numbers.

    Notes
    -----
    The error of X is below rtol times ||X(t)||_F, or where that falls below both ||Y||_F and an
    earlier ||X||_F, times the smaller of these; plus the rounding of the weights themselves,
    some 1e-15 ||U||_F ||V||_F, which is what remains of a large start. `error_estimate` is that
    rounding and, where errors grow by little, a bound: all that the steps may leave out, times
    exp(integral of ||E||), the most by which the flow makes small errors grow, and ||R||_F.
    Elsewhere it is twice the distance of a second path, with ten times the tolerance and
    started a few rounding errors away. As a rule it is larger than the error, some hundred to
    some thousand times, and never better than the problem's condition: near a saddle, which
    multiplies a rounding error by exp(sigma t), that is what limits the answer, and the
    estimate says so. Where rounding errors alone leave a saddle, it stays as large as the mode
    that may be missing. So it does where the rank of the start is deficient up to rounding: X
    keeps that rank, the numbers given may not. From weights below some 1e-30 modes that are
    learned after others may be missing as well. Where matrices are large, m n k above 20,000
    with m counted to n+k and n to m+k, an rtol below some 1e-11 may be missed, as steps of
    another kind lose up to 1e-12 of X and of ||U||_F ||V||_F / sqrt(k): the estimate says so.

    A long horizon costs little, as implicit steps, which no fast decay limits, take over. Large
    weights that are too narrow to let go of (m < k < m+n, ||R||^2 far above ||Y||) are the
    exception: there the slow motion bends, and some hundreds of steps are needed. Where
    inputs have variances whose ratio is c, rounding errors of the largest reach what the least
    see, c times as large beside that, and no tolerance helps: the estimate says so.

    Examples
    --------
    A balanced scalar start follows x' = 2 (1 - x) x.

    >>> path = solve([[1.0]], Weights([[0.1]], [[0.1]]), [0.0, 2.0, 1e6])
    >>> exact = 1 / (1 + 99 * np.exp(-2 * path.t))
    >>> bool(np.abs(path.X[:, 0, 0] / exact - 1).max() < 1e-10)
    True
    >>> bool(path.Q_drift.max() < 1e-15)
    True

    Inputs that are not white change where X tends to, Y Sigma^-1, but not what is kept.

    >>> start = Weights(0.1 * np.eye(2), 0.1 * np.eye(2))
    >>> path = solve(np.diag([2.0, 1.0]), start, 50.0, covariance=[[2.0, 0.0], [0.0, 0.5]])
    >>> path.X.round(6), bool(path.Q_drift < 1e-14)
    (array([[1., 0.],
           [0., 2.]]), True)
    """
    target = _check.target(Y, weights0)
    times, rates = _check.times(t), _check.rates(rates)
    start = _start(weights0.U[None], weights0.V[None])
    R, error, failed = _scaled(
        target[None],
        start,
        np.atleast_1d(times),
        _tolerance(rtol),
        None if covariance is None else _check.covariance(covariance, target.shape[1], "Y"),
        rates,
    )
    if failed:
        raise failed[0]
    return _trajectory(len(target), times, start.R[0], R, error, rates)


@_check.quiet
def solve_many(
    Y: ArrayLike,
    weights0: Weights | Iterable[Weights],
    t: ArrayLike,
    rtol: float = 1e-10,
    covariance: ArrayLike | None = None,
    rates: tuple[float, float] = (1.0, 1.0),
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Trajectory:
    """Integrate the flow (12) for a stack of problems of one shape, `solve` for each.

    Parameters
    ----------
    Y : (m, n) or (*stack, m, n) array_like
        Target, the same for all or one for each.
    weights0 : Weights, or iterable of Weights
        Starts: Weights whose U and V have the axes of the stack first, or one after the other.
    t, rtol, covariance, rates
        As for `solve`, the same for all.
    progress : callable, optional
        Is given the groups that are worked on one after the other, as a sequence, and returns
        them to loop over: `tqdm.tqdm` shows how far it is. What it leaves out is NaN.

    Returns
    -------
    Trajectory
        Time comes after the stack: X (*stack, *t.shape, m, n), error_estimate (*stack,
        *t.shape).

    Raises
    ------
    ValueError
        As for `solve`, and if the shapes of Y and the starts disagree, or progress cannot be
        called or returns something else than groups that it was given, each at most once.
    BatchError
        If some problems fail, when all are done: `.errors` has what became of them, by index,
        and `.result` the Trajectory of all, NaN where one failed.

    Examples
    --------
    >>> starts = [Weights([[a]], [[a]]) for a in (0.1, 0.2, 0.3)]
    >>> path = solve_many([[1.0]], starts, [0.0, 2.0, 9.0])
    >>> path.X.shape, path.X[:, 1, 0, 0].round(6)
    ((3, 3, 1, 1), array([0.355461, 0.694649, 0.843746]))
    """
    U, V = _starts(weights0)
    stack, m, n = U.shape[:-2], U.shape[-2], V.shape[-2]
    target = _check.array("Y", Y, (2, U.ndim))
    _check.shape("Y", target, (*stack, m, n) if target.ndim > 2 else (m, n), "weights0")
    times, tol, rates = _check.times(t), _tolerance(rtol), _check.rates(rates)
    Sigma = None if covariance is None else _check.covariance(covariance, n, "Y")
    loop = _check.function("progress", progress)
    start = _start(U.reshape(-1, *U.shape[-2:]), V.reshape(-1, *V.shape[-2:]))
    Ys = np.broadcast_to(target, (*stack, m, n)).reshape(-1, m, n)
    moments = np.atleast_1d(times)
    # NaN, so that what `progress` may leave out is seen.
    paths = np.full((len(Ys), moments.size, *start.R.shape[1:]), np.nan)
    error = np.full(paths.shape[:2], np.nan)
    failed: dict[tuple[int, ...], ArithmeticError] = {}
    size, fastest = max(1, min(_GROUP // paths[0].nbytes, 128)), _fastest(Ys)
    # Paths of one group are looked at at the same times, which are those of each alone.
    alike = [np.flatnonzero(fastest == rate) for rate in np.unique(fastest)]
    groups = [some[i : i + size] for some in alike for i in range(0, some.size, size)]
    for group in _check.some("progress", loop, range(len(groups))):
        s = groups[group]
        paths[s], error[s], problems = _scaled(Ys[s], start.part(s), moments, tol, Sigma, rates)
        failed |= {
            tuple(map(int, np.unravel_index(s[i], stack))): problem
            for i, problem in problems.items()
        }
    first = start.R.reshape(*stack, *start.R.shape[1:])
    result = _trajectory(m, times, first, paths, error, rates)
    if failed:
        raise BatchError(dict(sorted(failed.items())), result)
    return result


@_check.quiet
def solve_regularized(
    Y: ArrayLike, weights0: Weights, Q0: ArrayLike, t: ArrayLike, rtol: float = 1e-10
) -> Trajectory:
    """Integrate the regularized flow (26), ``paper.eq_26``, the gradient flow of (28).

    U' = E V - U P / 2 and V' = E^T U + V P / 2 with E = Y - U V^T and P = U^T U - V^T V - Q0,
    which is (25) written out (Proposition 4). From a start with P = 0 it is the flow (12).

    Parameters
    ----------
    Y : (m, n) array_like
        Target.
    weights0 : Weights
        Start, U0 (m, k) and V0 (n, k).
    Q0 : (k, k) array_like, or float
        The imbalance to regularize towards, symmetric, in the hidden units of weights0. A
        number lam stands for lam I.
    t : array_like
        Times, a scalar or one non-decreasing axis, >= 0.
    rtol : float
        Relative tolerance, and `error_estimate`, as for `solve`.

    Returns
    -------
    Trajectory
        X (*t.shape, m, n) and the weights with all k hidden units, in the order of weights0, so
        that `Q` can be compared with Q0.

    Raises
    ------
    ValueError
        As for `solve`, and if Q0 is not a symmetric (k, k) matrix or a number.
    ArithmeticError
        If 100,000 steps do not reach the last time, or 2,000 show that they will not. It tells
        how far the imbalance then is from Q0, and whether any weights have that.

    Notes
    -----
    Rows of R stay in the smallest subspace that contains the rows of R(0) and that Q0 maps into
    itself, since R' = A R + J R Q0 / 2 with a matrix A that acts from the left. The calculation
    is done there: with m+n hidden units at any width for Q0 = lam I and for the imbalance of
    the start, with at most d (m+n) if Q0 has d distinct eigenvalues, and with all k in general.

    Weights have at most m positive and n negative eigenvalues of the imbalance. With more in Q0
    P does not vanish, and a step is never much longer than 1/||P||: a horizon of many thousand
    times that may need too many, unless the path comes to rest before. For Q0 = lam I
    `gfcore.exact.identity_imbalance` has no such limit.

    Examples
    --------
    The penalty brings back an imbalance that the start does not have.

    >>> start = Weights([[1.0, 0.0]], [[0.5, 0.2]])
    >>> path = solve_regularized([[1.0]], start, np.diag([1.0, -1.0]), [0.0, 50.0])
    >>> np.linalg.norm(path.Q - np.diag([1.0, -1.0]), axis=(1, 2)).round(6)
    array([1.002048, 0.      ])
    """
    target = _check.target(Y, weights0)
    k = weights0.U.shape[1]
    if (given := _check.array("Q0", Q0, (0, 2))).ndim:
        imbalance = _check.symmetric("Q0", given)
        _check.shape("Q0", imbalance, (k, k), "weights0")
    else:
        imbalance = given * np.eye(k)
    moments, tol = _check.times(t), _tolerance(rtol)
    whole, m = weights0.R, len(target)
    B, rank = _invariant_basis(whole.T, imbalance)
    free, more = np.zeros(B.shape[1], bool), np.zeros((1, 1, 1))
    if rank < min(whole.any(axis=0).sum(), whole.any(axis=1).sum()) and B.shape[1] < k:
        # Units that are all rounding are turned off, and the second path has them again.
        left = whole - whole @ B @ B.T
        B = np.linalg.qr(np.hstack([B, left.T / positive(np.linalg.norm(left, axis=1))])).Q
        free = np.arange(B.shape[1]) >= free.size
        lost = np.abs(left).sum(1) + EPS * np.abs(whole).max(1)
        more = _regained(target[None], lost[None], free[None])
    R = np.where(free, 0, whole @ B)[None]
    grain = _grain(R, np.array([B.shape[1] < k]))
    (y,), (R,), bases = _few_rows(target[None], R)
    grain = _by(bases, grain, m, _rounded)
    imbalance = B.T @ imbalance @ B
    faster = float(_norm(target)) + _pushed(imbalance)
    times, asked = _watched(np.atleast_1d(moments), faster, tol)
    modes = _order_of_learning(y[None], R[None])
    spread = _spread(modes, grain)
    (unseen,) = _unseen(modes, times) + _shifted(modes, spread, times)
    if free.any():
        more = _by(bases, more, m, lambda basis: basis.mT)
    both = np.stack([(_nudged(modes, R[None], grain, spread) + more)[0], R])
    if (turn := _apart(y[None], R[None], modes.G)) is not None:
        both, B, imbalance = both @ turn[0], B @ turn[0], turn[0].T @ imbalance @ turn[0]
    begun = [Reached(np.empty((times.size, *r.shape)), 0, 0.0, r, None) for r in both]
    R, error, _ = _finish(y, imbalance, begun, times, tol)
    error = _lasting((error + unseen)[None], R[None], times, None)[0, asked]
    R = R[asked]
    R = _by(bases, R, len(y), lambda basis: basis[0]) @ B.T
    return _trajectory(m, moments, weights0.R, R, error, (1.0, 1.0))


def _tolerance(rtol: float) -> float:
    number = _check.positive("rtol", rtol)
    if not _FINEST <= number < 1:
        side = (
            "below 1"
            if number >= 1
            else f"at least {_FINEST:g}, which rounding leaves room for"
        )
        raise ValueError(f"rtol must be {side}, got {number}")
    return number


def _starts(weights0: Weights | Iterable[Weights]) -> tuple[Array, Array]:
    """Return U (*stack, m, k) and V (*stack, n, k) of one or more starts."""
    if isinstance(weights0, Weights):
        return weights0.U, weights0.V
    starts = list(_check.iterable("weights0", weights0))
    if not starts:
        raise ValueError("weights0 must not be empty")
    for i, start in enumerate(starts):
        _check.weights(f"weights0[{i}]", start, stack=True)
        for name in "UV":
            _check.shape(
                f"{name} of weights0[{i}]",
                getattr(start, name),
                getattr(starts[0], name).shape,
                "weights0[0]",
            )
    return np.stack([start.U for start in starts]), np.stack([start.V for start in starts])


def _invariant_basis(rows: Array, Q0: Array) -> tuple[Array, int]:
    """Return an orthonormal basis of the least invariant subspace of Q0 that holds `rows`.

    And their rank.
    """
    from scipy.linalg import orth  # type: ignore[import-untyped]

    k = Q0.shape[0]
    basis, wider = np.empty((k, 0)), independent(rows.T)[1].T
    rank = wider.shape[1]
    while basis.shape[1] < wider.shape[1] < k:
        basis = wider
        wider = orth(
            np.hstack([basis, 1 / max(float(np.linalg.norm(Q0)), 1e-150) * (Q0 @ basis)])
        )
    return basis if 0 < wider.shape[1] < k else np.eye(k), rank
