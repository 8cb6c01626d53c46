"""The build: a Sphinx extension that makes pages of executed chapters, and what runs before it.

The Makefile has the steps. `execute` runs a chapter, `book` builds the pages, checks them and
puts them in place of the last ones; `pdf` prints them.
"""

import os
from typing import Any

PARTS = ("typeset", "verdict", "again", "record", "site", "live")


class BuildError(Exception):
    """The build cannot go on; the message is for the user."""


def setup(app: Any) -> dict[str, bool]:
    """Give Sphinx every part of the extension."""
    os.environ.pop("SOURCE_DATE_EPOCH", None)  # or Sphinx would put its year on the pages
    for part in PARTS:
        app.setup_extension(f"{__name__}.{part}")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
