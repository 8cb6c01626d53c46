"""X(t) of the Riccati equation (5), (8), from a factor of its start.

In the eigenbasis of Y, with X0 = W J W^T and J = +-1, (8) reads

    X = E W (J + W^T D^2 W)^(-1) W^T E,    E = e^(2tw),    D^2 = (e^(4tw) - 1)/w,

with E and D diagonal. As printed it fails twice: e^(4tw) overflows, and in the inverse what
has grown drowns what has not, though E brings both to the same size. Here E/D, which is
bounded, is taken apart. For any matrix M, with c over b made of the orthonormalized columns of
M over D W M,

    X = E/D b C^(-1) b^T E/D,    C = I + c^T (J - I) c.

It remains to choose an M that leaves no large number there; `chosen` says which of three.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gfcore._check import EPS, Array
from gfcore._gauge import independent, narrowed
from gfcore.exact._modes import mean_decay
from gfcore.exact._pivots import graded

Index = NDArray[np.intp]
Mask = NDArray[np.bool_]

CHUNK = 25_000  # entries of W worked on at once: larger arrays get new memory for each result
NARROW = 64  # columns, with fewer of which a copy is cheaper than what is special to squares
SMALLEST = 1e-290  # beside the largest entry of W, others below this are zero
DIRECT, UNEVEN, CONDITION = 1e5, 1e-6, 1e3  # the limits of `chosen`


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

    above, beyond = slice(split or m), slice(split, m)
    X = np.empty((len(P), t.size, split or m, m - split))
    for p, at, G, _ in brackets(w, P.mT @ narrow, t.ravel(), rounding(P, narrow), thin):
        G = of(P, p) @ G
        X[p, at] = G[:, above] @ G[:, beyond].mT
    return X.reshape(*stack, *t.shape, *X.shape[-2:])


def brackets(
    w: Array,
    W: Array,
    t: Array,
    noise: Array,
    thin: Callable[[int], Array],
    J: Array | None = None,
) -> Iterator[tuple[Index, Index, Array, Array]]:
    """Yield G and C with X(t) = G C^(-1) G^T in the eigenbasis of Y, for X0 = W diag(J) W^T.

    Parameters
    ----------
    w : (parts, P, m) array
        Eigenvalues of Y of P problems, ascending, in parts.
    W : (P, m, k) array
        Factors of X0 in the eigenbasis of Y.
    t : (T,) array
        Times >= 0.
    noise : (P, m) array
        Rounding error of the rows of W. A row below it is zero.
    thin : callable
        The factor of a problem, by its number, with independent columns.
    J : (P, k) array, optional
        Signs +-1; if given, columns of W that are not zero must be independent. Without it
        all are +1 and C = I.

    Yields
    ------
    p, at : (N,) arrays
        Numbers of problems and of times. Each pair comes once.
    G : (N, m, k) array
    C : (N, k, k) array
        Symmetric, with eigenvalues in [-1, 1]; as many are negative as are in J until the
        first escape, and one is zero there.
    """
    m, k = W.shape[1:]
    total, one = w.sum(0), np.eye(k)
    up = np.where(total > 0, w, 0)
    rise, fall = up.sum(0), np.maximum(-total, 0)
    # To numbers that can be squared: W by a power of two, D against it.
    unit = np.exp2(np.round(np.log2(np.maximum(np.abs(W).max((1, 2)), 1e-160))))[:, None]
    W = flushed(np.where((np.abs(W).sum(2) > noise)[..., None], W / unit[..., None], 0))
    noise = noise / unit
    t = np.maximum(t, 1e-280)[:, None]  # stands for t = 0, where D is zero
    root = unit[:, None] * np.sqrt(4 * t * mean_decay(4 * t * np.abs(total)[:, None]))
    log_D = np.log(root) + 2 * t * rise[:, None]
    direct, well, inverse = chosen(W, noise, log_D)

    def grown(p: Index, at: Index) -> Array:
        low = log_D[p, at] < 350  # a W of 1e-305 in the least unit is 1e-145
        e = np.exp(np.where(low, t[at] * rise[p], 0))
        return np.where(low, root[p, at] * e * e, 1e152)  # D, as far as numbers go

    def solved(
        p: Index, at: Index, c: Array | None, b: Array, K: Array | None, hard: bool = False
    ) -> tuple[Index, Index, Array, Array]:
        c, b = orthonormal(c, b, hard, K is not None)
        G = (unit[p] * np.exp(-2 * t[at] * fall[p]) / root[p, at])[..., None] * b
        return p, at, G, one if K is None else one + c.mT @ (K - one) @ c

    K = None if J is None else J[:, None] * one
    for p, at in chunks(direct, m * k):  # M = I
        b = grown(p, at)[..., None] * of(W, p)
        yield solved(p, at, None, b, None if K is None else of(K, p))
    if direct.all():
        return
    # M = W1^(-1) max(D1, 1)^(-1), with W1 the rows that grow most
    share = W[:, :-k] @ inverse
    gap = (up[:, :, :-k, None] - up[:, :, None, -k:]).sum(0)
    for p, at in chunks(well[:, None] & ~direct, m * k):
        c = of(inverse, p) * np.exp(-np.maximum(log_D[p, at, None, -k:], 0))
        b = np.zeros((len(p), m, k))
        b[:, range(m - k, m), range(k)] = 1
        if m > k:
            ratio = root[p, at, :-k, None] / root[p, at, None, -k:]
            b[:, :-k] = of(share, p) * ratio * np.exp(2 * t[at, None] * of(gap, p))
        b *= np.minimum(grown(p, at)[:, None, -k:], 1)
        yield solved(p, at, c, b, None if K is None else of(K, p))
    # M = Q max(S, 1)^(-1); Q is left to K
    for i in np.flatnonzero(~well & ~direct.all(1)):
        factor = flushed(thin(int(i)) / unit[i])
        for _, at in chunks(~direct[[i]], m * k):
            p = np.full(len(at), i)
            c, b, turned = graded(
                up[:, i], root[i, at], t[at], factor, noise[i], k, J if J is None else J[i]
            )
            yield solved(p, at, c, b, turned, hard=True)


def flushed(W: Array) -> Array:
    """Return W without what would lose digits in a product with the smallest numbers."""
    return np.where(np.abs(W) < SMALLEST, 0, W)


def of(A: Array, p: Index) -> Array:
    """Return what belongs to the problems p; if there is but one, for all times at once."""
    return A if len(A) == 1 else A[p]


def chunks(mask: Mask, size: int) -> Iterator[tuple[Index, Index]]:
    """Yield the problems and times of a mask in parts, which bounds the memory."""
    p, at = np.nonzero(mask)
    step = max(1, CHUNK // size)
    for j in range(0, len(p), step):
        yield p[j : j + step], at[j : j + step]


def chosen(W: Array, noise: Array, log_D: Array) -> tuple[Mask, Mask, Array]:
    """Say where M = I will do, (P, T), and else M = W1^(-1)/max(D1, 1), (P,); return W1^(-1).

    M = I as long as no row of D W is longer than 1e5, so that its square can be formed. A row
    may be shorter than the numbers that it was summed from; these, too, must not become
    longer, as their rounding error does not lie in the span of the rows, and its square is
    seen in X. Where a row is shorter by 1e-6, it would be seen as soon as X has decayed to
    that row.

    W1 are the k rows that grow most. M = W1^(-1)/max(D1, 1) leaves nothing below that grows,
    but costs the condition of W, 1e3 at most, in digits. All others are left to `_pivots`.
    """
    k = W.shape[2]
    size = np.fmax(np.sqrt(np.vecdot(W, W)), np.abs(W).max(2))  # squares may underflow
    # P is orthogonal, so the rows that one was summed from are no longer than all of W.
    whole = np.sqrt(np.vecdot(size, size))[:, None]
    source = np.minimum(noise / (4 * W.shape[1] * EPS), whole)
    even = ~((size > 0) & (size < UNEVEN * source)).any(1)
    with np.errstate(divide="ignore"):
        longest = np.log(np.where(size > 0, np.maximum(size, source), 0))
    direct = ((log_D + longest[:, None]).max(-1) <= np.log(DIRECT)) & even[:, None]
    well, inverse = ~direct.all(1) & (size[:, -k:] > 0).all(1), np.zeros((len(W), k, k))
    if well.any():
        well[well] = np.linalg.slogdet(W[well, -k:])[0] != 0
        inverse[well] = np.linalg.inv(W[well, -k:])
        with np.errstate(over="ignore"):
            lengths = [np.linalg.norm(A, axis=(1, 2)) for A in (W, inverse)]
        well &= lengths[1] <= CONDITION * np.sqrt(k) / np.maximum(lengths[0], 1e-160)
        inverse[~well] = 0
    return direct, well, inverse


def orthonormal(c: Array | None, b: Array, hard: bool, both: bool) -> tuple[Array, Array]:
    """Return (c over b) (c^T c + b^T b)^(-1/2) in its parts, up to a rotation; c None is I.

    What the condition has cost is mended by steps of the polar decomposition, of order three;
    unless it is `hard` that is little enough for the square to be formed.
    """
    from scipy.linalg.lapack import dtrtri  # type: ignore[import-untyped]

    one, high = np.eye(b.shape[-1]), b.shape[-2]
    if hard and c is not None:
        R = np.asarray(np.linalg.qr(np.concatenate([c, b], axis=1), mode="r"))
        L = np.ascontiguousarray(R.mT)
    else:
        L = np.linalg.cholesky(squared(b) + (one if c is None else squared(c)))
    inverse = L.mT
    for matrix in inverse:
        dtrtri(matrix, 0, 0, 1)  # in place; by position, as names would take a third more time
    stack = np.empty((len(b), high + len(one), len(one)))
    b, c = np.matmul(b, inverse, out=stack[:, :high]), inverse if c is None else c @ inverse
    stack[:, high:] = c
    for _ in range(3):
        # In place: new memory would cost more than the products.
        excess = squared(stack, out=L)
        excess -= one
        worst = max(excess.max(), -excess.min())
        if worst > 1e-8:
            excess -= 0.75 * (excess @ excess)
        excess *= -0.5
        part = stack if both or worst > 1e-5 else b
        part += part @ excess
        if worst <= 1e-5:
            break
    return stack[:, high:], b


def squared(A: Array, out: Array | None = None) -> Array:
    """Return A^T A. BLAS has a way of its own for that, which loses where A is narrow."""
    return np.asarray(np.matmul(A.mT, A.copy() if A.shape[-1] < NARROW else A, out=out))


def rounding(P: Array, A: Array) -> Array:
    """Return the rounding error of the rows of P^T A."""
    # Zeros of an orthogonal basis are exact, or else as wrong as its other entries.
    rows = np.abs(A).sum(-1)[..., None]
    return np.asarray(4 * P.shape[-1] * EPS * ((P != 0).mT @ rows)[..., 0])
