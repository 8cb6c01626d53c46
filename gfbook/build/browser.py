"""Where Chromium is: it prints the book, and the tests and benchmarks look at pages in it."""

import os
import shutil


def chromium() -> str | None:
    """Return the path of $CHROMIUM, or of the first that there is of those that are known.

    The shell has no window, and opens a page with a fifth of the work.
    """
    names = (os.environ.get("CHROMIUM"), "chromium-headless-shell", "chromium", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)
