"""The flows (12) and (26) by implicit steps, which no fast decay limits.

Let E = Y - U V^T and R = [U; V]. The flow (12) is R' = [[0, E], [E^T, 0]] R, and along it

    E' = -(U U^T E + E V V^T).

Two things make it cheap. In the singular vectors of U and V the equation for E is diagonal, one
decay rate a_i + b_j an entry, so that implicit steps cost no more than explicit ones would. And
the conservation law (13) can be put back exactly, because adding (U L, -V L) with a symmetric
L moves U^T U - V^T V without moving U V^T.

A step is collocation at the 12 Radau IIA points (order 23, L-stable): the path is a polynomial
in time, which also gives the states inside the step, and whose last coefficients say how
accurate it is. The regularized flow (26) adds P = U^T U - V^T V - Q0, which pushes along
(-U P, V P) / 2, so without moving U V^T, and obeys P' = -(P N + N P) / 2 with N = R^T R,
diagonal in the right singular vectors of R.

Where inputs are not white, E = Y - U V^T Sigma. With Sigma = W W^T it moves by a product F W^T
only, and in the left singular vectors of U each row of F obeys F_i' = -F_i W^T (V V^T + a_i) W,
so that there is one small symmetric matrix a row to be made diagonal.

References
----------
E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, Springer 1996, IV.5 and
IV.8 (Radau IIA and its linear algebra); E. Hairer, C. Lubich and G. Wanner, Geometric Numerical
Integration, Springer 2006, IV.4 (projection onto invariants).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from gfcore import paper
from gfcore._check import EPS, Array
from gfcore._scale import norm
from gfcore._taylor import ATTEMPTS, ROUNDING, SLOWEST, TRIED

_LEAST = float(np.finfo(float).tiny)  # size of a hidden unit; a smaller one has no digits
_LARGEST = float(np.finfo(float).max) ** 0.25  # entry whose fourth power is a number
_STAGES = 12
_SWEEPS = 25  # at most, to solve the equations of a step
STUCK = "the integration got no further than t = {:.6g} of {:.6g}"
_LEAK = 1e-3  # of the state, the most that rounding errors may make of it in a step
_NOTHING = 1e-150  # a size of which no step keeps digits
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
# The eigenvalues of that matrix are pairs of conjugates, of which one is enough: stages to the
# real and imaginary parts of the modes, and back.
_EIGENVALUES, _MODES = np.linalg.eig(_INTEGRATE)
_HALF = _EIGENVALUES.imag > 0
_EIGENVALUES, _TO_MODES = _EIGENVALUES[_HALF], np.linalg.inv(_MODES)[_HALF]
_TO_MODES = np.concatenate([_TO_MODES.real, _TO_MODES.imag])
_MODES = 2 * np.concatenate([_MODES[:, _HALF].real, -_MODES[:, _HALF].imag], axis=1)


class _Frame(NamedTuple):
    """The state at the start of a step, in coordinates where the linear algebra is diagonal."""

    Y: Array  # Phi^T Y Psi, with the left singular vectors Phi of U and Psi of V
    Q0: Array | None  # G^T Q0 G, with the right singular vectors G of R; None for (12)
    Z: Array  # R G = Z diag(scale), (m+n, k)
    scale: Array  # (k,)
    Gt: Array | None  # G^T; None for (12), where it is I
    rates: Array  # a_i + b_j, (m, n)
    Sigma: Array | None  # None where inputs are white
    turn: Array | None  # W times the eigenvectors of each row of F, (m, n, n)
    Q_rates: Array  # (c_i + c_j) / 2, (k, k)
    Phi: Array
    Psi: Array
    J: Array  # the signs of (13), (m+n, 1)


def _frame(Y: Array, R: Array, Q0: Array | None, Sigma: Array | None = None) -> _Frame:
    m, n = Y.shape
    U, V = R[:m], R[m:]
    Phi, a, _ = np.linalg.svd(U, full_matrices=U.shape[1] < m)
    rates, turn = np.zeros((m, n)), None
    rates[: a.size] += a[:, None] ** 2
    if Sigma is None:
        Psi, b, _ = np.linalg.svd(V, full_matrices=V.shape[1] < n)
        rates[:, : b.size] += b**2
    else:
        variance, W = np.linalg.eigh(Sigma)
        W *= np.sqrt(np.maximum(variance, 0))
        VW, Psi = W.T @ V, np.eye(n)
        rates, turn = np.linalg.eigh(VW @ VW.T + rates[:, :, None] * (W.T @ W))
        turn = W @ turn
    Z, Gt = np.concatenate([Phi.T @ U, Psi.T @ V]), None
    if Q0 is None:
        # Columns of unit size, so that small hidden units keep their digits.
        s = np.hypot.reduce(R, axis=0)  # squares of it may underflow
        scale = np.where(s > 0, s, 1.0)
    else:
        _, s, Gt = np.linalg.svd(R)
        scale = np.ones(len(Gt))
        s = np.append(s, np.zeros(scale.size - s.size))
        Q0, Z = Gt @ Q0 @ Gt.T, Z @ Gt.T
    return _Frame(
        Y=Phi.T @ Y @ Psi,
        Q0=Q0,
        Z=Z / scale,
        scale=scale,
        Gt=Gt,
        rates=rates,
        Sigma=Sigma,
        turn=turn,
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


def _damping(rates: Array, h: float) -> Callable[[Array], Array]:
    """Return what solves (I + h rates A) x = b for each entry, A that of the collocation."""
    factor = 1 / (1 + h * _EIGENVALUES[:, None, None] * rates)

    def solve(b: Array) -> Array:
        parts = _mix(_TO_MODES, b)
        re, im = parts[: len(factor)], parts[len(factor) :]
        damped = np.concatenate(
            [re * factor.real - im * factor.imag, re * factor.imag + im * factor.real]
        )
        return np.asarray(_mix(_MODES, damped))

    return solve


def _size(stack: Array) -> float:
    """Return the root mean square of the Frobenius norms in a stack of matrices."""
    return math.sqrt(np.vdot(stack, stack) / len(stack))


def _relative(change: float, size: float) -> float:
    return change / max(size, _NOTHING)


def _collocate(frame: _Frame, h: float, tol: float) -> tuple[Array, int, float, float] | None:
    """Return Z at 0 and the nodes of a step, the sweeps, what X still lacks, and noise.

    Picard sweeps, corrected by the linear response of E (and P) to the residual. None if they
    do not settle.
    """
    m = frame.Y.shape[0]
    Z0, scale, J, Q0 = frame.Z, frame.scale, frame.J, frame.Q0
    hA = h * _INTEGRATE
    damp = _damping(frame.rates, h)
    damp_Q = None if Q0 is None else _damping(frame.Q_rates, h)
    Z = np.repeat(Z0[None], _STAGES, 0)
    R = Z * scale
    CU, CV = ((R[0, side] * scale).T for side in (slice(m), slice(m, None)))
    X = R[:, :m] @ R[:, m:].mT
    accuracy = max(0.01 * tol, ROUNDING)
    # Of what inputs of large variance see, rounding errors reach what decays slowly.
    leaks = 0.0 if frame.Sigma is None else min(_LEAK, ROUNDING * h * float(frame.rates.max()))
    margin = ROUNDING / accuracy  # X = U V^T is known no better than this allows
    shape = max(1.0, _SHAPE / tol)
    column = _units(frame, h, margin)
    changes: list[float] = []
    for sweep in range(1, _SWEEPS + 1):
        E = frame.Y - (X if frame.Sigma is None else X @ frame.Sigma)
        slope = np.concatenate([E @ Z[:, m:], E.mT @ Z[:, :m]], 1)
        if Q0 is not None:
            slope -= J * (Z @ (Z.mT @ (J * Z) - Q0)) / 2
        step = Z0 - Z + _mix(hA, slope)
        response = step[:, :m] @ CV + (step[:, m:] @ CU).mT
        if frame.turn is not None:
            response = (response[:, :, None] @ frame.turn)[:, :, 0]
        response = _mix(hA, damp(response))
        if frame.turn is not None:
            response = (response[:, :, None] @ frame.turn.mT)[:, :, 0]
        if damp_Q is not None:
            Q_step = step.mT @ (J * Z0)
            Q_step = _mix(hA, damp_Q(Q_step + Q_step.mT))
            step -= J * (Z0 @ Q_step) / 2
        step[:, :m] -= response @ Z0[m:]
        step[:, m:] -= response.mT @ Z0[:m]
        Z, R_step, X_before = Z + step, step * scale, X
        R = R + R_step
        U, V = R[:, :m], R[:, m:]
        X = U @ V.mT
        # Errors grow along the step; every second sweep may leave what it has moved, or more.
        left = 2 * float(norm(X - X_before).max())
        change = max(
            _relative(_size(step / column), math.sqrt(column.size)),
            _relative(_size(R_step[:, :m]), _size(U)),
            _relative(_size(R_step[:, m:]), _size(V)),
            _relative(
                _size(X - X_before),
                _known(frame, X, shape) + margin * _size(U) * _size(V),
            ),
        )
        changes.append(change)
        stalled = sweep > 1 and change > 0.3 * changes[-2]
        if change < accuracy or (stalled and change < 100 * EPS):
            return np.concatenate([Z0[None], Z]), sweep, left, ROUNDING
        # Changes alternate between U and V, so only every second one need shrink.
        if not np.isfinite(change) or (sweep > 4 and change > 0.8 * changes[-3]):
            if change < leaks:
                return np.concatenate([Z0[None], Z]), sweep, left, 4 * change
            break
    return None


def _known(frame: _Frame, X: Array, shape: float) -> float:
    """Return the size that changes of X (N, m, n) are relative to: its own, or so much of E."""
    if frame.Sigma is not None:
        return _size(X)
    return min(_size(X), shape * _size(frame.Y - X[-1:]))


def _units(frame: _Frame, h: float, margin: float) -> Array:
    """Return the sizes of hidden units, so that small ones keep their digits, and a margin.

    It is for the rounding errors that a step h brings in from other units: by P those that are
    not orthogonal entry by entry, by C all.
    """
    column = np.hypot.reduce(frame.Z, axis=0, initial=1e-300)  # squares of it may underflow
    if frame.Q0 is None:
        return np.asarray(column + margin * column.max())
    mixed = np.abs(frame.Z).T @ np.abs(frame.Z) + np.abs(frame.Q0)
    return np.asarray(column + margin * np.minimum(h * column @ mixed, column.max()))


def _truncation(
    frame: _Frame, Z: Array, h: float, tol: float, noise: float
) -> tuple[float, float]:
    """Return the relative error of the polynomials through Z, and the error of X itself.

    Their coefficients go on falling as the last four do.
    """
    m = frame.Y.shape[0]
    R = Z * frame.scale
    U, V = R[:, :m], R[:, m:]
    X = U @ V.mT
    u, v = _size(U), _size(V)
    x = _known(frame, X, max(1.0, _SHAPE / tol))
    # A small hidden unit may lose a hundred times as much of its own size, as in `_taylor`.
    column = np.maximum(_units(frame, h, ROUNDING / max(0.01 * tol, ROUNDING)), 1e-300)
    tail = np.linalg.norm(_mix(_COEFFICIENTS[-4:], Z), axis=1).reshape(2, 2, -1).max(1)
    fall = tail[1] / np.maximum(tail.max(0), 1e-300)
    lost = np.where(tail[1] > noise * column, tail[1] * fall, 0) / column
    relative, error = 0.01 * float(lost.max()), 0.0
    for path, factors, size in (U, u, u), (V, v, v), (X, u * v, x):
        tail = _mix(_COEFFICIENTS[-4:], path)
        before, last = _size(tail[:2]), _size(tail[2:])
        error = last * _relative(last, max(last, before)) if last > noise * factors else 0.0
        relative = max(relative, _relative(error, size))
    return relative, error


def conserve(Z: Array, K: Array, J: Array, scale: Array | None = None) -> Array:
    """Put back the imbalance (13), K in these coordinates, of each state, without moving X."""
    scale = np.ones(len(K)) if scale is None else scale
    R = Z * scale
    weight = scale[:, None] * scale
    n, B = np.linalg.eigh(R.mT @ R)
    n = np.maximum(n, np.maximum(EPS * n[:, -1:], 1e-300))
    for _ in range(3):  # Newton steps
        drift = weight * (Z.mT @ (J * Z) - K)
        turn = B.mT @ drift @ B / (n[:, :, None] + n[:, None])
        L = B @ turn @ B.mT
        Z = Z - J * (Z @ (L * scale[:, None] / scale))
        if np.abs(turn).max() <= 1e-8:  # what is left is its square
            break
    return Z


def at_rest(Y: Array, R: Array, Q0: Array | None, Sigma: Array | None = None) -> bool:
    """Whether nothing moves, to rounding."""
    U, V = R[: Y.shape[0]], R[Y.shape[0] :]
    seen = V if Sigma is None else Sigma @ V
    E = Y - U @ seen.T
    E_noise = ROUNDING * (np.abs(Y) + np.abs(U) @ np.abs(seen.T))
    if Q0 is None:
        # E V may be small against its own rounding while U and V still move: large weights
        # with an E that only rare directions see do so for long.
        still = bool((np.abs(E) <= E_noise).all())
        return still or not ((E @ V).any() or (E.T @ U).any())
    P_noise = ROUNDING * (np.abs(R.T) @ np.abs(R) + np.abs(Q0)) / 2
    slope = np.concatenate(paper.eq_26(Y, U, V, Q0))
    noise = np.abs(R) @ P_noise
    noise += np.concatenate([E_noise @ np.abs(V), E_noise.T @ np.abs(U)])
    return bool((np.abs(slope) <= noise).all())


def _still_to_come(frame: _Frame, t: Array) -> Array:
    """Return by how much X moves in times t, as what is left of E decays, (T,).

    Beside the rounding errors of P that may be too slow to be seen, and yet count in the end.
    """
    m = frame.Y.shape[0]
    E = frame.Y - frame.Z[:m] @ frame.Z[m:].T
    return norm(E * np.expm1(-frame.rates * t[:, None, None]))


def path(
    Y: Array,
    R: Array,
    Q0: Array | None,
    times: Array,
    tol: float,
    fine: bool,
    now: float,
    Sigma: Array | None = None,
) -> tuple[Array, Array]:
    """Return R at the given times, (T, m+n, k), and the error of X made in the step there.

    R is the state at the time `now`. Two paths tell the error from each other only if they go
    by other steps: the fine one sets out with half the step of the other, lets it grow less,
    and has its imbalance put back.
    """
    m = Y.shape[0]
    most = 2.0 if fine else 3.0
    end = float(times[-1]) if times.size else now
    fastest = np.linalg.norm(R) ** 2
    if Sigma is not None:
        fastest *= np.linalg.norm(Sigma, 2)
    fastest += np.linalg.norm(Y)
    if Q0 is not None:
        fastest += np.linalg.norm(Q0)
    # The time so far took a few hundred steps; the fastest decay may not have any part in it.
    h = (0.5 if fine else 1.0) * max(1 / max(float(fastest), SLOWEST), now / TRIED)
    done = int(np.searchsorted(times, now, side="right"))
    states = np.empty((times.size, *R.shape))
    states[:done] = R
    errors = np.zeros(times.size)
    frame, leaked, made = None, 0.0, np.zeros(1)
    for count in range(ATTEMPTS):
        if done == times.size:
            return states, errors
        if frame is None:
            R = np.where(np.hypot.reduce(R, axis=0) < _LEAST, 0.0, R)
            if at_rest(Y, R, Q0, Sigma):
                states[done:] = R
                if Q0 is not None:
                    errors[done:] = _still_to_come(_frame(Y, R, Q0), times[done:] - now)
                return states, errors
            # Of so small numbers no step keeps digits; and as the loss falls, X stays near Y.
            if Q0 is None and Sigma is None:
                off = float(norm(Y - R[:m] @ R[m:].T))
                if off <= _NOTHING:
                    states[done:], errors[done:] = R, 2 * off
                    return states, errors
            if not np.abs(R).max() < _LARGEST:
                raise ArithmeticError(STUCK.format(now, end))
            frame = _frame(Y, R, Q0, Sigma)
        h = min(h, end - now)
        if now + h == now:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            solved = _collocate(frame, h, tol)
        if solved is None:
            h *= 0.4
            continue
        Z, sweeps, unsolved, noise = solved
        error, X_error = _truncation(frame, Z, h, tol, noise)
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
        if fine and Q0 is None:
            K = frame.Z.T @ (frame.J * frame.Z)
            Z = conserve(Z, K, frame.J, frame.scale)
        Z = Z * frame.scale
        if frame.Gt is not None:
            Z = Z @ frame.Gt
        R_theta = np.concatenate([frame.Phi @ Z[:, :m], frame.Psi @ Z[:, m:]], 1)
        states[done:last], R = R_theta[:-1], R_theta[-1]
        lost = 4 * EPS * count * _size(R_theta[:, :m]) * _size(R_theta[:, m:])
        # What grows, or decays slowly, keeps what has leaked into it.
        size = norm(R_theta[:, :m] @ R_theta[:, m:].mT)
        leaked += _relative(4 * unsolved, float(size[-1])) if noise > ROUNDING else 0.0
        kept = leaked * size[:-1]
        # What a step has made is there in the next one as well, which may be far longer.
        past = made[-1] * np.exp(-frame.rates.max() * h * theta)
        made = np.maximum(X_error + unsolved, past)
        errors[done:last] = made[:-1] + lost + kept
        now, done, frame = now + h, last, None
        # Where Q0 is out of reach, P does not vanish, and its part in (26) limits the steps; so
        # does E where the weights are too narrow for Y, and only rounding errors move.
        if count > TRIED and end - now > ATTEMPTS * h:
            break
        h *= min(most, growth, 16 / sweeps)
    raise ArithmeticError(STUCK.format(now, end) + ("" if Q0 is None else _far(Y, R, Q0)))


def _far(Y: Array, R: Array, Q0: Array) -> str:
    """Say how far the imbalance of R is from Q0, and whether it is so for all weights."""
    (m, n), q = Y.shape, np.linalg.eigvalsh(Q0)
    noise = 4 * len(q) * EPS * np.abs(q).max()
    up, down = int((q > noise).sum()), int((q < -noise).sum())
    distance = np.linalg.norm(paper.eq_13(R[:m], R[m:]) - Q0)
    text = f", with U^T U - V^T V {distance:.3g} away from Q0"
    if up > m or down > n:
        text += (
            f"; no weights have it: it has {up} eigenvalues above 0 and {down} below, they "
            f"at most m = {m} and n = {n}"
        )
    return text
