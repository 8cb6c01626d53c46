"""The steps of the Makefile around the chapters, one after the other as they are named.

``python -m gfbook.build.book stale`` names the executed chapters to be made, ``pages`` builds
the site in _build/next, ``check`` says what is wrong with it, ``publish`` puts it in place of
the last one, ``published`` says what is wrong with that, ``links`` looks for dead links.
"""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any

from gfbook.build import BuildError
from gfbook.build.environment import environment
from gfbook.build.inputs import EXECUTED, FAILED, MANIFEST, PARTS, digest, documents, stale
from gfbook.build.place import handed

BUILD, HERE = Path("_build"), Path()
HTML, OLD, NEXT = BUILD / "html", BUILD / "old", BUILD / "next"
SITE = NEXT / "_build/html"  # where jupyter-book puts it
LOG = BUILD / "sphinx.log"
FIGURE = re.compile(r'<figure[^>]* id="([^"]+)"[^>]*>.*?<img[^>]* src="([^"]+)"', re.S)
SPACE = 300e6  # bytes that a build may need


def names() -> str:
    """Return which executed chapters are to be made; clear what a killed build left."""
    if (free := shutil.disk_usage(BUILD).free) < SPACE:
        raise BuildError(
            f"no disk space: {free / 1e6:.0f} MB free, {SPACE / 1e6:.0f} MB needed"
        )
    if not HTML.exists() and OLD.exists():  # killed between two renames
        OLD.rename(HTML)
    for left in (PARTS, FAILED, NEXT):
        shutil.rmtree(left, ignore_errors=True)
    files = [path for path in documents(HERE) if path.suffix == ".ipynb" and stale(path, HERE)]
    return " ".join(str(EXECUTED / path) for path in files)


def pages(builder: str = "html") -> None:
    """Build all pages anew, warnings as errors."""
    if (installed := version("jupyter-book")).split(".")[0] != "1":
        raise BuildError(f"jupyter-book 1.x is needed, {installed} is installed")
    print("pages: started", flush=True)
    shutil.rmtree(NEXT, ignore_errors=True)
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    command += [
        ".",
        "-W",
        "-n",
        "--keep-going",
        f"--path-output={NEXT}",
        f"--builder={builder}",
    ]
    around = environment() | handed(HERE)
    with LOG.open("w", encoding="utf-8") as log, open(os.devnull) as nothing:
        done = subprocess.run(command, stdin=nothing, stdout=log, stderr=log, env=around)
    if done.returncode:
        lines = re.sub(r"\x1b\[[\d;]*m", "", LOG.read_text(encoding="utf-8")).splitlines()
        end = [n for n, line in enumerate(lines) if re.match(r"[A-Z]\w* error\b.*:$", line)]
        told = [line for line in lines if "WARNING" in line or "ERROR" in line]
        # Of what ended it: the first cause is not among the last lines of a traceback.
        told = told or [line for line in lines if re.match(r"[\w.]+(Error|Exception): .", line)]
        told = told or lines[-20:]
        if end:  # and what it said, without how Python came there
            told = [
                *takewhile(lambda line: line and line[:9] != "Traceback", lines[end[0] + 1 :])
            ]
        told = [placed(line.replace(f"{os.getcwd()}/", "")) for line in told if line.strip()]
        raise BuildError("\n".join(["the pages have faults:", *told, f"in full: {LOG}"]))
    if builder == "html":
        readable(SITE)


def readable(site: Path) -> None:
    """Let whoever serves a copy of a site read it, whatever the umask of who built it."""
    for path in (site, *site.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def placed(line: str) -> str:
    """Return what Sphinx said, with the place as an author sees it: the cell, or the words."""
    where = re.match(r"(.+?)\.(ipynb|md):(\d+): ", line)
    if where is None:
        return line
    name, end, number = where[1], where[2], int(where[3])
    if end == "ipynb":  # where MyST-NB counts ten thousand lines a cell, and one more
        at = f"cell {number // 10_000}, line {number % 10_000 - 1}"
        return f"{name}.ipynb: {at}: {line[where.end() :]}"
    made = SITE / "_sources" / f"{name}.md"  # of a template
    lines = made.read_text(encoding="utf-8").splitlines() if made.is_file() else []
    return "\n    ".join([line, *(part.strip() for part in lines[number - 1 : number])])


def faults(site: Path) -> Iterator[str]:
    """Say what is missing, unexecuted or out of date in a built site."""
    files = documents(HERE)
    for path in files:
        page = site / path.with_suffix(".html")
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        if "</html>" not in text:
            yield f"{path}: no whole page {page.name}"
        elif path.suffix == ".ipynb" and stale(path, HERE):
            yield f"{path}: was not executed as it is now"
        elif path.suffix == ".ipynb":
            cells = json.loads((EXECUTED / path).read_bytes())["cells"]
            for number, cell in enumerate(cells, 1):
                yield from (f"{path}: cell {number}: {fault}" for fault in _cell_faults(cell))
            metadata = [cell["metadata"].get("mystnb", {}) for cell in cells]
            named = [entry["figure"]["name"] for entry in metadata if entry.get("figure")]
            if not named:
                yield f"{path}: no named figure"
            shown = dict(FIGURE.findall(text))
            for name in named:
                picture = page.parent / shown[name] if name in shown else None
                if picture is None or not picture.is_file() or not picture.stat().st_size:
                    yield f"{path}: figure {name} is not on its page"
    manifest = site / MANIFEST
    made = json.loads(manifest.read_bytes()) if manifest.is_file() else {}
    if made.get("pages") != digest(HERE):
        yield f"{site} is not what the sources make: run `make book`"


def _cell_faults(cell: dict[str, Any]) -> Iterator[str]:
    if cell["cell_type"] != "code":
        return
    if "".join(cell["source"]).strip() and not cell["execution_count"]:
        yield "not executed"
    for output in cell["outputs"]:
        if output["output_type"] == "error":
            yield f"{output['ename']}: {output['evalue']}"
        if output.get("name") == "stderr":
            yield f"wrote to stderr: {''.join(output['text']).strip()[:200]}"


def exchange(one: Path, two: Path) -> bool:
    """Let two folders change places in one step, and say whether this system can."""
    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(two)
    if hasattr(libc, "renameat2"):  # Linux: RENAME_EXCHANGE, below the working directory
        return bool(libc.renameat2(-100, paths[0], -100, paths[1], 2) == 0)
    if hasattr(libc, "renamex_np"):  # macOS: RENAME_SWAP
        return bool(libc.renamex_np(*paths, 2) == 0)
    return False


def publish() -> None:
    """Put the built site in place of the last one; a reader finds the one or the other."""
    if HTML.is_symlink():
        HTML.unlink()
    shutil.rmtree(OLD, ignore_errors=True)
    if HTML.exists() and not exchange(SITE, HTML):
        HTML.rename(OLD)
    if not HTML.exists():
        SITE.rename(HTML)
    for left in (OLD, NEXT):
        shutil.rmtree(left, ignore_errors=True)


def check(site: Path = SITE) -> None:
    """Raise BuildError if something is wrong with a built site."""
    if found := list(faults(site)):
        raise BuildError("\n".join(["the book is not whole:", *found]))


STEPS: dict[str, Callable[[], None]] = {
    "stale": lambda: print(names()),
    "pages": pages,
    "links": lambda: pages("linkcheck"),
    "check": check,
    "publish": publish,
    "published": lambda: check(HTML),
}


def main() -> None:
    """Do the steps that are named."""
    BUILD.mkdir(exist_ok=True)
    try:
        for step in sys.argv[1:]:
            STEPS[step]()
    except (BuildError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
