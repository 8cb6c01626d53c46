"""Make the book: execute what changed, build every page, check them all, then publish.

``python -m gfbook.build.book`` leaves the book at _build/html/index.html; with ``--check``
it only says whether that book is the one that the sources make.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from gfbook import explore
from gfbook.build import ledger, take
from gfbook.build import site as finishing
from gfbook.build.execute import EXECUTED, BuildError, inputs, recorded, run_all, sha256

BUILD = Path("_build")
HTML = BUILD / "html"  # a link to the last good book, turned over in one step
SPACE = 300e6  # bytes that a build may need


def documents() -> list[Path]:
    """Return the files that _toc.yml names, in its order, but for those that are made."""
    from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

    try:
        names = list(parse_toc_yaml("_toc.yml"))
    except (MalformedError, OSError, yaml.YAMLError) as error:
        raise BuildError(f"_toc.yml: {error}") from None
    files = []
    for name in names:
        if Path(f"{name}.md") in ledger.PAGES:
            continue
        found = [path for end in (".ipynb", ".md") if (path := Path(f"{name}{end}")).is_file()]
        if not found:
            raise BuildError(f"_toc.yml: {name}: no such file, .ipynb or .md")
        files.append(found[0])
    return files


def digest(files: list[Path]) -> str:
    """Return the digest of all that a page can depend on."""
    executed = [EXECUTED / path for path in files if path.suffix == ".ipynb"]
    pages = [path for path in files if path.suffix != ".ipynb"]
    others = [
        path
        for folder in ("assets", "gfbook/build", "gfbook/explore")
        for path in Path(folder).rglob("*.*")
    ]
    names = (
        "_config.yml",
        "_toc.yml",
        ledger.CITATION,
        "references.bib",
        "requirements.lock",
        ledger.LEDGER,
    )
    return sha256(
        *executed, *pages, *map(Path, names), *(p for p in others if p.suffix != ".pyc")
    )


class _Page(HTMLParser):
    """The figures of a page: the name of each, and its picture."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.figures: dict[str, str] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "figure":
            self._inside = values.get("id") or ""
        elif tag == "img" and self._inside:
            self.figures.setdefault(self._inside, values.get("src") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "figure":
            self._inside = ""


def faults(files: list[Path], site: Path) -> Iterator[str]:
    """Say what is missing, unexecuted or out of date in a built site."""
    for path in files:
        page = site / path.with_suffix(".html")
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        if "</html>" not in text:
            yield f"{path}: no whole page {page.name}"
            continue
        if path.suffix != ".ipynb":
            continue
        if recorded(path) != inputs(path):
            yield f"{path}: was not executed as it is now"
            continue
        cells = json.loads((EXECUTED / path).read_bytes())["cells"]
        for number, cell in enumerate(cells, 1):
            yield from (f"{path}: cell {number}: {fault}" for fault in _cell_faults(cell))
        named = [
            figure["name"]
            for cell in cells
            if (figure := cell["metadata"].get("mystnb", {}).get("figure"))
        ]
        if not named:
            yield f"{path}: no named figure"
        shown = _Page(text).figures
        for name in named:
            picture = page.parent / shown[name] if name in shown else None
            if picture is None or not picture.is_file() or not picture.stat().st_size:
                yield f"{path}: figure {name} is not on its page"


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


def sphinx(files: list[Path], builder: str = "html") -> Path:
    """Build all pages anew, warnings as errors, and return the folder of the site."""
    major = version("jupyter-book").split(".")[0]
    if major != "1":
        raise BuildError(f"jupyter-book 1.x is needed, {version('jupyter-book')} is installed")
    work = BUILD / "work"
    shutil.rmtree(work, ignore_errors=True)
    tree = work / "tree"
    notebooks = [path for path in files if path.suffix == ".ipynb"]
    for path in files:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXECUTED / path if path in notebooks else path, tree / path)
    for notebook in notebooks:
        take.offer(notebook, tree)
    for name in ("_config.yml", "_toc.yml", "references.bib"):
        shutil.copy(name, tree)
    shutil.copytree("assets", tree / "assets")
    (tree / "assets" / "explore.js").write_text(explore.script(), encoding="utf-8")
    ledger.write(files, tree)
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(tree), "-W"]
    command += ["-n", "--keep-going", "--path-output", str(work), "--builder", builder]
    with (BUILD / "sphinx.log").open("w", encoding="utf-8") as log:
        # Two of the extensions are in gfbook/.
        environment = os.environ | {"NO_COLOR": "1", "PYTHONPATH": os.getcwd()}
        code = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        ).returncode
    if code:
        lines = (BUILD / "sphinx.log").read_text(encoding="utf-8").splitlines()
        told = [line for line in lines if "WARNING" in line or "ERROR" in line] or lines[-20:]
        told = [line.replace(f"{tree.absolute()}/", "") for line in told]
        raise BuildError("\n".join(["the pages have faults:", *told, f"in full: {log.name}"]))
    site = work / "_build" / builder
    shutil.copy(tree / "claims.json", site)
    take.deliver(notebooks, tree, site)
    if builder == "html" and (root := finishing.project(tree)):
        found = finishing.repository(root)
        finishing.offer(site, finishing.install(root, site, found.site if found else ""))
    return site


def publish(site: Path, name: str) -> None:
    """Put a checked site in place of the last one, in one step."""
    place = BUILD / f"site-{name[:16]}"
    shutil.rmtree(place, ignore_errors=True)
    site.rename(place)
    link = BUILD / "html.part"
    link.unlink(missing_ok=True)
    link.symlink_to(place.name)
    if HTML.is_dir() and not HTML.is_symlink():
        shutil.rmtree(HTML)
    link.replace(HTML)
    for old in BUILD.glob("site-*"):
        if old != place:
            shutil.rmtree(old)
    shutil.rmtree(BUILD / "work")


def current(files: list[Path]) -> bool:
    """Say whether the published book is the one that the sources make."""
    stale = any(recorded(path) != inputs(path) for path in files if path.suffix == ".ipynb")
    return not stale and HTML.resolve().name == f"site-{digest(files)[:16]}"


def make(jobs: int) -> None:
    """Bring the book up to date."""
    files = documents()
    if not current(files):
        if (free := shutil.disk_usage(BUILD).free) < SPACE:
            raise BuildError(
                f"no disk space: {free / 1e6:.0f} MB free, {SPACE / 1e6:.0f} MB needed"
            )
        run_all([path for path in files if path.suffix == ".ipynb"], jobs)
        print("pages: started", flush=True)
        site = sphinx(files)
        shutil.copy(EXECUTED / "manifest.json", site)
        if found := list(faults(files, site)):
            raise BuildError("\n".join(["the book is not whole:", *found]))
        publish(site, digest(files))
    print(f"The book is at {HTML}/index.html")


def main() -> None:
    """Make the book, or check it."""
    parser = argparse.ArgumentParser(prog="gfbook.build.book", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--links", action="store_true", help="only look for dead links")
    given = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    try:
        if given.check:
            if not current(documents()):
                raise BuildError(f"{HTML} is not what the sources make: run `make book`")
            return
        with FileLock(BUILD / "lock"):
            if given.links:
                sphinx(documents(), "linkcheck")
            else:
                make(given.jobs)
    except KeyboardInterrupt:
        sys.exit("interrupted; the last good book is still in place")
    except (BuildError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
