"""Put together what JupyterLite needs to run the chapters in the reader's browser.

``make lite`` calls this, then JupyterLite, which leaves a site in _build/lite/site. It is no
part of the book: a chapter that runs there fetches Pyodide, NumPy, SciPy and Matplotlib.
"""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell

LITE = Path("_build/lite")
# gfcore looks for these beside itself, so the wheel lays them there.
BESIDE = ("data", "assets", "node_modules/uplot/dist")
# The chapters need one function of myst_nb, and in a browser none of what myst_nb needs.
GLUE = """\
from IPython.display import display as show


def glue(name, variable, display=True):
    if display:
        show(variable)
"""
INSTALL = "%pip install -q gfcore"


def wheel(work: Path, wheels: Path) -> None:
    """Build gfcore's wheel with all that it reads, from a copy in `work`."""
    for name in ("gfcore", *BESIDE):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(name, work / name, ignore=ignored)
    for name in ("README.md", "LICENSE", "LICENSE-text"):
        shutil.copy(name, work)
    (work / "myst_nb").mkdir()
    (work / "myst_nb" / "__init__.py").write_text(GLUE, encoding="utf-8")
    packages = ["gfcore", "myst_nb", *(name.replace("/", ".") for name in BESIDE)]
    text = Path("pyproject.toml").read_text(encoding="utf-8")
    old = 'packages = ["gfcore"]'
    if tomllib.loads(text)["tool"]["setuptools"] != {"packages": ["gfcore"]}:
        raise ValueError(f"pyproject.toml: [tool.setuptools] must hold {old} alone")
    new = f'packages = {json.dumps(packages)}\npackage-data = {{"*" = ["*"]}}'
    (work / "pyproject.toml").write_text(text.replace(old, new), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(work)]
    subprocess.run(command, check=True)


def main() -> None:
    """Write _build/lite anew: the wheel, the chapters that install it first, the settings."""
    shutil.rmtree(LITE, ignore_errors=True)
    wheel(LITE / "work", LITE / "pypi")
    (LITE / "files" / "chapters").mkdir(parents=True)
    for path in sorted(Path("chapters").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells.insert(0, new_code_cell(INSTALL, id="install"))
        notebook.metadata["kernelspec"] = {"name": "python", "display_name": "Pyodide"}
        nbformat.write(notebook, LITE / "files" / path)
    config = {"LiteBuildConfig": {"contents": ["files"], "output_dir": "site"}}
    (LITE / "jupyter_lite_config.json").write_text(json.dumps(config), encoding="utf-8")


if __name__ == "__main__":
    main()
