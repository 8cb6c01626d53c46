"""X(t) of the Riccati equation (5), (8), from a factor of its start.

In the eigenbasis of Y, with X0 = W J W^T and J = +-1, (8) reads

    X = E W (J + W^T D^2 W)^(-1) W^T E,    E = e^(2tw),    D^2 = (e^(4tw) - 1)/w,

with E and D diagonal. As printed it fails twice: e^(4tw) overflows, and in the inverse what
has grown drowns what has not, though E brings both to the same size. Here E/D, which is
bounded, is taken apart, and D W = T S Q^T with S diagonal, Q orthogonal. Then

    X = E/D b C^(-1) b^T E/D,    C = I + c^T (Q^T J Q - I) c,

where c over b are the columns of max(S, 1)^(-1) over T min(S, 1), made orthonormal: no
number in it is large. Where D W itself is not, T = D W and S = Q = I will do; where it is,
`_pivots` finds factors with T of order 1.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gfcore._check import Array
from gfcore.exact._modes import mean_decay
from gfcore.exact._pivots import graded, independent

EPS = float(np.finfo(np.float64).eps)

# Up to this, D W is orthonormalized as it is: twice the rounding error of an entry of W, 1e-15
# or less, is then 1e-9 at most, and X has only the square of what is orthogonal to W's rows.
DIRECT = 1e5
GRADED = 1e-6
CONDITION = 1e3  # up to this, the inverse of a square W will do
ROUNDING = 1e-14  # an entry of W and its noise must both stay below their limits
CHUNK = 1 << 16  # numbers worked on at once: they stay in the cache


def from_factor(w: Array, P: Array, U: Array, t: Array) -> Array:
    """X(t) of (8) from X0 = U U^T and Y = P diag(w) P^T, (*stack, *t.shape, m, m).

    `w`, (parts, *stack, m), holds the eigenvalues in parts that sum to them, more than one
    where the sum would round.
    """
    m, stack, times = P.shape[-1], P.shape[:-2], t.reshape(-1)
    w, P, U = w.reshape(len(w), -1, m), P.reshape(-1, m, m), U.reshape(-1, *U.shape[-2:])
    narrow = compressed(U)
    W, noise = P.mT @ narrow, rounding(P, narrow)

    def thin(i: int) -> Array:
        return P[i].T @ independent(U[i])

    X = np.empty((len(P), times.size, m, m))
    many = max(1, CHUNK // W[0].size)  # problems times times in a chunk
    for i in range(0, len(P), max(1, many // times.size)):
        some = slice(i, i + max(1, many // times.size))
        for j in range(0, times.size, many):
            now = slice(j, j + many)
            G, _ = bracket(w[:, some], W[some], times[now], noise[some], lambda p: thin(i + p))
            G = P[some, None] @ G
            np.matmul(G, G.mT, out=X[some, now])
    return X.reshape(*stack, *t.shape, m, m)


def bracket(
    w: Array,
    W: Array,
    t: Array,
    noise: Array,
    thin: Callable[[int], Array],
    J: Array | None = None,
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
        A factor with independent columns for the problem of an index, where that matters.
    J : (P, k) array, optional
        Signs +-1; if given, columns of W that are not zero must be independent. Without it
        all are +1 and C = I.

    Returns
    -------
    G : (P, T, m, k) array
    C : (P, T, k, k) array
        Symmetric, with eigenvalues in [-1, 1]; as many are negative as are in J until the
        first escape, and one is zero there.
    """
    P, m, k = W.shape
    up = np.where(w.sum(0) > 0, w, 0)
    total, growth = w.sum(0)[:, None], up.sum(0)[:, None]
    t = np.maximum(t, 1e-300)[:, None]  # stands for t = 0, where D is zero
    root = np.sqrt(4 * t * mean_decay(4 * t * np.abs(total)))  # D = root e^(2 t growth)
    size = np.sqrt(np.einsum("pij,pij->pi", W, W))
    present = size > noise
    source = noise / ROUNDING
    graded_rows = (present & (size < GRADED * source)).any(1)
    size = np.where(present, np.maximum(size, source), 0)
    with np.errstate(divide="ignore"):
        log_size, log_D = np.log(size)[:, None], np.log(root) + 2 * t * growth
    direct = (log_D + log_size).max(-1) <= np.log(DIRECT)
    direct &= ~graded_rows[:, None]
    F = np.zeros((P, len(t), k + m, k))
    F[:, :, range(k), range(k)] = 1
    now = present[:, None] & direct[..., None]
    D = np.where(now, root * np.exp(2 * t * np.where(now, growth, 0)), 0)
    np.multiply(D[..., None], W[:, None], out=F[:, :, k:])
    K = None if J is None else np.repeat((J[..., None] * np.eye(k))[:, None], len(t), axis=1)
    easy = direct.all(1)
    if m == k and not easy.all():
        whole = np.flatnonzero(~easy & present.all(1))
        inverse, well = inverses(W[whole])
        whole = whole[well]
        p, late = np.nonzero(~direct[whole])
        at = whole[p], late
        F[at[0], late, :k] = inverse[well][p] * np.exp(-np.maximum(log_D[at], 0))[:, None]
        F[at[0][:, None], late[:, None], range(k, 2 * k), range(k)] = np.exp(np.minimum(log_D[at], 0))
        easy[whole] = True
    for p in np.flatnonzero(~easy):
        late = np.flatnonzero(~direct[p])
        f, turned = F[p, late], None if K is None else K[p, late]
        graded(up[:, p], root[p, late], t[late], thin(p), noise[p], f, turned)
        F[p, late] = f
        if K is not None:
            K[p, late] = turned
    c, b = orthonormal(F, k, easy.all())
    G = (np.exp(-2 * t * np.maximum(-total, 0)) / root)[..., None] * b
    if K is None:
        return G, np.broadcast_to(np.eye(k), c.shape)
    return G, np.eye(k) + c.mT @ (K - np.eye(k)) @ c


def inverses(W: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return the inverses of square matrices, and which of them are well conditioned."""
    A, s, B = np.linalg.svd(W)
    well = s[:, -1] * CONDITION >= s[:, 0]
    s[~well] = 1
    return (B.mT / s[:, None]) @ A.mT, well


def orthonormal(F: Array, k: int, easy: bool) -> tuple[Array, Array]:
    """Return the first k and the other rows of F (F^T F)^(-1/2), up to a rotation.

    Newton steps of the polar decomposition mend what the condition of F has cost; at most
    that is of order 1e-4 in the `easy` case, where F^T F can be formed.
    """
    R = np.linalg.cholesky(F.mT @ F).mT if easy else np.linalg.qr(F, mode="r")
    Q = F @ np.linalg.inv(R)
    for _ in range(3):
        defect = 0.5 * (np.eye(k) - Q.mT @ Q)
        Q += Q @ defect
        if np.abs(defect).max() < 1e-8:  # the step has squared it
            break
    return Q[..., :k, :], Q[..., k:, :]


def compressed(R: Array) -> Array:
    """Return a factor of R R^T no wider than high, by the gauge freedom of (14)."""
    return R if R.shape[-1] <= R.shape[-2] else np.asarray(np.linalg.qr(R.mT, mode="r")).mT


def rounding(P: Array, A: Array) -> Array:
    """Return the rounding error of the rows of P^T A."""
    # Zeros of an orthogonal basis are exact, or else as wrong as its other entries.
    rows = np.linalg.norm(A, axis=-1)[..., None]
    return 4 * P.shape[-1] * EPS * ((P != 0).mT @ rows)[..., 0]
