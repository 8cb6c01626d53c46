"""Where Chromium is: it prints the book, and the tests and benchmarks look at pages in it."""

import os
import shutil


def chromium() -> str | None:
    """Return the path of $CHROMIUM, chromium or google-chrome, the first that there is."""
    names = (os.environ.get("CHROMIUM"), "chromium", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)
