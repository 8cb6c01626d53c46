"""The flow (12) by SciPy's explicit Runge-Kutta steps of order 8, where Y is large.

A step of the series of `_taylor` multiplies as much as 630 products of matrices, in 60 calls;
a Runge-Kutta step of order 8 is 36 products, in as many calls, and goes a third as far. So the
series wins while a product costs no more than to call for it, and loses beyond. This is one
problem at a time, with R in one vector as SciPy has it. SciPy's own states inside a step need
nine more products and err by ten times the step's error; here they are Hermite's polynomial
through the ends of six steps, whose slopes are known. The imbalance (13), which the series
keeps by itself, is put back by `_radau.conserve`.
"""

import numpy as np
from numpy.typing import NDArray

from gfcore._check import Array
from gfcore._taylor import Reached, hands_over

_LARGE = 40_000  # multiplications in a product, m n k, from which on the series loses
_ENDS = 6  # of steps, through which the path inside the middle one is drawn


def suits(multiplications: int) -> bool:
    """Whether these steps are cheaper than the series, m n k being those of a product."""
    return multiplications > _LARGE


def path(Y: Array, R: Array, t: Array, tol: float, least: int = _ENDS) -> tuple[Reached, Array]:
    """Follow (12) from R (m+n, k) to the times t, with times >= 0, in `least` steps or more.

    The second result is the states drawn through one end less, which tells how good that is.
    """
    from scipy.integrate import DOP853  # type: ignore[import-untyped]

    m = Y.shape[0]

    def slope(_: float, flat: Array) -> Array:
        r = flat.reshape(R.shape)
        out, E = np.empty_like(r), Y - r[:m] @ r[m:].T
        np.matmul(E, r[m:], out=out[:m])
        np.matmul(E.T, r[:m], out=out[m:])
        return out.ravel()

    done = int(np.searchsorted(t, 0.0, side="right"))
    states, other = np.empty((2, t.size, *R.shape))
    states[:done] = other[:done] = R
    steps, now, over = 0, 0.0, done == t.size
    # A trifle more than a part, or rounding errors would leave a step of their size.
    most = (1 + 1e-9) * t[-1] / least
    atol = max(1e-3 * tol * float(np.abs(R).max()), 1e-300)  # weights may all be zero
    if not over:
        solver = DOP853(slope, 0.0, R.ravel(), t[-1], rtol=tol, atol=atol, max_step=most)
        x, ends = np.zeros(_ENDS), np.zeros((_ENDS, 2, R.size))  # the last ends, in a ring
        ends[0] = solver.y, solver.f
    while not over:
        solver.step()
        steps, now = steps + 1, solver.t
        x[steps % _ENDS], ends[steps % _ENDS] = now, (solver.y, solver.f)
        over = solver.status != "running" or bool(
            hands_over(steps, solver.step_size, t[-1] - now)
        )
        ring = np.arange(max(0, steps + 1 - _ENDS), steps + 1) % _ENDS
        so_far = now if over else x[ring[_ENDS // 2]] if ring.size == _ENDS else 0.0
        last = int(np.searchsorted(t, so_far, side="right"))
        if last > done:
            ring = _spaced(x, ring)
            weights = np.zeros((2, last - done, 2, _ENDS))
            for drawn, some in zip(
                weights, (ring, ring[1:] if over else ring[:-1]), strict=True
            ):
                drawn[:, :, some] = _hermite(x[some], t[done:last])
            drawn = weights.swapaxes(2, 3).reshape(-1, 2 * _ENDS) @ ends.reshape(-1, R.size)
            states[done:last], other[done:last] = drawn.reshape(2, -1, *R.shape)
            done = last
    R = solver.y.reshape(R.shape) if steps else R
    return Reached(states, done, now, R, None), other


def _spaced(x: Array, ring: NDArray[np.intp]) -> NDArray[np.intp]:
    """Leave out ends so near to the next that they would magnify rounding errors."""
    least, kept = np.diff(x[ring]).max() / 8, [ring[-1]]
    for i in ring[-2::-1]:
        if x[kept[-1]] - x[i] >= least:
            kept.append(i)
    return np.array(kept[::-1])


def _hermite(x: Array, t: Array) -> Array:
    """Return the weights at t (T,) of values and of slopes at x (N,), (T, 2, N).

    Of the polynomial of degree 2N - 1 that has all of them.
    """
    own = np.eye(x.size)
    apart = x[:, None] - x + own
    square = np.where(own, 1, (t[:, None, None] - x) / apart).prod(axis=-1) ** 2
    away = t[:, None] - x
    values = square * (1 - 2 * away * ((1 / apart).sum(1) - 1))
    return np.stack([values, square * away], axis=1)
