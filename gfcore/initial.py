"""Initial states: Gaussian, orthogonal, balanced, spectral, imbalanced (Definitions 1-3)."""

from __future__ import annotations

import reprlib

import numpy as np
from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import Array
from gfcore.state import Weights


def _orthonormal(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Return (rows, columns <= rows) with orthonormal columns, uniformly distributed."""
    Q, R = np.linalg.qr(rng.standard_normal((rows, columns)))
    # QR alone favors some signs; this makes the distribution invariant under rotations.
    return np.asarray(Q * np.copysign(1.0, np.diag(R)))


def _sizes(m: int, n: int, k: int) -> tuple[int, int, int]:
    return _check.count("m", m, 1), _check.count("n", n, 1), _check.count("k", k, 1)


def _drawn(name: str, spread: float, U: Array, V: Array) -> Weights:
    """Return weights drawn with this spread, or raise ValueError where it is too large."""
    if max(np.abs(U).max(), np.abs(V).max()) > _check.LARGEST:
        raise ValueError(
            f"{name} must be smaller, so that no weight is beyond {_check.LARGEST:g}, "
            f"got {spread:g}"
        )
    return Weights(U, V)


@_check.quiet
def gaussian(m: int, n: int, k: int, std: float, rng: np.random.Generator) -> Weights:
    """Draw weights with independent N(0, std^2) entries, as in Section 6.

    Parameters
    ----------
    m, n, k : int
        Rows of U, rows of V, and the width.
    std : float
        Standard deviation of every entry, >= 0.
    rng : numpy.random.Generator
        Source of the draw; U is drawn first.

    Returns
    -------
    Weights
        U (m, k) and V (n, k).

    Raises
    ------
    ValueError
        If a size is below 1, std is negative or too large, or rng is not a Generator.

    Examples
    --------
    >>> weights = gaussian(5, 10, 50, std=0.1, rng=np.random.default_rng(0))
    >>> weights.U.shape, weights.V.shape
    ((5, 50), (10, 50))
    """
    m, n, k = _sizes(m, n, k)
    std, rng = _check.nonnegative("std", std), _check.generator(rng)
    U = std * rng.standard_normal((m, k))
    return _drawn("std", std, U, std * rng.standard_normal((n, k)))


@_check.quiet
def orthogonal(
    m: int, n: int, k: int, q1: float, q2: float, rng: np.random.Generator
) -> Weights:
    """Draw weights with orthogonal rows: U U^T = q1 I, V V^T = -q2 I and U V^T = 0.

    X0 is zero to rounding, and Q has the eigenvalue q1 m times, q2 n times and otherwise 0:
    these are starts of `gfcore.exact.two_imbalances`. Gaussian weights of the variances q1/k
    and -q2/k become such as the width k grows.

    Parameters
    ----------
    m, n, k : int
        Rows of U, rows of V, and the width, k >= m + n.
    q1, q2 : float
        The eigenvalues, q1 >= 0 >= q2.
    rng : numpy.random.Generator
        Source of the draw; the rows are uniformly distributed.

    Returns
    -------
    Weights
        U (m, k) and V (n, k).

    Raises
    ------
    ValueError
        If k < m + n, q1 < 0 or q2 > 0, a size is below 1, or rng is not a Generator.

    Examples
    --------
    >>> weights = orthogonal(2, 3, 50, q1=4.0, q2=-1.0, rng=np.random.default_rng(0))
    >>> bool(np.abs(weights.X).max() < 1e-14), np.linalg.norm(weights.U, axis=1)
    (True, array([2., 2.]))
    """
    m, n, k = _sizes(m, n, k)
    if k < m + n:
        raise ValueError(
            f"m + n orthogonal rows need k >= m + n, got k = {k}, m = {m}, n = {n}"
        )
    q1, below = _check.nonnegative("q1", q1), -_check.array("q2", q2, 0).item()
    if below < 0:
        raise ValueError(f"q2 must be <= 0, got {-below}")
    rows = _orthonormal(k, m + n, _check.generator(rng)).T
    return Weights(np.sqrt(q1) * rows[:m], np.sqrt(below) * rows[m:])


@_check.quiet
def balanced(
    m: int,
    n: int,
    k: int,
    scale: float,
    rng: np.random.Generator,
    det_sign: int | None = None,
) -> Weights:
    """Draw weights with Q = 0 to rounding (Definition 2 with epsilon = 0).

    The factor with fewer rows is Gaussian; the other is that factor times a matrix O with
    orthonormal columns, as for every balanced state: for m <= n, V = O U.

    Parameters
    ----------
    m, n, k : int
        Rows of U, rows of V, and the width.
    scale : float
        Standard deviation of the Gaussian factor, >= 0.
    rng : numpy.random.Generator
        Source of the draw.
    det_sign : {1, -1}, optional
        The sign of det(X0), X0 = U V^T, for m = n <= k. From a balanced square start det(X)
        never changes sign along the flow, so X reaches Y only if this is the sign of det(Y).
        Without det_sign both signs are equally likely.

    Returns
    -------
    Weights
        U (m, k) and V (n, k), of rank min(m, n, k).

    Raises
    ------
    ValueError
        If a size is below 1, scale is negative or too large, rng is not a Generator, or
        det_sign is asked for where X0 has no determinant or det(X0) = 0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bool(np.abs(balanced(3, 5, 8, 1.0, rng).Q).max() < 1e-14)
    True
    >>> np.sign(np.linalg.det(balanced(3, 3, 8, 1.0, rng, det_sign=-1).X))
    np.float64(-1.0)
    """
    m, n, k = _sizes(m, n, k)
    scale, rng = _check.nonnegative("scale", scale), _check.generator(rng)
    if det_sign is not None:
        number = _check.whole(det_sign) or isinstance(det_sign, float | np.floating)
        if not number or det_sign not in (1, -1):
            got = reprlib.repr(det_sign)
            raise ValueError(f"det_sign must be 1, -1 or None, got {got}")
        if m != n or k < m or scale == 0:
            raise ValueError(
                "det_sign needs m = n <= k and scale > 0, or X0 = U V^T has no determinant "
                f"other than 0; got m = {m}, n = {n}, k = {k}, scale = {scale}"
            )
    small = scale * rng.standard_normal((min(m, n), k))
    O = _orthonormal(max(m, n), min(m, n), rng)  # noqa: E741
    if det_sign is not None:
        # det(X0) = det(U U^T) det(O).
        O[:, 0] *= det_sign * np.linalg.slogdet(O).sign
    large = O @ small
    return _drawn("scale", scale, *((small, large) if m <= n else (large, small)))


@_check.quiet
def spectral(
    Y: ArrayLike,
    u: ArrayLike,
    v: ArrayLike,
    k: int | None = None,
    rng: np.random.Generator | None = None,
) -> Weights:
    """Return a spectral initialization (Definition 3): diagonal in Y's singular vectors.

    U0 = Phi U-bar G^T and V0 = Psi V-bar G^T with Y = Phi Sigma Psi^T, as in (14), so that
    Q0 = G (U-bar^T U-bar - V-bar^T V-bar) G^T. Definition 3 prints G where (14) has G^T; G is
    any orthogonal matrix, so both describe the same set of starts.

    Parameters
    ----------
    Y : (m, n) array_like
        Target. Where singular values repeat, the start is diagonal in one choice of its
        singular vectors.
    u, v : 1-D array_like
        Diagonals of U-bar (m, k) and V-bar (n, k), for the singular values of Y from the
        largest on; at most min(m, k) and min(n, k) long, and zero beyond what is given.
    k : int, optional
        Width; max(m, n) if not given.
    rng : numpy.random.Generator, optional
        Source of a random gauge G; without it G is the identity.

    Returns
    -------
    Weights
        U0 (m, k) and V0 (n, k).

    Raises
    ------
    ValueError
        If an argument is not as above.

    Examples
    --------
    >>> Y = np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
    >>> weights = spectral(Y, u=[0.3, 0.1], v=[0.1, 0.2], k=4, rng=np.random.default_rng(0))
    >>> weights.X.round(9) + 0.0
    array([[0.  , 0.03, 0.  ],
           [0.02, 0.  , 0.  ]])
    """
    target = _check.array("Y", Y, 2)
    u, v = _check.array("u", u, 1), _check.array("v", v, 1)
    m, n = target.shape
    k = max(m, n) if k is None else _check.count("k", k, 1)
    for name, diagonal, rows in (("u", u, m), ("v", v, n)):
        if diagonal.size > min(rows, k):
            raise ValueError(
                f"{name} must have at most {min(rows, k)} entries, the diagonal of a "
                f"{(rows, k)} matrix, as Y and k set it; got {diagonal.size}"
            )
    r = max(u.size, v.size)
    Phi, _, PsiT = np.linalg.svd(target, full_matrices=r > min(m, n))
    # The columns of G beyond the r-th meet only zeros.
    G = np.eye(k, r) if rng is None else _orthonormal(k, r, _check.generator(rng))
    U = Phi[:, : u.size] * u @ G[:, : u.size].T
    return Weights(U, PsiT[: v.size].T * v @ G[:, : v.size].T)


@_check.quiet
def symmetric_spectral(Y: ArrayLike, sigma0: ArrayLike) -> Array:
    """Return a symmetric spectral initialization U0 = Phi Sigma0^(1/2) (Definition 1).

    Parameters
    ----------
    Y : (m, m) array_like
        Symmetric target, Y = Phi Sigma Phi^T with its eigenvalues in descending order. Where
        they repeat, X0 is diagonal in one choice of eigenvectors.
    sigma0 : (m,) array_like
        Eigenvalues of X0 = U0 U0^T, >= 0, in the order of Y's eigenvalues.

    Returns
    -------
    (m, m) ndarray
        U0. The signs of its columns are arbitrary; X0 does not depend on them.

    Raises
    ------
    ValueError
        If Y is not a symmetric matrix, sigma0 has the wrong length, or an entry is negative.

    Examples
    --------
    >>> U0 = symmetric_spectral(np.diag([-1.0, 3.0]), sigma0=[0.25, 4.0])
    >>> U0 @ U0.T
    array([[4.  , 0.  ],
           [0.  , 0.25]])
    """
    Phi = np.linalg.eigh(_check.symmetric("Y", Y)).eigenvectors[:, ::-1]
    start = _check.array("sigma0", sigma0, 1)
    _check.shape("sigma0", start, Phi.shape[:1], "Y")
    if (start < 0).any():
        raise ValueError(f"sigma0 must be >= 0, got a smallest entry of {start.min()}")
    return np.asarray(Phi * np.sqrt(start))


@_check.quiet
def imbalanced(
    m: int, n: int, k: int, lam: float, scale: float, rng: np.random.Generator
) -> Weights:
    """Draw weights with Q = lam I_k to rounding, where they exist (Proposition 5).

    U^T U - V^T V has at most m positive and n negative eigenvalues, so all k can equal lam
    only if k <= m for lam > 0, and k <= n for lam < 0; in that range every V (for lam > 0)
    or U (for lam < 0) occurs. The count in (31) allows k <= m + n, which is not enough.

    Parameters
    ----------
    m, n, k : int
        Rows of U, rows of V, and the width.
    lam : float
        The imbalance; 0 gives a balanced state, which exists for every k.
    scale : float
        Standard deviation of the entries of V for lam > 0, of U for lam < 0, >= 0.
    rng : numpy.random.Generator
        Source of the draw.

    Returns
    -------
    Weights
        U (m, k) and V (n, k).

    Raises
    ------
    ValueError
        If no weights have this Q, a size is below 1, scale is negative or too large, lam is
        not a finite number, or rng is not a Generator.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bool(np.abs(imbalanced(3, 4, 3, 2.0, 1.0, rng).Q - 2 * np.eye(3)).max() < 1e-13)
    True
    >>> imbalanced(3, 4, 4, 2.0, 1.0, rng)
    Traceback (most recent call last):
        ...
    ValueError: Q = lam I_k needs k <= m for lam > 0, because U^T U - V^T V has at most m \
eigenvalues of that sign; got k = 4, m = 3, lam = 2.0
    """
    m, n, k = _sizes(m, n, k)
    lam = _check.array("lam", lam, 0).item()
    scale, rng = _check.nonnegative("scale", scale), _check.generator(rng)
    if lam == 0:
        return balanced(m, n, k, scale, rng)
    rows, other, name, side = (m, n, "m", ">") if lam > 0 else (n, m, "n", "<")
    if k > rows:
        raise ValueError(
            f"Q = lam I_k needs k <= {name} for lam {side} 0, because U^T U - V^T V has at "
            f"most {name} eigenvalues of that sign; got k = {k}, {name} = {rows}, lam = {lam}"
        )
    small = scale * rng.standard_normal((other, k))
    # The R of this QR has R^T R = small^T small + |lam| I, without forming that sum.
    R = np.linalg.qr(np.vstack([small, np.sqrt(abs(lam)) * np.eye(k)]), mode="r")
    large = _orthonormal(rows, k, rng) @ R
    return _drawn("scale", scale, *((large, small) if lam > 0 else (small, large)))
