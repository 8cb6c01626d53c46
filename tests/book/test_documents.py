"""The documents beside the book: valid, in agreement, and true."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

import gfcore
from tests.book.conftest import written
from tests.book.test_house import code, imported
from tests.conftest import MAKE, ROOT

BIN = Path(sys.executable).parent


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def run(*command, cwd=ROOT):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked():
    """Return the files that git keeps; without git, all but those that .gitignore names."""
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if kept.returncode == 0 and kept.stdout:
        return [name for name in kept.stdout.splitlines() if (ROOT / name).is_file()]
    ignored = [".git", *(line.strip("/") for line in text(".gitignore").split())]
    files = [p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file()]
    return [
        str(path)
        for path in files
        if not any(fnmatch(part, name) for part in path.parts for name in ignored)
    ]


def checked_out(folder):
    """Copy what a clone would hold, with its times, and nothing that was fetched or built."""
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)


@pytest.mark.parametrize("command", [("ruff", "check"), ("ruff", "format", "--check")])
def test_code_is_linted_and_formatted(command, tmp_path):
    run(BIN / command[0], *command[1:], ".")
    bad = tmp_path / "bad.py"
    bad.write_text("import os\nx = ( 1 )\n")
    config = ROOT / "pyproject.toml"
    failed = subprocess.run(
        [BIN / command[0], *command[1:], "--config", config, bad], capture_output=True
    )
    assert failed.returncode == 1


@pytest.mark.slow
def test_types_are_right():
    run(BIN / "mypy")


def test_versions_agree():
    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert written("CITATION.cff")["version"] == version
    assert gfcore.__version__ == version
    assert re.search(r"^## \[([\d.]+)\]", text("CHANGELOG.md"), re.M).group(1) == version


def test_citation_is_valid(tmp_path):
    schema = "vendor.citation-file-format"
    check = [BIN / "check-jsonschema", "--builtin-schema", schema]
    run(*check, ROOT / "CITATION.cff")
    broken = tmp_path / "CITATION.cff"
    broken.write_text(
        text("CITATION.cff").replace("authors:\n  - name", "authors:\n  - nam", 1)
    )
    assert subprocess.run([*check, broken], capture_output=True).returncode == 1


def test_workflows_are_sound(tmp_path):
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert len(workflows) == 2
    schema = [BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows"]
    lint = [BIN / "zizmor", "--offline"]
    run(*schema, *workflows)
    run(*lint, *workflows)
    broken = tmp_path / "broken.yml"
    broken.write_text(workflows[0].read_text().replace("runs-on:", "run-on:"))
    assert subprocess.run([*schema, broken], capture_output=True).returncode == 1
    loose = tmp_path / "loose.yml"
    loose.write_text(re.sub(r"@[0-9a-f]{40} # v", "@v", workflows[0].read_text()))
    assert subprocess.run([*lint, loose], capture_output=True).returncode > 1


def test_map_names_every_entry_of_the_tree():
    table = text("README.md").split("## What is where")[1].split("##")[0]
    named = {name.rstrip("/") for row in table.splitlines() if row.startswith("| `")
             for name in re.findall(r"`([^`]+)`", row.split("|")[1])}  # fmt: skip
    there = {Path(name).parts[0] for name in tracked()} - {"README.md"}
    assert named == there


def test_contributing_names_all_that_chapters_take_from_gfbook():
    told = set(re.findall(r"\w+", "".join(re.findall(r"`[^`]+`", text("CONTRIBUTING.md")))))
    used = set()
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        tree = code(path)
        modules = {name.partition(".")[2] for name in imported(tree) if name[:7] == "gfbook."}
        used |= {part for name in modules for part in name.split(".")}
        used |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
        }
    assert len(used) > 20
    assert used <= told


def test_links_of_the_documents_lead_somewhere():
    links = [
        target
        for name in ("README.md", "CONTRIBUTING.md")
        for target in re.findall(r"\]\(([^)]+)\)", text(name))
    ]
    assert "assets/book.png" in links
    assert all((ROOT / target).is_file() for target in links)


def test_no_registry_is_named():
    hosts = ("pypi" + ".org", "python" + "hosted", "registry.npm" + "js", "deb.deb" + "ian.org")
    for name in tracked():
        content = (ROOT / name).read_bytes()
        assert not any(host.encode() in content for host in hosts), name


def test_no_file_says_where_the_book_is_or_installs_it_by_its_name():
    # The build finds the address: one in a file could be another's, and so could the name.
    for name in tracked():
        if name.endswith((".md", ".yml", ".cff", ".toml", ".ipynb")):
            if not name.startswith("data/"):
                assert not re.search(r"git(hub|lab)\.(com|io)/", text(name)), name
            for command in re.findall(r"pip install [^`\n]*", text(name)):
                assert "gfcore" not in command or ".whl" in command, (name, command)


def test_example_of_the_readme_runs():
    (example,) = re.findall(r"```python\n(.*?)```", text("README.md"), re.S)
    printed = run(sys.executable, "-c", example)
    first, *_, last = map(float, printed.strip().strip("[]").split())
    assert last < 1e-3 * first


@pytest.mark.long
def test_commands_of_the_readme_run(site, tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", text("README.md"), re.S)
    commands = [line.strip() for block in blocks for line in block.splitlines() if line.strip()]
    assert commands[:2] == ["make book", "make test"]
    commands.remove("make test")  # it is what is running
    checked_out(tmp_path)
    shutil.copytree(site.parent / "executed", tmp_path / "_build" / "executed")
    for command in commands:  # with what is set up here
        run("sh", "-c", command.replace("make", shlex.join(MAKE), 1), cwd=tmp_path)
    assert (tmp_path / "_build" / "html" / "index.html").is_file()
    assert (tmp_path / "_build" / "chapter" / "06-figure-1.ipynb").is_file()
