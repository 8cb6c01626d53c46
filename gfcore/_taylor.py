"""The flow (12) by its Taylor series, for many problems at once.

The right side of (12) is quadratic, E V and E^T U with E = Y - U V^T, so that the coefficients
of the series follow from those before them by convolution, three products an order:

    E_j = Y [j = 0] - sum_i U_i V_{j-i}^T,
    (j+1) U_{j+1} = sum_i E_i V_{j-i},  (j+1) V_{j+1} = sum_i E_i^T U_{j-i}.

Each sum is one product of matrices if the coefficients lie side by side in memory, those of one
factor in reverse. The last two say how far the series is good, so that no step is tried twice;
and the series is the path inside the step too. It keeps U^T U - V^T V (13), whose terms cancel
up to that order, to less than the last terms. But the fastest decay limits the steps, which a
long stiff path does not end with: `hands_over` says when the implicit steps of `_radau` take
the rest. Where inputs are not white, E = Y - U V^T Sigma, and Sigma V takes the place of V.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gfcore._check import Array

_EPS = float(np.finfo(float).eps)
ROUNDING = 16 * _EPS  # what a few dozen operations lose
_ORDER = 16  # where the calls and the operations of a path together cost least
# A term over the one before: at h r = 0.4 * 16 the series of exp(-h r) still damps.
_FALL = 0.4
_CACHE = 2**20  # bytes of coefficients that go through the orders together
ATTEMPTS = 100_000  # steps at most, to reach the last time
_PATIENCE = 100  # steps that cost about as much as all implicit ones to any time

_ROOTS = 0.5 / np.array([_ORDER, _ORDER - 1.0])


class Reached(NamedTuple):
    """How far each of a stack of paths has come; at the end when all times are done."""

    states: Array  # R at the times, (B, T, m+n, k), as far as they are done
    done: Any  # how many times are done, (B,)
    now: Any  # the time reached, (B,)
    R: Array  # the state there, (B, m+n, k)
    steps: Any  # to each of the times, (B, T)


def hands_over(steps: int, h: Array, left: Array) -> NDArray[Any]:
    """Whether the rest of a path is for implicit steps: so many are done, `left` / h are to go.

    Only the future can tell if the path comes to rest before it gets there, or if its fast
    decays limit h for good. To wait for as many steps as the implicit way would cost is never
    more than about twice as dear as to know, whatever comes.
    """
    return np.asarray((steps >= _PATIENCE) & (left > _PATIENCE * h))


def path(Y: Array, R: Array, t: Array, tol: Array, Sigma: Array | None = None) -> Reached:
    """Follow (12) from each R (B, m+n, k), with its Y (B, m, n), to the times t, (T,).

    Each path goes by steps of its own, at the end of which the last terms of U and V are `tol`
    (B,) of the first.
    """
    count, first = len(Y), int(np.searchsorted(t, 0.0, side="right"))
    all_states = np.zeros((count, t.size, *R.shape[1:]))
    all_states[:, :first] = R[:, None]
    done, steps = np.full(count, first), np.zeros((count, t.size), int)
    path = Reached(all_states, done, np.zeros(count), R.copy(), steps)
    # Six arrays of coefficients: U, V and E, each in two orders.
    each = 16 * _ORDER * (R[0].size + Y[0].size)
    group = max(2, _CACHE // each)
    with np.errstate(all="ignore"):
        for begin in range(0, count, group):
            s = slice(begin, begin + group)
            part = Reached(*(array[s] for array in path))
            _advance(part, Y[s], t, tol[s], Sigma)
    return path


def _advance(path: Reached, Y: Array, t: Array, tol: Array, Sigma: Array | None) -> None:
    """Bring a group of paths, in place, to the last time or to where they hand over."""
    steps = 0
    h = 1 / np.maximum(np.vecdot(Y, Y).sum(1) ** 0.5 + np.vecdot(path.R, path.R).sum(1), 1e-300)
    active = np.flatnonzero(path.done < t.size)
    series = None
    while active.size:
        if series is None:
            (_, m, n), k = Y.shape, path.R.shape[2]
            series = _Series(active.size, m, n, k, Sigma)
            y, tol_now, now, done, R, h = (
                a[active] for a in (Y, tol, path.now, path.done, path.R, h)
            )
        series.fill(h, y, R)
        left = t[-1] - now
        step = np.minimum(h * series.reach(tol_now), left)
        end = np.where(step == left, t[-1], now + step)
        first, last = t.searchsorted(end), t.searchsorted(end, side="right")
        # By itself, so that no bit of the path depends on the times that are asked for.
        next_R = series.at((step / h)[:, None]).reshape(R.shape)
        rest = series.at_rest()
        if rest.any():
            first[rest], last[rest], end[rest], next_R[rest] = 0, t.size, t[-1], R[rest]
        # The times inside the step of each path; some have fewer of them than others.
        index = done[:, None] + np.arange(max(int((first - done).max()), 0))
        theta = np.minimum(t[np.minimum(index, t.size - 1)] - now[:, None], step[:, None])
        inside = series.at(theta / h[:, None]).reshape(*index.shape, *R.shape[1:])
        for i, a in enumerate(active):
            begin = max(first[i], done[i])
            path.states[a, done[i] : begin] = inside[i, : begin - done[i]]
            path.states[a, begin : last[i]] = next_R[i]
            path.steps[a, done[i] : last[i]] = steps + 1 - rest[i]
        R, now, done, h = next_R, end, last, step
        steps += 1
        on = (last < t.size) & (step > 0) & (steps < ATTEMPTS)
        if Sigma is None and steps >= _PATIENCE:
            on &= ~hands_over(steps, step, t[-1] - end)
        if not on.all():
            path.R[active], path.now[active], path.done[active] = R, now, done
            spread = np.empty(len(Y))
            spread[active] = h
            active, h, series = active[on], spread, None


class _Series:
    """The coefficients of a group of paths, and the products that make each order.

    U and V are scaled by the root of the step h, and Y by h, which makes the step 1.
    """

    def __init__(self, count: int, m: int, n: int, k: int, Sigma: Array | None) -> None:
        p = _ORDER + 1
        Us, Es, Et, Vs, U_back, V_back = (
            np.empty((count, *shape))
            for shape in [
                (m, p * k), (m, p * n), (n, p * m), (p * k, n), (p * m, k), (p * n, k)
            ]
        )  # fmt: skip
        self.Sigma, self.m, self.E, self.orders = Sigma, m, Es[:, :, :n], []
        for j in range(_ORDER):
            # Block j of one factor of a sum, and block a = p - j of the other, in reverse.
            a, b = _ORDER - j, _ORDER - j - 1
            self.orders.append((
                (U_back[:, a * m : (a + 1) * m], Us[:, :, j * k : (j + 1) * k]),
                (V_back[:, a * n : (a + 1) * n], Vs[:, a * k : (a + 1) * k].mT),
                (Us[:, :, : (j + 1) * k], Vs[:, a * k :], Es[:, :, j * n : (j + 1) * n]),
                Et[:, :, j * m : (j + 1) * m].mT,
                (Es[:, :, : (j + 1) * n], V_back[:, a * n :], U_back[:, b * m : (b + 1) * m]),
                (Et[:, :, : (j + 1) * m], U_back[:, a * m :], V_back[:, b * n : (b + 1) * n]),
                -1.0 / (j + 1),
            ))  # fmt: skip
        self.U, self.V = (a.reshape(count, p, -1) for a in (U_back, V_back))
        self.squares = np.empty((count, 2, p))

    def fill(self, h: Array, Y: Array, R: Array) -> None:
        """Find the coefficients for the paths that start from R, the last first."""
        (U, _), (V, _), *_ = self.orders[0]
        h = h[:, None, None]
        self.root = np.sqrt(h)
        np.multiply(self.root, R[:, : self.m], out=U)
        np.multiply(self.root, R[:, self.m :], out=V)
        self.Y = h * Y
        for j, ((U, Us), (V, Vs), X, Et, EV, EU, factor) in enumerate(self.orders):
            Us[...] = U
            Vs[...] = V if self.Sigma is None else self.Sigma @ V
            E = np.matmul(X[0], X[1], out=X[2])  # -E, so that X need not change its sign
            if j == 0:
                E -= self.Y
            Et[...] = E
            U_next, V_next = (
                np.matmul(EV[0], EV[1], out=EV[2]),
                np.matmul(EU[0], EU[1], out=EU[2]),
            )
            U_next *= factor
            V_next *= factor

    def reach(self, tol: Array) -> Array:
        """Return the times at which the last two terms are tol of the first two, (B,).

        And they shall fall, or a decay too small to see would no longer be one in the series.
        """
        np.vecdot(self.U, self.U, out=self.squares[:, 0])
        np.vecdot(self.V, self.V, out=self.squares[:, 1])
        tail, first = self.squares[..., :2], self.squares[..., -2:].max(axis=2)
        limits = np.empty((len(tol), 2, 3))
        limits[..., :2] = ((tol**2)[:, None, None] * first[..., None] / tail) ** _ROOTS
        if (tiny := first < 1e-290).any():
            limits[tiny, :2] = 1.0  # where a square underflows, the step as it is must do
        limits[..., 2] = np.sqrt(tail[..., 1] / tail[..., 0]) * _FALL
        return np.asarray(np.fmin.reduce(limits, axis=(1, 2), initial=1e3))

    def at(self, theta: Array) -> Array:
        """Return R at times theta (B, W) of a step, rows of U before rows of V."""
        powers = np.empty((*theta.shape, _ORDER + 1))
        rising = powers[:, :, ::-1]
        rising[:, :, :1], rising[:, :, 1:] = 1 / self.root, theta[:, :, None]
        np.multiply.accumulate(rising, axis=2, out=rising)
        split = self.U.shape[2]
        R = np.empty((*theta.shape, split + self.V.shape[2]))
        np.matmul(powers, self.U, out=R[:, :, :split])
        np.matmul(powers, self.V, out=R[:, :, split:])
        return R

    def at_rest(self) -> NDArray[Any]:
        """Whether nothing moves, to rounding, (B,)."""
        (U, _), (V, _), *_ = self.orders[0]
        size, slope = self.squares[..., -1], self.squares[..., -2]
        # |E V| <= |E| |V| spares to look closer as long as much moves.
        E_size = size[:, 0] * size[:, 1] + np.vecdot(self.Y, self.Y).sum(1)
        near = np.asarray(slope[:, 0] <= 4 * ROUNDING**2 * E_size * size[:, 1])
        if not near.any():
            return near
        E_noise = ROUNDING * (np.abs(self.Y) + np.abs(U) @ np.abs(V.mT))
        near &= (np.abs(self.E) <= E_noise).all(axis=(1, 2))
        # E V may be small against its own rounding while U and V still move: large weights
        # with an E that only rare directions see do so for long.
        return np.asarray(near | ~(self.U[:, -2].any(axis=1) | self.V[:, -2].any(axis=1)))
