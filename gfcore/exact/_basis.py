"""Bases in which Y and the weights of a spectral start are all diagonal.

Definition 3 speaks of the singular vectors of Y, but where singular values repeat or vanish
these are not determined, and only some of them make the weights diagonal.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gfcore._check import EPS, Array
from gfcore._gauge import narrowed
from gfcore.exact._modes import quotient

# Weights at which `common_basis` mixes what it diagonalizes. Different modes may happen to
# coincide in one mixture; they hardly do in three.
MIXTURES = ((1.57, 1.36, 1.41), (-0.81, 1.93, -0.63), (0.58, -1.21, 0.37))


def in_modes(
    Y: Array, U: Array, V: Array, Sigma: Array | None = None
) -> tuple[NDArray[Any], NDArray[Any], float, tuple[Array, Array, Array, Array]]:
    """Return the bases of the modes, (m, r) and (n, r), with their sigma, lam, x0 and unit.

    The defect that comes before these is above 1 if there are no such bases but for rounding.
    Where Sigma is given, it is diagonal in the bases as well, along modes that Y or X0 has.
    """
    m, n = Y.shape
    r = min(m, n)
    R = narrowed(U, V)
    size_Y, size_U, size_V = (np.linalg.norm(A, 2) or 1.0 for A in (Y, R[:m], R[m:]))
    A, U, V = Y / size_Y, R[:m] / size_U, R[m:] / size_V
    both = A, A
    if Sigma is not None:
        # Y Sigma and X0 Sigma have the same vectors, and tell apart what is equal in Y and X0.
        # Of different modes of Y sums may be equal, as of 1 + 1 and 2 + 0; not so two of them.
        seen = (A + U @ V.T) @ Sigma / (np.linalg.norm(Sigma, 2) or 1.0)
        both = A + seen, A + 0.38 * seen
    rounding = 4 * (m + n) * EPS
    found = (common_basis(*both, U, V, *weights) for weights in MIXTURES)
    defect, left, right, d = min(found, key=lambda basis: basis[0])
    u, v = left.conj().T @ U, right.conj().T @ V
    # A product may be known where one of its weights is lost in what leaks from other modes.
    known = np.abs((u[:r] * v[:r].conj()).sum(1)) > rounding
    length_u = size_U * lengths(u, left, d / rounding)[:r]
    length_v = size_V * lengths(v, right, d / rounding)[:r]
    # Of weights whose products are far from underflow, the unit is 1.
    _, power = np.frexp(np.maximum(length_u, length_v))
    unit = np.ldexp(1.0, np.where(power < -200, power, 0))
    length_u, length_v = length_u / unit, length_v / unit
    # In two steps, as a size over such a unit may be beyond all numbers where its part is 0.
    root = np.sqrt(unit)[:, None]
    u, v = (size / root * a[:r] / root for size, a in ((size_U, u), (size_V, v)))
    x = (u * v.conj()).sum(1).real
    x[(length_u * length_v == 0) & ~known] = 0
    lam = (length_u - length_v) * (length_u + length_v)
    lam[np.abs(lam) <= rounding * length_u**2] = 0
    left, right = left[:, :r], right[:, :r]
    sigma = (left.conj() * (Y @ right)).sum(0).real
    return left, right, defect / (16 * rounding), (sigma, lam, x, unit)


def tilted(Y: Array, half: float) -> tuple[Array, Array]:
    """Return eigenvalues and eigenvectors of [[half I, Y], [Y^T, -half I]].

    The eigenvalues, (2, *stack, m+n), ascend, in two parts that sum to them.
    """
    *stack, m, n = Y.shape
    r, size = min(m, n), abs(half)
    Phi, sigma, PsiT = np.linalg.svd(Y)
    Psi = PsiT.mT
    angle = np.arctan2(sigma, size)[..., None, :] / 2
    c, s = np.cos(angle), np.sin(angle)
    if half < 0:
        c, s = s, c
    basis = np.zeros((*stack, m + n, m + n))
    U, V = basis[..., :m, :], basis[..., m:, :]
    low, high = slice(0, r), slice(-1, -r - 1, -1)
    U[..., low], V[..., low] = -Phi[..., :r] * s, Psi[..., :r] * c
    U[..., high], V[..., high] = Phi[..., :r] * c, Psi[..., :r] * s
    U[..., r:m], V[..., r:n] = Phi[..., r:], Psi[..., r:]
    # sqrt(sigma^2 + half^2) = size + excess: where half is large, only the excess tells modes
    # apart, and the difference of two sums would lose it.
    w, excess = np.zeros((2, *stack, m + n)), quotient(sigma**2, np.hypot(sigma, size) + size)
    w[0] = np.repeat([-size, half if m > n else -half, size], [r, m + n - 2 * r, r])
    w[1, ..., low], w[1, ..., high] = -excess, excess
    return w, basis


def common_basis(
    A: Array, B: Array, U: Array, V: Array, a: float, b: float, c: float
) -> tuple[float, NDArray[Any], NDArray[Any], Array]:
    """Return unitary bases of the rows of A, U and of A^T, V in which all are diagonal.

    As B is, which may tell apart what is equal in A.
    With them come the defect of the result and the singular values of A + a U V^T in its order.
    """
    from scipy.linalg import schur  # type: ignore[import-untyped]

    m, n = A.shape
    r = min(m, n)
    X0 = U @ V.T
    # A and X0 share their singular vectors. A mixture of the two tells apart what is equal in
    # one, and the weights, in a normal matrix, what is equal in the mixture.
    mixture = A + a * X0
    Phi, _, PsiT = np.linalg.svd(mixture)
    real = Phi.T[:r] @ (B + b * X0) @ PsiT[:r].T
    imaginary = root_of_square(Phi.T[:r] @ U) + c * root_of_square(PsiT[:r] @ V)
    _, Z = schur(real + 1j * imaginary, output="complex")
    left = np.hstack([Phi[:, :r] @ Z, Phi[:, r:]])
    right = np.hstack([PsiT[:r].T @ Z, PsiT[r:].T])
    u, v = left.conj().T @ U, right.conj().T @ V
    S, X = left.conj().T @ A @ right, u @ v.conj().T
    # What A and X0 hardly see, d small, is told apart only to 1/d; that much is not a defect.
    d = np.zeros(max(m, n))
    d[:r] = np.abs(np.diagonal(left.conj().T @ mixture @ right))
    either = np.maximum.outer(d, d)
    length_v = np.linalg.norm(v[:r], axis=1)
    parallel = v[:r] * quotient(np.diagonal(X), length_v)[:, None]
    defect = max(
        off_diagonal(S),
        off_diagonal(X),
        off_diagonal(u @ u.conj().T * either[:m, :m]),
        off_diagonal(v @ v.conj().T * either[:n, :n]),
        np.abs((u[:r] * length_v[:, None] - parallel) * d[:r, None]).max(),
    )
    return defect, left, right, d


def lengths(u: NDArray[Any], basis: NDArray[Any], d: Array) -> Array:
    """Return the lengths of the rows of u, the weights of each mode; below 1/d they are 0.

    Rounding leaks the weights of one mode into another, the more, the less d tells them apart;
    not into those with which it shares no row of the basis and no hidden unit.
    """
    length = np.linalg.norm(u, axis=1)
    apart = np.maximum(np.maximum.outer(d, d), 1)[: length.size, : length.size]
    shared = (basis != 0).T @ (basis != 0) | (u != 0) @ (u != 0).T
    return np.where(length <= (shared / apart) @ length, 0, length)


def root_of_square(A: Array) -> Array:
    """Return the square root of A A^T, without the loss of digits of that product."""
    P, s, _ = np.linalg.svd(A, full_matrices=False)
    return np.asarray((P * s) @ P.T)


def off_diagonal(A: NDArray[Any]) -> float:
    return float(np.abs(A * (1 - np.eye(*A.shape))).max())
