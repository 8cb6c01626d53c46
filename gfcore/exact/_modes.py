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
from gfcore._gauge import positive

TINY = float(np.finfo(np.float64).tiny)
ONE = np.array(1.0)
LIFT = 2.0**250  # keeps products with a small number from underflow


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
    omega = positive(omega)
    # G e^(-y) = g = t (1 - q)/y (A + B q), A, B = rho +- tau, A B = (half (s - x)/omega)^2.
    kappa, cosine = own / omega, s / omega
    tau = cosine * x + kappa * half
    lifted, larger = LIFT * half * unit * unit / omega, np.sqrt(rho + np.abs(tau))
    apart = LIFT * half * cosine - x * lifted
    root = np.where(tau < 0, apart / positive(larger), LIFT * larger)  # of A
    # 4^power q is in the place of q, where that has to keep A and q from underflow.
    (_, place), (_, more) = np.frexp(np.where(root > 0, root, LIFT)), np.frexp(unit)
    most = 250 - place - more
    most = np.where(most > 200, most, 0)
    power = np.minimum(y / np.log(4), most).astype(int) if most.any() else 0
    q, grown = np.exp(power * np.log(4) - y), np.ldexp(unit, power)
    G, mean = (root * grown / LIFT) ** 2 + (rho - tau) * unit * unit * q, mean_decay(y)
    weight = positive(q + time * mean * G)
    path = (LIFT * x * unit * unit * q + LIFT * s * time * mean * G) / LIFT / weight
    if (crossing := (x < 0) & (s > 0)).any():
        # There x = u v has its zero where v has; u and v are sums of one sign.
        square, size = rho + half, np.abs(x)  # of u, and of u v
        slope = quotient(size, square)
        limit = 2 * grown * (half + lifted * rho / LIFT)
        q_root, V_decay = unit / grown * q * unit, cosine * square + (1 + kappa) * size
        # Ut / u and Vt u
        Ut = (1 + kappa) * limit / positive((1 + kappa) * square + cosine * size)
        Ut = Ut + q_root * (cosine * (s / (omega + own) + slope))
        Vt = limit * (LIFT * s / (omega + own + s * slope)) / LIFT - q_root * V_decay
        Vt = np.where(y < 0.7, unit * (y * mean * V_decay - 2 * size), Vt)
        path = np.where(crossing, Ut / 4 * (Vt / weight), path)
    return np.asarray(sign * path)


def quotient(top: Array, bottom: Array, otherwise: Array | float = 0.0) -> Array:
    """top/bottom, and `otherwise` where bottom is 0."""
    zero = bottom == 0
    if not zero.any():
        return np.asarray(top / bottom)
    return np.where(zero, otherwise, top / np.where(zero, 1, bottom))


def mean_decay(y: Array) -> Array:
    """(1 - e^(-y))/y, the mean of e^(-s) over 0 < s < y; 1 at y = 0."""
    return quotient(np.expm1(-y), -y, 1.0)


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
