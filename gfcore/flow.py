"""The gradient flow itself, integrated numerically at any width: (12) and (26).

Let E = Y - U V^T and R = [U; V]. The flow (12) is R' = [[0, E], [E^T, 0]] R, and along it

    E' = -(U U^T E + E V V^T).

Two things make it cheap. In the singular vectors of U and V the equation for E is diagonal, one
decay rate a_i + b_j an entry, so that an implicit method, which no fast decay limits, costs no
more than an explicit one. And the conservation law (13) can be put back exactly, because adding
(U L, -V L) with a symmetric L moves U^T U - V^T V without moving U V^T.

A step is collocation at the 12 Radau IIA points (order 23, L-stable): the path is a polynomial
in time, which also gives the states inside the step, and whose last coefficients say how
accurate it is. The regularized flow (26) adds P = U^T U - V^T V - Q0, which pushes along
(-U P, V P) / 2, so without moving U V^T, and obeys P' = -(P N + N P) / 2 with N = R^T R,
diagonal in the right singular vectors of R.

References
----------
E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, Springer 1996, IV.5 and
IV.8 (Radau IIA and its linear algebra); E. Hairer, C. Lubich and G. Wanner, Geometric Numerical
Integration, Springer 2006, IV.4 (projection onto invariants).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import orth  # type: ignore[import-untyped]

from gfcore import _check
from gfcore._check import Array
from gfcore.state import Trajectory, Weights

_EPS = float(np.finfo(float).eps)
_ROUNDING = 16 * _EPS  # what a few dozen operations lose
_STAGES = 12
_SWEEPS = 25  # at most, to solve the equations of a step
_ATTEMPTS = 100_000  # at most, to reach the last time
_FINEST = 1e-13  # the smallest tolerance that rounding leaves room for
_SHAPE = 1e-5  # relative tolerance of E, so that its decay is right far below rtol


def _radau(stages: int) -> tuple[Array, Array, Array]:
    """Return the Radau IIA nodes of [0, 1], led by 0, and two matrices for values there.

    One integrates a polynomial from 0 to each node, the other gives Legendre coefficients.
    """
    f = np.zeros(stages + 1)
    f[-1], f[-2] = 1, -1
    x = np.sort(legendre.legroots(f))
    x -= legendre.legval(x, f) / legendre.legval(x, legendre.legder(f))
    x[-1] = 1
    integral = legendre.legint(np.eye(stages), lbnd=-1)
    at_nodes = legendre.legvander(x, stages)
    return (
        np.append(0, (x + 1) / 2),
        at_nodes @ integral @ np.linalg.inv(at_nodes[:, :-1]) / 2,
        np.linalg.inv(legendre.legvander(np.append(-1, x), stages)),
    )


_NODES, _INTEGRATE, _COEFFICIENTS = _radau(_STAGES)
_EIGENVALUES, _MODES = np.linalg.eig(_INTEGRATE)
_TO_MODES = np.linalg.inv(_MODES)


class _Frame(NamedTuple):
    """The state at the start of a step, in coordinates where the linear algebra is diagonal."""

    Y: Array  # Phi^T Y Psi, with the left singular vectors Phi of U and Psi of V
    Q0: Array | None  # G^T Q0 G, with the right singular vectors G of R; None for (12)
    Z: Array  # R = Z C, (m+n, c)
    C: Array  # (c, k)
    scale: Array  # C = diag(scale) G^T
    rates: Array  # a_i + b_j, (m, n)
    Q_rates: Array  # (c_i + c_j) / 2, (c, c)
    Phi: Array
    Psi: Array
    J: Array  # the signs of (13), (m+n, 1)


def _frame(Y: Array, R: Array, Q0: Array | None) -> _Frame:
    m, n = Y.shape
    U, V = R[:m], R[m:]
    Phi, a, _ = np.linalg.svd(U, full_matrices=U.shape[1] < m)
    Psi, b, _ = np.linalg.svd(V, full_matrices=V.shape[1] < n)
    rates = np.zeros((m, n))
    rates[: a.size] += a[:, None] ** 2
    rates[:, : b.size] += b**2
    _, s, Gt = np.linalg.svd(R, full_matrices=Q0 is not None)
    if Q0 is None:
        # Columns of unit size, so that small hidden units keep their digits; a column that is
        # all rounding is left out, which keeps the rank.
        s = s[s > _EPS * (m + n) * s[0]]
        Gt, scale = Gt[: s.size], s
    else:
        scale = np.ones(Gt.shape[0])
        s = np.append(s, np.zeros(scale.size - s.size))
        Q0 = Gt @ Q0 @ Gt.T
    return _Frame(
        Y=Phi.T @ Y @ Psi,
        Q0=Q0,
        Z=np.concatenate([Phi.T @ U, Psi.T @ V]) @ (Gt.T / scale),
        C=scale[:, None] * Gt,
        scale=scale,
        rates=rates,
        Q_rates=(s[:, None] ** 2 + s**2) / 2,
        Phi=Phi,
        Psi=Psi,
        J=np.repeat([1.0, -1.0], [m, n])[:, None],
    )


def _mix(matrix: NDArray[Any], stack: NDArray[Any]) -> Any:
    """Apply a matrix along the first axis of a stack."""
    return (matrix @ stack.reshape(stack.shape[0], -1)).reshape(-1, *stack.shape[1:])


def _interpolate(theta: Array) -> Array:
    """Return the Lagrange polynomials of the nodes at theta, to relative accuracy."""
    ratio = (theta[:, None, None] - _NODES) / (_NODES[:, None] - _NODES + np.eye(_NODES.size))
    return np.asarray(np.where(np.eye(_NODES.size), 1, ratio).prod(axis=-1), float)


def _damp(rates: Array, h: float, stack: Array) -> Array:
    """Solve (I + h rates A) x = stack for each entry, A the matrix of the collocation."""
    modes = _mix(_TO_MODES, stack) / (1 + h * _EIGENVALUES[:, None, None] * rates)
    return np.asarray(_mix(_MODES, modes).real, float)


def _size(stack: Array) -> float:
    """Return the root mean square of the Frobenius norms in a stack of matrices."""
    return math.sqrt(np.vdot(stack, stack) / len(stack))


def _relative(change: float, size: float) -> float:
    return change / max(size, 1e-150)


def _collocate(frame: _Frame, h: float, tol: float) -> tuple[Array, int, float] | None:
    """Return Z at 0 and the nodes of a step, the sweeps, and how far the last one moved X.

    Picard sweeps, corrected by the linear response of E (and P) to the residual. None if they
    do not settle.
    """
    m = frame.Y.shape[0]
    Z0, C, J, Q0 = frame.Z, frame.C, frame.J, frame.Q0
    hA = h * _INTEGRATE
    Z = np.repeat(Z0[None], _STAGES, 0)
    R = Z @ C
    CU, CV = C @ R[0, :m].T, C @ R[0, m:].T
    X = R[:, :m] @ R[:, m:].mT
    accuracy = max(0.01 * tol, _ROUNDING)
    margin = _ROUNDING / accuracy  # X = U V^T is known no better than this allows
    shape = max(1.0, _SHAPE / tol)
    # Small hidden units keep their digits too.
    column = np.linalg.norm(Z0, axis=0)
    column += margin * column.max()
    changes: list[float] = []
    for sweep in range(1, _SWEEPS + 1):
        E = frame.Y - X
        slope = np.concatenate([E @ Z[:, m:], E.mT @ Z[:, :m]], 1)
        if Q0 is not None:
            slope -= J * (Z @ (Z.mT @ (J * Z) - Q0)) / 2
        step = Z0 - Z + _mix(hA, slope)
        response = _mix(hA, _damp(frame.rates, h, step[:, :m] @ CV + (step[:, m:] @ CU).mT))
        if Q0 is not None:
            Q_step = step.mT @ (J * Z0)
            Q_step = _mix(hA, _damp(frame.Q_rates, h, Q_step + Q_step.mT))
            step -= J * (Z0 @ Q_step) / 2
        step[:, :m] -= response @ Z0[m:]
        step[:, m:] -= response.mT @ Z0[:m]
        Z, R_step, X_before = Z + step, step @ C, X
        R = R + R_step
        U, V = R[:, :m], R[:, m:]
        X = U @ V.mT
        moved = _size(X - X_before)
        change = max(
            _relative(_size(step / column), math.sqrt(column.size)),
            _relative(_size(R_step[:, :m]), _size(U)),
            _relative(_size(R_step[:, m:]), _size(V)),
            _relative(
                moved,
                min(_size(X), shape * _size(frame.Y - X[-1:])) + margin * _size(U) * _size(V),
            ),
        )
        changes.append(change)
        stalled = sweep > 1 and change > 0.3 * changes[-2]
        if change < accuracy or (stalled and change < 100 * _EPS):
            return np.concatenate([Z0[None], Z]), sweep, moved
        # Changes alternate between U and V, so only every second one need shrink.
        if not np.isfinite(change) or (sweep > 4 and change > 0.8 * changes[-3]):
            break
    return None


def _truncation(frame: _Frame, Z: Array, tol: float) -> tuple[float, float]:
    """Return the relative error of the polynomials through Z, and the error of X itself.

    Their coefficients go on falling as the last four do.
    """
    m = frame.Y.shape[0]
    R = Z @ frame.C
    U, V = R[:, :m], R[:, m:]
    X = U @ V.mT
    u, v = _size(U), _size(V)
    x = min(_size(X), max(1.0, _SHAPE / tol) * _size(frame.Y - X[-1:]))
    relative = error = 0.0
    for path, noise, size in (U, u, u), (V, v, v), (X, u * v, x):
        tail = _mix(_COEFFICIENTS[-4:], path)
        before, last = _size(tail[:2]), _size(tail[2:])
        error = last * _relative(last, max(last, before)) if last > _ROUNDING * noise else 0.0
        relative = max(relative, _relative(error, size))
    return relative, error


def _conserve(frame: _Frame, Z: Array) -> Array:
    """Put back the imbalance (13) of each state, without moving X."""
    K = frame.Z.T @ (frame.J * frame.Z)
    R = Z * frame.scale
    weight = frame.scale[:, None] * frame.scale
    n, B = np.linalg.eigh(R.mT @ R)
    n = np.maximum(n, _EPS * n[:, -1:])
    for _ in range(3):  # Newton steps
        drift = weight * (Z.mT @ (frame.J * Z) - K)
        if np.abs(drift).max() <= _EPS * weight[0, 0]:
            break
        L = B @ (B.mT @ drift @ B / (n[:, :, None] + n[:, None])) @ B.mT
        Z = Z - frame.J * (Z @ (L * frame.scale[:, None] / frame.scale))
    return Z


def _at_rest(Y: Array, R: Array, Q0: Array | None) -> bool:
    """Whether nothing moves, to rounding."""
    U, V = R[: Y.shape[0]], R[Y.shape[0] :]
    E = Y - U @ V.T
    E_noise = _ROUNDING * (np.abs(Y) + np.abs(U) @ np.abs(V.T))
    if Q0 is None:
        # E V may be small against its own rounding while U and V still move: large weights
        # with an E that only rare directions see do so for long.
        return bool((np.abs(E) <= E_noise).all()) or not ((E @ V).any() or (E.T @ U).any())
    P = U.T @ U - V.T @ V - Q0
    P_noise = _ROUNDING * (np.abs(R.T) @ np.abs(R) + np.abs(Q0)) / 2
    slope = np.concatenate([E @ V - U @ P / 2, E.T @ U + V @ P / 2])
    noise = np.abs(R) @ P_noise
    noise += np.concatenate([E_noise @ np.abs(V), E_noise.T @ np.abs(U)])
    return bool((np.abs(slope) <= noise).all())


def _path(
    Y: Array, R: Array, Q0: Array | None, times: Array, tol: float, conserve: bool
) -> tuple[Array, Array]:
    """Return R at the given times, (T, m+n, k), and the error of X made in the step there."""
    m = Y.shape[0]
    now, end = 0.0, float(times[-1])
    fastest = np.linalg.norm(Y) + np.linalg.norm(R) ** 2
    if Q0 is not None:
        fastest += np.linalg.norm(Q0)
    h = 1 / max(float(fastest), 1e-300)
    done = int(np.searchsorted(times, now, side="right"))
    states = np.empty((times.size, *R.shape))
    states[:done] = R
    errors = np.zeros(times.size)
    frame = None
    for _ in range(_ATTEMPTS):
        if done == times.size:
            return states, errors
        if frame is None:
            if _at_rest(Y, R, Q0):
                states[done:] = R
                return states, errors
            frame = _frame(Y, R, Q0)
        h = min(h, end - now)
        if now + h == now:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            solved = _collocate(frame, h, tol)
        if solved is None:
            h *= 0.4
            continue
        Z, sweeps, moved = solved
        error, X_error = _truncation(frame, Z, tol)
        # The next order would be _STAGES + 1; the error aimed at is about a tenth of tol.
        growth = 0.85 * (tol / max(error, 1e-99)) ** (1 / (_STAGES + 1))
        if error > tol:
            h *= max(0.1, min(growth, 0.9))
            continue
        last = done + int(np.searchsorted(times[done:], now + h, side="right"))
        if h == end - now:
            last = times.size
        theta = np.append(np.minimum((times[done:last] - now) / h, 1), 1)
        Z = Z[0] + _mix(_interpolate(theta)[:, 1:], Z[1:] - Z[0])
        if conserve:
            Z = _conserve(frame, Z)
        Z = Z @ frame.C
        R_theta = np.concatenate([frame.Phi @ Z[:, :m], frame.Psi @ Z[:, m:]], 1)
        states[done:last], R = R_theta[:-1], R_theta[-1]
        errors[done:last] = X_error + moved
        now, done, frame = now + h, last, None
        h *= min(3.0, growth, 16 / sweeps)
    raise ArithmeticError(f"the integration got no further than t = {now:.6g} of {end:.6g}")


def _nudged(Y: Array, R: Array) -> Array:
    """Return R a few rounding errors away, so that the estimate sees how they are magnified.

    A rounding error matters most in a mode of Y that sets out from almost nothing. The modes
    do so in the order of their singular values, each in the hidden units that those before it
    leave free: in a direction known beforehand, the diagonal of a triangular factor. There
    the change is one standard deviation, outwards; a random one alone may happen to miss it.
    """
    m = Y.shape[0]
    Phi, _, PsiT = np.linalg.svd(Y, full_matrices=False)
    G, L = np.linalg.qr((Phi.T @ R[:m] + PsiT @ R[m:]).T)
    G = G * np.copysign(1.0, np.diag(L))
    size = np.abs(R).max() or 1.0
    change = R / size * np.random.default_rng(0).standard_normal(R.shape)
    for side, modes in (slice(m), Phi), (slice(m, None), PsiT.T):
        P = modes[:, : G.shape[1]]
        deviation = np.sqrt((P**2 * ((R[side] / size) ** 2 @ G**2)).sum(0))
        change[side] += P * (deviation - (P * (change[side] @ G)).sum(0)) @ G.T
    return R + 4 * _EPS * size * change


def _integrate(
    Y: Array, R: Array, Q0: Array | None, t: Array, rtol: float
) -> tuple[Array, Array]:
    """Return the path of R and the estimated error of X along it."""
    m = Y.shape[0]
    times, tol = np.atleast_1d(t), rtol
    nudged = _nudged(Y, R)
    while True:
        rough, _ = _path(Y, nudged, Q0, times, 10 * tol, conserve=False)
        fine, step_error = _path(Y, R, Q0, times, tol, conserve=Q0 is None)
        X_rough, X = (path[:, :m] @ path[:, m:].mT for path in (rough, fine))
        gap, X_size, U_size, V_size = (
            np.linalg.norm(x, axis=(1, 2)) for x in (X - X_rough, X, fine[:, :m], fine[:, m:])
        )
        scale = np.maximum(X_size, np.minimum(np.maximum.accumulate(X_size), np.linalg.norm(Y)))
        rounding = _ROUNDING * U_size * V_size
        if tol <= _FINEST or (gap <= rtol * scale + rounding).all():
            return fine, gap + step_error + rounding
        tol = max(tol / 10, _FINEST)


def _trajectory(m: int, t: Array, R: Array, error: Array, start: Weights) -> Trajectory:
    R, error = R.reshape(t.shape + R.shape[1:]), error.reshape(t.shape)
    U, V = R[..., :m, :], R[..., m:, :]
    return Trajectory(t, U @ V.mT, U, V, start.Q, error)


def solve(Y: ArrayLike, weights0: Weights, t: ArrayLike, rtol: float = 1e-10) -> Trajectory:
    """Integrate the gradient flow (12), U' = E V and V' = E^T U with E = Y - U V^T.

    Parameters
    ----------
    Y : (m, n) array_like
        Target.
    weights0 : Weights
        Start, U0 (m, k) and V0 (n, k), of any width.
    t : array_like
        Times, a scalar or one non-decreasing axis, >= 0.
    rtol : float
        Relative tolerance, below 1; one below 1e-13 acts as 1e-13.

    Returns
    -------
    Trajectory
        X (*t.shape, m, n) and the weights, compressed to min(k, m+n) hidden units, which is
        all that the width costs (`Weights.compress`). The imbalance (13) is that of the start
        to rounding, at every time.

    Raises
    ------
    ValueError
        If the shapes of Y and weights0 disagree, an entry is not a finite real number, t
        decreases or is negative, or rtol is out of range.
    ArithmeticError
        If 100,000 steps do not reach the last time.

    Notes
    -----
    The error of X is below rtol times ||X(t)||_F, or where that falls below both ||Y||_F and an
    earlier ||X||_F, times the smaller of these; plus the rounding of the weights themselves,
    some 1e-15 ||U||_F ||V||_F, which is what remains of a large start. `error_estimate` adds
    what the step may have lost to the distance of a second path, with ten times the tolerance
    and started a few rounding errors away. As a rule it is larger than the error, and never
    better than the problem's condition: near a saddle, which multiplies a rounding error by
    exp(sigma t), that is what limits the answer, and the estimate says so.

    The steps are not limited by fast decays, so a long horizon costs little. Large weights that
    are too narrow to let go of (m < k < m+n, ||R||^2 far above ||Y||) are the exception: there
    the slow motion bends, and some hundreds of steps are needed.

    Examples
    --------
    A balanced scalar start follows x' = 2 (1 - x) x.

    >>> path = solve([[1.0]], Weights([[0.1]], [[0.1]]), [0.0, 2.0, 1e6])
    >>> exact = 1 / (1 + 99 * np.exp(-2 * path.t))
    >>> bool(np.abs(path.X[:, 0, 0] / exact - 1).max() < 1e-10)
    True
    >>> bool(path.Q_drift.max() < 1e-15)
    True
    """
    target = _check.target(Y, weights0)
    times, start = _check.times(t), weights0.compress()
    R, error = _integrate(target, start.R, None, times, _tolerance(rtol))
    return _trajectory(target.shape[0], times, R, error, start)


def solve_regularized(
    Y: ArrayLike, weights0: Weights, Q0: ArrayLike, t: ArrayLike, rtol: float = 1e-10
) -> Trajectory:
    """Integrate the regularized flow (26), the gradient flow of (28), from any start.

    U' = E V - U P / 2 and V' = E^T U + V P / 2 with E = Y - U V^T and P = U^T U - V^T V - Q0,
    which is (25) written out (Proposition 4). From a start with P = 0 it is the flow (12).

    Parameters
    ----------
    Y : (m, n) array_like
        Target.
    weights0 : Weights
        Start, U0 (m, k) and V0 (n, k).
    Q0 : (k, k) array_like
        The imbalance to regularize towards, symmetric, in the hidden units of weights0.
    t : array_like
        Times, a scalar or one non-decreasing axis, >= 0.
    rtol : float
        Relative tolerance, and `error_estimate`, as for `solve`.

    Returns
    -------
    Trajectory
        X (*t.shape, m, n) and the weights with all k hidden units, in the order of weights0, so
        that `Q` can be compared with Q0.

    Raises
    ------
    ValueError
        As for `solve`, and if Q0 is not a symmetric (k, k) matrix.
    ArithmeticError
        If 100,000 steps do not reach the last time.

    Notes
    -----
    Rows of R stay in the smallest subspace that contains the rows of R(0) and that Q0 maps into
    itself, since R' = A R + J R Q0 / 2 with a matrix A that acts from the left. The calculation
    is done there: with m+n hidden units at any width for Q0 = lam I and for the imbalance of
    the start, with at most d (m+n) if Q0 has d distinct eigenvalues, and with all k in general.

    Examples
    --------
    The penalty brings back an imbalance that the start does not have.

    >>> start = Weights([[1.0, 0.0]], [[0.5, 0.2]])
    >>> path = solve_regularized([[1.0]], start, np.diag([1.0, -1.0]), [0.0, 50.0])
    >>> np.linalg.norm(path.Q - np.diag([1.0, -1.0]), axis=(1, 2)).round(6)
    array([1.002048, 0.      ])
    """
    target = _check.target(Y, weights0)
    imbalance = _check.symmetric("Q0", Q0)
    k = weights0.U.shape[1]
    _check.shape("Q0", imbalance, (k, k))
    times, tol = _check.times(t), _tolerance(rtol)
    B = _invariant_basis(weights0.R.T, imbalance)
    R, error = _integrate(target, weights0.R @ B, B.T @ imbalance @ B, times, tol)
    return _trajectory(target.shape[0], times, R @ B.T, error, weights0)


def _tolerance(rtol: float) -> float:
    number = _check.positive("rtol", rtol)
    if number >= 1:
        raise ValueError(f"rtol must be below 1, got {number}")
    return max(number, _FINEST)


def _invariant_basis(rows: Array, Q0: Array) -> Array:
    """Return an orthonormal basis of the least invariant subspace of Q0 that holds `rows`."""
    k = Q0.shape[0]
    basis, wider = np.empty((k, 0)), orth(rows)
    while basis.shape[1] < wider.shape[1] < k:
        basis = wider
        wider = orth(
            np.hstack([basis, _relative(1.0, float(np.linalg.norm(Q0))) * (Q0 @ basis)])
        )
    return basis if 0 < wider.shape[1] < k else np.eye(k)
