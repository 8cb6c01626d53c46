"""The flow (12) by SciPy's explicit Runge-Kutta steps of order 8, where Y is large.

The series of `_taylor` multiplies matrices some 400 times a step, a Runge-Kutta step of order 8
36 times and goes half as far. While a product of matrices costs no more than to ask for it,
the series wins, as it asks for few; from some thousand multiplications a product on, it loses.
What is lost with it is that the imbalance (13) is kept by itself: `_radau.conserve` puts it back.
"""

import numpy as np

from gfcore._check import Array
from gfcore._taylor import Reached, hands_over

_LARGE = 4_000  # multiplications in a product, m n k, from which on the series loses


def suits(m: int, n: int, k: int) -> bool:
    """Whether these steps are cheaper than the series, for a product of so many operations."""
    return m * n * k > _LARGE


def path(Y: Array, R: Array, t: Array, tol: float) -> Reached:
    """Follow (12) from R (m+n, k) to the times t, with times >= 0."""
    from scipy.integrate import DOP853

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
        solver = DOP853(slope, 0.0, R.ravel(), t[-1], rtol=tol, atol=1e-3 * tol * np.abs(R).max())
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
