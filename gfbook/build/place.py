"""Where a book is: its project here, its repository and its pages in public.

No file of a book has its address. It is that of the repository that the build runs in, by the
environment of a public workflow or by git; where none is known no page needs one.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

PLACE = "GFBOOK_PLACE"  # tells a process that has nothing of the user's what was found
FORGES = {"github.com": "github.io", "gitlab.com": "gitlab.io"}  # and where their pages are
REMOTE = re.compile(
    r"(?:https://(?:[^@/]+@)?|(?:ssh://)?git@)([\w.-]+)[:/]([\w.-]+)/([\w.-]+?)(?:\.git)?/?"
)


class Repository(NamedTuple):
    """Where the sources of a book can be found by its readers."""

    url: str
    branch: str
    site: str


def project(folder: Path) -> Path | None:
    """Return the root of the project that a folder is in, where pyproject.toml is."""
    folders = [folder.resolve(), *folder.resolve().parents]
    return next((path for path in folders if (path / "pyproject.toml").is_file()), None)


def _git(root: Path, *arguments: str) -> str:
    # Whose the checkout is does not matter to who runs its code; a hook's GIT_DIR is another's.
    command = ["git", "-C", str(root), "-c", "safe.directory=*", *arguments]
    own = {k: v for k, v in os.environ.items() if not re.match("GIT_(?!CONFIG_)", k)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=own)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def repository(root: Path | None) -> Repository | None:
    """Return the public repository of a project, if the place of the build tells of one."""
    told = {name: os.environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY")}
    if PLACE in os.environ:
        url, _, branch = os.environ[PLACE].partition(" ")
    elif all(told.values()):
        url = f"{told['SERVER_URL']}/{told['REPOSITORY']}"
        branch = os.environ.get("GITHUB_REF_NAME", "")
    # An archive may have been unpacked within a repository that is another's.
    elif root and _git(root, "ls-files", "pyproject.toml"):
        url = _git(root, "remote", "get-url", "origin")
        branch = _git(root, "symbolic-ref", "--short", "HEAD") or _git(
            root, "rev-parse", "HEAD"
        )
    else:
        return None
    found = REMOTE.fullmatch(url)
    if not found or found[1] not in FORGES or not branch:
        return None
    host, owner, name = found.groups()
    pages = f"{owner}.{FORGES[host]}".lower()
    site = f"https://{pages}/" + ("" if name.lower() == pages else f"{name}/")
    return Repository(f"https://{host}/{owner}/{name}", branch, site)


def handed(root: Path) -> dict[str, str]:
    """Return what hands on where a book is to a process that could not find it by itself."""
    found = repository(root)
    return {PLACE: f"{found.url} {found.branch}" if found else ""}
