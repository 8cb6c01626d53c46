"""The paper's equations as they are printed, one function a number, to be read beside it.

Nothing is rearranged: (8), (9), (17) and (30) overflow or lose their digits as t grows, and
(22) is 0/0 for balanced weights. `gfcore.exact` evaluates the same solutions to rounding, and
says why the printed form does not. What has no exponential takes SymPy's symbols and matrices
as well as numbers; `exp` and `sqrt` are those of the numbers at hand, such as `mpmath.exp`.

Shapes: Y, X (m, n), or (m, m) in Section 2; U (m, k), V (n, k), R (m+n, k); sigma, lam, t
scalars or arrays that broadcast. Nothing is checked.

>>> import numpy as np
>>> import sympy
>>> u, v, s = sympy.symbols("u v s")
>>> eq_12(*map(sympy.Matrix, ([s], [u], [v])))[0]
Matrix([[v*(s - u*v)]])
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def eq_2(Y: Any, X: Any) -> Any:
    """Return the loss of one layer, ||Y - X||_F^2 / 2."""
    return _squares(Y - X) / 2


def eq_3(Y: Any, U: Any) -> Any:
    """Return the loss of the symmetric factorization, ||Y - U U^T||_F^2 / 2."""
    return _squares(Y - U @ U.T) / 2


def eq_3_flow(Y: Any, U: Any) -> Any:
    """Return dU/dt = 2 (Y - U U^T) U, the flow (1) of (3), printed unnumbered."""
    return 2 * (Y - U @ U.T) @ U


def eq_4(Y: Any, X0: Any, t: Any, exp: Callable[[Any], Any] = np.exp) -> Any:
    """Return X(t) of one layer: Y + (X0 - Y) e^(-t)."""
    return Y + (X0 - Y) * exp(-t)


def eq_5(Y: Any, X: Any) -> Any:
    """Return dX/dt of two equal layers, a Riccati equation: 2 Y X + 2 X Y - 4 X^2."""
    return 2 * Y @ X + 2 * X @ Y - 4 * X @ X


def eq_6(Y: Any, X: Any) -> Any:
    """Return what vanishes at a stationary point of (5): Y X + X Y - 2 X^2."""
    return Y @ X + X @ Y - 2 * X @ X


def eq_7(Y: Any, X: Any) -> Any:
    """Return what (6) reduces to: X (Y - X)."""
    return X @ (Y - X)


def eq_8(
    Y: Any,
    X0: Any,
    t: Any,
    expm: Callable[[Any], Any] | None = None,
    inv: Callable[[Any], Any] = np.linalg.inv,
) -> Any:
    """Return X(t) of (5), Proposition 1: e^(2tY) X0 [I + Y^-1 (e^(4tY) - I) X0]^-1 e^(2tY).

    With an `expm` (SciPy's if it is None) and an `inv` of their own, Y and X0 may be arrays of
    mpmath's numbers or of SymPy's symbols.

    Raises
    ------
    numpy.linalg.LinAlgError
        If Y or the bracket is singular.
    """
    expm = expm or _expm()
    eye = np.eye(len(Y), dtype=int)
    bracket = eye + inv(Y) @ (expm(4 * t * Y) - eye) @ X0
    return expm(2 * t * Y) @ X0 @ inv(bracket) @ expm(2 * t * Y)


def eq_9(sigma: Any, sigma0: Any, t: Any, exp: Callable[[Any], Any] = np.exp) -> Any:
    """Return sigma_i(t) from a symmetric spectral start, Corollary 1."""
    return sigma + sigma * (sigma0 - sigma) / (sigma + sigma0 * (exp(4 * t * sigma) - 1))


def eq_11(Y: Any, U: Any, V: Any) -> Any:
    """Return the loss of two layers, ||Y - U V^T||_F^2 / 2."""
    return _squares(Y - U @ V.T) / 2


def eq_12(Y: Any, U: Any, V: Any) -> tuple[Any, Any]:
    """Return dU/dt = (Y - U V^T) V and dV/dt = (Y - U V^T)^T U, the flow of two layers."""
    E = Y - U @ V.T
    return E @ V, E.T @ U


def eq_13(U: Any, V: Any) -> Any:
    """Return the imbalance Q = U^T U - V^T V, which (12) conserves."""
    return U.T @ U - V.T @ V


def eq_14(Phi: Any, Psi: Any, U_bar: Any, V_bar: Any, G: Any) -> tuple[Any, Any]:
    """Return U = Phi U_bar G^T and V = Psi V_bar G^T, for any G in O(k)."""
    return Phi @ U_bar @ G.T, Psi @ V_bar @ G.T


def eq_17(
    sigma: Any,
    lam: Any,
    C: Any,
    t: Any,
    exp: Callable[[Any], Any] = np.exp,
    sqrt: Callable[[Any], Any] = np.sqrt,
) -> Any:
    """Return sigma_i(t) from a spectral start, Proposition 3; C is that of (22)."""
    e = exp(t * sqrt(4 * sigma**2 + lam**2))
    top = sigma * e**2 - 2 * C * lam**2 * e - 4 * sigma * lam**2 * C**2
    return top / (e**2 + 8 * sigma * C * e - 4 * lam**2 * C**2)


def eq_19(sigma: Any, u: Any, v: Any) -> tuple[Any, Any]:
    """Return du/dt = (sigma - u v) v and dv/dt = (sigma - u v) u, the flow of one mode."""
    return (sigma - u * v) * v, (sigma - u * v) * u


def eq_20(u: Any, v: Any) -> Any:
    """Return the imbalance of one mode, u^2 - v^2: a start stays on its hyperbola."""
    return u**2 - v**2


def eq_21(sigma: Any, lam: Any, x: Any, sqrt: Callable[[Any], Any] = np.sqrt) -> Any:
    """Return dx/dt of one mode, x = u v: 2 (sigma - x) sqrt(x^2 + lam^2/4)."""
    return 2 * (sigma - x) * sqrt(x**2 + lam**2 / 4)


def eq_22(sigma: Any, lam: Any, x0: Any, sqrt: Callable[[Any], Any] = np.sqrt) -> Any:
    """Return the constant C of (17), the root over the first four terms."""
    root = sqrt(4 * sigma**2 * lam**2 + 16 * sigma**2 * x0**2 + lam**4 + 4 * x0**2 * lam**2)
    return (root - 4 * sigma * x0 - lam**2) / (4 * lam**2 * (sigma - x0))


def eq_23(
    sigma: Any,
    lam: Any,
    C: Any,
    t: Any,
    exp: Callable[[Any], Any] = np.exp,
    sqrt: Callable[[Any], Any] = np.sqrt,
) -> Any:
    """Return |sigma_i(t) - sigma_i| for late t: 2 C (4 sigma^2 + lam^2) e^(-t sqrt(...))."""
    return 2 * C * (4 * sigma**2 + lam**2) * exp(-t * sqrt(4 * sigma**2 + lam**2))


def eq_24(Y: Any) -> tuple[Any, Any]:
    """Return S = [0, Y; Y^T, 0] and S_bar = [I, 0; 0, -I]/2, (m+n, m+n).

    The paper writes Sigma, the diagonal form of Y that (14) brings about; so here for R in Y's
    own coordinates.
    """
    m, n = Y.shape
    S = np.block([[np.zeros((m, m)), Y], [Y.T, np.zeros((n, n))]])
    return S, np.diag([1.0] * m + [-1.0] * n) / 2


def eq_25(Y: Any, R: Any, Q0: Any) -> Any:
    """Return dR/dt, R = [U; V]: S R - R R^T R / 2 + S_bar R Q0."""
    S, S_bar = eq_24(Y)
    return S @ R - R @ R.T @ R / 2 + S_bar @ R @ Q0


def eq_26(Y: Any, U: Any, V: Any, Q0: Any) -> tuple[Any, Any]:
    """Return dU/dt and dV/dt of the regularized flow, Proposition 4."""
    E, P = Y - U @ V.T, U.T @ U - V.T @ V - Q0
    return E @ V - U @ P / 2, E.T @ U + V @ P / 2


def eq_28(Y: Any, U: Any, V: Any, Q0: Any) -> Any:
    """Return the regularized loss, ||Y - U V^T||_F^2 / 2 + ||U^T U - V^T V - Q0||_F^2 / 8.

    It is (27) in Y's own coordinates.
    """
    return _squares(Y - U @ V.T) / 2 + _squares(U.T @ U - V.T @ V - Q0) / 8


def eq_29(Y: Any, R: Any, lam: Any) -> Any:
    """Return dR/dt for Q0 = lam I: S_tilde R - R R^T R / 2, S_tilde = S + lam S_bar."""
    S, S_bar = eq_24(Y)
    S_tilde = S + lam * S_bar
    return S_tilde @ R - R @ R.T @ R / 2


def eq_30(
    Y: Any,
    R0: Any,
    lam: Any,
    t: Any,
    expm: Callable[[Any], Any] | None = None,
    inv: Callable[[Any], Any] = np.linalg.inv,
) -> Any:
    """Return R(t) R(t)^T for the imbalance lam I, Proposition 5, with S = S_tilde of (29).

    e^(tS) R0 R0^T [I + S^-1 (e^(2tS) - I) R0 R0^T / 2]^-1 e^(tS); `expm` and `inv` as in (8).

    Raises
    ------
    numpy.linalg.LinAlgError
        If S_tilde or the bracket is singular.
    """
    expm = expm or _expm()
    S, S_bar = eq_24(Y)
    S_tilde = S + lam * S_bar
    eye = np.eye(len(S), dtype=int)
    bracket = eye + inv(S_tilde) @ (expm(2 * t * S_tilde) - eye) @ R0 @ R0.T / 2
    return expm(t * S_tilde) @ R0 @ R0.T @ inv(bracket) @ expm(t * S_tilde)


def eq_32(X: Any, sigma: Any, eta: Any) -> Any:
    """Return X_(k+1), a step of gradient descent on one layer."""
    return X + eta * (sigma - X)


def eq_33(U: Any, sigma: Any, eta: Any) -> Any:
    """Return U_(k+1), a step of gradient descent on two equal scalar layers."""
    return U + 2 * eta * (sigma - U**2) * U


def eq_34(X: Any, sigma: Any) -> Any:
    """Return dX/dt, the limit of (32) for small steps."""
    return sigma - X


def eq_35(U: Any, sigma: Any) -> Any:
    """Return dU/dt, the limit of (33) for small steps."""
    return 2 * (sigma - U**2) * U


def eq_36(X: Any, sigma: Any) -> Any:
    """Return the perturbed variable X_tilde, X - sigma."""
    return X - sigma


def eq_37(sigma: Any, c: Any, t: Any, exp: Callable[[Any], Any] = np.exp) -> Any:
    """Return X(t) of X' = 4 sigma X - 4 X^2; c belongs to the start."""
    return sigma / (1 - c * exp(-4 * sigma * t))


def eq_38(X: Any, sigma: Any, eta: Any) -> Any:
    """Return X_(k+1) = U_(k+1)^2, by (33)."""
    return X + 4 * eta * (sigma - X) * X + 4 * eta**2 * (sigma - X) ** 2 * X


def eq_39(X_tilde: Any, sigma: Any, eta: Any) -> Any:
    """Return the middle of (39): the perturbed variable after a step, less O(eta^2)."""
    return X_tilde - 4 * eta * X_tilde * (sigma + X_tilde)


def _expm() -> Callable[[Any], Any]:
    """Return the matrix exponential, imported when it is used."""
    from scipy.linalg import expm  # type: ignore[import-untyped]

    return expm  # type: ignore[no-any-return]


def _squares(A: Any) -> Any:
    """||A||_F^2, of symbols too."""
    return np.sum(np.square(np.asarray(A)))
