"""Numbers that a chapter calculates, named for its text: MyST-NB's ``glue``, without Sphinx.

A reader who runs a chapter needs the first and not the second, which is most of MyST-NB.
"""

from typing import Any

from IPython.core.formatters import format_display_data
from IPython.display import display as show

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
