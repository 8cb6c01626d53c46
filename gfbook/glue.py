"""Numbers that a chapter calculates, named for its text: MyST-NB's ``glue``, without Sphinx.

A reader who runs a chapter needs the first and not the second, which is most of MyST-NB.
"""

import re
from typing import Any

from IPython.core.formatters import format_display_data
from IPython.display import display as show

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
HIDDEN = "application/papermill.record/"  # where MyST-NB looks for what is not shown


def glue(name: str, variable: Any, display: bool = True) -> None:
    """Keep what is displayed of a variable under a name, for {glue:text} in the text.

    Parameters
    ----------
    name : str
        Unique in the chapter.
    variable : object
        Anything that a notebook can display.
    display : bool
        Whether it is shown below the cell as well.
    """
    data, metadata = format_display_data(variable)
    prefix = "" if display else HIDDEN
    metadata["scrapbook"] = {"name": name, "mime_prefix": prefix}
    show({prefix + kind: value for kind, value in data.items()}, raw=True, metadata=metadata)


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
