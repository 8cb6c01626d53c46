"""The flow (12) by its Taylor series, for many problems at once.

The right side of (12) is quadratic, E V and E^T U with E = Y - U V^T, so that the coefficients
of the series follow from those before them by convolution, three products an order:

    E_j = Y [j = 0] - sum_i U_i V_{j-i}^T,
    (j+1) U_{j+1} = sum_i E_i V_{j-i},  (j+1) V_{j+1} = sum_i E_i^T U_{j-i}.

Each sum is one product of matrices if the coefficients lie side by side in memory, those of one
factor in reverse. What limits the series are fast decays, and poles that lie in the past or
beside the path. So it is summed by Euler's method: with z = t/(t + beta), which has its pole in
the past, t^i = beta^i sum_j C(j-1, i-1) z^j, and the series in z, of the same order, is good
about twice as far. Its last terms say how far, so that no step is tried twice; and it is
the path inside the step too. U^T U - V^T V (13), whose terms cancel up to that order, it keeps
to less than the last of them. A long stiff path is still not for it: `hands_over` says when the
implicit steps of `_radau` take the rest. Where inputs are not white, E = Y - U V^T Sigma, and
Sigma V takes the place of V in E_j.

How far errors may grow, the flow itself tells. It descends the loss. Two paths that are a small
D = [dU; dV] apart therefore have d|D|/dt = -<D, H D> / |D| with the Hessian H of the loss, and
where inputs are white

    -<D, H D> = 2 <dU, E dV> - |dU V^T + U dV^T|^2 <= ||E|| |D|^2

with the spectral norm. So D grows at most by exp(integral of ||E||), and X is off by at most
||R||_F |D|, both to first order in D. As E' = -(U U^T E + E V V^T), the sum of any power of the
singular values of E falls: the values at the left of each quarter of a step give no less than
the integral. Of these sums that of the eighth powers needs products only, and its root is
little more than the spectral norm. What a step leaves out is taken for four times what its
last terms may be.

References
----------
G. H. Hardy, Divergent Series, Oxford 1949, chapter VIII (Euler's method of summation).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gfcore._check import EPS, Array
from gfcore._scale import norm

ROUNDING = 16 * EPS  # what a few dozen operations lose
START, STEP = 8 * EPS, 12 * EPS  # what a start and a step have rounded
_ORDER = 26  # where the calls and the operations of a path together cost least
# A term over the one before: at h r = 0.34 * 26 the series of exp(-h r) is below 2/3, and so is
# Euler's sum of it at 1 + 7 z times that.
_FALL, _FARTHER = 0.34, 7
_POLE = 5.5  # beta, in steps of the plain series
_TINY = 0.5  # a step where no term can tell how long it may be, in units of time
_CACHE = 2**21  # bytes of coefficients that go through the orders together
SLOWEST = 1e-100  # what moves more slowly does not move by 1e75, the last of all times
ATTEMPTS = 100_000  # steps at most, to reach the last time
TRIED = 2000  # after which steps that do not get longer will not reach it
_PATIENCE = 100  # steps that cost about as much as all implicit ones to any time

_WHOLE, _QUARTERS = np.ones(1), np.arange(1, 5) / 4  # of a step, where it is looked at
_LAST, _FIRST = slice(3), slice(-2, None)  # orders, of which the last comes first
_ROOTS = 0.5 / (_ORDER - np.arange(3.0))
_EXPONENTS = np.arange(_ORDER, -1, -1.0)
_FACTORS = [np.array(-1.0 / (j + 1)) for j in range(_ORDER)]  # from -E_j to order j + 1
# C(j-1, i-1) for z^j and t^i, both from the last to the first, as the coefficients lie.
_EULER = np.zeros((_ORDER + 1, _ORDER + 1))
_EULER[-1, -1] = 1.0
_EULER[-2::-1, -2::-1] = [[math.comb(j, i) for i in range(_ORDER)] for j in range(_ORDER)]


class Reached(NamedTuple):
    """How far each of a stack of paths has come; at the end when all times are done."""

    states: Array  # R at the times, (B, T, m+n, k), as far as they are done
    done: Any  # how many times are done, (B,)
    now: Any  # the time reached, (B,)
    R: Array  # the state there, (B, m+n, k)
    steps: Any  # to each of the times, (B, T)
    error: Any = None  # how far R is off at most, in the Frobenius norm, (B, T)


def hands_over(
    steps: int, h: Array | float, left: Array | float, patience: float = _PATIENCE
) -> NDArray[np.bool_]:
    """Whether the rest of a path is for implicit steps: so many are done, `left` / h are to go.

    Only the future can tell if the path comes to rest before it gets there, or if its fast
    decays limit h for good. To wait for as many steps as the implicit way would cost is never
    more than about twice as dear as to know, whatever comes.
    """
    return np.asarray((steps >= patience) & np.greater(left, np.multiply(patience, h)))


def path(
    Y: Array, R: Array, t: Array, tol: Array, rough: Array | None, Sigma: Array | None = None
) -> Reached:
    """Follow (12) from each R (B, m+n, k), with its Y (B, m, n), to the times t, (T,).

    Each path goes by steps of its own, at the end of which the last terms of U and V are `tol`
    (B,) of the first. A `rough` one, (B,), takes the very last of them four times: what
    all paths leave out is less than that, also of what no norm sees, and most often of the
    same sign. If that is None, and Sigma too, it is added up how far each path may be off.
    """
    count, first, k = len(Y), int(np.searchsorted(t, 0.0, side="right")), R.shape[2]
    # To an odd width comes a unit of zeros, as BLAS likes even ones better.
    even = np.zeros((*R.shape[:2], k + k % 2))
    even[..., :k], R = R, even
    all_states = np.zeros((count, t.size, *R.shape[1:]))
    all_states[:, :first] = R[:, None]
    done, steps = np.full(count, first), np.zeros((count, t.size), int)
    error = np.zeros(steps.shape) if rough is None else None
    path = Reached(all_states, done, np.zeros(count), R, steps, error)
    if first < t.size:
        with np.errstate(all="ignore"):
            _advance(path, Y, t, tol, rough, Sigma)
    return path._replace(states=all_states[..., :k], R=R[..., :k])


def _advance(
    path: Reached, Y: Array, t: Array, tol: Array, rough: Array | None, Sigma: Array | None
) -> None:
    """Bring all paths, in place, to the last time or to where they hand over.

    Some go together, and the next takes the place of one that has ended.
    """
    # The unit of time of a series: what the plain one of the step before was good for.
    Y_size, R_size = np.vecdot(Y, Y).sum(1) ** 0.5, np.vecdot(path.R, path.R).sum(1)
    if Sigma is not None:
        R_size *= np.linalg.norm(Sigma, 2)
    unit = 1 / np.maximum(Y_size + R_size, SLOWEST)
    # Far below the rounding of what rests are modes that are learned late from a small start,
    # and hidden units or rows that set out near a saddle; all have digits of their own.
    parts = np.concatenate([np.vecdot(a, a) ** 0.5 for a in (path.R.mT, path.R)], axis=1)
    least = np.where(parts > 0, parts, np.inf).min(1) / np.maximum(parts.max(1), 1e-300)
    floor = np.where(R_size < 0.1 * Y_size, 0.0, EPS * np.minimum(least, 1))
    shares = np.stack([tol, floor], axis=1)[:, :, None] ** 2
    all_paths, error = np.arange(len(Y)), START * R_size**0.5
    last_term = np.where(np.zeros(len(Y)) if rough is None else rough, 4.0, 1.0)[:, None]
    whole = (
        all_paths, Y, path.now, path.done, path.R, unit, error, 0 * all_paths, shares, last_term
    )  # fmt: skip
    # Six arrays of coefficients: U, V and E, each in two orders.
    each = 16 * _ORDER * (path.R[0].size + Y[0].size)
    waiting = all_paths[max(2, _CACHE // each) :]
    here: list[Any] = [a[: len(Y) - waiting.size].copy() for a in whole]
    series = None
    while here[0].size:
        active, y, now, done, R, h, error, steps, lost, times_last = here
        if series is None:
            series = _Series(len(active), Y.shape[1], Y.shape[2], R.shape[2], Sigma)
        series.fill(h, y, R)
        left = t[-1] - now
        plain, reach = series.reach(lost[:, 0], lost[:, 1])
        step = np.minimum(h * reach, left)
        end = np.where(step == left, t[-1], now + step)
        first, last = t.searchsorted(end), t.searchsorted(end, side="right")
        # By itself, so that no bit of the path depends on the times that are asked for.
        parts = _WHOLE if path.error is None else _QUARTERS
        passed = np.empty((len(R), parts.size, *R.shape[1:]))
        series.sum(series.weights((step / h)[:, None] * parts, times_last), ..., passed)
        next_R = passed[:, -1]
        rest = series.at_rest()
        if path.error is not None:
            passed = np.concatenate([R[:, None], passed[:, :-1]], axis=1)
            grown = np.exp(np.where(rest, left, step) / h * series.growth(passed))
            error = grown * (error + np.where(rest, 0, series.left_out(lost[:, 0])))
        if rest.any():
            first[rest], last[rest], end[rest], next_R[rest] = 0, t.size, t[-1], R[rest]
        # The times inside the step of each path; some have fewer of them than others.
        most = int((first - done).max())
        if most > 0:
            index = done[:, None] + np.arange((most + 3) // 4 * 4)
            theta = np.minimum(t[np.minimum(index, t.size - 1)] - now[:, None], step[:, None])
            weights = series.weights(theta / h[:, None], times_last)
        steps += ~rest
        for i, (a, old, begin, stop, count) in enumerate(
            zip(*(x.tolist() for x in (active, done, first, last, steps)), strict=True)
        ):
            if begin > old:
                series.sum(weights[i, : begin - old], i, path.states[a, old:begin])
            if stop > old:
                path.steps[a, old:stop] = count
                if path.error is not None:
                    path.error[a, old:stop] = error[i]
                if stop > begin:
                    path.states[a, max(begin, old) : stop] = next_R[i]
        here[2:7] = end, last, next_R, h * plain, error
        on = (last < t.size) & (step > 0) & (steps < ATTEMPTS)
        if steps.max() >= _PATIENCE:
            on &= ~hands_over(steps, step, t[-1] - end)
        if not on.all():
            off = np.flatnonzero(~on)
            ended = active[off]
            path.R[ended], path.now[ended], path.done[ended] = next_R[off], end[off], last[off]
            if waiting.size:
                begun, waiting = waiting[: off.size], waiting[off.size :]
                places = off[: begun.size]
                on[places] = True
                for array, of_all in zip(here, whole, strict=True):
                    array[places] = of_all[begun]
            if not on.all():
                here, series = [array[on] for array in here], None


class _Series:
    """The coefficients of a group of paths, and the products that make each order.

    U and V are scaled by the root of the unit of time h, and Y by h, which makes the unit 1.
    """

    def __init__(self, count: int, m: int, n: int, k: int, Sigma: Array | None) -> None:
        p = _ORDER + 1
        Us, Vs, Es, Et, U_back, V_back = (
            _empty(count, *shape)
            for shape in [
                (m, p, k), (n, p, k), (p, m, n), (p, n, m), (p, m, k), (p, n, k)
            ]
        )  # fmt: skip
        self.new = _empty(count, m + n, k)
        self.Sigma, self.m, self.E, self.orders = Sigma, m, Es[:, 0], []
        U_new, V_new = self.new[:, :m], self.new[:, m:]
        # Block j of one factor of a sum, and block p - 1 - j of the other, in reverse.
        blocks = zip(
            U_back.swapaxes(0, 1)[::-1], Us.transpose(2, 0, 1, 3),
            V_back.swapaxes(0, 1)[::-1], Vs.transpose(2, 0, 1, 3)[::-1],
            Es.swapaxes(0, 1), Et.transpose(1, 0, 3, 2), strict=True,
        )  # fmt: skip
        # BLAS is up to twice as fast with one factor along the sum in memory, the other across.
        U_row, V_col = Us.reshape(count, m, -1), Vs.reshape(count, n, -1).mT
        E_row, Et_row = (a.reshape(count, -1, a.shape[3]).mT for a in (Es, Et))
        U_back_col, V_back_col = (a.reshape(count, -1, k) for a in (U_back, V_back))
        for j, (U, U_j, V, V_j, E_j, Et_j) in enumerate(blocks, 1):
            a = p - j
            self.orders.append((
                U, U_j, V, V_j,
                (U_row[:, :, : j * k], V_col[:, a * k :], E_j), Et_j,
                (Et_row[:, :, : j * n], V_back_col[:, a * n :], U_new),
                (E_row[:, :, : j * m], U_back_col[:, a * m :], V_new),
            ))  # fmt: skip
        self.U, self.V = (a.reshape(count, p, -1) for a in (U_back, V_back))
        self.squares = np.empty((count, 2, p))

    def fill(self, h: Array, Y: Array, R: Array) -> None:
        """Find the coefficients for the paths that start from R, the last first."""
        h = h[:, None, None]
        self.root, self.Y = np.sqrt(h), h * Y
        new = np.multiply(self.root, R, out=self.new)
        self.units = np.vecdot(new.mT, new.mT)
        U_new, V_new = new[:, : self.m], new[:, self.m :]
        matmul = np.matmul
        for j, (U, U_j, V, V_j, X, Et_j, EV, EU) in enumerate(self.orders):
            U[...], V[...] = U_new, V_new
            if j == _ORDER:
                break
            U_j[...] = U_new
            V_j[...] = V_new if self.Sigma is None else self.Sigma @ V_new
            E = matmul(*X)  # -E, so that X need not change its sign
            if j == 0:
                E -= self.Y
            Et_j[...] = E
            matmul(*EV)
            matmul(*EU)
            np.multiply(new, _FACTORS[j], new)

    def reach(self, tol: Array, floor: Array) -> tuple[Array, Array]:
        """Return the times to which the plain series and Euler's sum are good, (B,).

        There the last terms are tol of the first two, and 100 times that of the second. And
        they fall, or a decay too small to see would no longer be one in the series. Terms of
        Euler's sum change their sign, and two may be small where the next is not, so three are
        looked at. The shares tol and floor are squares, (B, 1).
        """
        squares, reduce = self.squares, np.fmin.reduce
        for i, factor in enumerate((self.U, self.V)):
            for few in _LAST, _FIRST:
                np.vecdot(factor[:, few], factor[:, few], out=squares[:, i, few])
        end, before, third, slope, size = (squares[:, :, i] for i in (0, 1, 2, -2, -1))
        first = np.maximum(slope, size)
        # What moves may be far smaller than what rests, as a mode that leaves a saddle is.
        moving = np.maximum.reduce(slope, axis=1, keepdims=True)
        lost = np.maximum(tol * np.minimum(first, 1e4 * moving), floor * first)[:, :, None]
        # From U = 0 every second term of V is 0 as long as X is.
        fall = np.maximum(before / end, np.sqrt(third / end))
        fall = _FALL * np.sqrt(reduce(fall, axis=1, initial=1e8))
        limits = (lost / squares[:, :, :2]) ** _ROOTS[:2]
        tiny = first < 1e-250
        if underflow := bool(tiny.any()):
            limits[tiny] = _TINY  # where squares underflow, that much of the unit must do
        plain = np.fmin(reduce(limits, axis=(1, 2)), fall)
        self.beta = beta = _POLE * plain[:, None]
        powers = _powers(beta)
        last = powers * _EULER[:3]
        terms = np.empty((len(tol), 2, 3))
        c = [last @ factor for factor in (self.U, self.V)]
        for i, term in enumerate(c):
            np.vecdot(term, term, out=terms[:, i])
        limits = (lost / terms) ** _ROOTS
        if underflow:
            limits[tiny] = _TINY / (_TINY + beta[tiny.nonzero()[0]])
        z = reduce(limits, axis=(1, 2), initial=0.8)
        units = np.where(self.units > 0, 1e4 * self.units, np.inf)
        if units.min() < first.max():
            # Hidden units too small for all this to see lose no more of their own size.
            shape = len(tol), 3, -1, units.shape[1]
            own = sum(np.square(a).reshape(shape).sum(2) for a in c) / units[:, None]
            limit = reduce((tol / own.max(2)) ** _ROOTS, axis=1)
            z = np.where(units.min(1) < first.max(1), np.minimum(z, limit), z)
        # As z = t / (t + beta), t = fall (1 + 7 z) is the root of a quadratic equation.
        beta = beta[:, 0]
        half = ((1 + _FARTHER) * fall - beta) / 2
        reach = np.minimum(beta * z / (1 - z), half + np.sqrt(half**2 + fall * beta))
        self.scale = powers / self.root
        return plain, reach

    def weights(self, theta: Array, last: Array) -> Array:
        """Return what the coefficients are multiplied by at times theta (B, W) of a step.

        Those of the last terms of Euler's sum `last` times, (B, 1).
        """
        powers = _powers(theta / (theta + self.beta))
        powers[..., 0] *= last
        # A product may depend on how many rows it has; four, so that it is not on the others.
        four = powers.reshape(len(theta), -1, min(4, theta.shape[1]), powers.shape[-1])
        return np.asarray((four @ _EULER).reshape(powers.shape) * self.scale)

    def sum(self, weights: Array, i: Any, out: Array) -> None:
        """Put the sums of these weights, for path i or all, into states (..., W, m+n, k)."""
        split, out = self.U.shape[2], out.reshape(*out.shape[:-2], -1)
        np.matmul(weights, self.U[i], out=out[..., :split])
        np.matmul(weights, self.V[i], out=out[..., split:])

    def growth(self, states: Array) -> Array:
        """Return the mean over states (B, W, m+n, k) of what ||E|| is at most, by the unit."""
        U, V = np.split(self.root[:, None] * states, [self.m], axis=2)
        E = self.Y[:, None] - U @ V.mT
        gram = E @ E.mT if E.shape[2] <= E.shape[3] else E.mT @ E
        return np.asarray(np.mean(norm(gram @ gram) ** 0.25, axis=1))

    def left_out(self, tol: Array) -> Array:
        """Return what a step leaves out and rounds of R at most, (B,); given tol squared."""
        first = self.squares[..., _FIRST].max(axis=2).sum(axis=1)
        return np.asarray((4 * tol[:, 0] ** 0.5 + STEP) * first**0.5 / self.root[:, 0, 0])

    def at_rest(self) -> NDArray[Any]:
        """Whether nothing moves, to rounding, (B,)."""
        U, _, _, V, *_ = self.orders[0]  # V here as E has it, Sigma V
        size, slope = self.squares[..., -1], self.squares[..., -2]
        # |E V| <= |E| |V| spares to look closer as long as much moves.
        seen = size[:, 1] if self.Sigma is None else np.vecdot(V, V).sum(1)
        E_size = size[:, 0] * seen + np.vecdot(self.Y, self.Y).sum(1)
        near = np.asarray(slope[:, 0] <= 4 * ROUNDING**2 * E_size * size[:, 1])
        if not near.any():
            return near
        E_noise = ROUNDING * (np.abs(self.Y) + np.abs(U) @ np.abs(V.mT))
        near &= (np.abs(self.E) <= E_noise).all(axis=(1, 2))
        # E V may be small against its own rounding while U and V still move: large weights
        # with an E that only rare directions see do so for long.
        return np.asarray(near | ~(self.U[:, -2].any(axis=1) | self.V[:, -2].any(axis=1)))


def _empty(*shape: int) -> Array:
    """Return an array that begins where a line of the cache does: BLAS gains a tenth."""
    room = np.empty(math.prod(shape) + 7)
    skip = -room.ctypes.data // 8 % 8
    return room[skip : room.size - 7 + skip].reshape(shape)


def _powers(x: Array) -> Array:
    """Return the powers of x along a last axis, the highest first."""
    return np.asarray(x[..., None] ** _EXPONENTS)
