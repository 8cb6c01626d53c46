"""Checks of arguments: each names the argument, and says what is wrong with it."""

from __future__ import annotations

import io
import mmap
import pickle
import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from gfcore.state import Weights

Array = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)

# Beyond this the fourth powers that the flow is made of (E V V^T, squared in a norm) overflow.
LARGEST = 1e75
# With a lower learning rate a, U^T U / a may overflow.
LEAST_RATE = 1e-155

# What holds bytes of no kind of number, though NumPy takes them for integers.
RAW = (bytes, bytearray, mmap.mmap, type(io.BytesIO().getbuffer().obj))

# Around every public function: what underflows is as good as 0 in all of them, and no error
# even if the caller's np.seterr calls it one.
quiet = np.errstate(under="ignore")


def array(
    name: str, value: ArrayLike, ndim: int | tuple[int, ...], stack: bool = False
) -> Array:
    """Return `value` as a new real float64 array with `ndim` axes, or raise ValueError.

    In a stack any number of axes may come before them.

    Integers, lists, read-only and strided arrays will do. Complex numbers, booleans, strings
    and objects will not, nor will empty arrays and entries that are not finite or exceed
    1e75 in magnitude; nor what an array would drop, such as a mask or a unit.

    Examples
    --------
    >>> array("Y", [[1, 2]], 2)
    array([[1., 2.]])
    >>> array("Y", [[1, np.nan]], 2)
    Traceback (most recent call last):
        ...
    ValueError: Y must be finite, got nan at (0, 1), shape (1, 2)
    """
    given = real(name, value)
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if given.ndim not in allowed and not (stack and given.ndim > min(allowed)):
        axes = " or ".join(str(n) for n in dict.fromkeys(allowed) if n)
        kinds = ["be a number"] * (0 in allowed)
        if axes:
            kinds.append(f"have {axes}{' or more' * stack} ax{'i' if axes == '1' else 'e'}s")
        raise ValueError(f"{name} must {' or '.join(kinds)}, got shape {given.shape}")
    if given.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {given.shape}")
    with np.errstate(over="ignore"):  # A wider float may become infinite, and is refused below.
        result = np.array(given, dtype=np.float64, order="C")
    if not np.abs(result).max() <= LARGEST:  # as well where that is NaN
        finite(name, given)
        raise ValueError(
            f"{name} must be at most {LARGEST:g} in size, got "
            f"{entry(given, np.abs(result) > LARGEST)}"
        )
    return result


def finite(name: str, value: NDArray[Any]) -> None:
    """Raise ValueError unless all entries are finite."""
    if (bad := ~np.isfinite(value)).any():
        raise ValueError(f"{name} must be finite, got {entry(value, bad)}")


def entry(value: NDArray[Any], bad: NDArray[np.bool_]) -> str:
    """Return the first bad entry, and where it is."""
    at = first(bad)
    return str(value[at]) + f" at {at}, shape {value.shape}" * bool(value.ndim)


def real(name: str, value: ArrayLike) -> NDArray[Any]:
    """Return `value` as an array of real numbers of whatever size, or raise ValueError."""
    try:
        _whole(name, value)
    except RecursionError:
        raise ValueError(f"{name} must be a real array, but holds itself") from None
    try:
        given = np.asanyarray(value)
    except Exception as error:  # whatever the conversion of an object raises
        ragged = "inhomogeneous" in str(error)
        why = ", but its rows are not of one length" if ragged else f": {error}"
        raise ValueError(f"{name} must be a real array{why}") from None
    _whole(name, given)  # an object may become an array that has a mask or a unit
    if given.dtype.kind not in "iuf":
        at = f", shape {given.shape}" * bool(given.ndim)
        raise ValueError(f"{name} must be real numbers, got {_kind(given)}{at}")
    return np.asarray(given)


def _kind(given: NDArray[Any]) -> str:
    """Say what an array holds that are no real numbers."""
    if given.dtype.kind in "US":
        return "text"
    if given.dtype != object:
        return f"{given.dtype} entries"
    others = [part for part in given.flat if not isinstance(part, int | float)]
    if others:
        return "None" if others[0] is None else type(others[0]).__name__
    large = any(abs(part) >= 2**63 for part in given.flat)
    return "an integer beyond 64 bits" if large else "objects in place of numbers"


def _whole(name: str, value: object) -> None:
    """Raise ValueError where an array of `value` would drop or reinterpret a part of it."""
    if type(value) is np.ndarray and value.dtype.kind in "iuf":
        return  # which is most often so, and takes the least time
    raw = isinstance(value, RAW)
    if isinstance(value, memoryview | pickle.PickleBuffer):
        view = memoryview(value)
        whole = view.obj  # of which it may show the bytes
        raw = view.itemsize == 1 and (isinstance(whole, RAW) or memoryview(whole).itemsize > 1)
    if raw:
        raise ValueError(f"{name} must be real numbers, got raw bytes: {type(value).__name__}")
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | memoryview | range):
        for part in value:
            _whole(name, part)
    elif isinstance(value, bool | np.bool_) or getattr(value, "dtype", None) == np.bool_:
        raise ValueError(f"{name} must be real numbers, got bool entries among them")
    elif np.ma.is_masked(value):
        raise ValueError(f"{name} has masked entries, which an array would bring back")
    # Others than those that hold numbers and nothing else add something, such as units.
    elif isinstance(value, np.ndarray) and type(value) not in {
        np.ndarray, np.matrix, np.memmap, np.ma.MaskedArray
    }:  # fmt: skip
        kind = type(value).__name__
        raise ValueError(f"{name} is a {kind}, of which an array would drop what it adds")


def sealed(name: str, value: NDArray[Any]) -> Array:
    """Return a read-only float64 array: `value` if nobody can write to it, else a copy."""
    part: Any = value if value.dtype == np.float64 else None
    while isinstance(part, np.ndarray) and not part.flags.writeable:
        if part.base is None:
            return value
        part = part.base
    with np.errstate(over="ignore"):  # of a wider float
        copy = np.array(value, np.float64)
    if (lost := np.isinf(copy) & np.isfinite(value)).any():
        raise ValueError(f"{name} must fit into float64, got {entry(value, lost)}")
    copy.flags.writeable = False
    return copy


def seal(*arrays: Any) -> None:
    """Make arrays read-only that nobody else holds, with what they are views of."""
    for part in arrays:
        while isinstance(part, np.ndarray):
            part.flags.writeable = False
            part = part.base


def first(bad: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the index of the first True."""
    return tuple(int(i) for i in np.argwhere(bad)[0])


def shape(name: str, value: Array, expected: tuple[int, ...], other: str = "") -> None:
    """Raise ValueError unless `value` has the shape `expected`, as `other` asks for."""
    if value.shape != expected:
        to_fit = f" to fit {other}" * bool(other)
        raise ValueError(f"{name} must have shape {expected}{to_fit}, got shape {value.shape}")


def symmetric(name: str, value: ArrayLike, stack: bool = False) -> Array:
    """Return `value` as a square matrix made exactly symmetric, or raise ValueError."""
    matrix = array(name, value, 2, stack)
    if matrix.shape[-2] != matrix.shape[-1]:
        raise ValueError(f"{name} must be square, got shape {matrix.shape}")
    if (matrix == matrix.mT).all():
        return matrix
    difference, size = np.abs(matrix - matrix.mT), np.abs(matrix).max((-2, -1))
    # Products such as Φ diag(σ) Φ^T are symmetric only to rounding.
    bad = difference > 1e-12 * size[..., None, None]
    if bad.any():
        *problem, i, j = first(bad)
        share = difference[*problem, i, j] / size[*problem]
        raise ValueError(
            f"{name} must be symmetric, but the entries at {(*problem, i, j)} and "
            f"{(*problem, j, i)} differ by {share:.1e} of the largest, shape {matrix.shape}"
        )
    return (matrix + matrix.mT) / 2


def covariance(value: ArrayLike, n: int, other: str) -> Array:
    """Return the covariance of the n inputs that `other` has, symmetric and PSD to rounding."""
    Sigma = symmetric("covariance", value)
    shape("covariance", Sigma, (n, n), other)
    least, most = np.linalg.eigvalsh(Sigma)[[0, -1]]
    if least < -4 * n * EPS * abs(most):
        raise ValueError(
            f"covariance must be positive semidefinite, but has the eigenvalue {least:.3g}, "
            f"got shape {Sigma.shape}"
        )
    return Sigma


def unvaried(Sigma: Array, basis: NDArray[Any]) -> NDArray[np.bool_]:
    """Return along which columns of a basis inputs have no variance, but for rounding."""
    size = np.abs(basis)
    noise = 4 * len(Sigma) * EPS * (size * (np.abs(Sigma) @ size)).sum(0)
    return np.asarray((basis.conj() * (Sigma @ basis)).sum(0).real <= noise)


def target(Y: ArrayLike, weights0: Weights, stack: bool = False) -> Array:
    """Return `Y` as the (m, n) matrix that `weights0` is to learn, or raise ValueError.

    In a stack both have leading axes, the same.
    """
    matrix, start = array("Y", Y, 2, stack), weights("weights0", weights0, stack)
    *leading, m, _ = start.U.shape
    shape("Y", matrix, (*leading, m, start.V.shape[-2]), "weights0")
    return matrix


def weights(name: str, value: Weights, stack: bool = False) -> Weights:
    """Return `value` if it is Weights, those of one model unless a stack will do."""
    from gfcore.state import Weights

    if not isinstance(value, Weights):
        raise ValueError(f"{name} must be Weights, got {type(value).__name__}")
    if value.U.ndim > 2 and not stack:
        raise ValueError(
            f"{name} must be the Weights of one model, got a stack of shape "
            f"{value.U.shape[:-2]}"
        )
    return value


def times(t: ArrayLike) -> Array:
    """Return `t` as a scalar or 1-D array of non-decreasing times >= 0, or raise ValueError."""
    result = array("t", t, (0, 1))
    ordered(result)
    return result


def ordered(t: Array) -> None:
    """Raise ValueError unless times, a scalar or one axis, are finite, >= 0 and do not fall."""
    finite("t", t)
    if (t < 0).any():
        raise ValueError(f"t must be >= 0, got a smallest entry of {t.min()}")
    if t.ndim and (falls := t[1:] < t[:-1]).any():
        i = int(falls.argmax())
        raise ValueError(f"t must be non-decreasing, got {t[i]} before {t[i + 1]}")


def count(name: str, value: int, least: int) -> int:
    """Return `value` as an int of at least `least`, or raise ValueError."""
    if not whole(value) or value < least:
        got = reprlib.repr(value)
        raise ValueError(f"{name} must be an integer of at least {least}, got {got}")
    if value > 2**53:
        raise ValueError(f"{name} must be at most 2**53, as far as a float counts")
    return int(value)


def whole(value: object) -> bool:
    """Whether `value` is an integer, neither True nor a time, which NumPy takes for one."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64)


def nonnegative(name: str, value: float) -> float:
    """Return `value` as a finite float of at least 0, or raise ValueError."""
    number = float(array(name, value, 0))
    if number < 0:
        raise ValueError(f"{name} must be >= 0, got {number}")
    return number


def positive(name: str, value: float) -> float:
    """Return `value` as a finite float above 0, or raise ValueError."""
    number = float(array(name, value, 0))
    if number <= 0:
        raise ValueError(f"{name} must be above 0, got {number}")
    return number


def rates(value: tuple[float, float]) -> tuple[float, float]:
    """Return the rates of both layers, two finite floats above 0, or raise ValueError."""
    pair = array("rates", value, 1)
    shape("rates", pair, (2,))
    if (pair < LEAST_RATE).any():
        least = f", and at least {LEAST_RATE:g}" * bool((pair > 0).all())
        raise ValueError(f"rates must be above 0{least}, got {pair[0]:g} and {pair[1]:g}")
    return float(pair[0]), float(pair[1])


def function(name: str, value: Any) -> Any:
    """Return `value` if it can be called, or raise ValueError."""
    if not callable(value):
        raise ValueError(f"{name} must be callable, got {type(value).__name__}")
    return value


def some(
    name: str, loop: Callable[[Sequence[int]], Iterable[int]], groups: range
) -> Iterator[int]:
    """Yield those of the groups that `loop` gives back, or raise ValueError if they are not."""
    given, left = loop(groups), set(groups)
    if not isinstance(given, Iterable):
        raise ValueError(f"{name} must return what to loop over, got {type(given).__name__}")
    for group in given:
        if not whole(group) or group not in left:
            raise ValueError(
                f"{name} must return what it was given, each at most once, got "
                f"{reprlib.repr(group)}"
            )
        left.remove(group)
        yield int(group)


def iterable(name: str, value: Any) -> Iterator[Any]:
    """Return what goes through several Weights, or raise ValueError."""
    try:
        return iter(value)
    except TypeError:
        raise ValueError(f"{name} must be Weights, got {type(value).__name__}") from None


def generator(rng: np.random.Generator) -> np.random.Generator:
    """Return `rng` if it is a numpy.random.Generator, or raise ValueError."""
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
    return rng
