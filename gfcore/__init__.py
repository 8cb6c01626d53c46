"""The mathematics of gradient flow in two-layer linear models.

Pure functions on NumPy arrays, one module a subject, named as Tarmoun, França, Haeffele and
Vidal (ICML 2021) name things: ``Y``, ``U``, ``V``, ``X``, ``Q``, ``sigma``, ``lam``.

>>> import numpy as np
>>> import gfcore as gf
>>> Y = np.diag([2.0, 1.0])
>>> gf.exact.linear(Y, np.zeros((2, 2)), t=50.0)
array([[2., 0.],
       [0., 1.]])
"""

from gfcore import descent, exact, flow, initial, paper, rates
from gfcore.exact import FiniteEscapeError
from gfcore.state import BatchError, Trajectory, Weights

__version__ = "0.1.0"

__all__ = [
    "BatchError",
    "FiniteEscapeError",
    "Trajectory",
    "Weights",
    "descent",
    "exact",
    "flow",
    "initial",
    "paper",
    "rates",
]
