"""The flow (12) by SciPy's explicit Runge-Kutta steps of order 8, where Y is large.

A step of the series of `_taylor` multiplies as much as 630 products of matrices, in 60 calls;
a Runge-Kutta step of order 8 is 36 products, in as many calls, and goes a third as far. So the
series wins while a product costs no more than to call for it, and loses beyond. This is one
problem at a time, with R in one vector as SciPy has it. The imbalance (13), which the series
keeps by itself, is put back by `_radau.conserve`.
"""

import numpy as np

from gfcore._check import Array
from gfcore._taylor import Reached, hands_over

_LARGE = 40_000  # multiplications in a product, m n k, from which on the series loses


def suits(multiplications: int) -> bool:
    """Whether these steps are cheaper than the series, m n k being those of a product."""
    return multiplications > _LARGE


def path(Y: Array, R: Array, t: Array, tol: float) -> Reached:
    """Follow (12) from R (m+n, k) to the times t, with times >= 0."""
    from scipy.integrate import DOP853  # type: ignore[import-untyped]

    m = Y.shape[0]

    def slope(_: float, flat: Array) -> Array:
        r = flat.reshape(R.shape)
        out, E = np.empty_like(r), Y - r[:m] @ r[m:].T
        np.matmul(E, r[m:], out=out[:m])
        np.matmul(E.T, r[:m], out=out[m:])
        return out.ravel()

    done = int(np.searchsorted(t, 0.0, side="right"))
    states = np.empty((t.size, *R.shape))
    states[:done] = R
    steps, now = 0, 0.0
    if done < t.size:
        least = max(1e-3 * tol * float(np.abs(R).max()), 1e-300)  # weights may all be zero
        solver = DOP853(slope, 0.0, R.ravel(), t[-1], rtol=tol, atol=least)
        while done < t.size and solver.status == "running":
            solver.step()
            steps, now = steps + 1, solver.t
            last = int(np.searchsorted(t, now, side="right"))
            if solver.t_old < t[done] < now:
                states[done:last] = solver.dense_output()(t[done:last]).T.reshape(-1, *R.shape)
            if last > done and t[last - 1] == now:
                states[np.searchsorted(t, now) : last] = solver.y.reshape(R.shape)
            done = last
            if hands_over(steps, solver.step_size, t[-1] - now):
                break
        R = solver.y.reshape(R.shape)
    return Reached(states, done, now, R, None)
