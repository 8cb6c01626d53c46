"""The root of the repository, the built book, and how the tests are run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
# With this environment, and nothing set up: a copy would be installed in it.
MAKE = ("make", "READY=", f"BIN={Path(sys.executable).parent}")

# One commit, one answer; the weekly run goes where no run has been, with the profile "explore".
OURS = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("fixed", **OURS, derandomize=True)
settings.register_profile("explore", **OURS, max_examples=2000, print_blob=True)
settings.load_profile("fixed")


def pytest_configure():
    """Hear interrupts, as the builds shall, even where a shell runs this in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers():
    """Take one worker more than there are cores: tests wait for pages, kernels, downloads."""
    return os.cpu_count() + 1


def together(item):
    """Return what a test is run with, one after the other: all of a page, of a module, or one.

    A module's tests share what is slow to start; those of the mathematics share nothing.
    """
    values = getattr(item, "callspec", None)
    if values and "page" in values.params:
        return values.params["page"]
    apart = "maths" in item.path.parts or item.path.stem == "test_build"
    return f"{item.path.stem}-{getattr(item, 'originalname', '')}" if apart else item.path.stem


@pytest.hookimpl(tryfirst=True)  # before xdist looks for the groups
def pytest_collection_modifyitems(items):
    """Begin with the tests that take longest, or they would be the last to run, and alone."""
    longest = ("fresh_environment", "commands_of_the_readme", "site/test_run.py")
    longest += ("site/test_playground.py", "dozen_rows", "killed_build")
    longest += ("tests/site", "tests/book")

    def place(item):
        return next((n for n, part in enumerate(longest) if part in item.nodeid), len(longest))

    items.sort(key=place)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(together(item)))


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id):
    """Return the folder that all workers of this run have."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def site(shared):
    """Return the folder of the published book, brought up to date first, by one worker."""
    from filelock import FileLock  # which the tests of the mathematics do without

    done = shared / "site"
    with FileLock(f"{done}.lock"):
        if not done.exists():
            subprocess.run([sys.executable, "-m", "gfbook.live.parts"], cwd=ROOT, check=True)
            subprocess.run([*MAKE, "book"], cwd=ROOT, check=True)
            done.touch()
    return ROOT / "_build" / "html"
