"""In the kernel of a chapter: what it ran on, which only the kernel knows.

Imported before the first cell, it notes which files of the book are read; `show`, after the
last, adds the code that was imported and the versions of the packages.
"""

import hashlib
import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from IPython.display import display
from packaging.utils import canonicalize_name

METADATA = "ran"
_read: set[str] = set()


def _note(event: str, given: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(given[0], str) and str(given[1]).strip("bt") == "r":
        _read.add(os.path.abspath(given[0]))


sys.addaudithook(_note)


def show(root: str) -> None:
    """Show nothing, with the digests of files by their names in the book, and versions.

    Where the book has a requirements.lock, of the packages there: what else happens to be
    installed, and is imported by one that can do without, makes no other book.

    Raises
    ------
    ImportError
        If a package that is in the book was imported from elsewhere.
    """
    book = Path(root).resolve()
    loaded = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    modules = {name: Path(file).resolve() for name, file in loaded.items() if file}
    files, named = {}, set()
    for name, path in modules.items():
        top = name.partition(".")[0]
        own = path.is_relative_to(book) and "site-packages" not in path.parts
        if (book / top / "__init__.py").is_file() and not own:
            raise ImportError(f"{name} is that of {path}, not that of {book}")
        if own or top in ("gfbook", "gfcore"):
            named.add(top)
            home = book if own else modules[top].parent.parent
            if name != __name__:
                files[path.relative_to(home).as_posix()] = path
    hidden = (".", "_build", "node_modules")
    for path in map(Path, _read):
        inside = (
            path.is_relative_to(book) and path.is_file() and path.suffix not in (".py", ".pyc")
        )
        if inside and not any(p.startswith(hidden) for p in path.relative_to(book).parts):
            files[path.relative_to(book).as_posix()] = path
    owners = metadata.packages_distributions()
    used = {name.partition(".")[0] for name in modules} - named
    distributions = {owner for name in used for owner in owners.get(name, ())}
    if (lock := book / "requirements.lock").is_file():
        pins = re.findall(r"^([\w.-]+)==", lock.read_text(encoding="utf-8"), re.MULTILINE)
        distributions = {name for name in distributions if canonicalize_name(name) in pins}
    record = {
        "files": {n: hashlib.sha256(files[n].read_bytes()).hexdigest() for n in sorted(files)},
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in sorted(distributions)},
    }
    display({"text/plain": ""}, metadata={METADATA: record}, raw=True)
