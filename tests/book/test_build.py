"""The pipeline, on a small book: what it does, and what it says when something is wrong."""

import contextlib
import json
import resource
import shutil
import signal
import time

import psutil
import pytest

from gfbook.build import book, execute

ONE, TWO = "chapters/one.ipynb", "chapters/two.ipynb"


def test_first_build_runs_each_chapter_and_second_none(tree):
    code, said = tree.run()
    assert code == 0
    for line in ("one: started", "one: done in", "two: started", "two: done in"):
        assert said.count(line) == 1
    assert said.endswith("The book is at _build/html/index.html\n")
    assert set(tree.pages()) == {"one.html", "two.html"}
    assert (tree.root / "_build/html/index.html").is_file()
    assert tree.run() == (0, "The book is at _build/html/index.html\n")


def test_manifest_has_the_digest_of_each_source_and_of_gfcore(built, monkeypatch):
    monkeypatch.chdir(built.root)
    manifest = json.loads((book.HTML / "manifest.json").read_bytes())
    assert set(manifest) == {ONE, TWO}
    one, two = manifest[ONE], manifest[TWO]
    assert one["gfcore"] == two["gfcore"]
    assert one["source"] != two["source"]
    built.edit("gfcore/rates.py", "4 * np.abs", "3 * np.abs")
    built.edit(ONE, "a + 1", "a + 2")
    for name, record in execute.inputs(book.Path(ONE)).items():
        assert record != one[name]


@pytest.mark.parametrize(
    ("name", "old", "new", "executed"),
    [
        (ONE, "a + 1", "a + 2", {"one"}),
        ("gfcore/rates.py", "4 * np.abs", "(4) * np.abs", {"one", "two"}),
        ("assets/book.css", "rem", "em", set()),
    ],
)
def test_only_what_changed_is_done_again(built, name, old, new, executed):
    built.edit(name, old, new)
    code, said = built.run()
    assert code == 0, said
    assert {line.split(":")[0] for line in said.splitlines() if "done in" in line} == executed
    assert "pages: started" in said


@pytest.mark.parametrize(
    ("name", "old", "new", "stale"),
    [
        ("data/claims.yml", "[]", "[ ]", {ONE, TWO}),
        ("references.bib", "Exact solutions", "Closed forms", set()),
        ("_config.yml", "Gradient Flow", "The Gradient Flow", set()),
        ("tools/site.py", "Finish", "End", set()),
    ],
)
def test_what_changed_is_seen(built, monkeypatch, name, old, new, stale):
    monkeypatch.chdir(built.root)
    files = book.documents()
    assert book.current(files)
    built.edit(name, old, new)
    assert not book.current(files)
    assert {str(path) for path in files if book.recorded(path) != book.inputs(path)} == stale
    built.edit(name, new, old)
    assert book.current(files)


def test_outputs_are_the_same_bytes_each_time(built):
    executed = built.root / "_build/executed"
    before = {path: path.read_bytes() for path in executed.rglob("*.ipynb")}
    shutil.rmtree(executed)
    assert built.run()[0] == 0
    assert {path: path.read_bytes() for path in executed.rglob("*.ipynb")} == before


def test_failing_chapter_is_named_and_kept_and_the_last_book_stays(built):
    pages = built.pages()
    built.chapter("one", code="a + 1\n1 / (a - 1)")
    built.chapter("two", code="a + 5")
    code, said = built.run()
    assert code == 1
    assert "chapters/one.ipynb: cell 3 (a + 1): ZeroDivisionError: division by zero" in said
    assert "Traceback" not in said
    failed = json.loads((built.root / "_build/failed" / ONE).read_bytes())
    assert any("ZeroDivisionError" in str(cell.get("outputs")) for cell in failed["cells"])
    assert built.pages() == pages
    assert json.loads((built.root / "_build/executed" / ONE).read_bytes())
    built.chapter("one", code="a + 7")
    code, said = built.run()
    assert code == 0
    assert "one: done" in said
    assert "two: done" not in said
    assert not (built.root / "_build/failed").exists()


def test_cell_that_does_not_end_is_stopped(tree):
    tree.edit("tools/execute.py", "CELL_LIMIT = 60", "CELL_LIMIT = 2")
    tree.chapter("one", code="import time\ntime.sleep(1000)")
    code, said = tree.run()
    assert code == 1
    assert "chapters/one.ipynb: cell 3 (import time): not done after 2 s" in said
    assert (tree.root / "_build/failed" / ONE).is_file()


def test_chapter_that_does_not_end_is_stopped(tree):
    tree.edit("tools/execute.py", "CHAPTER_LIMIT = 300", "CHAPTER_LIMIT = 6")
    tree.chapter("one", code="import time\ntime.sleep(1000)")
    code, said = tree.run()
    assert code == 1
    assert "chapters/one.ipynb: not done after 6 s" in said
    wait_for_no_process(tree)


def test_kernel_that_dies_is_an_error(tree):
    tree.chapter("one", code="import os\nos._exit(1)")
    code, said = tree.run()
    assert code == 1
    assert "chapters/one.ipynb: cell 3 (import os): Kernel died" in said


@pytest.mark.parametrize(
    ("one", "two", "faults"),
    [
        (
            {
                "code": "import sys\nprint('so', file=sys.stderr)",
                "figure": False,
                "text": "No.",
            },
            {"code": "import warnings\nwarnings.warn('old', stacklevel=1)"},
            [
                "chapters/one.ipynb: cell 3: wrote to stderr: so",
                "chapters/one.ipynb: no named figure",
                "chapters/two.ipynb: cell 3: wrote to stderr",
            ],
        ),
        (
            {"text": "{eq}`eq-99`, {cite}`nobody2020`, {numref}`fig-none`, [it](nowhere.md)."},
            {},
            ["eq-99", "nobody2020", "fig-none", "nowhere.md"],
        ),
    ],
)
def test_book_with_faults_names_each_and_is_not_published(built, one, two, faults):
    pages = built.pages()
    built.chapter("one", **one)
    built.chapter("two", **two)
    code, said = built.run()
    assert code == 1
    told = [line for line in said.splitlines() if "chapters/" in line]
    for fault in faults:
        assert any(fault in line for line in told), (fault, said)
    assert str(built.root) not in said
    assert built.pages() == pages


def test_faults_of_a_site_are_found(built, monkeypatch):
    monkeypatch.chdir(built.root)
    files = book.documents()
    assert list(book.faults(files, book.HTML)) == []
    executed = book.EXECUTED / ONE
    notebook = json.loads(executed.read_bytes())
    notebook["cells"][2]["execution_count"] = None
    executed.write_text(json.dumps(notebook))
    assert list(book.faults(files, book.HTML)) == [f"{ONE}: cell 3: not executed"]
    notebook["metadata"]["executed"]["source"] = "0" * 64
    executed.write_text(json.dumps(notebook))
    assert list(book.faults(files, book.HTML)) == [f"{ONE}: was not executed as it is now"]
    page = book.HTML / "chapters/two.html"
    picture = page.parent / next(iter(book._Page(page.read_text()).figures.values()))
    picture.write_bytes(b"")
    assert f"{TWO}: figure fig-line-two is not on its page" in book.faults(files, book.HTML)
    page.write_text(page.read_text()[:-50])
    assert f"{TWO}: no whole page two.html" in book.faults(files, book.HTML)
    page.unlink()
    assert f"{TWO}: no whole page two.html" in book.faults(files, book.HTML)


def test_publishing_refuses_a_book_that_is_not_of_the_sources(built):
    assert built.run("--check") == (0, "")
    built.edit(ONE, "a + 1", "a + 2")
    code, said = built.run("--check")
    assert code == 1
    assert "is not what the sources make" in said
    built.edit(ONE, "a + 2", "a + 1")
    assert built.run("--check") == (0, "")
    built.edit("gfcore/rates.py", "4 * np.abs", "5 * np.abs")
    assert built.run("--check")[0] == 1


@pytest.mark.parametrize("number", ["2.1.7", "0.15.1"])
def test_other_jupyter_book_is_refused(number, monkeypatch):
    monkeypatch.setattr(book, "version", lambda name: number)
    with pytest.raises(execute.BuildError, match=rf"1\.x is needed, {number} is installed"):
        book.sphinx([])


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
    assert code == 1
    assert said.startswith(f"error: {error}")
    assert "Traceback" not in said
    assert built.pages() == pages


def test_missing_data_file_is_one_error(built):
    pages = built.pages()
    built.chapter("one", code="import gfcore as gf\ngf.claims.load();")
    (built.root / "data/claims.yml").unlink()
    code, said = built.run()
    assert code == 1
    error = "FileNotFoundError: the ledger of claims is missing: data/claims.yml"
    assert f"error: chapters/one.ipynb: cell 3 (import gfcore as gf): {error}" in said
    assert said.count("missing") == 1
    assert built.pages() == pages


def test_unknown_parameter_is_one_error(tree):
    run = {"module": "gfbook.build.execute"}
    code, said = tree.run("one", "-p", "b", "3", **run)
    assert code == 1
    assert said == "no parameter b in chapters/one.ipynb; it has a\n"
    assert tree.run("three", **run) == (1, "no chapter chapters/three.ipynb\n")
    assert tree.run("one", "-p", "a", "3", **run) == (0, "executed: _build/chapter/one.ipynb\n")
    cells = json.loads((tree.root / "_build/chapter/one.ipynb").read_bytes())["cells"]
    assert [cell["outputs"][0]["data"]["text/plain"] for cell in cells[3:4]] == [["4"]]


def test_no_disk_space_is_one_error(built, monkeypatch):
    pages = built.pages()
    built.chapter("one", code="a + 3")
    # Before: too little is free.
    monkeypatch.chdir(built.root)
    usage = shutil.disk_usage(".")._replace(free=1e6)
    monkeypatch.setattr(book.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(execute.BuildError, match="no disk space: 1 MB free, 300 MB needed"):
        book.make(1)
    # On the way: a write fails, here after 20 kB of a file.
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))}
    code, said = built.run(**limit)
    assert code == 1
    assert "error: " in said
    assert "Traceback" not in said
    assert built.pages() == pages
    assert built.run()[0] == 0


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
    assert code == 1
    assert "no network" in said


def wait_for_no_process(tree):
    """Wait until nothing that a build started is left."""
    for _ in range(100):
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd().startswith(str(tree.root)):
                    left.append(process)
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"still running: {left}")


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_killed_build_leaves_nothing_half_done(tree, name):
    for seconds in (0.3, 1.0, 2.0, 3.0, 4.0, 5.0, 6.5):
        # Each chapter and each page says which build it is from.
        tree.chapter("one", code=f"print('build', {seconds})")
        tree.chapter("two", code=f"print('build', {seconds})")
        process = tree.start(start_new_session=True)
        time.sleep(seconds)
        process.send_signal(getattr(signal, name))
        process.communicate(timeout=30)
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
    assert not list((tree.root / "_build").glob("*.part*"))
