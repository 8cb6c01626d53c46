"""The check that a chapter runs on a claim: it raises, or shows and records its figures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from IPython.display import display
from numpy.typing import ArrayLike

METADATA = "claim"  # the key under which an output carries its figures


class ClaimError(AssertionError):
    """A residual exceeds its tolerance, or a statement altered on purpose passes too."""


@dataclass(frozen=True)
class Check:
    """The outcome of one check: a line of text, its figures in the output's metadata."""

    id: str
    residual: float
    tol: float
    altered: float | None

    def __repr__(self) -> str:
        text = f"{self.id}: residual {self.residual:.1e} <= {self.tol:g}"
        if self.altered is not None:
            text += f"; altered statement {self.altered:.1e}"
        return text

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/plain": repr(self)}, {METADATA: vars(self)}


def check(id: str, residual: ArrayLike, tol: float, altered: ArrayLike | None = None) -> None:
    """Check one claim and show the outcome.

    Parameters
    ----------
    id : str
        The claim's identifier in the ledger, which the build joins with what is recorded here.
    residual : array_like
        How far the claim is from true, in the claim's own units; the largest entry counts.
        For a `misprint` or `fails` verdict this is the residual of the corrected statement.
    tol : float
        The largest residual at which the claim still holds.
    altered : array_like, optional
        The residual of a statement altered on purpose (a wrong sign, a factor, a dropped
        condition), or of the printed form where the paper's is wrong; its smallest entry
        must exceed `tol`, which shows that the check can fail.

    Raises
    ------
    ClaimError
        If `residual` exceeds `tol` or is not a number, or `altered` does not exceed `tol`.

    Examples
    --------
    >>> check("eq-4", residual=2e-16, tol=1e-12, altered=0.3)
    eq-4: residual 2.0e-16 <= 1e-12; altered statement 3.0e-01
    """
    largest = float(np.max(np.abs(residual)))
    smallest = None if altered is None else float(np.min(np.abs(altered)))
    if not largest <= tol:
        raise ClaimError(f"{id}: residual {largest:.3e} exceeds {tol:.1e}")
    if smallest is not None and not smallest > tol:
        raise ClaimError(f"{id}: the altered statement passes too, {smallest:.3e} <= {tol:.1e}")
    display(Check(id, largest, float(tol), smallest))
