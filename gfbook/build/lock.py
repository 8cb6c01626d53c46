"""Refresh requirements.lock from pyproject.toml, and environment.yml from the lock."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

LOCK, ENVIRONMENT = Path("requirements.lock"), Path("environment.yml")
HEADER = """\
# Made by `make lock`: Binder and conda install here what requirements.lock pins.
"""


def both(lock: str) -> str:
    """Pin what has extras without them too: for pip these are two requirements."""
    return re.sub(r"^([\w-]+)\[.+\](==.+\n(?: .+\n)+)", r"\g<0>\1\2", lock, flags=re.M)


def environment(lock: str) -> str:
    """Return environment.yml: Python, pip, every pin of the lock, and gfcore itself."""
    pins = [
        line.removesuffix("\\").strip()
        for line in lock.splitlines()
        if line and not line.startswith((" ", "#"))
    ]
    content = {
        "name": "gradient-flow",
        "channels": ["conda-forge", "nodefaults"],
        "dependencies": ["python=3.11", "pip", {"pip": [*pins, "-e ."]}],
    }
    return HEADER + yaml.safe_dump(content, sort_keys=False, width=1000)


def main() -> None:
    """Find the newest versions that fit together, on any system, and write both files."""
    part = LOCK.with_suffix(".part")
    options = "--all-extras --universal --python-version 3.11 --fork-strategy fewest --upgrade"
    options += " --generate-hashes --no-annotate --no-header --no-strip-extras --quiet"
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "pyproject.toml"]
    subprocess.run([*uv, *options.split(), "--output-file", str(part)], check=True)
    lock = both(part.read_text(encoding="utf-8"))
    part.write_text(lock, encoding="utf-8")
    ENVIRONMENT.write_text(environment(lock), encoding="utf-8")
    part.replace(LOCK)


if __name__ == "__main__":
    main()
