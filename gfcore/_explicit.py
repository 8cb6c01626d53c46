"""The flow (12) by explicit Runge-Kutta steps of order 8, where Y is large.

A step of the series of `_taylor` multiplies as much as 900 products of matrices, in 72 calls;
a Runge-Kutta step of order 8 is 36 products, in as many calls, and goes a quarter as far. So
the series wins while a product costs no more than to call for it, and loses beyond. This is one
problem at a time. Coefficients, error and length of the steps are those of SciPy's DOP853; but
SciPy takes new memory for each sum and reads slopes whose weight is 0, which costs half as much
as the products, and here a step does neither. SciPy's states inside a step need nine more
products and err by ten times the step's error; here they are Hermite's polynomial through the
ends of six steps, whose slopes are known. The imbalance (13), which the series keeps by itself,
is put back by `_radau.conserve`.

The fastest decay of (12) is sigma_1(U)^2 + sigma_1(V)^2, which the power method follows from
step to step; no step goes beyond where it would be magnified. Implicit steps take over only
where that, and not the tolerance, has made steps short for long: one of them costs 28 to 39
explicit ones for m = n = k = 300 to 40, a path of them some hundred, and it takes two or more.

The rough path, in the precision of the arrays that it is given, has steps of order 3, SciPy's
RK23. Where the fastest decay would make them short, it has stabilized ones of order 2, whose s
stages are good for s^2 / 2 of its times: 300 steps of order 8 at the edge of stability need 50
rough ones with 340 stages, where RK23 has 1,800.

References
----------
E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential Equations I, Springer
1993, II.4 (the length of steps) and II.5 (the coefficients); C. D. Meyer, D. S. Balsara and
T. D. Aslam, J. Comput. Phys. 257 (2014) 594 (stabilized steps); B. P. Sommeijer, L. F. Shampine
and J. G. Verwer, J. Comput. Appl. Math. 88 (1998) 315 (their error).
"""

import math
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gfcore._check import EPS, Array
from gfcore._taylor import Reached, hands_over

_LARGE = 20_000  # multiplications in a product, m n k, from which on the series loses
# h times the fastest decay; steps of order 8 magnify it from 6.1 on, those of order 3 from 2.5.
_STABLE = {8: 4.7, 3: 2.2}
_STAGES = 13  # of a stabilized step, at most
_NEARLY = 0.9  # of what it damps, how much is used: the fastest decay is known from below
_CALM = 1e-10, 0.8  # where a step moves less than this, it is so much shorter: see `_ends`
_SHARE = 0.1  # of DOP853's first error, the least that counts where no more than that limits
_PATIENCE = 3000  # steps at the edge of stability that cost about as much as an implicit path
_ENDS = 6  # of steps, through which the path inside the middle one is drawn


def suits(multiplications: int) -> bool:
    """Whether these steps are cheaper than the series, m n k being those of a product."""
    return multiplications > _LARGE


class _Method(NamedTuple):
    """Weights of slopes in the sums of a step of s stages, in the order that these are kept."""

    A: Array  # to each stage, and last to the end, (s+1, s+1)
    errors: Array  # of each estimate of the error over h, (-1, s+1)
    parts: list[slice]  # where they are not all 0: in each sum but the first, in the errors
    places: list[int]  # of the slopes at the stages and at the end


def _method(A: Array, errors: Array) -> _Method:
    # The second and third slope of DOP853 are in few sums; out of the way, no other reads them.
    places = [2, 1, 0, *range(3, len(A))]
    A, errors = (np.take(weights, places, axis=1) for weights in (A, errors))
    used = [np.flatnonzero(row) for row in [*A[1:], errors.any(axis=0)]]
    return _Method(A, errors, [slice(some[0], some[-1] + 1) for some in used], places)


@cache
def _classic(order: int) -> _Method:
    """Return DOP853 or RK23."""
    from scipy.integrate import DOP853, RK23  # type: ignore[import-untyped]

    one, errors = (DOP853, [DOP853.E5, DOP853.E3]) if order == 8 else (RK23, [RK23.E])
    A = np.pad(np.vstack([one.A[: len(one.B), : len(one.B)], one.B]), ((0, 0), (0, 1)))
    return _method(A, np.stack(errors))


@cache
def _stabilized(s: int) -> _Method:
    """Return that of s stages, which damps up to `_damped(s)`, if s is even only just."""
    i, slope = np.maximum(np.arange(s + 1), 2), np.eye(s + 1)
    b, w = (i + 2) * (i - 1) / (2 * i * (i + 1)), 2 / _damped(s)
    A = w / 3 * np.eye(s + 1, k=-1)
    for j in range(2, s + 1):
        one, two = (2 - 1 / j) * b[j] / b[j - 1], (1 / j - 1) * b[j] / b[j - 2]
        A[j] = A[j - 1] + w * (slope[j - 1] - (1 - b[j - 1]) * slope[0])
        A[j] = one * A[j] + two * A[j - 2]
    return _method(A, 0.4 * (slope[:1] + slope[s:]) - 0.8 * A[s:])


def _damped(s: int) -> float:
    return (s + 2) * (s - 1) / 2


def _ends(
    Y: Array, R: Array, last: float, most: float, tol: float, order: int
) -> Iterator[tuple[float, float, Array, Array, bool, float]]:
    """Yield the time, the length of the step, the state and the slope at the ends of steps.

    And whether no more than stability limits the step, and the fastest decay. First comes the
    start. The length is 0 where the next step would not move the time. The arrays are
    overwritten by the next step.
    """
    m = len(Y)
    K, E = np.empty((1 + max(12, _STAGES), R.size), R.dtype), np.empty_like(Y)
    y, new, size, parts = *np.empty((3, R.size), R.dtype), np.empty((2, R.size), R.dtype)
    begun = K[_classic(order).places[0]]
    rounding, tiny = 16 * float(np.finfo(R.dtype).eps), float(np.finfo(R.dtype).tiny)
    atol = max(1e-3 * tol * float(np.abs(R).max()), 1e-300)  # weights may all be zero
    U, V = np.split(new.reshape(R.shape), [m])

    def slope(out: Array) -> None:
        """Find the slope at `new`."""
        d = out.reshape(R.shape)
        np.subtract(Y, np.matmul(U, V.T, out=E), out=E)
        np.matmul(E, V, out=d[:m])
        np.matmul(E.T, U, out=d[m:])

    any_one = np.random.default_rng(0).standard_normal((1, R.shape[1])).astype(R.dtype)[0]
    small = 0.05 / R.shape[1] ** 0.5
    seen = [(half, any_one.copy()) for half in (slice(m), slice(m, None))]

    def fastest() -> float:
        """Return the fastest decay, sigma_1(U)^2 + sigma_1(V)^2, by the power method."""
        sizes = []
        for half, x in seen:
            layer = y.reshape(R.shape)[half]
            image = layer.T @ (layer @ (x / _size(x)))
            sizes.append(_size(image))
            if sizes[-1] > 0:  # else squares underflow
                # With a little of any other direction, which may become the first.
                x[:] = image / sizes[-1] + small * any_one
        return sum(sizes)

    moving = len(R) * max(1, int(R.any(axis=0).sum()))  # units of 0 stay so

    def relative(change: Array) -> float:
        return _size(np.divide(change, size, out=parts[0])) / math.sqrt(moving)

    now, taken, limited, mild, y[:], new[:] = 0.0, 0, False, True, R.ravel(), R.ravel()
    slope(begun)
    fast = max(fastest() for _ in range(8))
    yield now, most, y, begun, False, fast
    size[:] = atol + tol * np.abs(y)
    speed = relative(begun)
    h = min(most, 0.01 * relative(y) / speed) if speed else most
    np.add(y, np.multiply(h, begun, out=new), out=new)
    slope(parts[1])
    bend = relative(parts[1] - begun) / max(h, 1e-300)
    h, growth = min(100 * h, (0.01 / max(speed, bend, 1e-99)) ** (1 / order)), 10.0
    while now < last:
        was, mild = mild, order == 8 or h * fast < _STABLE[order] * (1 + mild)
        if was > mild:  # at the same error a stabilized step is half as long
            h /= 2
        stable = (_STABLE[order] if mild else _NEARLY * _damped(_STAGES)) / max(fast, 1e-300)
        # Near the edge rounding errors add up for long, and would hide that the path rests.
        if limited and stable * _size(begun) < _CALM[0] * _size(y):
            stable *= _CALM[1]
        limited = h > stable / 2
        h, left = min(h, most, stable), last - now
        if left < 2 * h:  # no step at the end so short that it would be for nothing
            h = left / (1 + (left > 1.05 * h))
        if now + h == now:
            yield now, 0.0, y, begun, False, fast
            return
        enough = (s for s in range(3, _STAGES, 2) if _NEARLY * _damped(s) > h * fast)
        method = _classic(order) if mild else _stabilized(next(enough, _STAGES))
        A, places = np.asarray(h * method.A, R.dtype), method.places
        *sums, part = method.parts
        for i, some in enumerate(sums, 1):
            # Of one row, as the first sum has, np.matmul is slow.
            np.add(y, np.dot(A[i, some], K[some], out=new), out=new)
            slope(K[places[i]])
        np.maximum(np.abs(y, out=size), np.abs(new, out=parts[0]), out=size)
        # An entry that is but rounding errors of its hidden unit has no digits to keep.
        columns = size.reshape(R.shape)
        # A small unit has digits of its own, and may be all that leaves a saddle.
        noise = (own := columns.max(axis=0)) * rounding + np.minimum(atol, 0.1 * tol * own)
        noise += tiny
        np.add(np.multiply(columns, tol, out=columns), noise, out=columns)
        both = parts[: len(method.errors)]
        np.matmul(np.asarray(method.errors[:, part], R.dtype), K[part], out=both)
        np.divide(both, size, out=both)
        one, *other = np.sqrt(np.vecdot(both, both) / moving).tolist()
        # Of DOP853's two the second, of low order, is there for where the first is 0 by chance.
        # At the edge of stability it is so large that errors of hundreds of tolerances would
        # pass, of the fastest decay, which then neither grow nor fall.
        share = one / max(math.hypot(one, *(0.1 * e for e in other)), 1e-300)
        error = h * one * max(share, _SHARE if limited else 0.0)
        growth = min(growth, 0.9 * max(error, 1e-10) ** (-1 / order)) if error < np.inf else 0.2
        growth, step = max(growth, 0.2), h
        h *= growth
        growth = 1.0  # is what a step may do after one that was too long
        if error < 1:
            now, growth = last if step == left else now + step, 10.0
            y[:], begun[:] = new, K[places[-1]]
            taken += 1
            if not limited or taken % 4 == 0:
                fast = fastest()
            yield now, step, y, begun, limited, fast


@np.errstate(over="ignore", invalid="ignore")  # of a step far too long, which is tried again
def path(
    Y: Array,
    R: Array,
    t: Array,
    tol: float,
    states: Array,
    order: int = 8,
    least: int = _ENDS,
) -> tuple[Reached, Array]:
    """Follow (12) from R (m+n, k) to the times t, with times >= 0, in `least` steps or more.

    They are of order 8 or 3, and `states` (T, m+n, k) takes what they find. The second result
    is how far from each other U V^T is, (T,), where states are drawn through one end less, in
    two ways, which tells how good that is, as two will hardly agree by chance; of order 3 it is
    0. Where the path comes to rest, that is how far it gets.
    """
    many = _ENDS if order == 8 else 2
    done = int(np.searchsorted(t, 0.0, side="right"))
    drawn, apart = states.reshape(t.size, R.size), np.zeros(t.size)
    drawn[:done] = R.ravel()
    x, ends = np.zeros(many), np.zeros((2 * many, R.size), R.dtype)  # the last, in a ring
    others = np.empty((2, R.size), R.dtype)
    now, y, end, hard, still = 0.0, R, float(t[-1]), 0, False
    patience = _PATIENCE if order == 8 else np.inf
    for steps, (now, h, y, slope, limited, fast) in enumerate(
        _ends(Y, R, end, end / least, tol, order)
    ):
        i, hard = steps % many, hard + limited
        x[i], ends[2 * i], ends[2 * i + 1] = now, y, slope
        still = limited and _rests(Y, y.reshape(R.shape), h, slope)
        over = now == end or not h or still or bool(hands_over(hard, h, end - now, patience))
        middle = x[(steps + 1 - many // 2) % many] if steps + 1 >= many else 0.0
        last = int(t.searchsorted(now if over else middle, side="right"))
        if last > done:
            ring = _spaced(x, np.arange(max(0, steps + 1 - many), steps + 1) % many)
            kept = np.zeros((3 if order == 8 else 1, many), bool)
            kept[:, ring] = True
            # What is left out is an end on the other side of the times.
            for i, some in enumerate(kept[1:]):
                some[ring[i if over else -1 - i]] = False
            weights = _hermite(x, t[done:last], kept)
            weights[:, 1:] -= weights[:, :1]
            for i, sums in enumerate(weights.reshape(-1, len(kept), 2 * many), done):
                np.matmul(sums[0].astype(R.dtype), ends, out=drawn[i])
                if order == 8:
                    np.matmul(sums[1:], ends, out=others)
                    # |dU V^T + U dV^T| is no more than this.
                    apart[i] = (fast * np.vecdot(others, others).max()) ** 0.5
            done = last
        if over:
            break
    if still:
        drawn[done:], done = y, t.size
    return Reached(states, done, now, y.reshape(R.shape), None), apart


def _size(flat: Array) -> float:
    return math.sqrt(np.vdot(flat, flat))


def _rests(Y: Array, R: Array, h: float, slope: Array) -> bool:
    """Whether nothing moves, to rounding; it is looked at closely where a step moves little."""
    from gfcore import _radau

    moved = h * _size(slope)
    return moved <= 100 * EPS * _size(R) and _radau.at_rest(Y, R, None)


def _spaced(x: Array, ring: NDArray[np.intp]) -> NDArray[np.intp]:
    """Leave out ends so near to the next that they would magnify rounding errors."""
    least, kept = np.diff(x[ring]).max() / 8, [ring[-1]]
    for i in ring[-2::-1]:
        if x[kept[-1]] - x[i] >= least:
            kept.append(i)
    return np.array(kept[::-1])


def _hermite(x: Array, t: Array, kept: NDArray[np.bool_]) -> Array:
    """Return the weights at t (T,) of values and of slopes at some x (N,), (T, W, N, 2).

    Of the polynomials of least degree that have all of those that are `kept`, (W, N).
    """
    apart, away = x[:, None] - x, (t[:, None] - x)[:, None]
    others = kept[:, None] & kept[:, :, None] & (apart != 0)
    apart[apart == 0] = 1
    square = kept * np.where(others, away[:, :, None] / apart, 1).prod(axis=-1) ** 2
    # The 1 of the diagonal is left out, not taken away: beside it 1 / apart may be rounding.
    values = square * (1 - 2 * away * np.where(others, 1 / apart, 0).sum(axis=-1))
    return np.stack([values, square * away], axis=-1)
