"""The ledger of the paper's claims, and the check that each chapter runs on them."""

import re
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from IPython.display import display
from numpy.typing import ArrayLike

LEDGER = Path(__file__).resolve().parent.parent / "data" / "claims.yml"
METADATA = "gfcore-claim"  # the key under which an output carries its figures
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
VERDICTS = ("holds", "holds-if", "misprint", "fails")


class ClaimError(AssertionError):
    """A claim's residual disagrees with its verdict in the ledger."""


@cache
def load() -> dict[str, dict[str, Any]]:
    """Return the ledger as {id: entry}, read from data/claims.yml.

    Raises
    ------
    FileNotFoundError
        If data/claims.yml is missing.
    ValueError
        If two entries share an id or a verdict is unknown.

    Examples
    --------
    >>> load()["eq-4"]["verdict"]
    'holds'
    """
    if not LEDGER.is_file():
        raise FileNotFoundError(f"the ledger of claims is missing: data/{LEDGER.name}")
    entries = yaml.safe_load(LEDGER.read_text(encoding="utf-8"))
    ledger = {entry["id"]: entry for entry in entries}
    if len(ledger) != len(entries):
        raise ValueError("data/claims.yml: two entries share an id")
    for entry in entries:
        if entry["verdict"] not in VERDICTS:
            raise ValueError(f"data/claims.yml: {entry['id']}: verdict {entry['verdict']!r}")
    return ledger


def powers(text: str) -> str:
    """Return a text with its floats as one prints them, with powers of ten.

    Examples
    --------
    >>> powers("residual 2.0e-16, tolerance 1e-12")
    'residual 2.0·10⁻¹⁶, tolerance 10⁻¹²'
    """

    def printed(found: re.Match[str]) -> str:
        power = int(found[2])
        if float(found[0]) == 0 or -3 < power < 3:
            return f"{float(found[0]):g}"
        digits = "" if found[1] == "1" else f"{found[1]}·"
        return f"{digits}10{str(power).translate(SUPERSCRIPTS)}"

    return re.sub(r"\b(\d(?:\.\d+)?)e([+-]?\d+)\b", printed, text)


@dataclass(frozen=True)
class Check:
    """The outcome of one check: in a notebook a badge, its figures in the output's metadata."""

    id: str
    verdict: str
    residual: float
    tol: float
    altered: float | None

    def __repr__(self) -> str:
        text = f"{self.id} {self.verdict}: residual {self.residual:.1e} <= {self.tol:.0e}"
        if self.altered is not None:
            text += f"; altered statement {self.altered:.1e}"
        return text

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        entry = load()[self.id]
        figures = f"residual {self.residual:.1e}, tolerance {self.tol:.0e}"
        figures += "" if self.altered is None else f", {self.altered:.1e} when altered"
        badge = (
            f'<div class="claim claim-{self.verdict}" id="claim-{self.id}">'
            f"<strong>{escape(self.id)}</strong> "
            f'<span class="verdict">{self.verdict}</span> '
            f"<span>{escape(entry['title'])}</span> "
            f'<span class="residual">{powers(figures)}</span></div>'
        )
        return {"text/html": badge, "text/plain": repr(self)}, {METADATA: vars(self)}


def check(id: str, residual: ArrayLike, tol: float, altered: ArrayLike | None = None) -> None:
    """Check one claim of the ledger and show the outcome.

    Parameters
    ----------
    id : str
        The claim's identifier in data/claims.yml.
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
    KeyError
        If no claim has this id.
    ClaimError
        If `residual` exceeds `tol` or is not a number, or `altered` does not exceed `tol`.

    Examples
    --------
    >>> check("eq-4", residual=2e-16, tol=1e-12, altered=0.3)
    eq-4 holds: residual 2.0e-16 <= 1e-12; altered statement 3.0e-01
    """
    verdict = load()[id]["verdict"]
    largest = float(np.max(np.abs(residual)))
    smallest = None if altered is None else float(np.min(np.abs(altered)))
    if not largest <= tol:
        raise ClaimError(f"{id} ({verdict}): residual {largest:.3e} exceeds {tol:.1e}")
    if smallest is not None and not smallest > tol:
        raise ClaimError(f"{id}: the altered statement passes too, {smallest:.3e} <= {tol:.1e}")
    display(Check(id, verdict, largest, float(tol), smallest))
