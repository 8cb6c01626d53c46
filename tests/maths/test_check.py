"""The argument checks: what they accept, what they refuse and what they say."""

import collections
import fractions
import io
import mmap
import pickle

import numpy as np
import pytest

import gfcore as gf
from gfcore import _check

MATRIX = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def readonly(a):
    a = a.copy()
    a.flags.writeable = False
    return a


class Metres(np.ndarray):
    """An array with a unit, as astropy's and pint's are."""


class Wrapped:
    """An object that becomes an array, as a data frame does."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def cyclic():
    value = [1.0]
    value.append(value)
    return value


class Stubborn:
    """An object that refuses to become an array, as a tensor under differentiation does."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach first")


@pytest.mark.parametrize(
    "value",
    [
        MATRIX,
        MATRIX.view(np.matrix),
        np.ma.array(MATRIX, mask=False),
        MATRIX.tolist(),
        tuple(map(tuple, MATRIX)),
        MATRIX.astype(int),
        MATRIX.astype(np.uint8),
        MATRIX.astype(np.float16),
        MATRIX.astype(np.longdouble),
        MATRIX.astype(">f8"),
        np.asfortranarray(MATRIX),
        np.repeat(MATRIX, 2, axis=1)[:, ::2],
        MATRIX[::-1, ::-1][::-1, ::-1],
        readonly(MATRIX),
        Wrapped(MATRIX),
        collections.deque(MATRIX.tolist()),
        memoryview(MATRIX),
        pickle.PickleBuffer(MATRIX),
        memoryview(MATRIX.astype(np.uint8)),
    ],
)
def test_array_copies_whatever_holds_real_numbers(value):
    got = _check.array("Y", value, 2)
    assert got.dtype == np.float64
    assert got.flags.c_contiguous
    assert got.flags.writeable
    assert not np.shares_memory(got, value)
    np.testing.assert_array_equal(got, MATRIX)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (MATRIX + 0j, r"Y must be real numbers, got complex128 entries, shape \(2, 3\)"),
        ([[True, False]], r"Y must be real numbers, got bool entries"),
        ([[1.0, True]], r"Y must be real numbers, got bool entries"),
        ([[1.0, np.True_]], r"Y must be real numbers, got bool entries"),
        ([MATRIX[0] > 1, MATRIX[1]], r"Y must be real numbers, got bool entries"),
        (np.ma.array(MATRIX, mask=MATRIX > 5), r"Y has masked entries"),
        ([np.ma.array(row, mask=row > 5) for row in MATRIX], r"Y has masked entries"),
        (MATRIX.view(Metres), r"Y is a Metres, of which an array would drop what it adds"),
        ([MATRIX[0].view(Metres)], r"Y is a Metres"),
        (Stubborn(), r"Y must be a real array: call detach first"),
        (Wrapped(np.ma.array(MATRIX, mask=MATRIX > 5)), r"Y has masked entries"),
        (Wrapped(MATRIX.view(Metres)), r"Y is a Metres"),
        (collections.deque([[True, 1.0]]), r"Y must be real numbers, got bool entries"),
        (collections.UserList([[np.True_, 1.0]]), r"Y must be real numbers, got bool entries"),
        (bytearray(b"12"), r"Y must be real numbers, got raw bytes: bytearray"),
        ([b"12"], r"Y must be real numbers, got raw bytes: bytes"),
        (memoryview(b"12"), r"Y must be real numbers, got raw bytes: memoryview"),
        (memoryview(MATRIX.copy()).cast("B"), r"Y must be real numbers, got raw bytes"),
        ([memoryview(bytearray(b"12"))], r"Y must be real numbers, got raw bytes: memoryview"),
        (mmap.mmap(-1, 2), r"Y must be real numbers, got raw bytes: mmap"),
        (memoryview(mmap.mmap(-1, 2)), r"Y must be real numbers, got raw bytes: memoryview"),
        (pickle.PickleBuffer(b"12"), r"Y must be real numbers, got raw bytes: PickleBuffer"),
        ([io.BytesIO(b"12").getbuffer()], r"Y must be real numbers, got raw bytes: memoryview"),
        (cyclic(), r"Y must be a real array, but holds itself"),
        ([["1", "2"]], r"Y must be real numbers, got text, shape \(1, 2\)"),
        (np.array([[1, None]]), r"Y must be real numbers, got None, shape \(1, 2\)"),
        (None, r"Y must be real numbers, got None$"),
        (
            [[10**30, 1]],
            r"Y must be real numbers, got an integer beyond 64 bits, shape \(1, 2\)",
        ),
        ([np.datetime64("2021-07-18")], r"Y must be real numbers, got datetime64"),
        ([[fractions.Fraction(1)]], r"Y must be real numbers, got Fraction, shape \(1, 1\)"),
        (np.array([[1.0]], object), r"Y must be real numbers, got objects in place of numbers"),
        (object(), r"Y must be real numbers, got object$"),
        ([[1.0, 2.0], [3.0]], "Y must be a real array, but its rows are not of one length$"),
        ([1.0, 2.0], r"Y must have 2 axes, got shape \(2,\)"),
        (3.0, r"Y must have 2 axes, got shape \(\)"),
        (MATRIX[None], r"Y must have 2 axes, got shape \(1, 2, 3\)"),
        (np.zeros((0, 3)), r"Y must not be empty, got shape \(0, 3\)"),
        ([[]], r"Y must not be empty, got shape \(1, 0\)"),
        ([[1.0, np.nan]], r"Y must be finite, got nan at \(0, 1\), shape \(1, 2\)"),
        ([[1.0, -np.inf]], r"Y must be finite, got -inf at \(0, 1\), shape \(1, 2\)"),
        (
            np.array([["1e400"]], np.longdouble),
            r"Y must be at most 1e\+75 in size, got 1e\+400",
        ),
        ([[1.0, -1e76]], r"Y must be at most 1e\+75 in size, got -1e\+76 at \(0, 1\)"),
    ],
)
def test_array_names_the_argument_the_fault_and_the_shape(value, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        _check.array("Y", value, 2)


def test_array_takes_any_of_several_numbers_of_axes():
    assert _check.array("sigma", 3, (0, 1)).shape == ()
    assert _check.array("sigma", [3], (0, 1)).shape == (1,)
    with pytest.raises(
        ValueError, match=r"sigma must be a number or have 1 axis, got shape \(1, 1\)"
    ):
        _check.array("sigma", [[3]], (0, 1))


def test_symmetric_removes_rounding_and_nothing_more():
    G = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4))).Q
    Y = G * [3.0, 1.0, -2.0, 1e-3] @ G.T
    assert (Y != Y.T).any()
    got = _check.symmetric("Y", Y)
    np.testing.assert_array_equal(got, got.T)
    np.testing.assert_allclose(got, Y, atol=1e-15)
    Y[0, 1] += 1e-11
    with pytest.raises(
        ValueError,
        match=r"Y must be symmetric, but the entries at \(0, 1\) and \(1, 0\) differ by 3",
    ):
        _check.symmetric("Y", Y)
    with pytest.raises(ValueError, match=r"Y must be square, got shape \(2, 3\)"):
        _check.symmetric("Y", MATRIX)
    np.testing.assert_array_equal(_check.symmetric("Y", np.zeros((2, 2))), np.zeros((2, 2)))


def test_times():
    np.testing.assert_array_equal(_check.times([0, 1, 1, 2]), [0.0, 1.0, 1.0, 2.0])
    assert _check.times(3).shape == ()
    with pytest.raises(ValueError, match=r"t must be >= 0, got a smallest entry of -1"):
        _check.times([0, -1])
    with pytest.raises(ValueError, match=r"t must be non-decreasing, got 2.0 before 1.0"):
        _check.times([0, 2, 1])


@pytest.mark.parametrize("value", [1, np.int32(1), np.uint64(1)])
def test_count_takes_integers(value):
    assert type(_check.count("k", value, 1)) is int


@pytest.mark.parametrize(
    "value", [0, -1, 1.0, True, "1", None, [1], np.float64(1), np.timedelta64(1)]
)
def test_count_takes_nothing_else(value):
    with pytest.raises(ValueError, match="k must be an integer of at least 1, got"):
        _check.count("k", value, 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.inf, "must be finite, got inf$"),
        (-1e300, r"must be at most 1e\+75 in size, got -1e\+300$"),
        ([1.0], r"must be a number, got shape \(1,\)"),
        ("1", "must be real numbers, got text$"),
        (2**70, "must be real numbers, got an integer beyond 64 bits$"),
    ],
)
def test_what_is_wrong_with_a_number_is_the_number(value, message):
    with pytest.raises(ValueError, match=f"^lam {message}"):
        _check.array("lam", value, 0)


@pytest.mark.parametrize("value", [-1e-300, np.nan, np.inf, 1j, "1", None, [1.0], True])
def test_numbers_are_finite_and_of_the_right_sign(value):
    assert _check.positive("step", 1) == _check.nonnegative("std", 1) == 1.0
    assert _check.nonnegative("std", 0) == 0.0
    with pytest.raises(ValueError, match="step must be above 0, got 0"):
        _check.positive("step", 0)
    with pytest.raises(ValueError, match=r"^step "):
        _check.positive("step", value)
    with pytest.raises(ValueError, match=r"^std "):
        _check.nonnegative("std", value)


def test_target_must_fit_the_weights():
    weights = gf.Weights(np.ones((2, 4)), np.ones((3, 4)))
    np.testing.assert_array_equal(_check.target(MATRIX, weights), MATRIX)
    with pytest.raises(
        ValueError, match=r"Y must have shape \(2, 3\) to fit weights0, got shape \(3, 2\)"
    ):
        _check.target(MATRIX.T, weights)
    with pytest.raises(ValueError, match=r"weights0 must be Weights, got ndarray"):
        _check.target(MATRIX, MATRIX)
    # A path has a U and a V as well, of one time or of many.
    for t in (1.0, [0.0, 1.0]):
        with pytest.raises(ValueError, match=r"weights0 must be Weights, got Trajectory"):
            _check.target(MATRIX, gf.flow.solve(MATRIX, weights, t))
    stack = gf.Weights(np.ones((5, 2, 4)), np.ones((5, 3, 4)))
    with pytest.raises(ValueError, match=r"the Weights of one model, got a stack of .*\(5,\)"):
        _check.target(MATRIX, stack)
    assert _check.target(np.ones((5, 2, 3)), stack, stack=True).shape == (5, 2, 3)


def test_generator():
    rng = np.random.default_rng(0)
    assert _check.generator(rng) is rng
    for wrong in (0, None, np.random.RandomState(0), np.random):
        with pytest.raises(ValueError, match=r"rng must be a numpy.random.Generator, got"):
            _check.generator(wrong)
