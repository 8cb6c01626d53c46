"""The build: a Sphinx extension that makes pages of executed chapters, and what runs before it.

The Makefile has the steps. `execute` runs a chapter, `book` builds the pages, checks them and
puts them in place of the last ones; `pdf` prints them.
"""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.errors import ExtensionError

PARTS = ("typeset", "verdict", "record", "site", "live")


class BuildError(ExtensionError):
    """The build cannot go on; the message is for the user."""


def put(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files into a folder, by their paths in it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def setup(app: Any) -> dict[str, bool]:
    """Give Sphinx every part of the extension."""
    os.environ.pop("SOURCE_DATE_EPOCH", None)  # or Sphinx would put its year on the pages
    for part in PARTS:
        import_module(f"{__name__}.{part}").setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
