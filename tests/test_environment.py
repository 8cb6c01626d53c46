"""environment.yml: what Binder and conda install, tried in a fresh environment."""

import json
import shutil
import subprocess
import venv

import yaml
from conftest import ROOT

from tools.lock import environment


def test_environment_is_the_lock_and_the_package():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert (ROOT / "environment.yml").read_text(encoding="utf-8") == environment(lock)
    assert not (ROOT / "binder").exists()


def test_every_pin_has_its_hash():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks = lock.replace("\\\n", "").splitlines()
    assert blocks
    for block in blocks:
        assert "==" in block
        assert "--hash=sha256:" in block
    assert "://" not in lock


def test_pip_section_runs_a_chapter_in_a_fresh_environment(tmp_path):
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = [item["pip"] for item in content["dependencies"] if isinstance(item, dict)]
    copy = tmp_path / "copy"
    for name in ("gfcore", "data", "chapters"):
        shutil.copytree(ROOT / name, copy / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-text"):
        shutil.copy(ROOT / name, copy)
    (copy / "pins.txt").write_text("\n".join(pip), encoding="utf-8")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"

    def run(*command):
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(python, "-m", "pip", "install", "--quiet", "-r", "pins.txt")
    run(python, "-m", "pip", "check")
    where = run(python, "-c", "import gfcore, sys; print(gfcore.__file__, sys.prefix)")
    assert where.startswith(str(copy))
    assert str(tmp_path / "env") in where
    chapter = "chapters/02-symmetric-factorization.ipynb"
    run(
        python,
        "-m",
        "papermill",
        chapter,
        "out.ipynb",
        "--kernel",
        "python3",
        "--cwd",
        "chapters",
    )
    cells = json.loads((copy / "out.ipynb").read_bytes())["cells"]
    assert any(cell.get("outputs") for cell in cells)
    shutil.rmtree(tmp_path / "env")
