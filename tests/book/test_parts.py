"""What Python in the page is made of, and what its kernel knows before it runs a cell."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest

from gfbook.live import compiled, parts, shell
from gfbook.live.needs import due, needs
from tests.conftest import ROOT


def test_versions_and_hashes_are_those_of_the_locks():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", "")
    for pure in parts.parts()["pure"]:
        (pin,) = re.findall(rf"^{pure['name']}==.*$", lock, re.M)
        assert pin.split()[0] == f"{pure['name']}=={pure['version']}"
        assert f"sha256:{pure['sha256']}" in pin


def test_editor_is_what_npm_makes_of_its_source():
    kept = ROOT / "gfbook/live/static/live/editor.mjs"
    command = ["npm", "run", "--silent", "editor"]
    if not (ROOT / "node_modules/esbuild").is_dir():
        pytest.fail("node_modules is not that of package-lock.json: make tools")
    command = parts.node("npm") + command[1:]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    assert made == kept.read_bytes()


def wheel(**files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/") + ".whl", text)
    return made.getvalue()


def test_an_official_wheel_is_taken_by_the_hash_of_the_lock_alone(tmp_path):
    carrier = tmp_path / "carrier.whl"
    carrier.write_bytes(wheel(inside__a=b"genuine", inside__b="unlisted", other__a="elsewhere"))
    digest = hashlib.sha256(b"genuine").hexdigest()
    lock = {"packages": {"a": {"file_name": "a.whl", "sha256": digest}}}
    assert dict(parts.official(carrier, "inside", lock)) == {"a": b"genuine"}
    carrier.write_bytes(wheel(inside__a=b"forged"))
    with pytest.raises(parts.PartError, match=r"a\.whl has the SHA-256 \w+, not " + digest):
        dict(parts.official(carrier, "inside", lock))


def test_a_part_that_cannot_be_had_is_told_in_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def none(place, about):
        parts.run("npm pack", [sys.executable, "-c", "print('a\\nno such'); exit(1)"], place)

    monkeypatch.setattr(parts, "core", none)
    parts.main()
    *_, said = capsys.readouterr().out.splitlines()
    assert said == "no Python in the pages: npm pack: no such"
    assert parts.ready() is None
    assert not [*tmp_path.rglob("made")]


def test_a_cell_needs_what_its_names_come_from():
    chapter = json.loads((ROOT / "chapters/02-symmetric-factorization.ipynb").read_bytes())
    sources = ["".join(c["source"]) for c in chapter["cells"] if c["cell_type"] == "code"]
    found = needs(sources, len(sources) - 1)
    assert found[:2] == [0, 1]  # parameters, imports
    assert found[-1] == len(sources) - 1
    assert len(found) < len(sources)
    assert needs(["a = 1", "a[0] = 2", "b = 3", "a"], 3) == [0, 1, 3]
    assert needs(["a = 1", "a += 1", "a"], 2) == [0, 1, 2]
    assert needs(["a = []", "a.append(1)", "a"], 2) == [0, 1, 2]
    assert needs(["a = 1", "a = 2", "a"], 2) == [1, 2]
    assert needs(["import a", "b = 1", "a.f(b)", "a.c"], 3) == [0, 3]  # no module is changed
    assert needs(["import a", "b = 1", "a.f = b", "a.c"], 3) == [0, 1, 2, 3]
    assert needs(["from c import a", "a = []", "a.append(1)", "a"], 3) == [0, 1, 2, 3]
    assert needs(["a = 1", "b =", "a"], 2) == [0, 1, 2]  # not to be known
    assert needs(["b =", "a"], 0) == [0]
    local = "def f():\n    r = default_rng(0)\n    return r.normal()"
    assert needs([local, "r = 1", "print(r)", "r"], 3) == [1, 3]  # that r is no generator


def test_names_that_others_wrote_since_are_made_again():
    cells = ["a = 1", "b = a", "c = b", "b", "b = [a for a in 'xy']", "a = 3"]

    def ran(*places):
        return [(place, cells[place]) for place in places], [*places]

    assert due(cells, 3, *ran(0, 1, 2)) == [3]
    assert due(cells, 3, *ran(0, 1, 4)) == [1, 3]
    assert due(cells, 3, *ran(0, 1, 5)) == [3]  # b is as it was
    assert due(cells, 3, *ran(0, 1, 4, 5)) == [0, 1, 3]
    assert due(cells, 3, *ran(4)) == [0, 1, 3]
    assert due(cells, 3, *ran(1, 0)) == [1, 3]
    log, well = ran(0, 1)
    assert due(cells, 3, [*log, (4, "b = 'before it was changed'")], well) == [1, 3]
    draws = ["r = default_rng(0)", "r.normal()", "print(r.normal())"]
    assert due(draws, 1, [*enumerate(draws)], [0, 1, 2]) == [0, 1]


def test_bytecode_is_that_of_the_source_with_empty_docstrings():
    source = b'"""Say."""\n\n\ndef f(x):\n    """Double."""\n    assert x\n    return 2 * x\n'
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a/b.py", source)
        archive.writestr("a/c.txt", "kept")
    packed = compiled.packed({"": made.getvalue(), "more/": made.getvalue()})
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == [
            "a/b.pyc",
            "a/c.txt",
            "more/a/b.pyc",
            "more/a/c.txt",
        ]
        assert archive.extractfile("a/c.txt").read() == b"kept"
        code = archive.extractfile("a/b.pyc").read()
    names = {}
    exec(compiled.marshal.loads(code[16:]), names)
    assert code.startswith(compiled.HEAD)
    assert (names["__doc__"], names["f"].__doc__, names["f"](2)) == ("", "", 4)
    with pytest.raises(AssertionError):
        names["f"](0)


def test_two_packings_are_the_same(tmp_path):
    files = {
        "a.py": "def f(x):\n    return x in {'one', 'two', 'three', 'four'}\n",
        "b.txt": "kept",
    }
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    code = "import sys; from gfbook.live.compiled import packed; "
    code += "sys.stdout.buffer.write(packed({'': open('in.zip', 'rb').read()}))"
    one, two = (
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    )
    assert len(one) > 1000
    assert one == two


UNPACK = """
import fs from "node:fs";
const { unpack } = await import(process.argv[1]);
const found = {}, createNode = (folder, name) => (found[`${folder}/${name}`] = {});
const FS = {
  mkdirTree() {}, lookupPath: (node) => ({ node }), filesystems: { MEMFS: { createNode } },
};
unpack(FS, new Uint8Array(fs.readFileSync(process.argv[2])), "/to");
const texts = Object.entries(found).map(([path, file]) => [path, Buffer.from(file.contents)]);
console.log(JSON.stringify(Object.fromEntries(texts.map(([path, text]) => [path, `${text}`]))));
"""


def test_a_page_unpacks_what_was_packed(tmp_path):
    files = {"a.txt": "one", "b/" + "long/" * 30 + "name.txt": "x" * 513, "empty.txt": ""}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    (tmp_path / "packed.tar").write_bytes(compiled.packed({"in/": made.getvalue()}))
    script = ROOT / "gfbook/live/static/live/python.mjs"
    command = [*parts.node("node"), "--input-type=module", "-e", UNPACK]
    command += [str(script), str(tmp_path / "packed.tar")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {f"/to/in/{name}": text for name, text in files.items()}


def test_what_comes_later_comes_when_it_is_imported(tmp_path, monkeypatch):
    loaded = []

    def load(archive):
        loaded.append(archive)
        (tmp_path / "latecomer.py").write_text("value = 7")

    monkeypatch.syspath_prepend(tmp_path)
    finder = shell.Later({"base": [], "more": ["latecomer", "some.part"]}, load)
    assert finder.archive("some.part.deep") == "more"
    assert finder.archive("some.party") is finder.archive("some") is None
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    with pytest.raises(ImportError):
        __import__("nobody")
    assert loaded == []
    assert __import__("latecomer").value == 7
    assert loaded == ["more"]


def test_what_cannot_be_loaded_is_asked_for_again(monkeypatch):
    def load(archive):
        raise OSError("offline")

    finder = shell.Later({"more": ["latecomer"]}, load)
    for _ in range(2):
        with pytest.raises(ImportError, match=r"latecomer could not be loaded; .* \(offline\)"):
            finder.find_spec("latecomer")


KERNEL = r"""
import json
from gfbook.live.shell import EXPLORER, Kernel
kernel = Kernel({}, print)
ask = lambda what, *given: json.loads(kernel.ask(what, json.dumps(given)))
told = {"quiet": ask("run", "a = 2\na;"), "loud": ask("run", "print('one')\na"),
        "wrong": ask("run", "b = 1\n\ndef f():\n    return b / 0\n\nf()"),
        "syntax": ask("run", "c = 1\nd = = 2"), "called": ask("run", "\nf()"),
        "none": ask("due", ["a", "b = = a"], 1, [], []),
        "magic": ask("uses", ["%precision 3\na = 1", "a % 2"]), "exit": ask("run", "exit()"),
        "long": ask("run", "print('x' * 10)\nfor i in range(10**5): print(i)\nprint('end')"),
        "lazy": ask("run", "from scipy.optimize import linprog, _linprog\n"
                    "print(type(_linprog).__name__, linprog([1], bounds=(2, 3)).fun)")}
told["claim"] = ask("run", "from gfbook.check import check\ncheck('x', residual=0, tol=1)")
source = '''from gfbook.explore import Answer, Explorer, Slider
Explorer(lambda s: Answer([0, 1], [[0, s]], f"{s:g}"), {"s": Slider("s", 0, 2, 1, positions=3)},
         "x", "y", [("line", {"color": "#000000"})], "explore-s")'''
told["explorer"] = ask("run", source)["outputs"][0]["data"][EXPLORER]
told["answer"] = ask("answer", "explore-s", [0.5])
from matplotlib.backends.backend_agg import FigureCanvasAgg
drawn = []
FigureCanvasAgg.draw = drawn.append
figure = "import matplotlib.pyplot as p\nfrom gfbook import plots\nplots.style()\np.plot([1]);"
told["figure"], told["again"] = ask("run", figure), len(drawn)
ask("fresh")
told["fresh"] = ask("run", "a")
print(json.dumps(told))
"""


def test_kernel_shows_what_a_notebook_would():
    done = subprocess.run(
        [sys.executable, "-c", KERNEL],
        cwd=ROOT,
        env=os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["quiet"]["outputs"] == []
    first, second = told["loud"]["outputs"]
    assert first == {"output_type": "stream", "name": "stdout", "text": "one\n"}
    assert second["data"] == {"text/plain": "2"}
    assert told["loud"]["ok"]
    (error,) = told["wrong"]["outputs"]
    assert (error["ename"], told["wrong"]["line"], told["wrong"]["ok"]) == (
        "ZeroDivisionError",
        4,
        False,
    )
    assert told["syntax"]["line"] == 2
    assert told["called"]["line"] == 2  # of this cell, not of the one that has f
    assert told["magic"] == [[], [0]]
    assert (told["syntax"]["began"], told["wrong"]["began"]) == (False, True)
    assert told["none"] == [1]
    assert told["exit"]["outputs"][0]["text"] == "To end Python, press Stop.\n"
    (long,) = told["long"]["outputs"]
    assert len(long["text"]) == shell.MOST + len(f"\n{shell.CUT}")
    assert long["text"].startswith("xxxxxxxxxx\n0\n1\n")
    assert long["text"].endswith(shell.CUT)
    assert told["lazy"]["outputs"][0]["text"] == "Called 2.0\n"
    (claim,) = told["claim"]["outputs"]
    assert claim["metadata"]["claim"] == {"id": "x", "residual": 0, "tol": 1, "altered": None}
    assert told["explorer"]["state"]["text"] == "1"
    assert told["answer"]["y"] == [[0, 0.5]]
    (picture,) = told["figure"]["outputs"]
    assert "image/svg+xml" in picture["data"]
    assert told["again"] == 0  # it is not drawn for a window as well
    assert told["fresh"]["outputs"][0]["ename"] == "NameError"
