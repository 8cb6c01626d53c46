"""The environment of all that is run for a book: it has nothing of the user's."""

import os
from pathlib import Path

HOME = Path("_build/home")  # of the kernels: what the programs in them keep from run to run
KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")


def environment() -> dict[str, str]:
    """Return the environment of all that is run: the same for every user and machine.

    No file or variable of the user's is read (`matplotlibrc`, profiles, kernels, modules, the
    locale, the time zone), and numbers do not depend on how many cores there are.
    """
    home = HOME.absolute()
    folders = ["MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"]
    folders += ["JUPYTER_RUNTIME_DIR", "JUPYTER_PATH", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"]
    made = {name: str(home / name.lower()) for name in folders}
    threads = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        **{name: os.environ[name] for name in KEPT if name in os.environ},
        **made,
        **dict.fromkeys(threads, "1"),
        "HOME": str(home),
        "LC_ALL": "C",
        "NO_COLOR": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": os.getcwd(),  # this checkout, wherever the packages were installed from
        "PYTHONUTF8": "1",
        "TZ": "UTC",
    }


def enter() -> None:
    """Take that environment for this process and what it starts.

    The one kernel in it is that of this Python, which Jupyter finds beside it.
    """
    clean = environment()
    os.makedirs(clean["HOME"], exist_ok=True)  # IPython warns where its folder has no parent
    os.environ.clear()
    os.environ.update(clean)
