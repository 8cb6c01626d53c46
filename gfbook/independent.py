"""What chapters check gfcore and the paper against: numbers by SciPy, algebra in SymPy.

Nothing here knows a formula of the paper. Import it by name: gfcore alone loads no SymPy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy  # type: ignore[import-untyped]
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp  # type: ignore[import-untyped]

Array = NDArray[np.float64]


def integrate(
    slope: Callable[[Array], Array],
    start: ArrayLike,
    t: Array,
    atol: float = 1e-14,
    rtol: float = 1e-12,
) -> Array:
    """Return the solution of dx/dt = slope(x) at the times t, by SciPy's DOP853.

    Parameters
    ----------
    slope : callable
        Takes and returns an array of the shape of `start`.
    start : array_like
        x at the time 0, of any shape.
    t : (T,) array
        Increasing times >= 0.
    atol, rtol : float
        Absolute and relative tolerance of each step.

    Returns
    -------
    (T, *start.shape) array

    Examples
    --------
    >>> integrate(lambda x: -x, [1.0, 2.0], np.array([0.0, np.log(2)])).round(9)
    array([[1. , 2. ],
           [0.5, 1. ]])
    """
    x = np.asarray(start, float)
    run = solve_ivp(
        lambda _, flat: np.ravel(slope(flat.reshape(x.shape))),
        (0, t[-1]), x.ravel(), "DOP853", t, rtol=rtol, atol=atol,
    )  # fmt: skip
    return np.asarray(run.y.T.reshape(-1, *x.shape))


def gradient(function: Callable[[Array], float], at: Array, h: float = 1e-5) -> Array:
    """Return the gradient of a function of an array, by central differences of step h.

    Parameters
    ----------
    function : callable
        Takes an array of the shape of `at` and returns a number.
    at : array
        Where, of any shape.
    h : float
        Step; the error is of the order of h^2, and of the rounding errors over h.

    Returns
    -------
    array of the shape of `at`

    Examples
    --------
    >>> gradient(lambda x: (x**2).sum(), np.array([[1.0, -2.0]])).round(9)
    array([[ 2., -4.]])
    """
    steps = h * np.eye(at.size).reshape(-1, *at.shape)
    slopes = [(function(at + step) - function(at - step)) / (2 * h) for step in steps]
    return np.reshape(slopes, at.shape)


def letters(names: str) -> Any:
    """Return letters that do not commute: each stands for a matrix of any size.

    Examples
    --------
    >>> A, B = letters("A B")
    >>> A * B == B * A
    False
    """
    return sympy.symbols(names, commutative=False)


def derivative(expression: Any, rules: Mapping[Any, Any]) -> Any:
    """Differentiate a polynomial in letters and their inverses by the product rule.

    Parameters
    ----------
    expression : sympy.Expr
        A sum of words in letters.
    rules : mapping
        The derivative of each letter, or of a longer expression; of what is not in it, 0.

    Examples
    --------
    >>> A, B = letters("A B")
    >>> derivative(A**2 + A**-1, {A: B})
    -A**(-1)*B*A**(-1) + A*B + B*A
    """
    expression = sympy.expand(expression)
    if expression in rules:
        return rules[expression]
    if expression.is_Add:
        return sum(derivative(term, rules) for term in expression.args)
    if expression.is_Pow and expression.exp < 0:
        return -expression * derivative(1 / expression, rules) * expression
    power = expression.is_Pow
    word = [expression.base] * expression.exp if power else list(expression.args)
    dots = [derivative(letter, rules) for letter in word]
    return sum(sympy.Mul(*word[:i], dots[i], *word[i + 1 :]) for i in range(len(word)))


@dataclass(frozen=True)
class _Word:
    """A sum of words in letters, of which `@` is the product, as it is of arrays."""

    letters: Any

    def __matmul__(self, other: "_Word") -> "_Word":
        return _Word(self.letters * other.letters)

    def __rmul__(self, number: int) -> "_Word":
        return _Word(number * self.letters)

    def __add__(self, other: "_Word") -> "_Word":
        return _Word(self.letters + other.letters)

    def __sub__(self, other: "_Word") -> "_Word":
        return _Word(self.letters - other.letters)


def spell(formula: Callable[..., Any], *words: Any) -> Any:
    """Return a formula for arrays, made of `@`, sums and multiples, in letters.

    Examples
    --------
    >>> A, B = letters("A B")
    >>> spell(lambda X, Y: 2 * X @ Y - Y @ X, A, B)
    2*A*B - B*A
    """
    return formula(*map(_Word, words)).letters


def diagonal(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function of diagonal matrices, (m, m) arrays of any numbers or symbols.

    Examples
    --------
    >>> diagonal(sympy.exp)(np.diag(sympy.symbols("x y")))
    array([[exp(x), 0],
           [0, exp(y)]], dtype=object)
    """
    return lambda A: np.diag(np.array([function(entry) for entry in np.diag(A)], object))


def precise(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function of mpmath's matrices, such as `mp.inverse`, as one of arrays.

    Examples
    --------
    >>> import mpmath as mp
    >>> with mp.workdps(30):
    ...     precise(mp.inverse)(np.array([[mp.mpf(3)]]))
    array([[mpf('0.333333333333333333333333333333333')]], dtype=object)
    """
    import mpmath as mp

    return lambda A: np.array(function(mp.matrix(A)).tolist(), object)


def inverse(A: Any) -> Any:
    """Return the inverse of a matrix of symbols, each entry over the determinant.

    Examples
    --------
    >>> a, b = sympy.symbols("a b")
    >>> inverse(np.array([[a, b], [0, 1]]))
    array([[1/a, -b/a],
           [0, 1]], dtype=object)
    """
    matrix = sympy.Matrix(A)
    return np.array(matrix.adjugate() / matrix.det(method="berkowitz"), object)


def numerators(matrix: Any) -> Any:
    """Return the numerators of a matrix of fractions, which vanish where it does.

    Examples
    --------
    >>> x = sympy.Symbol("x")
    >>> numerators([[1 / x - x]])
    Matrix([[1 - x**2]])
    """
    return sympy.Matrix(matrix).applyfunc(
        lambda entry: sympy.fraction(sympy.together(entry))[0]
    )


def terms(expression: Any) -> int:
    """Return how many terms, or entries of a matrix, are left of what should be zero.

    Examples
    --------
    >>> x, y = sympy.symbols("x y")
    >>> terms((x + y) ** 2 - x**2 - 2 * x * y - y**2), terms((x + y) ** 2 - x**2)
    (0, 2)
    """
    if isinstance(expression, sympy.MatrixBase):
        return sum(sympy.expand(entry) != 0 for entry in expression)
    return sum(term != 0 for term in sympy.Add.make_args(sympy.expand(expression)))
