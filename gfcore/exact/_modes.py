"""One mode: the scalar equations (9) and (17), free of what cancels or overflows in them.

(17) as printed holds e^(t omega), omega = sqrt(4 sigma^2 + lam^2), above and below the bar, and
in C of (22) a difference of two numbers nearly equal. Divided by it, the solution of (21) is
x(t) = (x0 q + sigma g)/(q + g), a mean of the start and the target, q = e^(-t omega), whose
weight g(t) >= 0 is a sum of positive terms. From x0 < 0 < sigma it passes through zero, and
there x = u v is taken instead, u and v again sums of terms of one sign.
"""

import numpy as np
from numpy.typing import ArrayLike

from gfcore import _check
from gfcore._check import Array

TINY = float(np.finfo(np.float64).tiny)
ONE = np.array(1.0)


def agreeing(**values: ArrayLike) -> list[Array]:
    """Return the named scalars or arrays of modes, checked and broadcast."""
    arrays = {name: _check.array(name, value, 0, stack=True) for name, value in values.items()}
    widest = max(arrays, key=lambda name: arrays[name].ndim)
    for name, value in arrays.items():
        if value.ndim and value.shape != arrays[widest].shape:
            raise ValueError(
                f"{name} must have the shape of {widest}, {arrays[widest].shape}, "
                f"got shape {value.shape}"
            )
    # Below the smallest normal number digits are missing.
    return [np.where(np.abs(a) < TINY, 0, a) for a in np.broadcast_arrays(*arrays.values())]


def spread(time: Array, *modes: Array) -> list[Array]:
    """Return times and modes with axes in the order (*stack, *t.shape, m)."""
    if not modes[0].ndim:
        return [time, *modes]
    axes = (1,) * time.ndim
    return [time[..., None], *(a.reshape(*a.shape[:-1], *axes, a.shape[-1]) for a in modes)]


def spectral_path(s: Array, lam: Array, x: Array, time: Array, unit: Array = ONE) -> Array:
    """x(t) of modes whose weights are given in a unit of their own: x0 / unit^2, lam / unit^2.

    So these do not underflow where weights are tiny; x(t) is not in that unit.
    """
    time, s, lam, x, unit = spread(time, s, lam, x, np.broadcast_to(unit, s.shape))
    sign, half = np.where(s < 0, -1.0, 1.0), np.abs(lam) / 2
    s, x = np.abs(s), sign * x
    own = half * unit * unit
    omega, rho = np.hypot(s, own), np.hypot(x, half)
    y = 2 * omega * time
    with np.errstate(over="ignore"):
        q, late = np.exp(-y), np.exp(-y - 2 * np.log(unit))  # q / unit^2
    omega = np.where(omega > 0, omega, 1.0)
    # G e^(-y) = g = t (1 - q)/y (A + B q), with A + B = 2 rho and A B = (half (s - x)/omega)^2.
    tau = (s * x + half * own) / omega
    apart = half * unit * (s - x * unit * unit) / omega
    A = np.where(tau < 0, apart**2 / np.where(tau < 0, rho - tau, 1), rho + tau)
    g = time * mean_decay(y) * (A + (2 * rho - A) * q)
    # From x0 < 0 < sigma, x = u v has its zero where v has; u and v are sums of one sign.
    kappa, cosine = own / omega, s / omega
    tangent = s / (omega + own)
    gap = cosine * tangent  # 1 - kappa
    u = np.sqrt(rho + half)
    v = quotient(np.abs(x), u)
    U_decay, V_decay = gap * u + cosine * v, cosine * u + (1 + kappa) * v
    limit = 2 * (kappa * rho + half)
    U_limit = (1 + kappa) * quotient(limit, (1 + kappa) * u + cosine * v)
    V_limit = tangent * quotient(limit, u + tangent * v)
    Ut = U_limit + q * U_decay
    Vt = np.where(q > 0.5, -np.expm1(-y) * V_decay - 2 * v, V_limit - q * V_decay)
    weight = np.where(late + g > 0, late + g, 1)
    crossing = (x < 0) & (s > 0)
    return sign * np.where(crossing, Ut / 4 * (Vt / weight), (x * q + s * g) / weight)


def quotient(top: Array, bottom: Array, otherwise: Array | float = 0.0) -> Array:
    """top/bottom, and `otherwise` where bottom is 0."""
    return np.where(bottom != 0, top / np.where(bottom != 0, bottom, 1), otherwise)


def mean_decay(y: Array) -> Array:
    """(1 - e^(-y))/y, the mean of e^(-s) over 0 < s < y; 1 at y = 0."""
    return quotient(-np.expm1(-y), y, 1.0)


def scalar_escape(sigma: Array, x: Array) -> Array:
    """Time at which (9) escapes, log(1 - sigma/x)/(4 sigma); infinite unless x < sigma, 0."""
    escapes = x < np.minimum(sigma, 0)
    s, x = np.where(escapes, sigma, 1.0), np.where(escapes, x, -1.0)
    with np.errstate(over="ignore", under="ignore"):
        rise = -s / x
        near = -0.25 / x * quotient(np.log1p(np.clip(rise, -0.5, 0.5)), rise, 1.0)
        far = quotient(np.log(np.abs(x - s)) - np.log(-x), 4 * s)
        time = np.where(np.abs(rise) < 0.5, near, far)
    return np.where(escapes, time, np.inf)
