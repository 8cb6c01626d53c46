"""What the pages are made of: which files, and one digest of them all."""

import contextlib
import functools
import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import gfbook
from gfbook.build import BuildError
from gfbook.build.place import repository
from gfbook.live import parts

CITATION, MANIFEST = "CITATION.cff", "manifest.json"
LEFT = ("**/*~", "**/#*#")  # what editors leave, beside files that begin with a dot
EXECUTED, PARTS, FAILED = (Path("_build", name) for name in ("executed", "parts", "failed"))


def documents(root: Path) -> list[Path]:
    """Return the files that _toc.yml names, in its order."""
    from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

    try:
        names = list(parse_toc_yaml(root / "_toc.yml"))
    except (MalformedError, OSError, yaml.YAMLError) as error:
        raise BuildError(f"_toc.yml: {error}") from None
    files = []
    for name in names:
        found = [
            path for end in (".ipynb", ".md") if (root / (path := Path(name + end))).is_file()
        ]
        if not found:
            raise BuildError(f"_toc.yml: {name}: no such file, .ipynb or .md")
        files.append(found[0])
    return files


def digest(root: Path) -> str:
    """Return the digest of all that a page can depend on."""
    own = Path(gfbook.__file__).resolve().parent
    files = [
        root / EXECUTED / path if path.suffix == ".ipynb" else root / path
        for path in documents(root)
    ]
    for folder in (root / "assets", own):
        files += [path for path in folder.rglob("*") if path.suffix != ".pyc"]
    for pattern in ("*.yml", "data/*.[cpy]*", "*.bib", "*.lock", "pyproject.toml", CITATION):
        files += root.glob(pattern)
    named = {
        path.relative_to(own.parent if path.is_relative_to(own) else root).as_posix(): path
        for path in files
        if path.is_file() and path.name[0] != "." and not any(map(path.match, LEFT))
    }
    around = repository(root), parts.ready(root) is not None
    whole = hashlib.sha256(repr(around).encode())
    for name in sorted(named):
        content = hashlib.sha256(named[name].read_bytes()).digest()
        whole.update(f"{name}\0".encode() + content)
    return whole.hexdigest()


def recorded(notebook: Path, root: Path) -> dict[str, Any]:
    """Return what a chapter was last executed on; nothing if it was not, or not to its end."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        record = json.loads((root / EXECUTED / notebook).read_bytes())["metadata"]["executed"]
        if isinstance(record, dict):
            return record
    return {}


@functools.cache
def installed(name: str) -> str | None:
    """Return the version of a package, or of Python, or nothing where there is none."""
    try:
        return platform.python_version() if name == "python" else metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def stale(notebook: Path, root: Path) -> bool:
    """Say whether a chapter has to be executed: it, a file it used, or a package is another."""
    record = recorded(notebook, root)

    def digest(name: str) -> str | None:
        # Of this checkout, or of the gfbook that runs this, where the book has none of its own.
        places = (root / name, Path(gfbook.__file__).parent.parent / name)
        found = next((path for path in places if path.is_file()), None)
        return hashlib.sha256(found.read_bytes()).hexdigest() if found else None

    return (
        set(record) != {"source", "files", "versions"}
        or record["source"] != digest(notebook.as_posix())
        or any(digest(name) != known for name, known in record["files"].items())
        or any(installed(name) != known for name, known in record["versions"].items())
    )
