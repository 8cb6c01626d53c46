"""The pipeline, on a small book: what it does, and what it says when something is wrong."""

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import psutil
import pytest
import yaml

from gfbook.build import BuildError, alone, book, ledger
from gfbook.build.inputs import EXECUTED, documents, stale
from tests.book.conftest import Tree
from tests.conftest import ROOT

ONE, TWO = Path("chapters/one.ipynb"), Path("chapters/two.ipynb")
DONE = "The book is at _build/html/index.html\n"
HERE = Path()
ENDS = ("done", "started")


def executed(said):
    """Return the chapters that a build says it executed."""
    return {line.split(":")[0] for line in said.splitlines() if "done in" in line}


def files(folder):
    """Return every file below a folder, with its content."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_first_build_runs_each_chapter_and_second_none(built):
    said = (built.root / "said").read_text()
    chapters, pages = said.split("pages: started\n")
    lines = [re.sub(r" in [\d.]+ s$", "", line) for line in chapters.splitlines()]
    assert sorted(lines) == [f"{name}: {what}" for name in ("one", "two") for what in ENDS]
    assert pages == DONE
    assert set(built.pages()) == {"one.html", "two.html"}
    assert (built.root / "_build/html/index.html").is_file()
    assert built.run() == (0, DONE)


def test_manifest_has_what_each_chapter_ran_on(built):
    manifest = json.loads((built.root / "_build/html/manifest.json").read_bytes())
    one, two = (manifest["chapters"][str(name)] for name in (ONE, TWO))
    assert set(manifest["chapters"]) == {str(ONE), str(TWO)}
    assert one["source"] != two["source"]
    assert "gfbook/check.py" in one["files"]
    assert set(two["files"]) == {"gfbook/__init__.py"}
    assert two["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "numpy" in one["versions"]
    assert "gfcore" not in one["versions"]
    assert not [name for name in one["files"] if name.endswith("c")]
    assert str(built.root) not in json.dumps(manifest)


CHECK = "from gfbook.check import check\ncheck('eq-5', 0.0, 1e-9, 1.0)"
CLAIM = {
    "id": "eq-5",
    "section": "Section 2",
    "title": "five",
    "statement": "$x$",
    "chapter": "one",
    "verdict": "fails",
    "correction": "y",
    "method": "float64",
    "sharp": 0.01,
}
WORDS = "See {numref}`fig-line-NAME`, {verdict}`eq-5`; {tally}`fails` fail."
WRONG = (
    "{verdict}`eq-6`, {tally}`wins`, {eq}`eq-99`, {cite}`nobody`, {numref}`fig-none`, [](no.md)"
)
FAULTS = ("no claim eq-6", "nothing to count: wins; there is holds, holds-if, misprint,")
FAULTS += ("eq-99", "nobody", "fig-none", "no.md")


@pytest.mark.slow
def test_only_what_changed_is_done_again_and_a_book_with_faults_is_not_published(built):
    """What is stale is looked at below, one change at a time.

    So is the way of a claim: a chapter's check, the ledger, the pages; nothing goes back.
    """
    stated = built.root / ledger.LEDGER

    def again():
        code, said = built.run(umask=0o077)
        return code, said, executed(said)

    os.utime(built.root / "gfbook/check.py")  # as a checkout gives it: no change
    assert built.run() == (0, DONE)

    built.chapter("one", code=CHECK)
    built.chapter("two", text=WORDS)
    stated.write_text(yaml.safe_dump([CLAIM]))
    code, said, done = again()
    assert (code, done) == (0, {"one", "two"}), said
    site = built.root / "_build/html"  # whoever serves a copy of it may read it
    modes = {(p.is_dir(), p.stat().st_mode & 0o777) for p in (site, *site.rglob("*"))}
    assert modes == {(True, 0o755), (False, 0o644)}
    pages = built.pages()
    assert 'id="claim-eq-5"' in pages["one.html"]
    link = r'<a [^>]*href="one.html#claim-eq-5">five</a> \(fails\); 1 fail\.'
    assert re.search(link, pages["two.html"])

    # A note makes pages, and runs no kernel.
    stated.write_text(yaml.safe_dump([CLAIM | {"title": "another name", "note": "so"}]))
    built.edit("assets/book.css", "rem", "em")
    code, said, done = again()
    assert (code, done) == (0, set()), said
    assert "pages: started" in said
    pages = built.pages()
    assert "another name" in pages["one.html"]

    # A chapter fails: it is named, and kept as far as it got; the others are done.
    built.chapter("one", code="a + 1\n1 / (a - 1)")
    built.chapter("two", text=WRONG)
    code, said, done = again()
    assert (code, done) == (2, {"two"})
    assert "chapters/one.ipynb: cell 3 (a + 1): ZeroDivisionError: division by zero" in said
    assert "Traceback" not in said
    assert "as far as it got: _build/failed/chapters/one.ipynb" in said
    failed = json.loads((built.root / "_build/failed" / ONE).read_bytes())
    assert any("ZeroDivisionError" in str(cell.get("outputs")) for cell in failed["cells"])
    assert json.loads((built.root / EXECUTED / ONE).read_bytes())
    assert built.pages() == pages

    # It is mended, and alone run again; the text of the other one has faults.
    built.chapter("one", code=CHECK)
    code, said, done = again()
    assert (code, done) == (2, {"one"})
    assert not (built.root / "_build/failed").exists()
    told = [line for line in said.splitlines() if line.startswith("chapters/two.ipynb")]
    for fault in FAULTS:
        assert any(fault in line for line in told), (fault, said)
    assert str(built.root) not in said
    assert built.pages() == pages

    # So has the ledger.
    stated.write_text(yaml.safe_dump([CLAIM | {"id": "eqn-5"}]))
    code, said, done = again()
    assert (code, done) == (2, set())
    assert (
        "data/claims.yml: entry eqn-5: id: 'eqn-5' is not an item or a kind of sentence" in said
    )
    assert built.pages() == pages


def test_file_that_a_chapter_reads_is_seen(built, monkeypatch):
    monkeypatch.chdir(built.root)
    Path("data/numbers.csv").write_text("1,2\n")
    built.chapter("one", code="open('../data/numbers.csv').read()")
    assert built.run("gfbook.build.execute", str(ONE))[0] == 0
    assert not stale(ONE, HERE)
    Path("data/numbers.csv").write_text("1,3\n")
    assert stale(ONE, HERE)
    assert not stale(TWO, HERE)


@pytest.mark.parametrize(
    ("name", "old", "new", "chapters"),
    [
        ("data/claims.yml", "[]", "[ ]", set()),
        ("data/paper.yml", "as printed", "as it is printed", set()),
        ("references.bib", "Exact solutions", "Closed forms", set()),
        ("_config.yml", "Gradient Flow", "The Gradient Flow", set()),
        ("gfbook/explore/explore.css", "rem", "em", set()),
        ("gfbook/check.py", "one claim", "a claim", {ONE}),
    ],
)
def test_what_changed_is_seen(built, monkeypatch, name, old, new, chapters):
    monkeypatch.chdir(built.root)
    # The digest looks at the gfbook that runs: that of this tree, as it would be in a build.
    monkeypatch.setattr("gfbook.__file__", str(built.root / "gfbook/__init__.py"))
    assert list(book.faults(book.HTML)) == []
    text = Path(name).read_text(encoding="utf-8")
    built.edit(name, old, new)
    assert list(book.faults(book.HTML))[-1].endswith(
        "is not what the sources make: run `make book`"
    )
    assert {path for path in documents(HERE) if stale(path, HERE)} == chapters
    Path(name).write_text(text, encoding="utf-8")
    assert list(book.faults(book.HTML)) == []


def test_what_no_reader_is_given_makes_no_other_book(built, monkeypatch):
    monkeypatch.chdir(built.root)
    versions = json.loads((EXECUTED / ONE).read_bytes())["metadata"]["executed"]["versions"]
    built.chapter("one", code="import pytest\nfrom gfbook import check\na + 1")
    assert built.run("gfbook.build.execute", str(ONE))[0] == 0
    again = json.loads((EXECUTED / ONE).read_bytes())["metadata"]["executed"]["versions"]
    assert again == versions
    assert {"ipython", "numpy"} <= set(versions)


def test_another_version_of_a_package_is_seen(built, monkeypatch):
    monkeypatch.chdir(built.root)
    assert not stale(TWO, HERE)
    notebook = json.loads((EXECUTED / TWO).read_bytes())
    notebook["metadata"]["executed"]["versions"]["numpy"] = "1.0"
    (EXECUTED / TWO).write_text(json.dumps(notebook))
    assert stale(TWO, HERE)


@pytest.mark.slow
def test_two_builds_are_the_same_bytes(built):
    """Also with printed text in pieces, which the clock cuts, and with what editors leave."""
    code = "import time\nfor i in range(4):\n    print(i, flush=True)\n    time.sleep(0.3)"
    built.chapter("one", code=code)
    assert built.run()[0] == 0
    site = built.root / "_build/html"
    before, notebooks = files(site), files(built.root / EXECUTED)
    (outputs,) = json.loads(notebooks[ONE])["cells"][2]["outputs"]
    assert "".join(outputs["text"]) == "0\n1\n2\n3\n"
    shutil.rmtree(built.root / "_build")
    left = ("assets/book.css~", "assets/#book.css#", "assets/.book.css.swp", "data/claims.yml~")
    for name in (*left, "chapters/#one.ipynb#", ".a.yml"):
        (built.root / name).write_text("")
    assert built.run()[0] == 0
    assert files(built.root / EXECUTED) == notebooks
    after = files(site)
    assert [name for name in before if before[name] != after.get(name)] == []
    assert set(after) == set(before)


@pytest.mark.slow
def test_jupyter_book_makes_the_same_book(built):
    """As anyone would call it, after the chapters are executed; also over an older book."""
    site = built.root / "_build/html"
    before = files(site)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "."]
    environment = os.environ | {"PYTHONPATH": str(built.root), "SOURCE_DATE_EPOCH": "86400"}
    run = {"cwd": built.root, "env": environment, "capture_output": True, "text": True}
    for stale_page in (None, "two"):
        if stale_page:
            built.edit("data/claims.yml", "[]", "[ ]")
        else:
            shutil.rmtree(site)
        done = subprocess.run(command, **run)
        assert done.returncode == 0, done.stdout + done.stderr
    built.edit("data/claims.yml", "[ ]", "[]")
    done = subprocess.run(command, **run)
    after = files(site)
    assert [name for name in before if before[name] != after.get(name)] == []
    assert set(after) - {Path(".buildinfo.bak")} == set(before)
    assert built.run("check") == (0, "")
    built.edit(ONE, "a + 1", "a + 2")
    done = subprocess.run(command, **run)
    assert done.returncode != 0
    assert "not executed as they are now: chapters/one.ipynb: run `make book`" in done.stderr


@pytest.mark.slow
def test_cell_that_does_not_end_is_stopped(tree):
    tree.edit("gfbook/build/execute.py", "CELL_LIMIT = 60", "CELL_LIMIT = 2")
    tree.chapter("one", code="import time\ntime.sleep(1000)")
    code, said = tree.run()
    assert code == 2
    assert "chapters/one.ipynb: cell 3 (import time): not done after 2 s" in said
    assert (tree.root / "_build/failed" / ONE).is_file()


@pytest.mark.slow
def test_chapter_that_does_not_end_is_stopped(tree):
    tree.edit("gfbook/build/execute.py", "CHAPTER_LIMIT = 300", "CHAPTER_LIMIT = 12")
    tree.chapter("one", code="import time\ntime.sleep(1000)")
    code, said = tree.run()
    assert code == 2
    assert "chapters/one.ipynb: not done after 12 s" in said
    wait_for_no_process(tree)


@pytest.mark.slow
def test_kernel_that_dies_is_an_error(built):
    built.chapter("one", code="import os\nos._exit(1)")
    code, said = built.run()
    assert code == 2
    assert "chapters/one.ipynb: cell 3 (import os): Kernel died" in said


@pytest.mark.slow
def test_chapters_with_faults_are_named_and_not_published(built):
    pages = built.pages()
    told = "import sys\nprint('so', file=sys.stderr)"
    built.chapter("one", code=told, drawn="", text="No.")
    built.chapter("two", code="import warnings\nwarnings.warn('old', stacklevel=1)")
    code, said = built.run()
    assert code == 2
    for fault in (
        "chapters/one.ipynb: cell 3: wrote to stderr: so",
        "chapters/one.ipynb: no named figure",
        "chapters/two.ipynb: cell 3: wrote to stderr",
    ):
        assert f"\n{fault}" in said
    assert str(built.root) not in said
    assert built.pages() == pages


def test_faults_of_a_site_are_found(built, monkeypatch):
    monkeypatch.chdir(built.root)

    def found():
        return [fault for fault in book.faults(book.HTML) if "sources make" not in fault]

    assert list(book.faults(book.HTML)) == []
    executed = book.EXECUTED / ONE
    notebook = json.loads(executed.read_bytes())
    notebook["cells"][2]["execution_count"] = None
    executed.write_text(json.dumps(notebook))
    assert found() == [f"{ONE}: cell 3: not executed"]
    notebook["metadata"]["executed"]["source"] = "0" * 64
    executed.write_text(json.dumps(notebook))
    assert found() == [f"{ONE}: was not executed as it is now"]
    page = book.HTML / "chapters/two.html"
    picture = page.parent / book.FIGURE.search(page.read_text())[2]
    picture.write_bytes(b"")
    assert f"{TWO}: figure fig-line-two is not on its page" in found()
    page.write_text(page.read_text()[:-50])
    assert f"{TWO}: no whole page two.html" in found()
    page.unlink()
    assert f"{TWO}: no whole page two.html" in found()


def test_check_refuses_a_book_that_is_not_of_the_sources(built):
    assert built.run("check") == (0, "")
    for name, old, new in (
        (ONE, "a + 1", "a + 2"),
        ("gfbook/check.py", "one claim", "a claim"),
    ):
        text = (built.root / name).read_text()
        built.edit(name, old, new)
        code, said = built.run("check")
        assert code == 2
        assert "chapters/one.ipynb: was not executed as it is now" in said
        (built.root / name).write_text(text)
        assert built.run("check") == (0, "")


@pytest.mark.parametrize("number", ["2.1.7", "0.15.1"])
def test_other_jupyter_book_is_refused(number, monkeypatch):
    monkeypatch.setattr(book, "version", lambda name: number)
    with pytest.raises(BuildError, match=rf"1\.x is needed, {number} is installed"):
        book.pages()


@pytest.mark.parametrize(
    ("toc", "error"),
    [
        ("format: jb-book\nroot: chapters/none\n", "_toc.yml: chapters/none: no such file"),
        ("format: jb-book\nchapters: []\n", "_toc.yml: "),
        ("root: [", "_toc.yml: "),
        ("", "_toc.yml: "),
        (None, "_toc.yml: "),
    ],
)
def test_broken_table_of_contents_is_one_error(built, toc, error):
    pages = built.pages()
    if toc is None:
        (built.root / "_toc.yml").unlink()
    else:
        (built.root / "_toc.yml").write_text(toc)
    code, said = built.run()
    assert code == 2
    assert said.startswith(f"error: {error}")
    assert "Traceback" not in said
    assert built.pages() == pages


@pytest.mark.slow
@pytest.mark.parametrize("name", ["claims", "paper"])
def test_missing_data_file_is_one_error(built, name):
    pages = built.pages()
    (built.root / f"data/{name}.yml").unlink()
    code, said = built.run()
    assert code == 2
    assert said.count(f"data/{name}.yml: [Errno 2] No such file") == 1
    assert "Traceback" not in said
    assert built.pages() == pages


def test_unknown_parameter_is_one_error(tree):
    run = "gfbook.build.execute"
    for name in ("one", str(ONE)):
        code, said = tree.run(run, name, "-p", "b", "3")
        assert code == 1
        assert said == "no parameter b in chapters/one.ipynb; it has a\n"
    assert tree.run(run, "three") == (1, "no chapter chapters/three.ipynb\n")
    twice = (1, "given more than once: a\n")
    assert tree.run(run, "one", "-p", "a", "3", "-p", "a", "4") == twice


@pytest.mark.slow
def test_no_disk_space_is_one_error(built, monkeypatch):
    pages = built.pages()
    built.chapter("one", code="a + 3")
    # Before: too little is free.
    monkeypatch.chdir(built.root)
    usage = shutil.disk_usage(".")._replace(free=1e6)
    monkeypatch.setattr(book.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(BuildError, match="no disk space: 1 MB free, 300 MB needed"):
        book.names()
    # On the way: a write fails, here after 20 kB of a file.
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))}
    code, said = built.run(**limit)
    assert code == 2
    assert "File too large" in said
    assert "Traceback" not in said
    assert built.pages() == pages
    assert built.run()[0] == 0


@pytest.mark.slow
def test_no_network_is_needed(tree, tmp_path):
    # Kernels talk through files; nothing here may open an internet socket.
    hook = tmp_path / "sitecustomize.py"
    hook.write_text(
        "import sys\n"
        "def refuse(event, args):\n"
        "    if event == 'socket.connect' and isinstance(args[1], tuple):\n"
        "        raise OSError(f'no network: {args[1]}')\n"
        "sys.addaudithook(refuse)\n"
    )
    code, said = tree.run()
    assert code == 0, said
    tree.chapter("one", code="import socket\nsocket.create_connection(('127.0.0.1', 9))")
    code, said = tree.run()
    assert code == 2
    assert "no network" in said


def wait_for_no_process(tree):
    """Wait until nothing that a build started is left."""
    for _ in range(1000):
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd().startswith(str(tree.root)):
                    left.append(process)
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"still running: {left}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "moments"), [("SIGINT", (0.3, 2.0, 4.0, 6.5)), ("SIGKILL", (1.0, 3.0, 5.0, 8.0))]
)
def test_killed_build_leaves_nothing_half_done(tree, name, moments):
    for seconds in moments:
        # Each chapter and each page says which build it is from.
        tree.chapter("one", code=f"print('build', {seconds})")
        tree.chapter("two", code=f"print('build', {seconds})")
        process = tree.start(start_new_session=True)
        time.sleep(seconds)
        if name == "SIGINT":  # as a terminal sends it: to all that it started
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
        else:
            process.kill()
        process.communicate(timeout=300)
        wait_for_no_process(tree)
        for path in (tree.root / "_build/executed").rglob("*.ipynb"):
            notebook = json.loads(path.read_bytes())
            assert notebook["metadata"]["executed"]
            assert all(cell.get("execution_count", 1) for cell in notebook["cells"])
        pages = tree.pages()
        assert len(pages) in (0, 2)
        assert all(page.rstrip().endswith("</html>") for page in pages.values())
    code, said = tree.run()
    assert code == 0, said
    assert all(f"build {seconds}" in page for page in tree.pages().values())
    assert not list((tree.root / "_build").rglob("*.part*"))
    left = {path.name for path in (tree.root / "_build").iterdir()}
    assert left <= {"executed", "home", "html", "lock", "parts", "sphinx.log"}


def test_what_is_killed_between_two_renames_is_mended(built, monkeypatch):
    """On a system that cannot exchange two folders in one step."""
    monkeypatch.chdir(built.root)
    before = files(book.HTML)
    shutil.copytree(book.HTML, book.SITE)
    (book.SITE / "index.html").write_text("new")
    monkeypatch.setattr(book, "exchange", lambda one, two: False)
    with monkeypatch.context() as patch:
        patch.setattr(book, "SITE", Path("nowhere"))
        with pytest.raises(FileNotFoundError):
            book.publish()
    assert not book.HTML.exists()
    assert book.names() == ""
    assert files(book.HTML) == before
    shutil.copytree(book.HTML, book.SITE)
    (book.SITE / "index.html").write_text("new")
    book.publish()
    assert (book.HTML / "index.html").read_text() == "new"
    assert not book.OLD.exists()


def test_reader_always_finds_a_whole_book(built, monkeypatch):
    monkeypatch.chdir(built.root)
    inside = os.open(book.HTML, os.O_RDONLY)  # a folder, not a link: one may copy or archive it
    shutil.copytree(book.HTML, book.SITE)
    before = files(book.HTML)
    assert book.exchange(book.SITE, book.HTML)
    assert files(book.HTML) == files(book.SITE) == before
    assert os.path.samestat(os.fstat(inside), os.stat(book.SITE))
    os.close(inside)


@pytest.mark.slow
def test_published_book_can_be_copied_and_archived(built, tmp_path):
    site = built.root / "_build/html"
    assert not site.is_symlink()
    subprocess.run(["cp", "-r", site, tmp_path / "copy"], check=True)
    assert files(tmp_path / "copy") == files(site)
    with tarfile.open(tmp_path / "site.tar", "w") as archive:
        archive.add(site, "html")
    with tarfile.open(tmp_path / "site.tar") as archive:
        assert "html/index.html" in archive.getnames()


@pytest.mark.slow
def test_link_of_an_older_layout_becomes_a_folder(built):
    site = built.root / "_build/html"
    site.rename(built.root / "_build/site-0")
    site.symlink_to("site-0")
    built.edit(ONE, "a + 1", "a + 2")
    assert built.run()[0] == 0
    assert not site.is_symlink()


@pytest.mark.slow
def test_two_makes_at_once(tree):
    one, two = tree.start(), tree.start()
    said = [process.communicate(timeout=300)[0] for process in (one, two)]
    assert one.returncode == two.returncode == 0, said
    assert sum("waiting for another make" in text for text in said) == 1
    assert sum("one: done" in text for text in said) == 1
    assert all(text.endswith(DONE) for text in said)


@pytest.mark.long
def test_two_makes_at_once_set_up_once(tree):
    for name in ("requirements.lock", "requirements-build.lock"):
        (tree.root / name).write_text("")
    goal = ("make", "READY=.venv/locked", "ready")
    run = {
        "cwd": tree.root,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }
    both = [subprocess.Popen(goal, **run) for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "".join(said).count("setting up .venv") == 1
    # A .venv that was made elsewhere is made anew.
    (tree.root / ".venv").rename(tree.root / "venv")
    copy = tree.root.with_name("moved")
    tree.root.rename(copy)
    (copy / "venv").rename(copy / ".venv")
    done = subprocess.run(goal, **(run | {"cwd": copy, "stderr": None}))
    assert "setting up .venv" in done.stdout
    assert str(copy) in (copy / ".venv/pyvenv.cfg").read_text()


# A Python that says what it is told, and does no more than a set-up needs.
STUB = """#!/bin/sh
case "$*" in *venv*) mkdir -p .venv/bin && cp "$0" .venv/bin/python;; esac
"""


@pytest.mark.parametrize("name", ["a b", "it's #1 né $x", 'say "{x}" 100% a=b;c'])
def test_what_is_set_up_is_known_by_its_content_and_its_place_and_not_by_times(name, tmp_path):
    stub, place, other = tmp_path / "python", tmp_path / name, tmp_path / "other"
    stub.write_text(STUB)
    stub.chmod(0o755)
    place.mkdir()
    shutil.copy(ROOT / "Makefile", place)
    locks = ("requirements.lock", "requirements-build.lock", "pyproject.toml")
    for lock in locks:
        (place / lock).write_text(f"{lock}\n")
    (tmp_path / "link").symlink_to(place)

    def anew(folder):
        goal = ("make", f"PYTHON={stub}", ".venv/ready")
        done = subprocess.run(goal, cwd=folder, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return "setting up .venv" in done.stdout

    assert [anew(place), anew(place), anew(tmp_path / "link")] == [True, False, False]
    shutil.copytree(place, other)
    assert [anew(other), anew(other)] == [True, False]
    for lock in locks:  # as of a clock that is ahead
        os.utime(place / lock, (2**32, 2**32))
    assert not anew(place)
    (place / locks[0]).write_text("another\n")
    os.utime(place / locks[0], (0, 0))  # as of an older archive
    assert [anew(place), anew(place)] == [True, False]


def test_pip_that_puts_packages_elsewhere_is_refused_before_it_does(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    stub = tmp_path / "python"
    stub.write_text(STUB + 'case "$*" in *"pip config"*) echo "install.target=/x";; esac\n')
    stub.chmod(0o755)
    goal = ("make", f"PYTHON={stub}", ".venv/locked")
    done = subprocess.run(goal, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "install.target=/x\n" in done.stdout
    assert "error: with this in a file of yours pip puts packages elsewhere" in done.stderr
    assert not (tmp_path / ".venv/locked").exists()


def test_folder_that_cannot_hold_a_venv_is_named(tmp_path):
    place = tmp_path / "a:b"
    place.mkdir()
    shutil.copy(ROOT / "Makefile", place)
    done = subprocess.run(("make", "book"), cwd=place, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"a folder that has a colon in its path: {place}.  Stop." in done.stderr


def test_folder_whose_path_is_no_text_is_named(tmp_path):
    place = os.fsdecode(bytes(tmp_path) + b"/a\xe9")
    os.mkdir(place)
    shutil.copy(ROOT / "Makefile", place)
    shutil.copytree(ROOT / "gfbook/build", f"{place}/gfbook/build")
    done = subprocess.run(("make", "book"), cwd=place, capture_output=True)
    assert done.returncode == 2
    assert b"error: a book cannot be made in a folder whose path is not UTF-8: " in done.stderr
    assert rb"/a\udce9" in done.stderr
    assert not os.path.exists(f"{place}/.venv")


@pytest.mark.parametrize("flags", ["-i", "-ik", "--ignore-errors"])
def test_make_that_goes_on_past_errors_is_refused(tmp_path, flags):
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = subprocess.run(("make", flags, "book"), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "make -i would publish a book of which a part has failed.  Stop." in done.stderr
    # Letters of other flags, and of what is set, are none of it.
    plain = ("make", "-nk", "--warn-undefined-variables", "PORT=i", "clean")
    assert subprocess.run(plain, cwd=tmp_path, stdout=subprocess.DEVNULL).returncode == 0


def test_variables_of_the_user_are_not_those_of_the_makefile(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    names = ("READY", "TOOLS", "TESTS", "CHAPTER", "PARAMETERS", "STALE", "MARK", "BIN")
    done = subprocess.run(
        ("make", "--dry-run", "chapter", "executed", "test-all"),
        cwd=tmp_path,
        env=os.environ | dict.fromkeys(names, "mine"),
        capture_output=True,
        text=True,
    )
    assert "-m pytest" in done.stdout
    assert "mine" not in done.stdout


def test_variable_that_is_set_to_nothing_is_not_set(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    names = ("PYTHON", "PORT", "JOBS", "CHROMIUM", "FIREFOX")
    rule = "said: ; " + " ".join(f"$({name})" for name in names)
    done = subprocess.run(
        ("make", "--no-print-directory", "--dry-run", "--eval", rule, "said"),
        cwd=tmp_path,
        env=os.environ | dict.fromkeys(names, ""),
        capture_output=True,
        text=True,
    )
    said = ["python3", "8000", str(os.cpu_count()), "chromium-headless-shell", "firefox-esr"]
    assert done.stdout.split() == said


@pytest.mark.slow
def test_copy_of_a_checkout_runs_its_own_code(built):
    place = built.root.with_name("{copy} 100% [x]")  # papermill puts values where it has braces
    copy = Tree(shutil.copytree(built.root, place, symlinks=True))
    assert copy.run() == (0, DONE)
    copy.edit("gfbook/check.py", "import numpy as np", "import numpy as np\n1 / 0")
    code, said = copy.run()
    assert code == 2
    assert "ZeroDivisionError" in said
    assert built.run() == (0, DONE)


@pytest.mark.slow
def test_code_from_another_place_is_refused(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(ROOT / "gfbook", other / "gfbook")
    tree.chapter("one", code=f"import sys\nsys.path.insert(0, '{other}')\nimport gfcore")
    shutil.copytree(ROOT / "gfcore", other / "gfcore")
    code, said = tree.run()
    assert code == 2
    assert f"ImportError: gfcore is that of {other}" in said.replace("gfcore._check", "gfcore")


PERSONAL = {
    "MATPLOTLIBRC": "{}/matplotlibrc",
    "MPLCONFIGDIR": "{}",
    "MPLBACKEND": "pdf",
    "IPYTHONDIR": "{}/ipython",
    "JUPYTER_PATH": "{}/jupyter",
    "JUPYTER_DATA_DIR": "{}/jupyter",
    "JUPYTER_CONFIG_DIR": "{}/jupyter",
    "PYTHONPATH": "{}/python",
    "PYTHONSTARTUP": "{}/startup.py",
    "PYTHONHOME": "{}",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONHASHSEED": "7",
    "OPENBLAS_NUM_THREADS": "2",
    "LC_ALL": "de_DE.ISO-8859-1",
    "LOCPATH": "{}/locale",
    "LANGUAGE": "de",
    "TZ": "Pacific/Chatham",
    "TMPDIR": "{}/" + 50 * "long",
    "SOURCE_DATE_EPOCH": "86400",
    "NO_COLOR": "1",
    "FORCE_COLOR": "1",
    "COLUMNS": "20",
    "GIT_CONFIG_GLOBAL": "{}/gitconfig",
    "XDG_CONFIG_HOME": "{}",
    "HOME": "{}",
    "CDPATH": "/",
    "MAKEFLAGS": "",
    "http_proxy": "http://127.0.0.1:9",
}


@pytest.mark.slow
def test_nothing_personal_changes_the_book(built, tmp_path_factory):
    before, notebooks = files(built.root / "_build/html"), files(built.root / EXECUTED)
    home = tmp_path_factory.mktemp("home")
    rc = "lines.marker: o\naxes.grid: True\nfont.size: 20\n"
    broken = "raise RuntimeError('a file of the user was read')\n"
    kernel = json.dumps({"argv": ["/bin/false"], "display_name": "mine", "language": "python"})
    texts = {
        "matplotlibrc": rc,
        "python/numpy.py": broken,
        "python/sitecustomize.py": broken,
        "startup.py": broken,
        "gitconfig": "[core]\n\tautocrlf = true\n",
        "ipython/profile_default/startup/a.py": broken,
        "ipython/profile_default/ipython_config.py": broken,
        "ipython/profile_default/ipython_kernel_config.py": broken,
        ".ipython/profile_default/startup/a.py": broken,
        ".config/matplotlib/matplotlibrc": rc,
        ".local/share/jupyter/kernels/python3/kernel.json": kernel,
        "jupyter/kernels/python3/kernel.json": kernel,
        "jupyter/jupyter_config.py": broken,
    }
    for name, text in texts.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    (home / "locale").mkdir()
    if shutil.which("localedef"):  # in which the two bytes of this letter are two letters
        latin = ("localedef", "-i", "de_DE", "-f", "ISO-8859-1", f"./{PERSONAL['LC_ALL']}")
        subprocess.run(latin, cwd=home / "locale", check=False)
    built.root = built.root.rename(built.root.with_name("né"))
    shutil.rmtree(built.root / "_build")
    (home / (50 * "long")).mkdir()
    code, said = built.run(env={k: v.format(home) for k, v in PERSONAL.items()})
    assert code == 0, said
    assert files(built.root / EXECUTED) == notebooks
    after = files(built.root / "_build/html")
    assert [name for name in before if before[name] != after.get(name)] == []


@pytest.mark.slow
def test_a_chapter_runs_where_nothing_can_be_put_into_tmp(tree, tmp_path):
    alone = ("unshare", "--map-root-user", "--mount")
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("no mounts of one's own here")
    here = str(tmp_path)  # may be in /tmp itself
    steps = f"mount --bind {here} /mnt && mount --bind /tmp /tmp && "
    steps += "mount -o remount,bind,ro /tmp && ! touch /tmp/there && cd /mnt && "
    steps += f"{sys.executable} -m gfbook.build.execute one"
    done = subprocess.run([*alone, "sh", "-c", steps], capture_output=True, text=True)
    assert done.stdout == "executed: _build/chapter/one.ipynb\n", done.stderr


@pytest.mark.slow
def test_environment_of_a_robot_is_enough(built):
    """Not even HOME is set."""
    shutil.rmtree(built.root / "_build")
    code, said = built.run(clean=True)
    assert code == 0, said


def test_guard_drops_the_jobs_of_an_outer_make(monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", "ks -j4 --jobserver-auth=3,4 -- READY= BIN=x")
    assert alone.environment()["MAKEFLAGS"].split() == ["ks", "--", "READY=", "BIN=x"]


def test_folder_that_nothing_can_be_put_into_is_one_error(tmp_path):
    (tmp_path / "file").touch()
    command = (sys.executable, "-I", alone.__file__, tmp_path / "file/lock", "1", "true")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*/file'\n", done.stderr)


def test_pip_puts_things_into_the_venv_whatever_it_is_told_elsewhere(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in (".venv/locked", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nenv | grep ^PIP_\n")
    python.chmod(0o755)
    told = dict.fromkeys(
        ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_USER"), "1"
    )
    told |= {"PIP_INDEX_URL": "mine", "PATH": os.environ["PATH"]}
    goal = ("make", f"BIN={tmp_path}", "--old-file=.venv/locked", ".venv/ready")
    done = subprocess.run(goal, cwd=tmp_path, env=told, capture_output=True, text=True)
    kept = {"PIP_USER=0", "PIP_DRY_RUN=0", "PIP_INDEX_URL=mine"}  # files say other things too
    assert {*done.stdout.split()} == kept, done.stderr


def test_npm_puts_everything_into_the_folder_whatever_it_is_told_elsewhere(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    part = {"name": "part", "version": "1.0.0"}
    packages = {"": {"devDependencies": {"part": "file:part"}}, "part": part | {"dev": True}}
    packages["node_modules/part"] = {"resolved": "part", "link": True}
    lock = {"lockfileVersion": 3, "requires": True, "packages": packages}
    for name, content in (
        ("part/package.json", part),
        ("package.json", packages[""]),
        ("package-lock.json", lock),
        (".venv/tools", {}),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    told = {"NODE_ENV": "production", "npm_config_dry_run": "true", "npm_config_omit": "dev"}
    told |= {"PATH": os.environ["PATH"], "HOME": os.devnull}
    goal = (
        "make",
        f"BIN={Path(sys.executable).parent}",
        "--old-file=.venv/tools",
        "node_modules/locked",
    )
    done = subprocess.run(goal, cwd=tmp_path, env=told, capture_output=True, text=True)
    assert (tmp_path / "node_modules/part/package.json").is_file(), done.stdout + done.stderr
    assert done.returncode == 0


def test_what_sphinx_says_of_a_line_is_told_as_its_author_sees_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = book.SITE / "_sources/record/a.md"
    made.parent.mkdir(parents=True)
    made.write_text("one\n  two `x`\n")
    for said, told in (
        (
            "chapters/a b.ipynb:30005: WARNING: no",
            "chapters/a b.ipynb: cell 3, line 4: WARNING: no",
        ),
        ("record/a.md:2: ERROR: no", "record/a.md:2: ERROR: no\n    two `x`"),
        ("record/b.md:2: ERROR: no", "record/b.md:2: ERROR: no"),
        ("b.rst: WARNING: no", "b.rst: WARNING: no"),
    ):
        assert book.placed(said) == told


def test_git_changes_no_line_end():
    """Where it is told to, as by Git for Windows, from which one goes to WSL."""
    command = (
        "git",
        "-C",
        ROOT,
        "check-attr",
        "text",
        "Makefile",
        "postBuild",
        "gfcore/paper.py",
    )
    said = subprocess.run(command, capture_output=True, text=True).stdout
    if (ROOT / ".git").exists():
        assert said.count("text: unset") == 3


def test_windows_is_named_as_not_supported(tree):
    code, said = tree.run("OS=Windows_NT", "book")
    assert code == 2
    assert "Windows is not supported: use WSL" in said
