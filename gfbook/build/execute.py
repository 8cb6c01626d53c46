"""Execute one chapter with papermill.

``python -m gfbook.build.execute chapters/X.ipynb`` puts it in _build/executed, whole or not at
all; what did not get to its end is in _build/failed. ``... X -p NAME VALUE`` runs it at other
values of its parameters, into _build/chapter.
"""

import hashlib
import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat

from gfbook.build import BuildError
from gfbook.build.environment import enter
from gfbook.build.inputs import EXECUTED, FAILED, PARTS
from gfbook.parameters import parameters
from gfbook.ran import METADATA as RAN

CELL_LIMIT = 60  # seconds
CHAPTER_LIMIT = 300
OTHERS = Path("_build/chapter")


def execute(notebook: Path, output: Path, values: dict[str, Any]) -> None:
    """Execute one chapter in this process; raise BuildError naming the cell and the error."""
    import papermill
    from traitlets.config import Config

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it logs is raised too
    content = nbformat.reads(notebook.read_text(encoding="utf-8"), 4)
    last = nbformat.v4.new_code_cell(
        f"__import__('gfbook.ran').ran.show({os.getcwd()!r})", id=RAN
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    source = output.with_suffix(".source.ipynb")
    content.cells.append(last)
    nbformat.write(content, source)
    # The path of a socket is short, whatever the folder for temporary files, where one may.
    short = "/tmp" if os.access("/tmp", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="gf-", dir=short) as socket:
        try:
            papermill.execute_notebook(
                plain(source),
                plain(output),
                values,
                kernel_name="python3",
                progress_bar=False,
                cwd=str(notebook.parent),
                execution_timeout=CELL_LIMIT,
                coalesce_streams=True,  # how printed text is cut is a matter of time
                extra_arguments=[
                    "--log-level=50",  # no word on how a kernel was ended
                    "--IPKernelApp.exec_lines=import gfbook.ran",
                ],
                # Two kernels that start at once may take the same TCP port.
                config=Config(KernelManager={"transport": "ipc", "ip": f"{socket}/k"}),
            )
        except papermill.PapermillExecutionError as error:
            where = f"cell {_number(output, error.cell_index)}"
            raise BuildError(f"{where}: {error.ename}: {error.evalue}") from None
        except TimeoutError:
            raise BuildError(f"cell {_number(output)}: not done after {CELL_LIMIT} s") from None
        except RuntimeError as error:  # such as a kernel that died
            raise BuildError(f"cell {_number(output)}: {error}") from None
        finally:
            source.unlink()


def plain(path: Path) -> str:
    """Return a path as papermill takes it, which puts parameters where it has braces."""
    return str(path.absolute()).replace("{", "{{").replace("}", "}}")


def _number(output: Path, index: int | None = None) -> str:
    """Return which cell, counted from 1 as in the source, stopped the notebook."""
    cells = [
        cell
        for cell in nbformat.read(output, 4).cells
        if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    if index is None:  # the last that was begun
        begun = [cell.metadata.get("papermill", {}).get("start_time") for cell in cells]
        index = [*begun, None].index(None) - 1
    source = cells[index].source
    return f"{index + 1} ({source.strip().splitlines()[0] if source.strip() else 'empty'})"


def finish(output: Path, source: str) -> None:
    """Strip what differs from run to run, and write down what the chapter ran on."""
    executed = nbformat.read(output, 4)
    ran = executed.cells.pop().outputs[-1].metadata[RAN]
    executed.metadata.pop("papermill", None)
    for cell in executed.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
    executed.metadata["executed"] = {"source": source} | ran
    nbformat.write(executed, output)


def build(notebook: Path) -> None:
    """Execute a chapter for the book, and put it in place when it is whole."""
    part, began = PARTS / notebook, time.monotonic()
    print(f"{notebook.stem}: started", flush=True)

    def late(*_: Any) -> None:
        raise SystemExit(failed(notebook, part, f"not done after {CHAPTER_LIMIT} s"))

    signal.signal(signal.SIGALRM, late)
    signal.alarm(CHAPTER_LIMIT)
    os.environ["GFBOOK_PAGE"] = "1"  # explorers answer from values calculated now
    source = hashlib.sha256(notebook.read_bytes()).hexdigest()
    try:
        execute(notebook, part, {})
        finish(part, source)
    except (BuildError, OSError, ValueError) as error:
        raise SystemExit(failed(notebook, part, str(error))) from None
    place = EXECUTED / notebook
    place.parent.mkdir(parents=True, exist_ok=True)
    part.replace(place)
    (FAILED / notebook).unlink(missing_ok=True)
    print(f"{notebook.stem}: done in {time.monotonic() - began:.1f} s", flush=True)


def failed(notebook: Path, part: Path, why: str) -> str:
    """Keep a chapter that failed as far as it got, and return what to say of it."""
    message = f"{notebook}: {why.strip()}"
    if part.is_file():
        (FAILED / notebook).parent.mkdir(parents=True, exist_ok=True)
        part.replace(FAILED / notebook)
        message += f"\n  as far as it got: {FAILED / notebook}"
    return message


def main() -> None:
    """Run one chapter: for the book, or for a reader at other values of its parameters."""
    words = sys.argv[1:]
    flags, names, values = words[1::3], words[2::3], words[3::3]
    if not words or {*flags} - {"-p"} or len(names) != len(flags) or len(values) != len(names):
        sys.exit(f"usage: {Path(sys.argv[0]).stem} CHAPTER [-p NAME VALUE]...")
    notebook = Path(words[0])
    if notebook.suffix != ".ipynb":
        notebook = Path("chapters", f"{words[0]}.ipynb")
    enter()
    try:
        if not notebook.is_file():
            raise BuildError(f"no chapter {notebook}")
        if words == [str(notebook)]:
            return build(notebook)
        if twice := {name for name in names if names.count(name) > 1}:
            raise BuildError(f"given more than once: {', '.join(sorted(twice))}")
        output = OTHERS / notebook.name
        given = parameters(notebook, dict(zip(names, values, strict=True)))
        execute(notebook, output, given)
        finish(output, "")
        print(f"executed: {output}")
    except (BuildError, OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
