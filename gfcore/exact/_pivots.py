"""D W = T S Q^T where D spans hundreds of orders of magnitude: no number in T is large.

Orthogonalizing the rows of D W, the longest first, gives such factors: T holds what is left of
a row relative to the row chosen before it, S the lengths. D enters only by ratios of its
entries, so only the order of the rows depends on t. LAPACK finds it, from rows whose lengths
are brought closer together without changing their order, and neighboring times share it as
long as no entry of T exceeds `LONGEST`.

What is left of a row may be its rounding error, and growth would make a direction of it that
the start does not have. That error is the row's own and, by its share, that of each row
taken off it: a short row that grows fast, taken off a long one, leaves much.
"""

import numpy as np

from gfcore._check import Array
from gfcore._gauge import TYPICAL, positive

LONGEST = 30.0  # the largest entry of T
GAP = 60.0  # even rows of lengths this far apart, in logarithms, keep their order to the end
MOST = 1e85  # more rounding error than this, relative, is not told apart
SPAN = 1000.0  # so far the lengths of rows that are ordered in one go may be apart


def graded(
    up: Array, root: Array, t: Array, W: Array, noise: Array, k: int, K: Array | None
) -> tuple[Array, Array, Array | None]:
    """Return (T min(S, 1))^T, max(S, 1)^(-1) and Q^T K Q at each time.

    Parameters
    ----------
    up : (parts, m) array
        Eigenvalues of Y, 0 for negative ones, in parts that sum to them.
    root : (T, m) array
        D e^(-2 t up).
    t : (T, 1) array
        Times > 0.
    W : (m, r) array
        Factor of the start; columns that are not zero are independent.
    noise : (m,) array
        Rounding error of its rows.
    k : int
        Rows of the results; those that W has no columns for are 0 beside 1.
    K : (k, k) array, optional
        To be turned, in the place of the last result.
    """
    (m, r), steps = W.shape, len(t)
    gap = (up[:, :, None] - up[:, None]).sum(0)
    growth, log_root = 2 * t * up.sum(0), np.log(root)
    c, b = np.tile(np.eye(k), (steps, 1, 1)), np.zeros((steps, k, m))
    turned = np.empty((steps, k, k))
    # Rows to one length, but for a power of two: none is too short to be squared.
    power = np.round(np.log2(positive(np.abs(W).max(1)))).astype(int)
    W, noise = np.ldexp(W, -power[:, None]), np.ldexp(noise, -power)
    log_D = log_root + np.log(2) * power
    todo = np.arange(steps)
    while todo.size:
        middle = todo.size // 2
        now = int(todo[middle])
        level = log_D[now]
        # Where growth is in the millions, the difference of two sums would lose a row's start.
        above = 2 * t[now] * gap + level[:, None] - level
        seen = np.eye(0 if K is None else k, r)  # turned like the rows of W, it is Q
        chosen, rows, Q = ordered(W, above, noise, seen)
        column = np.arange(len(chosen))
        signed = rows[chosen, column]
        along, length = rows[:, column], np.abs(signed)
        Q[:, column] *= np.sign(signed)
        exponent = np.where(along != 0, 2 * t[todo, None] * gap[:, chosen], 0)
        with np.errstate(divide="ignore"):
            log_T = np.log(np.abs(along)) - np.log(length) + exponent
        log_T += log_D[todo][:, :, None] - log_D[todo][:, None, chosen]
        fits = log_T.max((1, 2)) <= np.log(LONGEST)
        fits[middle] = True
        at, todo = todo[fits], todo[~fits]
        ratio = root[at][:, :, None] / root[at][:, None, chosen]
        e = np.exp(np.minimum(exponent[fits], 700) / 2)  # in halves, which do not overflow
        T = np.ldexp(along * e / signed, power[:, None] - power[chosen]) * e * ratio
        log_S = np.log(length) + log_D[at][:, chosen] + growth[at][:, chosen]
        e = np.exp(np.where(log_S < 300, growth[at][:, chosen] / 2, 0))
        small = np.ldexp(length, power[chosen]) * root[at][:, chosen] * e * e
        S = np.where(log_S < 300, small, 1e130)
        c[at[:, None], column, column] = 1 / np.maximum(S, 1)
        b[at[:, None], column] = (T * np.minimum(S, 1)[:, None]).mT
        if K is not None:
            turned[at] = Q.T @ K @ Q
    return b, c, None if K is None else turned


def ordered(
    W: Array, above: Array, noise: Array, rest: Array
) -> tuple[list[int], Array, Array]:
    """Return the order in which rows of D W are taken, W Q, and the rest Q.

    Entry i, j of `above` is log D_i - log D_j.

    Column j of W Q holds what is left of each row along the one chosen j-th; below its noise
    it is zero.
    """
    from scipy.linalg.lapack import dgeqp3, dormqr  # type: ignore[import-untyped]

    m, k = W.shape
    tails = lengths_from(W)
    W = np.where(tails[:, :1] > noise[:, None], W, 0)
    # Later columns, if they are shorter, have less of the noise.
    fraction = np.max(tails / np.where(tails[:, :1] > 0, tails[:, :1], 1), axis=0)
    rows, noise, free = np.concatenate([W, rest]), noise.copy(), np.any(W, axis=1)
    chosen: list[int] = []
    sizes = np.log(np.abs(W[W != 0]))  # a row may lose all but its smallest entry
    gap = GAP + np.ptp(sizes) if sizes.size else GAP
    level: Array = squeezed(tails[:, 0], above, free, gap)
    while len(chosen) < k and free.any():
        j = len(chosen)
        alive = np.flatnonzero(free)
        left = np.hypot.reduce(rows[alive, j:], axis=1, initial=0)
        here = level[alive] + np.log(left)
        near = here > here.max() - SPAN
        beyond = np.max(here[~near], initial=-np.inf) - here.max() + SPAN / 2
        window, left = alive[near], left[near]
        scale = np.exp(here[near] - here.max() + SPAN / 2)
        scaled = rows[window, j:] / left[:, None] * scale[:, None]
        R, pivots, tau, _, _ = dgeqp3(scaled.T, lwork=32 * (len(window) + 1))
        pivots -= 1
        size = np.abs(np.diagonal(R))
        q = len(size)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.nan_to_num(np.abs(np.triu(R[:q, :q]).T) / size)
        own = (noise[window] / np.maximum(left, noise[window] / MOST) * scale)[pivots[:q]]
        own = np.linalg.solve(np.eye(q) - TYPICAL * np.tril(share, -1), own)
        with np.errstate(divide="ignore"):
            bad = (size <= own * fraction[j : j + q]) | (np.log(size) < beyond)
        count = max(1, int(np.argmax(bad)) if bad.any() else q)
        reflections = R[:, :count], tau[:count]
        rows[:, j:], _, _ = dormqr("R", "N", *reflections, rows[:, j:], lwork=64 * len(rows))
        new = window[pivots[:count]]
        rows[new, j:] = np.tril(rows[new, j:])
        chosen += new.tolist()
        free[new] = False
        others = np.flatnonzero(free)
        share = np.abs(rows[others, j : j + count] / rows[new, range(j, j + count)])
        handed = np.cumsum(share * (own / scale[pivots[:q]] * left[pivots[:q]])[:count], axis=1)
        handed = noise[others, None] + TYPICAL * handed
        noise[others] = handed[:, -1]
        tails = lengths_from(rows[others, j + 1 :])
        gone = tails[:, :count] <= handed[:, : tails.shape[1]] * fraction[j + 1 : j + 1 + count]
        gone = np.logical_or.accumulate(gone, axis=1)
        rows[others, j + 1 : j + 1 + gone.shape[1]] *= ~gone
        if gone.size:
            last = gone[:, -1]
            rows[others[last], j + 1 + gone.shape[1] :] = 0
            free[others[last]] = False
    return chosen, rows[:m], rows[m:]


def lengths_from(rows: Array) -> Array:
    """Return the length of each row from each column on, without a square."""
    return np.hypot.accumulate(np.abs(rows)[:, ::-1], axis=1)[:, ::-1]


def squeezed(length: Array, above: Array, free: Array, gap: float) -> Array:
    """Return log D, with gaps between the lengths of rows of D W shortened to `gap`."""
    level = np.zeros(len(length))
    log_length = np.log(length[free])
    longer = above[np.ix_(free, free)] + log_length[:, None] - log_length
    order = np.argsort((longer > 0).sum(1))
    rise = longer[order, np.roll(order, 1)]
    rise[:1] = 0
    short = np.empty(len(order))
    short[order] = np.cumsum(np.minimum(rise, gap))
    level[free] = short - log_length
    return level
