"""The outcome of a check as a page shows it: joined with what the ledger says of the claim."""

import re
from html import escape
from typing import Any

from gfbook.check import METADATA

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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


def html(check: dict[str, Any], claim: dict[str, Any]) -> str:
    """Return the badge of a check of a claim."""
    figures = f"residual {check['residual']:.1e}, tolerance {check['tol']:.0e}"
    if check["altered"] is not None:
        figures += f", {check['altered']:.1e} when altered"
    return (
        f'<div class="claim claim-{claim["verdict"]}" id="claim-{claim["id"]}">'
        f"<strong>{escape(claim['id'])}</strong> "
        f'<span class="verdict">{claim["verdict"]}</span> '
        f"<span>{escape(claim['title'])}</span> "
        f'<span class="residual">{powers(figures)}</span></div>'
    )


def put(notebook: dict[str, Any], claims: dict[str, dict[str, Any]]) -> None:
    """Put the badges into an executed notebook."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if found := output.get("metadata", {}).get(METADATA):
                output["data"]["text/html"] = html(found, claims[found["id"]])
