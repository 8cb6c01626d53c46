"""X(t) of the Riccati equation (5), (8), from a factor of its start.

In the eigenbasis of Y, with X0 = W J W^T and J = +-1, (8) reads

    X = E W (J + W^T D^2 W)^(-1) W^T E,    E = e^(2tw),    D^2 = (e^(4tw) - 1)/w,

with E and D diagonal. As printed it fails twice: e^(4tw) overflows, and in the inverse what
has grown drowns what has not, though E brings both to the same size. Here E/D, which is
bounded, is taken apart. For any matrix M, with c over b = F (F^T F)^(-1/2) made of the
orthonormalized columns of F = M over D W M,

    X = E/D b C^(-1) b^T E/D,    C = I + c^T (J - I) c.

It remains to choose an M that leaves no large number in F; `chosen` says which of three.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gfcore._check import EPS, Array
from gfcore.exact._modes import mean_decay
from gfcore.exact._pivots import graded, independent

CHUNK = 1 << 14  # entries of W worked on at once: what is made of them stays in the cache
DIRECT, UNEVEN, CONDITION = 1e5, 1e-6, 1e3  # the limits of `chosen`


def from_factor(w: Array, P: Array, U: Array, t: Array) -> Array:
    """X(t) of (8) from X0 = U U^T and Y = P diag(w) P^T, (*stack, *t.shape, m, m).

    `w`, (parts, *stack, m), holds the eigenvalues in parts that sum to them, more than one
    where the sum would round.
    """
    *stack, m, k = U.shape
    w, P, U, times = (
        w.reshape(len(w), -1, m),
        P.reshape(-1, m, m),
        U.reshape(-1, m, k),
        t.ravel(),
    )
    narrow = compressed(U)
    W, noise = P.mT @ narrow, rounding(P, narrow)

    def thin(i: int) -> Array:
        return np.asarray(P[i].T @ independent(U[i]))

    X = np.empty((len(P), times.size, m, m))
    for some, now in chunks(len(P), times.size, W[0].size):
        G, _ = bracket(w, W, times[now], noise, thin, some=some)
        G = P[some, None] @ G
        np.matmul(G, G.mT, out=X[some, now])
    return X.reshape(*stack, *t.shape, m, m)


def chunks(problems: int, times: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Yield parts of the problems and of the times, which bounds the memory."""
    many = max(1, CHUNK // size)
    step = max(1, many // times)
    for i in range(0, problems, step):
        for j in range(0, times, many):
            yield slice(i, i + step), slice(j, j + many)


def bracket(
    w: Array,
    W: Array,
    t: Array,
    noise: Array,
    thin: Callable[[int], Array],
    J: Array | None = None,
    some: slice = slice(None),
) -> tuple[Array, Array]:
    """Return G and C with X(t) = G C^(-1) G^T in the eigenbasis of Y, for X0 = W diag(J) W^T.

    Parameters
    ----------
    w : (parts, P, m) array
        Eigenvalues of Y of P problems, in parts.
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
    some : slice
        The problems to be solved.

    Returns
    -------
    G : (P', T, m, k) array
    C : (P', T, k, k) array
        Symmetric, with eigenvalues in [-1, 1]; as many are negative as are in J until the
        first escape, and one is zero there.
    """
    start, (w, W, noise) = some.start or 0, (w[:, some], W[some], noise[some])
    P, m, k = W.shape
    up = np.where(w.sum(0) > 0, w, 0)
    total, growth = w.sum(0)[:, None], up.sum(0)[:, None]
    t = np.maximum(t, 1e-300)[:, None]  # stands for t = 0, where D is zero
    root = np.sqrt(4 * t * mean_decay(4 * t * np.abs(total)))  # D = root e^(2 t growth)
    log_D = np.log(root) + 2 * t * growth
    direct, square, inverse = chosen(W, noise, log_D)
    # M = I, and D W as it is.
    F = np.zeros((P, len(t), k + m, k))
    F[:, :, range(k), range(k)] = 1
    present = (np.linalg.norm(W, axis=2) > noise)[:, None] & direct[..., None]
    D = np.where(present, root * np.exp(2 * t * np.where(present, growth, 0)), 0)
    np.multiply(D[..., None], W[:, None], out=F[:, :, k:])
    # M = W^(-1) max(D, 1)^(-1).
    if square.any():
        p, late = np.nonzero(square[:, None] & ~direct)
        log_D = log_D[p, late]
        F[p, late, :k] = inverse[p] * np.exp(-np.maximum(log_D, 0))[:, None]
        below = np.arange(k, 2 * k)
        F[p[:, None], late[:, None], below, below - k] = np.exp(np.minimum(log_D, 0))
    # M = Q max(S, 1)^(-1); Q is left to K, which is J otherwise.
    K = (
        None
        if J is None
        else np.repeat((J[some][:, None] * np.eye(k))[:, None], len(t), axis=1)
    )
    pivoted = ~square & ~direct.all(1)
    for i in map(int, np.flatnonzero(pivoted)):
        late = np.flatnonzero(~direct[i])
        f, turned = F[i, late], None if K is None else K[i, late]
        graded(up[:, i], root[i, late], t[late], thin(start + i), noise[i], f, turned)
        F[i, late] = f
        if K is not None:
            K[i, late] = turned
    c, b = orthonormal(F, k, not pivoted.any())
    G = (np.exp(-2 * t * np.maximum(-total, 0)) / root)[..., None] * b
    if K is None:
        return G, np.broadcast_to(np.eye(k), c.shape)
    return G, np.eye(k) + c.mT @ (K - np.eye(k)) @ c


def chosen(
    W: Array, noise: Array, log_D: Array
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Array]:
    """Say where M = I will do, (P, T), and else M = W^(-1)/max(D, 1), (P,); and return W^(-1).

    M = I as long as no row of D W is longer than 1e5, so that F^T F can be formed. A row
    may be shorter than the numbers that it was summed from; these, too, must not become
    longer, as their rounding error does not lie in the span of the rows, and its square is
    seen in X. Where a row is shorter by 1e-6, it would be seen as soon as X has decayed to
    that row. M = W^(-1)/max(D, 1) leaves D/max(D, 1) below, which is bounded at all times,
    but costs the condition of W, 1e3 at most, in digits. All others are left to `_pivots`.
    """
    m, k = W.shape[1:]
    size, source = np.linalg.norm(W, axis=2), noise / (4 * m * EPS)
    present = size > noise
    even = ~(present & (size < UNEVEN * source)).any(1)
    with np.errstate(divide="ignore"):
        longest = np.log(np.where(present, np.maximum(size, source), 0))
    direct = ((log_D + longest[:, None]).max(-1) <= np.log(DIRECT)) & even[:, None]
    square, inverse = np.zeros(len(W), bool), np.zeros((len(W), k, m))
    candidates = np.flatnonzero(~direct.all(1) & present.all(1) & (m == k))
    if candidates.size:
        A, s, B = np.linalg.svd(W[candidates])
        well = s[:, -1] * CONDITION >= s[:, 0]
        square[candidates[well]] = True
        inverse[square] = (B[well].mT / s[well, None]) @ A[well].mT
    return direct, square, inverse


def orthonormal(F: Array, k: int, even: bool) -> tuple[Array, Array]:
    """Return the first k and the other rows of F (F^T F)^(-1/2), up to a rotation.

    Newton steps of the polar decomposition mend what the condition of F has cost; in the
    `even` case that is little enough for F^T F to be formed.
    """
    R = np.linalg.cholesky(F.mT @ F).mT if even else np.linalg.qr(F, mode="r")
    Q = F @ np.linalg.inv(R)
    for _ in range(3):
        defect = 0.5 * (np.eye(k) - Q.mT @ Q)
        F, Q = Q, np.matmul(Q, np.eye(k) + defect, out=F)  # new memory costs more than products
        if np.abs(defect).max() < 1e-8:  # the step has squared it
            break
    return Q[..., :k, :], Q[..., k:, :]


def compressed(R: Array) -> Array:
    """Return a factor of R R^T no wider than high, by the gauge freedom of (14)."""
    if R.shape[-1] <= R.shape[-2]:
        return R
    return np.asarray(np.linalg.qr(R.mT, mode="r")).mT


def rounding(P: Array, A: Array) -> Array:
    """Return the rounding error of the rows of P^T A."""
    # Zeros of an orthogonal basis are exact, or else as wrong as its other entries.
    rows = np.linalg.norm(A, axis=-1)[..., None]
    return np.asarray(4 * P.shape[-1] * EPS * ((P != 0).mT @ rows)[..., 0])
