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
from operator import attrgetter

import numpy as np
import pytest

from gfbook.live import compiled, parts, shell
from gfbook.live.needs import Seen, due, needs
from gfbook.live.needs import names as needs_names
from gfbook.live.traces import Watch
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


def test_npm_packs_here_whatever_it_is_told_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "part").mkdir()
    (tmp_path / "part/package.json").write_text('{"name": "part", "version": "1.0.0"}')
    monkeypatch.setenv("HOME", os.devnull)
    monkeypatch.setenv("npm_config_dry_run", "true")
    monkeypatch.setenv("npm_config_pack_destination", str(tmp_path.parent))
    about = {"name": "part", "version": "file:part", "integrity": "sha512-"}
    with pytest.raises(parts.PartError, match="has the digest"):
        parts.core(tmp_path, about)
    assert (tmp_path / "part-1.0.0.tgz").is_file()


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


FUNCTIONS = """
def bump(M):
    M[0] = 1

def outer(M):
    return bump(M)

def rows(M):
    for row in M:
        row[:] = 0

def poke():
    Y[0] = 1

def deeper():
    return poke()

def still(M):
    N = M + 1
    N[0] = 2
    return N

def drawn():
    return rng.normal()
"""
BEFORE = [
    "import heapq, operator, random\nimport numpy as np\nimport matplotlib.pyplot as plt",
    "import gfcore as gf\nfrom gfbook.check import check\nfrom gfbook.glue import glue",
    "rng = np.random.default_rng(0)\nfig, ax = plt.subplots()",
    FUNCTIONS,
    "Y = np.eye(3)",
]
CHANGES = [
    "np.fill_diagonal(Y, 0)",
    "_ = np.fill_diagonal(Y, 0)",
    "np.copyto(Y, 0)",
    "np.put(Y, [0], 1)",
    "np.add.at(Y, 0, 1)",
    "Z = np.multiply(2, 3, out=Y)",
    "Z = np.add(1, 2, out=(Y,))",
    "rng.shuffle(Y)",
    "np.random.default_rng(0).shuffle(Y)",
    "random.shuffle(Y)",
    "heapq.heappush(Y, 1)",
    "operator.setitem(Y, 0, 1)",
    "fill = np.fill_diagonal\nfill(Y, 0)",
    "bump(Y)",
    "Z = outer(Y)",
    "rows(Y)",
    "Z = [bump(row) for row in (Y, Y)]",
    "list(map(bump, [Y]))",
    "Z = deeper()",
    "Y.sort()",
    "list.sort(Y)",
    "Y.update(a=1)",
    "x = Y.pop()",
    "x = next(Y)",
    "[Y.append(1) for i in range(3)]",
    "Y[0] += 1",
    "Y.T[0] = 1",
    "Y.ravel()[:] = 0",
    "Y.a = 1",
    "Y.a += 1",
    "setattr(Y, 'a', 1)",
    "delattr(Y, 'a')",
    "del Y",
    "del Y[0]",
    "Y += 1",
    "(Y := 3)",
    "Z = Y\nZ[0] = 1",
    "A, B = Y, 1\nA[0] = 1",
    "for row in Y:\n    row[:] = 0",
    "for Y in range(3): pass",
    "if True:\n    Y = 2",
    "match 1:\n    case Y: pass",
    "try:\n    1 / 0\nexcept Exception as Y: pass",
    "class A:\n    Y[0] = 1",
    "def f():\n    global Y\n    Y = 2\nf()",
    "async def f():\n    Y[0] = 1\nawait f()",
    "f = lambda: Y.append(1)\nf()",
    "from a import Y",
    "from a import *",
    "exec('Y = 2')",
    "globals()['Y'] = 1",
]
LEAVES = [
    "print(Y)",
    "display(Y)",
    "sorted(Y)",
    "check('x', residual=Y, tol=1)",
    "glue('a', Y, display=False)",
    "gf.flow.solve(Y, 1)",
    "ax.plot(Y, Y)",
    "plt.plot(Y)",
    "Z = np.linalg.norm(Y)",
    "Z = Y + 1\nZ[0] = 1",
    "Z = Y.copy()\nZ[0] = 1",
    "Z = still(Y)",
    "still(Y)",
    "Z = []\nZ.append(Y)",
    "f = lambda Y: Y.sort()",
    "def f():\n    Y[0] = 2",
    "def f(Y):\n    Y[0] = 1",
]


@pytest.mark.parametrize("code", [*CHANGES, *LEAVES])
def test_what_a_cell_changes_in_place_is_needed_of_it(code):
    cells = [*BEFORE, code, "b = 1", "print(Y)"]
    found = needs(cells, len(cells) - 1)
    changing = [len(BEFORE)] if code in CHANGES else []
    assert [place for place in found if place >= len(BEFORE)] == [*changing, len(cells) - 1]


def test_what_was_shown_changed_nothing():
    cells = [*BEFORE, "np.linalg.norm(Y)", "print(Y)"]
    shown = len(BEFORE)
    assert shown in needs(cells, shown + 1)
    assert shown not in needs(cells, shown + 1, {cells[shown]: Seen(known=frozenset("Y"))})


HELD = """
import functools
import numpy as np
from types import SimpleNamespace

X = np.eye(3)
view, alias, held = X[1:], X, {"a": [X]}
rng = np.random.default_rng(0)
log = []

def kept(x, seen=[]):
    seen.append(x)

def counted():
    log.append(1)

def closed():
    inner = []
    return lambda: inner.append(1)

class Box:
    size = 1

    def __init__(self):
        self.x = X

box, put, add = Box(), closed(), functools.partial(list.append, log)
"""
# What a cell does, and the names that stand for something else after it.
DID = {
    "a = [X]; a[0] *= 0.5": "X alias view held box a",
    "np.asarray(X)[:] = 7": "X alias view held box",
    "view[0] = 7": "X alias view held box",
    "held['a'][0][0, 0] = 7": "X alias view held box",
    "held['b'] = 1": "held",
    "box.x[0] = 7": "X alias view held box",
    "box.y = 1": "box",
    "Box.size = 2": "Box box",
    "kept(1)": "kept",
    "counted()": "log add",
    "add(1)": "log add",
    "[counted for _ in 'a'][0]()": "log add",
    "put()": "put",
    "y = rng.normal()": "rng y",
    "rng.shuffle(X)": "rng X alias view held box",
    "X.shape = (9, 1)": "X alias view held box",
    "def anew():\n    global X\n    X = 3\nanew()": "X anew",
    "X = X + 1": "X",
    "y = X @ X; np.sort(X); X.sum()": "y",
    "held['a'].copy().append(1)": "",
    "sorted(log); [*map(abs, X)]; f'{box.x}'": "",
}


@pytest.mark.parametrize("code", DID)
def test_what_a_cell_did_is_seen(code):
    names = {"__name__": "__main__"}
    exec(HELD, names)
    watch = Watch(names, needs_names(code).read)
    exec(code, names)
    assert watch.seen().changed == {*DID[code].split()}
    # Of a code that ran, others need it for what it did, and for nothing that it might have.
    seen = {code: watch.seen()}
    for name in ("X", "held", "log", "kept", "rng"):
        cells = [HELD, code, name]
        assert (1 in needs(cells, 2, seen)) == (name in DID[code].split()), name


READER = """
import json, sys
from gfbook.live.shell import Kernel

kernel = Kernel({}, None)
cells = json.loads(sys.argv[1])
log, well, told = [], set(), []
for place, code in json.loads(sys.argv[2]):
    cells[place] = code or cells[place]
    if code:
        well.discard(place)
    due = kernel.begin(cells, place, log, [*well])
    for n in due:
        log.append((n, cells[n]))
        outputs = kernel.run(cells[n])["outputs"]
        well.add(n)
    told.append((due, "".join(output.get("text", "") for output in outputs)))
print(json.dumps(told))
"""


def test_what_a_cell_changes_in_a_module_goes_with_it():
    cells = ["import numpy as np\nimport gfcore as gf", "1"]
    cells += [
        "precision = np.get_printoptions()['precision']\n"
        "print(getattr(gf, 'mine', 'none'), np.random.rand().hex(), precision)"
    ]
    change = "gf.mine = None; np.random.seed(1); np.set_printoptions(precision=3)"
    draw = float(np.random.RandomState(1).rand()).hex()
    steps = [(2, ""), (1, change), (2, ""), (2, ""), (1, "1"), (2, "")]
    done = subprocess.run(
        [sys.executable, "-c", READER, json.dumps(cells), json.dumps(steps)],
        capture_output=True,
        text=True,
        check=True,
    )
    first, _, changed, again, _, last = json.loads(done.stdout)
    assert first[0] == [0, 2]
    assert first[1].startswith("none ")
    assert first[1].endswith(" 8\n")
    assert changed[1] == again[1] == f"None {draw} 3\n"
    assert again[0] == [0, 1, 2]  # it drew since
    assert last == first


def test_a_function_draws_where_it_is_called():
    cells = [*BEFORE, "a = drawn()", "b = 1", "c = rng.normal()"]
    assert len(BEFORE) in needs(cells, len(cells) - 1)
    assert len(BEFORE) + 1 not in needs(cells, len(cells) - 1)


@pytest.mark.parametrize(
    "change",
    [
        "Z = X\nZ -= 1",
        "Z = X.T\nZ *= 2",
        "for row in X:\n    row /= 2",
        "a, b = X, 1\na += 1",
        "def twice(A):\n    A *= 2\ntwice(X)",
    ],
)
def test_what_is_calculated_in_place_by_another_name_is_changed(change):
    assert needs(["X = np.ones(3)", change, "X"], 2) == [0, 1, 2]
    assert needs(["X = np.ones(3)", change.replace("X", "Y"), "X"], 2) == [0, 2]


@pytest.mark.parametrize(
    "chapter", sorted((ROOT / "chapters").glob("*.ipynb")), ids=attrgetter("stem")
)
def test_no_cell_changes_what_an_explorer_above_reads(chapter):
    # In a page and in Jupyter it answers with what its names stand for when it is asked.
    cells = [c for c in json.loads(chapter.read_bytes())["cells"] if c["cell_type"] == "code"]
    sources = ["".join(c["source"]) for c in cells]
    ran = [*enumerate(sources)], [*range(len(sources))]
    for place in [n for n, source in enumerate(sources) if "explore.Explorer(" in source]:
        assert due(sources, place, *ran) == [place]


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


STATES = """
const { Notebook } = await import(process.argv[1]);
const [rows] = process.argv.slice(2).map(JSON.parse);
const told = rows.map((events) => {
  // A cell without an output, one with, an explorer; both have a name of the first.
  const sources = ["a = 1", "a", "explore(a)"];
  const book = new Notebook(sources.map((original, n) => ({ original, bare: !n })));
  const learn = (behind = []) => book.learn([[], [0], [0]], behind);
  learn();
  const ran = (cell, more) => {
    const made = { ok: true, began: true, seconds: 1.25, outputs: [1], ...more };
    book.end(cell, made, cell === book.cells[2]);
  };
  for (const [, event, n, code] of events.map((event) => event.match(/(\\w+) ?(\\d?) ?(.*)/))) {
    const cell = book.cells[n];
    if (event === "edit") book.edit(cell, code);
    if (event === "ask") book.ask([cell]);
    if (event === "need") book.wait([cell]);
    if (event === "other") cell.other = true;
    if (event === "reset") book.back(cell);
    if (event === "moved") book.answered(cell);
    if (event === "stop") book.lose();
    if (event === "anew") book.fresh();
    if (event === "drop") book.drop(book.cells);
    if (event === "behind") learn([Number(n)]);
    if (/begin|run|quiet|fail|wrong/.test(event)) book.begin(cell);
    if (event === "run") ran(cell);
    if (event === "quiet") ran(cell, { outputs: [] });
    if (event === "fail") ran(cell, { ok: false });
    if (event === "wrong") ran(cell, { ok: false, began: false });
    if (event !== "behind") learn();
  }
  const { cells, foreign } = book;
  return [cells.map((cell) => book.said(cell)), cells.map((cell) => book.as(cell)), foreign];
});
console.log(JSON.stringify(told));
"""
BARE = "ran before a change above"
LATE, MIXED = "made before a change above", "what it uses has changed since it ran"
RAN, ERROR, AGAIN = "1.3 s", "stopped by an error", "run it again to move it"
ALL = ("run 0", "run 1", "run 2")
CHANGED = (*ALL, "edit 0 a = 2", "run 0")
# What happened, and what is then said of a cell, and of two that have a name of it.
SAID = [
    ((), "", "", ""),
    (("edit 0 a = 2",), "changed", "", ""),
    (("edit 0 a = 2", "edit 0 a = 1"), "", "", ""),
    (("ask 0",), "queued", "", ""),
    (("ask 0", "begin 0"), "running …", "", ""),
    (ALL, RAN, RAN, RAN),
    (("edit 0 a = 2", "run 0"), RAN, LATE, LATE),
    (("edit 0 a = 2", "run 0", "edit 0 a = 1"), "changed since it ran", LATE, LATE),
    (("edit 0 a = 2", "run 0", "edit 1 b"), RAN, "changed", LATE),
    (CHANGED, RAN, LATE, MIXED),
    (("run 0", "quiet 1", "edit 0 a = 2", "run 0"), RAN, BARE, LATE),
    (("run 0", "quiet 1", "edit 0 a = 2", "run 0", "run 1", "run 0"), RAN, RAN, LATE),
    ((*CHANGED, "run 1", "run 2"), RAN, RAN, RAN),
    # After a reset what was made of the book's code is true; an explorer asks Python still.
    (("edit 0 a = 2", "run 0", "reset 0"), "", "", ""),
    (("edit 0 a = 2", "run 0", "run 2", "reset 0"), "", "", MIXED),
    ((*CHANGED, "reset 0"), "", RAN, MIXED),
    ((*CHANGED, "reset 0", "run 0"), RAN, RAN, RAN),
    ((*CHANGED, "moved 2", "reset 0"), "", RAN, MIXED),
    ((*CHANGED, "moved 2", "reset 0", "run 0"), RAN, RAN, MIXED),
    ((*CHANGED, "moved 2", "reset 0", "run 0", "run 2"), RAN, RAN, RAN),
    ((*CHANGED, "reset 0", "reset 1", "reset 2"), "", "", ""),
    ((*CHANGED, "run 1", "reset 0"), "", LATE, MIXED),
    ((*CHANGED, "run 1", "run 2", "reset 0"), "", LATE, MIXED),
    ((*CHANGED, "run 1", "reset 0", "run 0", "run 2"), RAN, LATE, RAN),
    ((*CHANGED, "reset 0", "stop"), "", RAN, f"{RAN}; {AGAIN}"),
    ((*CHANGED, "moved 2", "reset 0", "stop"), "", RAN, f"{MIXED}; {AGAIN}"),
    ((*ALL, "reset 0"), "", RAN, RAN),
    ((*ALL, "edit 0 a = 2"), "changed since it ran", RAN, RAN),
    ((*ALL, "behind 2"), RAN, RAN, MIXED),
    ((*ALL, "stop"), RAN, RAN, f"{RAN}; {AGAIN}"),
    ((*ALL, "anew"), RAN, RAN, f"{RAN}; {AGAIN}"),
    ((*ALL, "stop", "run 0", "run 2"), RAN, RAN, RAN),
    ((*ALL, "stop", "reset 2"), RAN, RAN, ""),
    # An error, its names are changed all the same; what is no Python changes none.
    (("edit 0 a = 2; 1 / 0", "fail 0"), ERROR, LATE, LATE),
    (("edit 0 a =", "wrong 0"), ERROR, "", ""),
    (("fail 1", "edit 0 a = 2", "run 0"), RAN, f"{ERROR}; {LATE}", LATE),
    (("fail 1", "edit 1 b"), "", "changed since it ran", ""),
    (("fail 1", "reset 1"), "", "", ""),
    ((*CHANGED, "reset 0", "fail 0"), ERROR, RAN, MIXED),
    # What was asked for and was not run says so, until the next is asked for; others do not.
    (("ask 2", "need 0", "need 1", "fail 0", "drop"), ERROR, "", "not run"),
    (
        ("edit 0 a = 2", "run 0", "ask 1", "need 0", "fail 0", "drop"),
        ERROR,
        f"not run; {LATE}",
        LATE,
    ),
    (("ask 2", "drop", "ask 1", "run 1"), "", RAN, ""),
    (("ask 2", "drop", "edit 2 b"), "", "", "changed"),
    (("ask 2", "drop", "reset 2"), "", "", ""),
    (("ask 1", "begin 1", "ask 2", "stop"), "", "stopped", "not run"),
    (("edit 0 a = 2", "run 0", "ask 1", "begin 1", "stop"), RAN, f"stopped; {LATE}", LATE),
    (("ask 1", "begin 1", "stop", "edit 1 b"), "", "changed", ""),
    (("ask 1", "begin 1", "stop", "run 1"), "", RAN, ""),
    (("ask 1", "begin 1", "stop", "reset 1"), "", "", ""),
    (("other 1",), "", "changed in another tab; undo brings back what was here", ""),
    (("other 1", "edit 1 b"), "", "changed", ""),
]


def test_what_is_said_of_a_cell_is_true_whatever_happened():
    script = ROOT / "gfbook/live/static/live/states.mjs"
    command = [*parts.node("node"), "--input-type=module", "-e", STATES, str(script)]
    command.append(json.dumps([events for events, *_ in SAID]))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = dict(zip([events for events, *_ in SAID], json.loads(done.stdout), strict=True))
    assert {events: tuple(said) for events, (said, *_) in told.items()} == {
        events: tuple(said) for events, *said in SAID
    }
    assert told[()][1:] == [[True] * 3, False]
    assert told[("ask 2", "drop", "edit 2 b")][1] == [True, True, False]
    assert told[(*CHANGED, "reset 0", "reset 1", "reset 2")][1:] == [[True] * 3, True]
    assert told[ALL][1:] == [[False] * 3, False]


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
unasked = {"input": "input('how many?')", "break": "breakpoint()", "shell": "!ls",
           "listed": "x = !ls", "await": "import asyncio\nawait asyncio.sleep(1)"}
told |= {name: ask("run", code) for name, code in unasked.items()}
told["awaited"] = ask("run", "async def g():\n    return 7\nawait g()")
told["whole"] = ask("run", "'x' * 10**6")
told["timed"] = ask("uses", ["%%time\na = 1", "%time a += 1", "b = a != 2", "%matplotlib\na"])
values = ["import numpy as np\na = np.eye(2)", "np.linalg.norm(a)", "np.put(a, 0, 3)", "a"]
told["guessed"] = ask("due", values, 3, [], [])
for code in values:
    ask("run", code)
told["known"] = ask("due", values, 3, [], [])
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
    assert "\x1b" not in "".join(error["traceback"])
    assert {
        name: told[name]["outputs"][0]["evalue"]
        for name in ("input", "break", "shell", "listed", "await")
    } == {
        **dict.fromkeys(
            ("input", "break"),
            "a page cannot be asked while a cell runs: write the value into the cell",
        ),
        **dict.fromkeys(("shell", "listed"), "a page has no shell"),
        "await": "no running event loop",
    }
    assert told["awaited"]["outputs"][0]["data"] == {"text/plain": "7"}
    (whole,) = told["whole"]["outputs"]
    assert len(whole["data"]["text/plain"]) == shell.MOST + len(f"\n{shell.CUT}")
    assert told["timed"] == [[], [0], [0, 1], [0, 1]]
    assert (told["guessed"], told["known"]) == ([0, 1, 2, 3], [0, 2, 3])
    (claim,) = told["claim"]["outputs"]
    assert claim["metadata"]["claim"] == {"id": "x", "residual": 0, "tol": 1, "altered": None}
    assert told["explorer"]["state"]["text"] == "1"
    assert told["answer"]["y"] == [[0, 0.5]]
    (picture,) = told["figure"]["outputs"]
    assert "image/svg+xml" in picture["data"]
    assert told["again"] == 0  # it is not drawn for a window as well
    assert told["fresh"]["outputs"][0]["ename"] == "NameError"
