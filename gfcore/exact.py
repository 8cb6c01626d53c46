"""Solutions in closed form: (4), (8), (9), (17) with (22), Proposition 3 and (30).

Typed in as printed, these formulas overflow or lose every digit long before the dynamics has
settled. Here they are rearranged so that nothing grows with t and digits cancel only where
the problem itself loses them.

*The Riccati equation (8), (30).* In the eigenbasis of Y, with X0 = W J W^T,

    X = E W (J + W^T D^2 W)^(-1) W^T E,    E = e^(2tw),    D^2 = (e^(4tw) - 1)/w,

with E and D diagonal. Orthogonalizing the rows of D W, the longest first, gives
D W = T S Q^T: no entry of T exceeds 1, S is diagonal, Q has orthonormal columns. D enters
only by ratios <= 1, S only as min(S, 1) and 1/max(S, 1), and E/D is bounded for t > 0.

*The scalar equation (21).* x(t) = (x0 + sigma G)/(1 + G), a mean of the start and the target
whose weight G(t) >= 0 is a sum of positive terms.

*Existence.* X = Y_- + Z, with Y_- the negative part of Y, turns (5) into the same equation
with |Y| in the place of Y. So the solution exists for all t >= 0 exactly when X0 - Y_- is
positive semidefinite; otherwise it escapes at a finite time.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import schur  # type: ignore[import-untyped]
from scipy.optimize import brentq  # type: ignore[import-untyped]

from gfcore import _check
from gfcore._check import Array
from gfcore.state import Weights

EPS = float(np.finfo(np.float64).eps)

# Weights at which `_common_basis` mixes what it diagonalizes. Different modes may happen to
# coincide in one mixture; they hardly do in three.
MIXTURES = ((1.57, 1.36, 1.41), (-0.81, 1.93, -0.63), (0.58, -1.21, 0.37))


class FiniteEscapeError(ArithmeticError):
    """The solution leaves every bound at a finite time, held in `.time`.

    Examples
    --------
    >>> try:
    ...     riccati([[1.0]], [[-1.0]], 1.0)
    ... except FiniteEscapeError as error:
    ...     print(f"{error.time:.12f} {np.log(2) / 4:.12f}")
    0.173286795140 0.173286795140
    """

    def __init__(self, time: float) -> None:
        super().__init__(f"the solution of (5) escapes to infinity at t = {time:.10g}")
        self.time = time


def linear(Y: ArrayLike, X0: ArrayLike, t: ArrayLike) -> Array:
    """X(t) = Y + (X0 - Y) e^(-t), the one-layer model (4).

    Parameters
    ----------
    Y, X0 : (m, n) array_like
        Target and start.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*t.shape, m, n) array
        X(t), each entry to a few units in the last place.

    Raises
    ------
    ValueError
        If an argument is not finite and real, or the shapes differ.

    Examples
    --------
    >>> linear([[2.0]], [[0.0]], np.log(2))
    array([[1.]])
    """
    target, start = _check.array("Y", Y, 2), _check.array("X0", X0, 2)
    _check.shape("X0", start, target.shape)
    time = _check.times(t)[..., None, None]
    return target * -np.expm1(-time) + start * np.exp(-time)


def symmetric(Y: ArrayLike, U0: ArrayLike, t: ArrayLike) -> Array:
    """X(t) of the symmetric factorization from X0 = U0 U0^T (8).

    Exists for every t >= 0, whether or not Y is invertible. U0 is used as it is, X0 is never
    formed, so the rank of the start is kept for all times.

    Parameters
    ----------
    Y : (m, m) array_like
        Symmetric target.
    U0 : (m, k) array_like
        Initial weights, any width k >= 1.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*t.shape, m, m) array
        X(t), symmetric. The relative error in the Frobenius norm is of the order of 1e-15, or
        what relative changes of that size in Y, U0 and t do to X(t), if that is more: a start
        of rank below m between eigenvalues of Y nearly equal has the condition t ||Y||.
        Directions of U0 below the rounding error of its product with the eigenvectors of Y
        count as absent.

    Raises
    ------
    ValueError
        If Y is not symmetric, an argument is not finite and real, or the shapes disagree.

    Examples
    --------
    A start of rank one learns the largest eigenvalue of Y, and nothing else.

    >>> X = symmetric(np.diag([2.0, 1.0]), [[1e-3], [1e-3]], t=100.0)
    >>> np.allclose(X, [[2.0, 0.0], [0.0, 0.0]], rtol=0, atol=1e-15)
    True
    """
    target, U = _check.symmetric("Y", Y), _check.array("U0", U0, 2)
    _check.shape("U0", U, (target.shape[0], U.shape[1]))
    return _from_factor(*np.linalg.eigh(target), U, _check.times(t))


def riccati(Y: ArrayLike, X0: ArrayLike, t: ArrayLike) -> Array:
    """X(t) of the Riccati equation (5) from any symmetric X0, formula (8).

    Parameters
    ----------
    Y, X0 : (m, m) array_like
        Symmetric target and start. X0 need not be positive semidefinite.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*t.shape, m, m) array
        X(t), symmetric, as accurate as relative changes of 1e-15 in Y, X0 and t allow. The
        condition grows as 1/(1 - t/t*) towards an escape at t*, and as e^(4t|w|) for a start
        that touches a negative eigenvalue w of Y. Eigenvalues of X0, and of X0 less the
        negative part of Y, below their own rounding error count as zero.

    Raises
    ------
    FiniteEscapeError
        If any time is at or past the escape (within 1e-12 of it, relatively). Past it (8) has
        values, but they do not solve (5).
    ValueError
        If Y or X0 is not symmetric, not finite and real, or the shapes differ.

    Examples
    --------
    >>> riccati([[1.0]], [[-1.0]], 0.1)  # 1/(1 - 2/e^(0.4)) exactly
    array([[-2.93564975]])
    >>> riccati([[1.0]], [[-1.0]], 1.0)
    Traceback (most recent call last):
        ...
    gfcore.exact.FiniteEscapeError: the solution of (5) escapes to infinity at t = 0.1732867951
    """
    target = _check.symmetric("Y", Y)
    start = _check.symmetric("X0", X0)
    _check.shape("X0", start, target.shape)
    time = _check.times(t)
    w, P = np.linalg.eigh(target)
    W, J, x = _signed_factor(start, np.abs(start))
    if (J > 0).all():
        return _from_factor(w, P, W, time)
    # Z0 = X0 - Y_- in the eigenbasis of Y; only where it is not >= 0 does X(t) escape.
    negative = np.minimum(w, 0)
    size = np.abs(P.T) @ (np.abs(start) + np.abs(target)) @ np.abs(P)
    Z, signs, z = _signed_factor(P.T @ start @ P - np.diag(negative), size)
    W, noise = P.T @ W, _rounding(P, W)
    escape = np.inf if (signs > 0).all() else _escape(w, W, J, x[0], z[0])
    if (time >= escape * (1 - 1e-12)).any():
        raise FiniteEscapeError(escape)
    G, C = _bracket(w, W, time, J, noise)
    c, V = np.linalg.eigh(C)
    G = G @ V
    H = G / np.where(np.abs(c) < EPS, np.copysign(EPS, c), c)[:, None]
    X = H @ G.mT
    if escape == np.inf:
        # Two expressions for one matrix: the second is the accurate one near X0 = Y_-,
        # where C loses its digits, the first where X decays and Y_- + Z loses its own.
        noise = 4 * w.size * EPS * np.sqrt(np.diagonal(size))
        K, _ = _bracket(np.abs(w), Z, time, noise=noise)
        first = np.linalg.norm(H, axis=(1, 2)) ** 2
        first[np.abs(c).min(1) < 100 * EPS] = np.inf
        second = np.linalg.norm(negative) + np.linalg.norm(K, axis=(1, 2)) ** 2
        X = np.where((first <= second)[:, None, None], X, np.diag(negative) + K @ K.mT)
    X = P @ X @ P.T
    return np.asarray((X + X.mT) / 2).reshape(time.shape + start.shape)


def symmetric_modes(sigma: ArrayLike, sigma0: ArrayLike, t: ArrayLike) -> Array:
    """sigma_i(t), the eigenvalues of X(t) from a symmetric spectral start (9).

    Parameters
    ----------
    sigma, sigma0 : float or (m,) array_like
        Eigenvalues of Y and of X0 in the same order, of any sign, zero included.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*t.shape, m) array, or (*t.shape,) for scalar modes
        sigma_i(t), each with a relative error of about 1e-15 (1 + 4 t |sigma_i|), down to
        where it underflows, and 1e-15/(1 - t/t*) towards an escape at t*.

    Raises
    ------
    FiniteEscapeError
        If any mode has escaped at any time, which needs sigma0 < min(sigma, 0).
    ValueError
        If an argument is not finite and real, or the shapes disagree.

    Examples
    --------
    >>> symmetric_modes([2.0, 0.0, -1.0], [1.0, 1.0, 1.0], t=[0.0, 2.25])
    array([[1.00000000e+00, 1.00000000e+00, 1.00000000e+00],
           [1.99999997e+00, 1.00000000e-01, 6.17087098e-05]])
    """
    s, x = _modes(sigma=sigma, sigma0=sigma0)
    time = _check.times(t)
    time = time.reshape(time.shape + (1,) * s.ndim)
    decay = np.exp(-4 * np.abs(s) * time)
    # Between sigma and 0 no term of (9) but x - sigma is small, and that one is exact.
    near = (x < 0) & (x >= 2 * s)
    top = x * np.where(near, -s * decay, np.where(s > 0, 1, decay))
    bottom = np.where(s > 0, decay, 1) + x * 4 * time * _mean_decay(4 * np.abs(s) * time)
    bottom = np.where(near, (x - s) - x * decay, bottom)
    still = (x == 0) | (x == s)
    if ((bottom <= 0) & ~still).any():
        raise FiniteEscapeError(float(_scalar_escape(s, x).min()))
    return np.where(still, x, top / np.where(still, 1, bottom))


def spectral_constant(sigma: ArrayLike, lam: ArrayLike, x0: ArrayLike) -> Array:
    """C of (22), continued where the printed form is 0/0.

    C = (sigma - x0)/(sqrt((4 sigma^2 + lam^2)(4 x0^2 + lam^2)) + 4 sigma x0 + lam^2), which
    is (22) with its root rationalized, so that nothing cancels, where 4 sigma x0 + lam^2 is
    not negative; elsewhere (22) as it stands. The sign of C is that of sigma - x0.

    Parameters
    ----------
    sigma, lam, x0 : float or (m,) array_like
        Singular value of Y, imbalance u0^2 - v0^2 and start u0 v0 of each mode.

    Returns
    -------
    (m,) array, or a scalar
        C, to a few units in the last place. At x0 = sigma it is 0. Where lam = 0 and
        sigma x0 <= 0 it is infinite: x(t) then stays on its side of zero, and (17) describes
        it for no finite C.

    Raises
    ------
    ValueError
        If an argument is not finite and real, or the shapes disagree.

    Examples
    --------
    >>> spectral_constant(1.0, [0.0, 1e-9, 1.0], 0.1)
    array([1.125    , 1.125    , 0.2445419])
    >>> spectral_constant(1.0, 0.0, -0.1)
    array(inf)
    """
    s, lam, x = _modes(sigma=sigma, lam=lam, x0=x0)
    half = lam / 2
    product = np.hypot(s, half) * np.hypot(x, half)
    dot = s * x + half**2
    top = np.where(dot >= 0, s - x, product - dot)
    bottom = 4 * np.where(dot >= 0, product + dot, half**2 * (s - x))
    with np.errstate(over="ignore"):
        C = _ratio(top, bottom, np.copysign(np.inf, s - x))
    return np.where(s == x, 0.0, C)


def spectral_modes(sigma: ArrayLike, lam: ArrayLike, x0: ArrayLike, t: ArrayLike) -> Array:
    """sigma_i(t), the singular values of X(t) from a spectral start (17).

    Parameters
    ----------
    sigma, lam, x0 : float or (m,) array_like
        Singular value of Y, imbalance u0^2 - v0^2 and start u0 v0 of each mode, of any sign.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*t.shape, m) array, or (*t.shape,) for scalar modes
        sigma_i(t), each with a relative error of about 1e-15 (1 + t sqrt(4 sigma^2 + lam^2)),
        the second term only while the mode has not settled. Where x(t) passes through zero
        the absolute error stays as small as at neighboring times. Imbalances below 1e-150
        count as 0.

    Raises
    ------
    ValueError
        If an argument is not finite and real, or the shapes disagree.

    Examples
    --------
    A balanced mode never leaves its side of zero; the least imbalance takes it to sigma.

    >>> spectral_modes(1.0, [0.0, 1e-6], -0.5, t=40.0)
    array([-6.01617129e-36,  1.00000000e+00])
    """
    s, imbalance, x = _modes(sigma=sigma, lam=lam, x0=x0)
    return _spectral_modes(s, imbalance, x, _check.times(t))


def spectral(Y: ArrayLike, weights0: Weights, t: ArrayLike) -> Array:
    """X(t) from a spectral initialization (Definition 3, Proposition 3).

    Parameters
    ----------
    Y : (m, n) array_like
        Target.
    weights0 : Weights
        U0 = Phi U-bar G, V0 = Psi V-bar G for some singular value decomposition
        Y = Phi Sigma Psi^T, U-bar and V-bar rectangular diagonal, G orthogonal. Where singular
        values of Y repeat or vanish, Phi and Psi are chosen by the weights.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*t.shape, m, n) array
        X(t), to about 1e-14 of ||Y|| + ||U0|| ||V0|| at worst. Weights of a mode below 1e-13
        of those that share its rows, and an imbalance below its rounding error, count as 0.

    Raises
    ------
    ValueError
        If weights0 is not a spectral initialization for Y to 1e-12, an argument is not finite
        and real, or the shapes disagree.

    Examples
    --------
    The singular vectors of the identity are those that the weights choose.

    >>> start = Weights([[3.0, 4.0], [-4.0, 3.0]], [[3.0, 4.0], [0.0, 0.0]])
    >>> np.allclose(spectral(np.eye(2), start, t=1e3), np.eye(2), rtol=0, atol=1e-15)
    True
    """
    target, time = _check.target(Y, weights0), _check.times(t)
    m, n = target.shape
    r = min(m, n)
    R = _compressed(weights0.R)
    size_Y, size_U, size_V = (np.linalg.norm(A, 2) or 1.0 for A in (target, R[:m], R[m:]))
    A, U, V = target / size_Y, R[:m] / size_U, R[m:] / size_V
    rounding = 4 * (m + n) * EPS
    found = (_common_basis(A, U, V, *weights) for weights in MIXTURES)
    defect, left, right, d = min(found, key=lambda basis: basis[0])
    if defect > 16 * rounding:
        raise ValueError(
            "weights0 must be a spectral initialization for Y (Definition 3), not off by "
            f"{defect:.1e} relative, shapes {weights0.U.shape} and {weights0.V.shape}"
        )
    u, v = left.conj().T @ U, right.conj().T @ V
    length_u = size_U * _lengths(u, left, d / rounding)[:r]
    length_v = size_V * _lengths(v, right, d / rounding)[:r]
    x = size_U * size_V * (u[:r] * v[:r].conj()).sum(1).real
    x[length_u * length_v == 0] = 0
    lam = (length_u - length_v) * (length_u + length_v)
    lam[np.abs(lam) <= rounding * length_u**2] = 0
    sigma = (left[:, :r].conj() * (target @ right[:, :r])).sum(0).real
    modes = _spectral_modes(sigma, lam, x, time)
    return np.asarray((left[:, :r] * modes[..., None, :] @ right[:, :r].conj().T).real)


def identity_imbalance(Y: ArrayLike, weights0: Weights, lam: float, t: ArrayLike) -> Array:
    """R(t) R(t)^T of the flow (29) with the imbalance lam I (30), in Y's own coordinates.

    From weights with Q0 = lam I this is the flow (12) itself; from others it is (26), the
    regularized flow. Its blocks are U U^T, U V^T = X, V U^T and V V^T.

    Parameters
    ----------
    Y : (m, n) array_like
        Target.
    weights0 : Weights
        Any start, any width k.
    lam : float
        The imbalance lambda_0, of any sign, zero included.
    t : float or (T,) array_like
        Times >= 0, non-decreasing.

    Returns
    -------
    (*t.shape, m+n, m+n) array
        R(t) R(t)^T, symmetric, with the accuracy of `symmetric`, whose formula this is with
        Y replaced by S-tilde/2 and U0 by R0/2.

    Raises
    ------
    ValueError
        If an argument is not finite and real, or the shapes disagree.

    Examples
    --------
    >>> M = identity_imbalance([[2.0]], Weights([[1.0]], [[1.0]]), lam=3.0, t=1e3)
    >>> np.allclose(M, [[4.0, 2.0], [2.0, 1.0]], rtol=1e-15)
    True
    """
    target, time = _check.target(Y, weights0), _check.times(t)
    half = _check.array("lam", lam, 0).item() / 2
    m, n = target.shape
    r, size = min(m, n), abs(half)
    Phi, sigma, PsiT = np.linalg.svd(target)
    c, s = np.cos(np.arctan2(sigma, size) / 2), np.sin(np.arctan2(sigma, size) / 2)
    if half < 0:
        c, s = s, c
    basis = np.zeros((m + n, m + n))
    basis[:m, :r], basis[m:, :r] = Phi[:, :r] * c, PsiT[:r].T * s
    basis[:m, r : 2 * r], basis[m:, r : 2 * r] = -Phi[:, :r] * s, PsiT[:r].T * c
    basis[:m, 2 * r : m + r], basis[m:, m + r :] = Phi[:, r:], PsiT[r:].T
    # sqrt(sigma^2 + half^2) = size + excess: where lam is large, only the excess tells modes
    # apart, and the difference of two sums would lose it.
    excess = _ratio(sigma**2, np.hypot(sigma, size) + size)
    common = np.repeat([size, -size, half, -half], [r, r, m - r, n - r])
    w = np.stack([common, np.concatenate([excess, -excess, np.zeros(m + n - 2 * r)])])
    return 4 * _from_factor(w / 2, basis, weights0.R / 2, time)


def _modes(**values: ArrayLike) -> list[Array]:
    """Return the named scalars or vectors, checked and broadcast; below 1e-300 they are 0."""
    arrays = [_check.array(name, value, (0, 1)) for name, value in values.items()]
    for name, value in zip(values, arrays, strict=True):
        if value.ndim:
            _check.shape(name, value, max((a.shape for a in arrays), key=len))
    return [np.where(np.abs(a) < 1e-300, 0, a) for a in np.broadcast_arrays(*arrays)]


def _spectral_modes(s: Array, lam: Array, x: Array, time: Array) -> Array:
    time = time.reshape(time.shape + (1,) * s.ndim)
    sign, half = np.where(s < 0, -1.0, 1.0), np.abs(lam) / 2
    s, x = np.abs(s), sign * x
    omega, rho = np.hypot(s, half), np.hypot(x, half)
    y = 2 * omega * time
    q = np.exp(-y)
    omega = np.where(omega > 0, omega, 1.0)
    # G e^(-y) = g = t (1 - q)/y (A + B q), with A + B = 2 rho and A B = (half (s - x)/omega)^2.
    tau = (s * x + half**2) / omega
    A = np.where(
        tau < 0, (half * (s - x) / omega) ** 2 / np.where(tau < 0, rho - tau, 1), rho + tau
    )
    g = time * _mean_decay(y) * (A + (2 * rho - A) * q)
    # From x0 < 0 < sigma, x = u v has its zero where v has; u and v are sums of one sign.
    kappa, cosine = half / omega, s / omega
    tangent = s / (omega + half)
    gap = cosine * tangent  # 1 - kappa
    u = np.sqrt(rho + half)
    v = _ratio(np.abs(x), u)
    U_decay, V_decay = gap * u + cosine * v, cosine * u + (1 + kappa) * v
    limit = 2 * (kappa * rho + half)
    U_limit = (1 + kappa) * _ratio(limit, (1 + kappa) * u + cosine * v)
    V_limit = tangent * _ratio(limit, u + tangent * v)
    Ut = U_limit + q * U_decay
    Vt = np.where(q > 0.5, -np.expm1(-y) * V_decay - 2 * v, V_limit - q * V_decay)
    weight = np.where(q + g > 0, q + g, 1)
    crossing = (x < 0) & (s > 0)
    return sign * np.where(crossing, Ut / 4 * (Vt / weight), (x * q + s * g) / weight)


def _common_basis(
    A: Array, U: Array, V: Array, a: float, b: float, c: float
) -> tuple[float, NDArray[Any], NDArray[Any], Array]:
    """Return unitary bases of the rows of A, U and of A^T, V in which all are diagonal.

    With them come the defect of the result and the singular values of A + a U V^T in its order.
    """
    m, n = A.shape
    r = min(m, n)
    X0 = U @ V.T
    # A and X0 share their singular vectors. A mixture of the two tells apart what is equal in
    # one, and the weights, in a normal matrix, what is equal in the mixture.
    mixture = A + a * X0
    Phi, _, PsiT = np.linalg.svd(mixture)
    real = Phi.T[:r] @ (A + b * X0) @ PsiT[:r].T
    imaginary = _root(Phi.T[:r] @ U) + c * _root(PsiT[:r] @ V)
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
    parallel = v[:r] * _ratio(np.diagonal(X), length_v)[:, None]
    defect = max(
        _off_diagonal(S),
        _off_diagonal(X),
        _off_diagonal(u @ u.conj().T * either[:m, :m]),
        _off_diagonal(v @ v.conj().T * either[:n, :n]),
        np.abs((u[:r] * length_v[:, None] - parallel) * d[:r, None]).max(),
    )
    return defect, left, right, d


def _lengths(u: NDArray[Any], basis: NDArray[Any], d: Array) -> Array:
    """Return the lengths of the rows of u, the weights of each mode; below 1/d they are 0.

    Rounding leaks the weights of one mode into another, the more, the less d tells them apart;
    not into those with which it shares no row of the basis and no hidden unit.
    """
    length = np.linalg.norm(u, axis=1)
    apart = np.maximum(np.maximum.outer(d, d), 1)[: length.size, : length.size]
    shared = (basis != 0).T @ (basis != 0) | (u != 0) @ (u != 0).T
    return np.where(length <= (shared / apart) @ length, 0, length)


def _root(A: Array) -> Array:
    """Return the square root of A A^T, without the loss of digits of that product."""
    P, s, _ = np.linalg.svd(A, full_matrices=False)
    return np.asarray((P * s) @ P.T)


def _ratio(top: Array, bottom: Array, otherwise: Array | float = 0.0) -> Array:
    """top/bottom, and `otherwise` where bottom is 0."""
    return np.where(bottom != 0, top / np.where(bottom != 0, bottom, 1), otherwise)


def _mean_decay(y: Array) -> Array:
    """(1 - e^(-y))/y, the mean of e^(-s) over 0 < s < y; 1 at y = 0."""
    return _ratio(-np.expm1(-y), y, 1.0)


def _rounding(P: Array, A: Array) -> Array:
    """Return the rounding error of the rows of P^T A."""
    return 4 * len(P) * EPS * _sources(P, A)


def _compressed(R: Array) -> Array:
    """Return a factor of R R^T no wider than high, by the gauge freedom of (14)."""
    return R if R.shape[1] <= R.shape[0] else np.asarray(np.linalg.qr(R.T, mode="r")).T


def _sources(basis: NDArray[Any], A: Array) -> Array:
    """Return the size of the rows of A that each row of basis^H A is made of.

    Zeros of an orthogonal basis are exact, or else as wrong as its other entries.
    """
    return np.asarray((basis != 0).T @ np.linalg.norm(A, axis=1))


def _off_diagonal(A: NDArray[Any]) -> float:
    return float(np.abs(A * (1 - np.eye(*A.shape))).max())


def _scalar_escape(sigma: Array, x: Array) -> Array:
    """Time at which (9) escapes, log(1 - sigma/x)/(4 sigma); infinite unless x < sigma, 0."""
    escapes = x < np.minimum(sigma, 0)
    s, x = np.where(escapes, sigma, 1.0), np.where(escapes, x, -1.0)
    with np.errstate(over="ignore", under="ignore"):
        ratio = -s / x
        near = -0.25 / x * _ratio(np.log1p(np.clip(ratio, -0.5, 0.5)), ratio, 1.0)
        far = _ratio(np.log(np.abs(x - s)) - np.log(-x), 4 * s)
        time = np.where(np.abs(ratio) < 0.5, near, far)
    return np.where(escapes, time, np.inf)


def _escape(w: Array, W: Array, J: Array, x: float, z: float) -> float:
    """Time at which J + W^T D^2 W first becomes singular.

    D^2 grows with t, so its eigenvalues do too: the first to reach zero is the largest of the
    negative ones. `x` < 0 and `z` < 0 are the smallest eigenvalues of X0 and X0 - Y_-; with
    the extreme eigenvalues of Y they bracket the escape.
    """
    index = np.count_nonzero(J < 0) - 1

    def eigenvalue(log_t: float) -> float:
        return float(np.linalg.eigvalsh(_bracket(w, W, np.exp([log_t]), J)[1])[0, index])

    earliest = np.log(_scalar_escape(w[-1:], np.array([x]))[0]) - 1e-3
    latest = min(np.log(0.25) - np.log(-z), np.log(_check.LARGEST)) + 1e-3
    if eigenvalue(latest) <= 0:
        return np.inf  # after all times, or X0 - Y_- is below zero only by rounding
    root = brentq(eigenvalue, earliest, latest, xtol=1e-15, rtol=4 * EPS, maxiter=1000)
    return float(np.exp(root))


def _signed_factor(X: Array, size: Array) -> tuple[Array, Array, Array]:
    """Return W, J and the eigenvalues x of X = W diag(J) W^T, J = +-1.

    Left out are eigenvalues below the rounding error of the sums they are made of, whose terms
    are bounded by `size`.
    """
    x, V = np.linalg.eigh(X)
    noise = 4 * x.size * EPS * ((V != 0).T * np.linalg.norm(size, axis=1)).max(1)
    x = np.where(np.abs(x) > noise, x, 0)
    keep = x != 0
    keep[-1] |= not keep.any()
    return V[:, keep] * np.sqrt(np.abs(x[keep])), np.where(x[keep] < 0, -1.0, 1.0), x[keep]


def _from_factor(w: Array, P: Array, U: Array, t: Array) -> Array:
    """X(t) of (8) from X0 = U U^T and Y = P diag(w) P^T, (*t.shape, m, m)."""
    noise = _rounding(P, U)
    W = _compressed(P.T @ U)
    parts = np.array_split(t.reshape(-1), range(256, t.size, 256))  # bounds the memory
    G = P @ np.concatenate([_bracket(w, W, part, noise=noise)[0] for part in parts])
    return np.asarray(G @ G.mT).reshape(t.shape + P.shape)


def _bracket(
    w: Array, W: Array, t: Array, J: Array | None = None, noise: Array | float = 0.0
) -> tuple[Array, Array]:
    """Return G and C with X(t) = G C^(-1) G^T in the eigenbasis of Y, for X0 = W diag(J) W^T.

    Parameters
    ----------
    w : (m,) or (2, m) array
        Eigenvalues of Y, or two parts that sum to them where the sum would round.
    W : (m, k) array
        Factor of X0 in the eigenbasis of Y, k <= m.
    t : (T,) array
        Times >= 0.
    J : (k,) array, optional
        Signs +-1; if given, the columns of W must be independent. Without it all are +1 and
        C = I.
    noise : (m,) array, optional
        Rounding error of the rows of W. A remainder below it is zero: this keeps the rank.

    Returns
    -------
    G : (T, m, k) array
    C : (T, k, k) array
        Symmetric, with eigenvalues in [-1, 1]; as many are negative as are in J until the
        first escape, and one is zero there.
    """
    w = np.atleast_2d(w)
    up = np.where(w.sum(0) > 0, w, 0)
    w, total = w.sum(0), up.sum(0)
    t = np.maximum(t.reshape(-1, 1), 1e-300)  # stands for t = 0, where D is zero
    root = np.sqrt(4 * t * _mean_decay(4 * t * np.abs(w)))  # D = root e^(2 t up)
    log_root = np.log(root)
    m, k = W.shape
    T, S = np.zeros((t.size, m, k)), np.zeros((t.size, 1, k))
    # Which row is longest depends on t, what is left of W only on the rows chosen so far:
    # times that agree in them share a branch. K is J in the coordinates of the columns of W.
    rows, K = W[None], np.diag(np.ones(k) if J is None else J)[None]
    branch = np.zeros(t.size, np.intp)
    for j in range(k):
        norm = np.linalg.norm(rows[:, :, j:], axis=2)
        norm[norm <= noise] = 0
        with np.errstate(divide="ignore"):
            log_length = np.log(norm)[branch] + log_root
        # D relative to the row that grows fastest: its logarithm itself would drown the rest.
        fastest = np.where(norm > 0, total, -1).argmax(1)
        difference = (up[:, None] - up[:, fastest, None]).sum(0)
        # Rows as long as each other but for rounding are taken in their order at all times.
        pivot = (log_length + 2 * t * difference[branch]).round(9).argmax(1)
        seen, branch = np.unique(branch * m + pivot, return_inverse=True)
        old, chosen = np.divmod(seen, m)
        new, rows, K, norm = np.arange(seen.size), rows[old], K[old], norm[old]
        length = norm[new, chosen][:, None]
        # The reflection that turns the chosen row to column j; none if nothing is left.
        v = _ratio(rows[new, chosen, j:], length)
        v[:, :1] += np.where(length > 0, np.copysign(1.0, v[:, :1]), 0)
        v, scaled = v[:, :, None], _ratio(2 * v, (v * v).sum(1, keepdims=True))[:, None]
        rows[:, :, j:] -= (rows[:, :, j:] @ v) * scaled
        K[:, :, j:] -= (K[:, :, j:] @ v) * scaled
        K[:, j:] -= scaled.mT * (v.mT @ K[:, j:])
        rows[new, chosen, j + 1 :] = 0
        share = np.where(norm > 0, rows[:, :, j], 0)
        share = _ratio(share, length)[branch]
        difference = (up[:, None] - up[:, pivot, None]).sum(0)
        growth = np.exp(np.where(share != 0, 2 * t * difference, 0))
        chosen_root = np.take_along_axis(root, pivot[:, None], 1)
        T[:, :, j] = share * growth * root / chosen_root
        log_S = np.take_along_axis(log_length + 2 * t * total, pivot[:, None], 1)
        growth = np.exp(np.where(np.abs(log_S) < 300, 2 * t * total[pivot][:, None], 0))
        S[:, :, j] = np.where(log_S < 300, length[branch] * chosen_root * growth, 1e130)
    # X = E/D T (K/S^2 + T^T T)^(-1) T^T E/D. The columns of `stack` hold the bracket, scaled to
    # a length of about 1; they are made orthonormal, at first up to the condition of T.
    eye = np.eye(k)
    stack = np.concatenate([eye / np.maximum(S, 1), T * np.minimum(S, 1)], axis=1)
    stack = np.linalg.solve(np.asarray(np.linalg.qr(stack, mode="r")).mT, stack.mT).mT
    for _ in range(2):
        stack = stack @ (1.5 * eye - 0.5 * stack.mT @ stack)
    top, bottom = stack[:, :k], stack[:, k:]
    G = (np.exp(-2 * t * np.maximum(-w, 0)) / root)[:, :, None] * bottom
    if J is None:
        return G, np.broadcast_to(eye, top.shape)
    return G, eye - top.mT @ (eye - K[branch]) @ top
