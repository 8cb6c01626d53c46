"""Execute chapters with papermill: in parallel, and only those whose inputs changed.

``python -m gfbook.build.execute CHAPTER [-p NAME VALUE]...`` runs one chapter at other
values of its parameters, into _build/chapter/. `gfbook.build.book` runs all of them.
"""

import argparse
import contextlib
import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import nbformat
import yaml
from tqdm import tqdm

CELL_LIMIT = 60  # seconds
CHAPTER_LIMIT = 300
EXECUTED = Path("_build/executed")
FAILED = Path("_build/failed")
PARTS = Path("_build/parts")


class BuildError(Exception):
    """The build cannot go on; the message is for the user."""


def sha256(*paths: Path) -> str:
    """Return one digest of the names and contents of files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def inputs(notebook: Path) -> dict[str, str]:
    """Return the digests of what a chapter's outputs depend on: itself, and gfcore."""
    # Of data/, what chapters read: the reference values below it are for the tests.
    facts = (path for form in ("yml", "csv") for path in Path("data").glob(f"*.{form}"))
    code = [path for name in ("gfcore", "gfbook") for path in Path(name).rglob("*.py")]
    code = [path for path in code if path.parts[:2] != ("gfbook", "build")]
    files = (*code, *facts, Path("requirements.lock"))
    return {
        "source": hashlib.sha256(notebook.read_bytes()).hexdigest(),
        "gfcore": sha256(*(path for path in files if path.is_file())),
    }


def recorded(notebook: Path) -> dict[str, str] | None:
    """Return the digests with which a chapter was last executed, if it was."""
    with contextlib.suppress(OSError, ValueError):
        record = json.loads((EXECUTED / notebook).read_bytes())["metadata"].get("executed")
        return record if isinstance(record, dict) else None
    return None


def run_all(notebooks: list[Path], jobs: int) -> None:
    """Execute the chapters that are not current; raise BuildError naming each that fails."""
    stale = [notebook for notebook in notebooks if recorded(notebook) != inputs(notebook)]
    shutil.rmtree(PARTS, ignore_errors=True)  # what a killed build left
    shutil.rmtree(FAILED, ignore_errors=True)
    running: set[subprocess.Popen[bytes]] = set()
    errors = []
    pool = ThreadPoolExecutor(jobs)
    bar = tqdm(total=len(stale), unit="chapter", disable=not (stale and sys.stderr.isatty()))
    try:
        tasks = [pool.submit(_run, notebook, running) for notebook in stale]
        for task in as_completed(tasks):
            if message := task.result():
                errors.append(message)
            bar.update()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in tuple(running):
            _kill(process)
        raise
    finally:
        pool.shutdown()
        bar.close()
    if errors:
        raise BuildError("\n".join(errors))
    manifest = {str(notebook): recorded(notebook) for notebook in notebooks}
    part = EXECUTED / "manifest.part.json"
    part.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    part.replace(EXECUTED / "manifest.json")


def _run(notebook: Path, running: set[subprocess.Popen[bytes]]) -> str:
    """Execute one chapter in a process of its own; return what went wrong, or nothing."""
    begin = time.monotonic()
    part = PARTS / notebook
    part.parent.mkdir(parents=True, exist_ok=True)
    tqdm.write(f"{notebook.stem}: started", file=sys.stdout)
    said, noise = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115
    process = subprocess.Popen(
        [sys.executable, "-m", "gfbook.build.execute", str(notebook), "--part", str(part)],
        # Left open: it ends when this process is gone, and then the other one stops too.
        stdin=subprocess.PIPE,
        env=os.environ | {"GFBOOK_PAGE": "1"},  # explorers answer from values calculated now
        stdout=said,
        stderr=noise,
        start_new_session=True,
    )
    running.add(process)
    late = False
    try:
        process.wait(CHAPTER_LIMIT)
    except subprocess.TimeoutExpired:
        late = True
        _kill(process)
        process.wait()
    finally:
        running.discard(process)
    seconds = time.monotonic() - begin
    if process.returncode == 0:
        tqdm.write(f"{notebook.stem}: done in {seconds:.1f} s", file=sys.stdout)
        return ""
    tqdm.write(f"{notebook.stem}: FAILED after {seconds:.1f} s", file=sys.stdout)
    said.seek(0)
    noise.seek(0)
    told = f"not done after {CHAPTER_LIMIT} s" if late else said.read() or noise.read()
    message = f"{notebook}: {told.strip()}"
    if part.is_file():
        (FAILED / notebook).parent.mkdir(parents=True, exist_ok=True)
        part.replace(FAILED / notebook)
        message += f"\n  as far as it got: {FAILED / notebook}"
    return message


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, its kernel too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def execute(notebook: Path, output: Path, parameters: dict[str, Any]) -> None:
    """Execute one chapter in this process; raise BuildError naming the cell and the error."""
    import papermill
    from traitlets.config import Config

    os.environ |= {
        # One chapter a core; and the same rounding whatever the number of cores.
        **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it logs is raised too
    known = papermill.inspect_notebook(str(notebook))
    if unknown := sorted(parameters.keys() - known.keys()):
        raise BuildError(
            f"no parameter {', '.join(unknown)} in {notebook}; it has {', '.join(known)}"
        )
    with tempfile.TemporaryDirectory(prefix="gf-") as socket:
        try:
            papermill.execute_notebook(
                str(notebook.absolute()),
                str(output.absolute()),
                parameters,
                kernel_name="python3",
                progress_bar=False,
                cwd=str(notebook.parent),
                execution_timeout=CELL_LIMIT,
                # Two kernels that start at once may take the same TCP port.
                extra_arguments=["--log-level=50"],  # no word on how a kernel was ended
                config=Config(KernelManager={"transport": "ipc", "ip": f"{socket}/k"}),
            )
        except papermill.PapermillExecutionError as error:
            where = f"cell {_number(output, error.cell_index)}"
            raise BuildError(f"{where}: {error.ename}: {error.evalue}") from None
        except TimeoutError:
            raise BuildError(f"cell {_number(output)}: not done after {CELL_LIMIT} s") from None
        except RuntimeError as error:  # such as a kernel that died
            raise BuildError(f"cell {_number(output)}: {error}") from None


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


def finish(notebook: Path, part: Path, record: dict[str, str]) -> None:
    """Strip what differs from run to run, add the record, and put the notebook in place."""
    executed = nbformat.read(part, 4)
    executed.metadata.pop("papermill", None)
    for cell in executed.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
    executed.metadata["executed"] = record
    nbformat.write(executed, part)
    place = EXECUTED / notebook
    place.parent.mkdir(parents=True, exist_ok=True)
    part.replace(place)


def _stop_with_parent() -> None:
    os.read(0, 1)  # returns when the parent is gone
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Run one chapter, for a reader at other parameters or for `run_all`."""
    parser = argparse.ArgumentParser(prog="gfbook.build.execute", description=__doc__)
    parser.add_argument("chapter", help="chapters/X.ipynb, or X")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--part", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    notebook = Path(given.chapter)
    if notebook.suffix != ".ipynb":
        notebook = Path("chapters", f"{given.chapter}.ipynb")
    try:
        if not notebook.is_file():
            raise BuildError(f"no chapter {notebook}")
        if given.part:
            threading.Thread(target=_stop_with_parent, daemon=True).start()
            record = inputs(notebook)
            execute(notebook, given.part, {})
            finish(notebook, given.part, record)
        else:
            output = Path("_build/chapter", notebook.name)
            output.parent.mkdir(parents=True, exist_ok=True)
            execute(notebook, output, {name: yaml.safe_load(value) for name, value in given.p})
            print(f"executed: {output}")
    except (BuildError, OSError) as error:
        print(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
