"""Solutions in closed form: (4), (8), (9), (17) with (22), Proposition 3, (30), and two more.

Typed in as printed (`gfcore.paper`), these formulas overflow or lose every digit long before
the dynamics has settled. Here they are rearranged so that nothing grows with t and digits
cancel only where the problem itself loses them; `_riccati`, `_pivots`, `_signs` and `_modes`
say how. As in NumPy's linear algebra, the arguments may be stacks of problems, with leading
axes that all of them share.

Beyond the paper, `two_imbalances` solves the flow where Q has two eigenvalues, `zero_target`
without a target, `direct_sum` where both fall into parts of their own, and `solvable` says
which formula a start has.
"""

from gfcore.exact._signs import FiniteEscapeError
from gfcore.exact.direct_sum import direct_sum
from gfcore.exact.identity import identity_imbalance, identity_product
from gfcore.exact.kinds import Solvable, solvable
from gfcore.exact.no_target import zero_target
from gfcore.exact.one_layer import linear
from gfcore.exact.spectral_start import spectral, spectral_constant, spectral_modes
from gfcore.exact.symmetric_model import riccati, symmetric, symmetric_modes
from gfcore.exact.two_values import two_imbalances

__all__ = [
    "FiniteEscapeError",
    "Solvable",
    "direct_sum",
    "identity_imbalance",
    "identity_product",
    "linear",
    "riccati",
    "solvable",
    "spectral",
    "spectral_constant",
    "spectral_modes",
    "symmetric",
    "symmetric_modes",
    "two_imbalances",
    "zero_target",
]
