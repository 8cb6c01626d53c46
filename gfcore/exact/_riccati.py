"""X(t) of the Riccati equation (5), (8), from a factor of its start.

In the eigenbasis of Y, with X0 = W K^(-1) W^T, (8) reads

    X = E W (K + W^T D^2 W)^(-1) W^T E,    E = e^(2tw),    D^2 = (e^(4tw) - 1)/w,

with E and D diagonal. As printed it fails twice: e^(4tw) overflows, and in the inverse what
has grown drowns what has not, though E brings both to the same size. Here E/D, which is
bounded, is taken apart. For any matrix M, with (b, c) made of the orthonormalized rows of
M^T (W^T D, I),

    X = E/D b^T C^(-1) b E/D,    C = b b^T + c K c^T.

It remains to choose an M that leaves no large number there; `longest` and `inverses` say
which of three.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from gfcore._check import EPS, Array
from gfcore._gauge import independent, narrowed
from gfcore._scale import squares
from gfcore.exact._modes import TINY, quotient
from gfcore.exact._pivots import graded

Index = NDArray[np.intp]
Which = int | Index
Times = slice | Index
Mask = NDArray[np.bool_]

CHUNK = 25_000  # entries of W worked on at once: larger arrays get new memory for each result
NARROW = 64  # columns, with fewer of which a copy is cheaper than what is special to squares
MANY = 4  # matrices for each entry of one, from which they are orthogonalized all at once
SQUARED = 290.0  # of numbers with logarithms up to this, squares neither overflow nor vanish
SMALLEST = 1e-290  # beside the largest entry of W, others below this are zero
DIRECT, ALONE, UNEVEN = 1e7, 1e10, 1e-6  # the limits of M = I
CONDITION = 1e3  # the limit of M = W1^(-1)/max(D1, 1)


def from_factor(w: Array, P: Array, U: Array, t: Array, split: int = 0) -> Array:
    """X(t) of (8) from X0 = U U^T and Y = P diag(w) P^T, (*stack, *t.shape, m, m).

    `w`, (parts, *stack, m), holds the eigenvalues, ascending, in parts that sum to them, more
    than one where the sum would round. With a `split`, only the block of the rows before it and
    the columns from it on.
    """
    *stack, m, k = U.shape
    w, P, U = w.reshape(len(w), -1, m), P.reshape(-1, m, m), U.reshape(-1, m, k)
    narrow = narrowed(U)

    def thin(i: int) -> Array:
        return np.asarray(P[i].T @ independent(U[i])[0])

    X = np.empty((len(P), t.size, split or m, m - split))
    noise = partial(rounding, P, narrow)
    for p, at, G, _ in brackets(w, P.mT @ narrow, t.ravel(), noise, thin):
        # Of one problem, in one product for all times.
        G = (G.reshape(-1, m) @ P[p].T).reshape(G.shape) if isinstance(p, int) else G @ P[p].mT
        out = X[p, at] if isinstance(at, slice) else None
        found = np.matmul(G[..., :split].mT, G[..., split:], out) if split else squared(G, out)
        if out is None:
            X[p, at] = found
    return X.reshape(*stack, *t.shape, *X.shape[-2:])


def brackets(
    w: Array,
    W: Array,
    t: Array,
    noise: Callable[[], Array],
    thin: Callable[[int], Array],
    K: Array | None = None,
) -> Iterator[tuple[Which, Times, Array, Array]]:
    """Yield G and C with X(t) = G^T C^(-1) G in the eigenbasis of Y, for X0 = W K^(-1) W^T.

    Parameters
    ----------
    w : (parts, P, m) array
        Eigenvalues of Y of P problems, ascending, in parts.
    W : (P, m, k) array
        Factors of X0 in the eigenbasis of Y.
    t : (T,) array
        Times >= 0.
    noise : callable
        Rounding error of the rows of W, (P, m). A row below it is zero. It is asked for only
        where some row is shorter by 1e-6 than all of W, or rows of several columns grow beyond
        M = I.
    thin : callable
        The factor of a problem, by its number, with independent columns.
    K : (P, k, k) array, optional
        Symmetric and about as long as its inverse; if given, columns of W that are not zero
        must be independent. Without it K = I and C = I.

    Yields
    ------
    p, at
        Of which problems and which times, N in all, as of `chunks`. Each pair comes once.
    G : (N, k, m) array
    C : (N, k, k) array
        Symmetric, with eigenvalues up to those of K in size; as many are negative as are of K
        until the first escape, and one is zero there.
    """
    m, k = W.shape[1:]
    total, one, entries = w.sum(0), np.eye(k), np.abs(W)
    size = entries.max(2)
    rise, fall = np.maximum(total, 0), np.minimum(2 * total, 0)
    t = np.maximum(t, 1e-280)[:, None]  # stands for t = 0, where D is zero
    z = t * (-4 * np.abs(total))[:, None]
    root = np.sqrt(4 * t * quotient(np.expm1(z), z, 1.0))

    def solved(
        p: Which, at: Times, b: Array, c: Array | None, K: Array | None, hard: bool = False
    ) -> tuple[Which, Times, Array, Array]:
        b, c = orthonormal(b, c, hard, K is not None)
        G = (np.exp(t[at] * fall[p]) / root[p, at])[:, None] * b
        return p, at, G, one if K is None else b @ b.mT + c @ K @ c.mT

    # What most often holds, that M = I will do at all times, is seen without rounding errors.
    up = w * (total > 0)
    direct, whole = np.ones(root.shape[:2], bool), np.hypot.reduce(size, axis=1)[:, None]
    limit = log(DIRECT / sqrt(k) if k > 1 else ALONE)
    base = np.log(np.maximum(root[:, -1] * whole, TINY))  # D grows with t
    even, near = size > UNEVEN * whole, base + 2 * t[-1] * rise <= limit
    ahead, taken = rise, None
    if k == 1 and not near.all() and (even & (np.abs(base) < SQUARED)).all():
        # In one column, M = e^(-2tw) with the largest w; no row is lost beside another.
        ahead, taken = (up - up[..., -1:]).sum(0), rise[:, -1:]
    elif not (even & near).all():
        error = noise()
        present = (entries.sum(2) > error) & (size >= SMALLEST * size.max(1)[:, None])
        size = np.where(present, size, 0)
        log_D = np.log(root) + 2 * t * rise[:, None]
        direct = (log_D + longest(size, error)[:, None] <= limit).all(-1)
    scale = np.ldexp(1.0, np.frexp(size)[1])  # powers of two round nothing
    row, size = np.ascontiguousarray(W.mT) / scale[:, None], scale * (size > 0)
    for p, at in chunks(direct, m * k):  # M = I
        e = np.exp(np.minimum(t[at] * ahead[p], 600))  # in halves, which do not overflow
        D = (root[p, at] * e) * (size[p] * e)
        c = None if taken is None else np.exp(-2 * t[at] * taken[p])[..., None]
        yield solved(p, at, D[:, None] * row[p], c, None if K is None else K[p])
    if direct.all():
        return
    # To numbers that can be squared: W by a power of two, D against it.
    unit = np.ldexp(1.0, np.frexp(np.maximum(entries.max((1, 2)), 1e-160))[1])[:, None]
    W, error = flushed(np.where(size > 0, 1 / unit, 0)[..., None] * W), error / unit
    # M = W1^(-1) max(D1, 1)^(-1), with W1 the rows that grow most
    left = ~direct.all(1)
    well, inverse = inverses(W, np.logical_and(left, (size[:, -k:] > 0).all(1)))
    share = inverse.mT @ W[:, :-k].mT
    gap = (up[:, :, None, :-k] - up[:, :, -k:, None]).sum(0)
    for p, at in chunks(well[:, None] & ~direct, m * k):
        root1, growth = unit[p] * root[p, at, -k:], t[at] * rise[p][..., -k:]
        b = np.zeros((len(root1), k, m))
        b[:, range(k), range(m - k, m)] = 1
        ratio = root[p, at, None, :-k] / root[p, at, -k:, None]
        b[..., : m - k] = share[p] * ratio * np.exp(2 * t[at, None] * gap[p])
        e = np.exp(np.minimum(growth, 350))
        b *= np.minimum(np.minimum(root1, 1) * e * e, 1)[..., None]
        log_D1 = np.log(root1) + 2 * growth
        c = inverse[p].mT * np.exp(-np.maximum(log_D1, 0))[..., None]
        yield solved(p, at, b, c, None if K is None else K[p])
    # M = Q max(S, 1)^(-1); Q is left to K
    for i in map(int, np.flatnonzero(left & ~well)):
        factor = flushed(thin(i) / unit[i])
        for _, at in chunks(~direct[[i]], m * k):
            own = None if K is None else K[i]
            D = unit[i] * root[i, at]
            b, c, turned = graded(up[:, i], D, t[at], factor, error[i], k, own)
            yield solved(i, at, b, c, turned, hard=True)


def flushed(W: Array) -> Array:
    """Return W without what would lose digits in a product with the smallest numbers."""
    return np.where(np.abs(W) < SMALLEST, 0, W)


def chunks(mask: Mask, size: int) -> Iterator[tuple[Which, Times]]:
    """Yield the problems and times of a mask in parts, which bounds the memory.

    Arrays of their numbers; or, of one problem or where times are many, a problem's number and
    its times, as a slice if none between them is left out, so that nothing is copied.
    """
    step = max(1, CHUNK // size)
    if len(mask) > 1 and 4 * mask.shape[1] < step:
        p, at = np.nonzero(mask)
        for j in range(0, len(p), step):
            yield p[j : j + step], at[j : j + step]
        return
    for i, times in enumerate(mask):
        at = times.nonzero()[0]
        for j in range(0, len(at), step):
            some = at[j : j + step]
            gapless = some[-1] - some[0] < len(some)
            yield i, slice(some[0], some[-1] + 1) if gapless else some


def longest(size: Array, noise: Array) -> Array:
    """Return the logarithms, (P, m), of what by D must not exceed 1e7/sqrt(k) for M = I.

    These bound the columns of D W, if `size` has the largest entries of the rows of W. The
    square of D W is to be formed, and errs in all by the rounding error of 1e14, which is small
    beside I. A row may be shorter than the numbers that it was summed from; these, too, must
    not become longer, as their rounding error does not lie in the span of the rows, and its
    square is seen in X. Where a row is shorter by 1e-6, it would be seen as soon as X has
    decayed to that row. In one column no row is lost beside another: there the end is 1e10, as
    e^(2tw) loses digits where tw is large, and from there on M takes out what grows most.
    """
    # P is orthogonal, so the rows that one was summed from are no longer than all of W.
    whole = np.hypot.reduce(size, axis=1)[:, None]
    source, present = np.minimum(noise / (4 * size.shape[1] * EPS), whole), size > 0
    most = np.minimum(sqrt(size.shape[1]) * np.maximum(size, source), whole)
    result = np.log(most, out=np.full(size.shape, -np.inf), where=present)
    result[(present & (size < UNEVEN * source)).any(1)] = np.inf
    return np.asarray(result)


def inverses(W: Array, well: Mask) -> tuple[Mask, Array]:
    """Say where M = W1^(-1)/max(D1, 1) will do, (P,), and return W1^(-1).

    W1 are the k rows that grow most. That M leaves nothing below that grows, but costs the
    condition of W, 1e3 at most, in digits. All others are left to `_pivots`.
    """
    k = W.shape[2]
    inverse = np.zeros((len(W), k, k))
    if well.any():
        well[well] = np.linalg.slogdet(W[well, -k:])[0] != 0
        inverse[well] = np.linalg.inv(W[well, -k:])
        with np.errstate(over="ignore"):
            lengths = [np.sqrt(squares(A)) for A in (W, inverse)]
        well &= lengths[1] <= CONDITION * np.sqrt(k) / np.maximum(lengths[0], 1e-160)
        inverse[~well] = 0
    return well, inverse


def orthonormal(b: Array, c: Array | None, hard: bool, both: bool) -> tuple[Array, Array]:
    """Return rows (b, c), (N, k, m + k), that span the given ones, but are orthonormal.

    As c, None is I. Many small matrices are orthogonalized row by row, all at once, and each
    row twice, as once loses what the condition is. Others are taken one by one, by a Cholesky
    factor, and what the condition has cost is mended by steps of the polar decomposition, of
    order three; unless it is `hard` that is little enough for the square to be formed. Only if
    `both` are asked for is c what belongs to b to the last digit.
    """
    (count, k, m), one = b.shape, np.eye(b.shape[1])
    if count >= MANY * k * k and not hard:
        rows = np.empty((k, m + k, count))
        rows[:, :m] = b.transpose(1, 2, 0)
        rows[:, m:] = one[..., None] if c is None else c.transpose(1, 2, 0)
        for i, row in enumerate(rows):
            for _ in range(2 * (i > 0)):
                along = np.einsum("ijt,jt->it", rows[:i], row)
                row -= np.einsum("it,ijt->jt", along, rows[:i])
            row /= np.sqrt(np.einsum("jt,jt->t", row, row))
        stack = np.ascontiguousarray(rows.transpose(2, 0, 1))
        return stack[..., :m], stack[..., m:]
    from scipy.linalg.lapack import dtrtri  # type: ignore[import-untyped]

    if hard and c is not None:
        R = np.asarray(np.linalg.qr(np.concatenate([b, c], axis=2).mT, mode="r"))
        inverse = np.ascontiguousarray(R.mT)
    else:
        square = squared(b.mT)
        square += one if c is None else squared(c.mT)
        inverse = np.asarray(np.linalg.cholesky(square))
    for matrix in inverse.mT:
        dtrtri(matrix, 0, 0, 1)  # in place; by position, as names would take a third more time
    stack = np.empty((count, k, m + k))
    b, c = np.matmul(inverse, b, out=stack[..., :m]), inverse if c is None else inverse @ c
    stack[..., m:] = c
    for _ in range(3):
        excess = squared(stack.mT)
        excess -= one
        worst = max(excess.max(), -excess.min())
        if worst > 1e-8:
            excess -= 0.75 * (excess @ excess)
        excess *= -0.5
        part = stack if both or worst > 1e-5 else b
        part += excess @ part
        if worst <= 1e-5:
            break
    return b, stack[..., m:]


def squared(A: Array, out: Array | None = None) -> Array:
    """Return A^T A. BLAS has a way of its own for that, which loses where it is narrow."""
    narrow = A.shape[-1] < NARROW
    return np.asarray(np.matmul(A.mT, A.copy(order="K") if narrow else A, out=out))


def rounding(P: Array, A: Array) -> Array:
    """Return the rounding error of the rows of P^T A."""
    # Zeros of an orthogonal basis are exact, or else as wrong as its other entries.
    rows = np.abs(A).sum(-1)[..., None]
    return np.asarray(4 * P.shape[-1] * EPS * ((P != 0).mT @ rows)[..., 0])
