"""The flow (12) by explicit Runge-Kutta steps of order 8, where Y is large.

A step of the series of `_taylor` multiplies as much as 900 products of matrices, in 72 calls;
a Runge-Kutta step of order 8 is 36 products, in as many calls, and goes a quarter as far. So
the series wins while a product costs no more than to call for it, and loses beyond. This is one
problem at a time. Coefficients, error and length of the steps are those of SciPy's DOP853; but
SciPy takes new memory for each sum, which costs half as much as the products, and here a step
takes none. SciPy's states inside a step need nine more products and err by ten times the step's
error; here they are Hermite's polynomial through the ends of six steps, whose slopes are known.
The imbalance (13), which the series keeps by itself, is put back by `_radau.conserve`. Steps of
order 3, SciPy's RK23, are for the rough path, in the precision of the arrays that it is given.

The fastest decay of (12) is sigma_1(U)^2 + sigma_1(V)^2, which the power method follows from
step to step; no step goes beyond where it would be magnified. Implicit steps take over only
where that, and not the tolerance, has made steps short for long: one of them costs 17 to 37
explicit ones for m = n = k = 300 to 40, a path of them some hundred, and it takes two or more.

References
----------
E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential Equations I, Springer
1993, II.4 (the length of steps) and II.5 (the coefficients).
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gfcore._check import EPS, Array
from gfcore._taylor import Reached, hands_over

_LARGE = 20_000  # multiplications in a product, m n k, from which on the series loses
# h times the fastest decay; steps of order 8 magnify it from 6.1 on, those of order 3 from 2.5.
_STABLE = {8: 4.7, 3: 2.2}
_CALM = 1e-10, 0.8  # where a step moves less than this, it is so much shorter: see `_ends`
_SHARE = 0.1  # of DOP853's first error, the least that counts where no more than that limits
_PATIENCE = 3000  # steps at the edge of stability that cost about as much as an implicit path
_ENDS = 6  # of steps, through which the path inside the middle one is drawn


def suits(multiplications: int) -> bool:
    """Whether these steps are cheaper than the series, m n k being those of a product."""
    return multiplications > _LARGE


def _ends(
    Y: Array, R: Array, last: float, most: float, tol: float, order: int
) -> Iterator[tuple[float, float, Array, Array, bool]]:
    """Yield the time, the length of the step, the state and the slope at the ends of steps.

    And whether no more than stability limits the step. First comes the start. The length is 0
    where the next step would not move the time. The arrays are overwritten by the next step.
    """
    from scipy.integrate import DOP853, RK23  # type: ignore[import-untyped]

    coefficients = (
        (DOP853.A, DOP853.B, DOP853.E5, DOP853.E3) if order == 8 else (RK23.A, RK23.B, RK23.E)
    )
    A, B, *errors = (a.astype(R.dtype) for a in coefficients)
    m, stages = len(Y), len(B)
    K, E = np.empty((stages + 1, R.size), R.dtype), np.empty_like(Y)
    y, new, size, parts = np.empty((4, R.size), R.dtype)
    rounding, tiny = 16 * float(np.finfo(R.dtype).eps), float(np.finfo(R.dtype).tiny)
    atol = max(1e-3 * tol * float(np.abs(R).max()), 1e-300)  # weights may all be zero

    def slope(flat: Array, out: Array) -> None:
        r, d = flat.reshape(R.shape), out.reshape(R.shape)
        np.subtract(Y, np.matmul(r[:m], r[m:].T, out=E), out=E)
        np.matmul(E, r[m:], out=d[:m])
        np.matmul(E.T, r[:m], out=d[m:])

    def moved(weights: Array) -> Array:
        return np.add(y, np.matmul(weights, K[: len(weights)], out=new), out=new)

    any_one = np.random.default_rng(0).standard_normal((1, R.shape[1])).astype(R.dtype)[0]
    small = 0.05 / R.shape[1] ** 0.5
    seen = [(half, any_one.copy()) for half in (slice(m), slice(m, None))]

    def fastest() -> float:
        """Return the fastest decay, sigma_1(U)^2 + sigma_1(V)^2, by the power method."""
        sizes = []
        for half, x in seen:
            layer = y.reshape(R.shape)[half]
            image = layer.T @ (layer @ (x / np.linalg.norm(x)))
            sizes.append(float(np.linalg.norm(image)))
            if sizes[-1] > 0:  # else squares underflow
                # With a little of any other direction, which may become the first.
                x[:] = image / sizes[-1] + small * any_one
        return sum(sizes)

    moving = len(R) * max(1, int(R.any(axis=0).sum()))  # units of 0 stay so

    def relative(change: Array) -> float:
        return float(np.linalg.norm(np.divide(change, size, out=parts)) / moving**0.5)

    now, taken, limited, y[:] = 0.0, 0, False, R.ravel()
    slope(y, K[0])
    fast = max(fastest() for _ in range(8))
    yield now, most, y, K[0], False
    size[:] = atol + tol * np.abs(y)
    speed = relative(K[0])
    h = min(most, 0.01 * relative(y) / speed) if speed else most
    slope(moved(np.array([h], R.dtype)), K[1])
    bend = relative(K[1] - K[0]) / max(h, 1e-300)
    h, growth = min(100 * h, (0.01 / max(speed, bend, 1e-99)) ** (1 / order)), 10.0
    while now < last:
        stable = _STABLE[order] / max(fast, 1e-300)
        # Near the edge rounding errors add up for long, and would hide that the path rests.
        if limited and stable * np.linalg.norm(K[0]) < _CALM[0] * np.linalg.norm(y):
            stable *= _CALM[1]
        limited = h > stable / 2
        h, left = min(h, most, stable), last - now
        if left < 2 * h:  # no step at the end so short that it would be for nothing
            h = left / (1 + (left > 1.05 * h))
        if now + h == now:
            yield now, 0.0, y, K[0], False
            return
        for s in range(1, stages):
            slope(moved(h * A[s, :s]), K[s])
        slope(moved(h * B), K[stages])
        np.maximum(np.abs(y, out=size), np.abs(new, out=parts), out=size)
        # An entry that is but rounding errors of its hidden unit has no digits to keep.
        columns = size.reshape(R.shape)
        # A small unit has digits of its own, and may be all that leaves a saddle.
        noise = (own := columns.max(axis=0)) * rounding + np.minimum(atol, 0.1 * tol * own)
        noise += tiny
        np.add(np.multiply(columns, tol, out=columns), noise, out=columns)
        first, *second = (relative(np.matmul(e, K, out=parts)) for e in errors)
        # Of DOP853's two the second, of low order, is there for where the first is 0 by chance.
        # At the edge of stability it is so large that errors of hundreds of tolerances would
        # pass, of the fastest decay, which then neither grow nor fall.
        share = first / max(math.hypot(first, *(0.1 * e for e in second)), 1e-300)
        error = h * first * max(share, _SHARE if limited else 0.0)
        growth = min(growth, 0.9 * max(error, 1e-10) ** (-1 / order)) if error < np.inf else 0.2
        growth, step = max(growth, 0.2), h
        h *= growth
        growth = 1.0  # is what a step may do after one that was too long
        if error < 1:
            now, growth, y[:], K[0] = last if step == left else now + step, 10.0, new, K[stages]
            taken += 1
            if not limited or taken % 4 == 0:
                fast = fastest()
            yield now, step, y, K[0], limited


@np.errstate(over="ignore", invalid="ignore")  # of a step far too long, which is tried again
def path(
    Y: Array, R: Array, t: Array, tol: float, order: int = 8, least: int = _ENDS
) -> tuple[Reached, Array]:
    """Follow (12) from R (m+n, k) to the times t, with times >= 0, in `least` steps or more.

    They are of order 8 or 3. The second result is the states drawn through one end less, in two
    ways, (2, T, m+n, k), which tells how good that is, as two will hardly agree by chance; of
    order 3 there are none. Where the path comes to rest, that is how far it gets.
    """
    many = _ENDS if order == 8 else 2
    done = int(np.searchsorted(t, 0.0, side="right"))
    drawn = np.empty((3 if order == 8 else 1, t.size, R.size), R.dtype)
    drawn[:, :done] = R.ravel()
    x, ends = np.zeros(many), np.zeros((2 * many, R.size), R.dtype)  # the last, in a ring
    now, y, end, hard, still = 0.0, R, float(t[-1]), 0, False
    patience = np.inf if order == 3 else _PATIENCE
    for steps, (now, h, y, slope, limited) in enumerate(
        _ends(Y, R, end, end / least, tol, order)
    ):
        i, hard = steps % many, hard + limited
        x[i], ends[2 * i], ends[2 * i + 1] = now, y, slope
        still = limited and _rests(Y, y.reshape(R.shape), h, slope)
        over = now == end or not h or still or bool(hands_over(hard, h, end - now, patience))
        ring = np.arange(max(0, steps + 1 - many), steps + 1) % many
        so_far = now if over else x[ring[many // 2]] if ring.size == many else 0.0
        last = int(np.searchsorted(t, so_far, side="right"))
        if last > done:
            ring = _spaced(x, ring)
            # What is left out is an end on the other side of the times.
            fewer = [np.delete(ring, i) for i in ((0, 1) if over else (-1, -2))]
            for states, some in zip(drawn, [ring, *fewer], strict=False):
                weights = np.zeros((last - done, many, 2), R.dtype)
                weights[:, some] = _hermite(x[some], t[done:last])
                for i, each in enumerate(weights.reshape(-1, 2 * many), done):
                    np.matmul(each, ends, out=states[i])
            done = last
        if over:
            break
    if still:
        drawn[:, done:], done = y, t.size
    drawn = drawn.reshape(-1, t.size, *R.shape)
    return Reached(drawn[0], done, now, y.reshape(R.shape), None), drawn[1:]


def _rests(Y: Array, R: Array, h: float, slope: Array) -> bool:
    """Whether nothing moves, to rounding; it is looked at closely where a step moves little."""
    from gfcore import _radau

    moved = h * float(np.linalg.norm(slope))
    return moved <= 100 * EPS * float(np.linalg.norm(R)) and _radau.at_rest(Y, R, None)


def _spaced(x: Array, ring: NDArray[np.intp]) -> NDArray[np.intp]:
    """Leave out ends so near to the next that they would magnify rounding errors."""
    least, kept = np.diff(x[ring]).max() / 8, [ring[-1]]
    for i in ring[-2::-1]:
        if x[kept[-1]] - x[i] >= least:
            kept.append(i)
    return np.array(kept[::-1])


def _hermite(x: Array, t: Array) -> Array:
    """Return the weights at t (T,) of values and of slopes at x (N,), (T, N, 2).

    Of the polynomial of degree 2N - 1 that has all of them.
    """
    own = np.eye(x.size)
    apart = x[:, None] - x + own
    square = np.where(own, 1, (t[:, None, None] - x) / apart).prod(axis=-1) ** 2
    away = t[:, None] - x
    # The 1 of the diagonal is left out, not taken away: beside it 1 / apart may be rounding.
    values = square * (1 - 2 * away * np.where(own, 0, 1 / apart).sum(1))
    return np.stack([values, square * away], axis=2)
