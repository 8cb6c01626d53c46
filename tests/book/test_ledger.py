"""The record: against the ledger, against altered recordings, and in Chromium."""

import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser

import pytest
import yaml
from conftest import ROOT

import gfcore as gf
from gfbook.build import book, execute, ledger
from gfcore import claims

RECORD = [page.with_suffix("").as_posix() for page in ledger.PAGES]
CHAPTERS = sorted(path.relative_to(ROOT) for path in (ROOT / "chapters").glob("*.ipynb"))
SECOND, THIRD = "02-symmetric-factorization", "03-spectral-initialization"


def entries():
    return yaml.safe_load((ROOT / ledger.LEDGER).read_text(encoding="utf-8"))


@pytest.fixture
def recorded(site, tmp_path, monkeypatch):
    """Return a copy of the executed chapters that the ledger reads, to be altered."""
    copy = tmp_path / "executed"
    shutil.copytree(site.parent / "executed", copy)
    monkeypatch.setattr(ledger, "EXECUTED", copy)
    return copy / "chapters"


@pytest.fixture
def stated(tmp_path, monkeypatch):
    """Return a copy of the ledger, to be altered."""
    path = tmp_path / "claims.yml"
    shutil.copy(ROOT / ledger.LEDGER, path)
    monkeypatch.setattr(claims, "LEDGER", path)
    claims.load.cache_clear()
    yield path
    claims.load.cache_clear()


@pytest.fixture
def write(tmp_path):
    """Return a function that makes the record anew and returns the folder it is in."""

    def written():
        tree = tmp_path / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        (tree / "assets").mkdir(parents=True)
        ledger.write(CHAPTERS, tree)
        return tree

    return written


def outputs(notebook):
    """Yield each cell's list of outputs that are checks, and the check."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if claims.METADATA in output.get("metadata", ()):
                yield cell["outputs"], output


def alter(path, id, change):
    notebook = json.loads(path.read_bytes())
    for among, output in list(outputs(notebook)):
        if output["metadata"][claims.METADATA]["id"] == id:
            change(among, output)
    path.write_text(json.dumps(notebook))


def set_check(**values):
    return lambda _, output: output["metadata"][claims.METADATA].update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda among, output: among.remove(output), "eq-5: no checks of this claim"),
        (lambda among, output: among.append(output), "eq-5: 2 checks of this claim"),
        (set_check(id="eq-99"), "eq-99: a check of no claim in data/claims.yml"),
        (set_check(verdict="fails"), "eq-5: checked as fails, data/claims.yml says holds"),
        (set_check(residual=1.0), "eq-5: residual 1.0 exceeds 1e-12"),
    ],
)
def test_altered_recording_stops_the_build(recorded, write, change, said):
    write()
    alter(recorded / f"{SECOND}.ipynb", "eq-5", change)
    with pytest.raises(execute.BuildError) as error:
        write()
    assert f"chapters/{SECOND}: {said}" in str(error.value).splitlines()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("- id: eq-5\n", "- id: eq-55\n", f"chapters/{SECOND}: eq-55: no checks of this claim"),
        ("- id: eq-5\n", "- id: eq-55\n", f"chapters/{SECOND}: eq-5: a check of no claim"),
        (f"chapter: {THIRD}", "chapter: 09-none", "chapters/09-none: eq-11: no checks"),
        ("verdict: misprint", "verdict: fails", "checked as misprint, data/claims.yml says"),
        ("  method: float64\n", "", "eq-1: data/claims.yml has no method"),
        ("  condition: $X", "  note: $X", "eq-7: data/claims.yml has no condition"),
        ("- id: fn-1", "- id: eq-4", "data/claims.yml: data/claims.yml: two entries share"),
        ("- id: fn-1", "- [", "data/claims.yml: while parsing"),
        ("- id: fn-1", "- name: fn-1", "data/claims.yml: 'id'"),
    ],
)
def test_altered_ledger_stops_the_build(recorded, stated, write, old, new, said):
    text = stated.read_text()
    assert old in text
    stated.write_text(text.replace(old, new))
    with pytest.raises(execute.BuildError) as error:
        write()
    assert said in str(error.value)


def test_book_is_rebuilt_when_a_statement_changes(tree, monkeypatch):
    monkeypatch.chdir(tree.root)
    before = book.digest([])
    tree.edit("data/claims.yml", "[]", "[ ]")
    assert book.digest([]) != before


def test_contents_name_the_record_and_documents_leaves_it_out():
    toc = (ROOT / "_toc.yml").read_text()
    assert all(f"file: {name}\n" in toc for name in RECORD)
    assert not {path.parts[0] for path in book.documents()} - {"chapters"}


def test_json_is_the_ledger_with_what_was_measured(site):
    record = json.loads((site / "claims.json").read_bytes())
    assert record["schema"] == 1
    assert [c["id"] for c in record["claims"]] == [entry["id"] for entry in entries()]
    measured = {}
    for path in CHAPTERS:
        for _, output in outputs(json.loads((site.parent / "executed" / path).read_bytes())):
            measured[output["metadata"][claims.METADATA]["id"]] = output["metadata"]
    for claim, entry in zip(record["claims"], entries(), strict=True):
        assert entry.items() <= claim.items()
        assert measured[entry["id"]][claims.METADATA].items() <= claim.items()
        page, _, badge = claim["url"].partition("#")
        assert f'id="{badge}"' in (site / page).read_text(encoding="utf-8")
    counts = Counter(entry["verdict"] for entry in entries())
    assert record["totals"] == {verdict: counts[verdict] for verdict in claims.VERDICTS}


def test_infinite_figure_is_valid_json():
    claim = {"id": "a", "verdict": "holds", "residual": 0.0, "altered": float("inf")}
    assert json.loads(ledger.as_json([claim]))["claims"][0]["altered"] is None


@pytest.mark.parametrize(
    ("value", "place"), [(0.0, 0), (1e-30, 0), (1e-7, 80), (1e4, 160), (float("inf"), 160)]
)
def test_bar_is_on_a_log_scale(value, place):
    assert ledger.place(value) == place


def test_bars_are_told_in_words():
    assert ledger.told(1e-12, 1e-8) == "The residual is 4.0 powers of ten below the tolerance."
    assert ledger.told(0.0, 0.0) == "The residual is zero, below the tolerance."


class Links(HTMLParser):
    """The addresses that a page links to, and the ids it has."""

    def __init__(self, text):
        super().__init__()
        self.to, self.ids = set(), Counter()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.update(filter(None, [values.get("id")]))
        if tag == "a" and "href" in values:
            self.to.add(values["href"])


def test_floats_are_printed_with_powers_of_ten():
    badge = "residual 2.0e-16, tolerance 1e-12, 3.6e+00 when altered"
    assert claims.powers(badge) == "residual 2.0·10⁻¹⁶, tolerance 10⁻¹², 3.6 when altered"
    assert claims.powers("0.0e+00 5e-01 1.6e+01 4.2e+13") == "0 0.5 16 4.2·10¹³"


@pytest.mark.parametrize("name", [*RECORD, "chapters/summary"])
def test_links_into_other_pages_find_their_place(site, name):
    page = site / f"{name}.html"
    ids = {}
    for link in Links(page.read_text(encoding="utf-8")).to:
        path, _, anchor = link.partition("#")
        if anchor and "://" not in path:
            file = (page.parent / path).resolve() if path else page
            if file not in ids:
                ids[file] = Links(file.read_text(encoding="utf-8")).ids
            assert anchor in ids[file], link


def rows(site, name):
    """Return the rows of a page's table, by id."""
    text = (site / f"{name}.html").read_text(encoding="utf-8")
    return dict(re.findall(r'<tr id="([\w-]+)".*?>(.*?)</tr>', text, re.S))


def test_ledger_has_every_claim(site):
    shown = rows(site, "record/claims")
    assert list(shown) == [entry["id"] for entry in entries()]
    for entry in entries():
        row = shown[entry["id"]]
        assert f">{entry['verdict']}</span>" in row
        assert f"{entry['chapter']}.html#claim-{entry['id']}" in row
        assert 'role="img"' in row
        assert "below the tolerance." in row
        assert (f"errata.html#amiss-{entry['id']}" in row) == (entry["verdict"] != "holds")


def test_errata_have_all_that_does_not_hold_and_mark_errors_of_reading(site):
    text = (site / "record/errata.html").read_text(encoding="utf-8")
    amiss = [entry for entry in entries() if entry["verdict"] != "holds"]
    ids = Links(text).ids
    assert {f"amiss-{entry['id']}" for entry in amiss} == {i for i in ids if "amiss-" in i}
    marked = {
        entry["id"]
        for entry in amiss
        if "error of reading" in f"{entry.get('correction')} {entry.get('note')}"
    }
    assert "eq-22" in marked
    assert text.count('class="reading"') >= len(marked)
    for part in re.split(r'(?=id="amiss-)', text)[1:]:
        id = re.match(r'id="amiss-([\w-]+)', part).group(1)
        assert 'class="reading"' in part or id not in marked
        assert f"#claim-{id}" in part


def test_map_names_every_numbered_item(site):
    shown = rows(site, "record/paper-map")
    assert list(shown)[-39:] == [f"eq-{number}" for number in range(1, 40)]
    assert {"def-3", "prop-5", "cor-1", "fig-3", "tab-1", "fn-4"} <= set(shown)
    for entry in entries():
        if named := re.match(r"(def|prop|cor|fig|tab|fn|eq)(?:le)?-\d+", entry["id"]):
            row = shown[named.group().replace("table", "tab")]
            assert f'claims.html#{entry["id"]}"' in row
            assert f"{entry['verdict']}</span>" in row
            assert "not in this book" not in row
    assert "../chapters/02-symmetric-factorization.html#eq-9" in shown["eq-9"]
    assert "../chapters/02-symmetric-factorization.html#claim-fn-3" in shown["fn-3"]


def test_own_markup_needs_no_inline_script_or_style(recorded, write):
    for path in (write() / "record").glob("*.md"):
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", path.read_text())


def test_notation_names_what_gfcore_has():
    names = re.findall(
        r"`(?:gf\.)?((?:Weights|Trajectory|exact|initial)[.\w]*)",
        (ROOT / "chapters/notation.md").read_text(encoding="utf-8"),
    )
    assert {"Weights.Q", "Trajectory.X", "exact.spectral_constant"} <= set(names)
    state = {"Trajectory.X": "X"}  # a field, which the class itself does not have
    for name in names:
        owner, _, part = name.partition(".")
        found = getattr(gf, owner)
        assert not part or hasattr(found, part) or state.get(name) in found.__annotations__


def visible(page):
    rows = page.locator(".ledger tbody tr")
    return rows.evaluate_all("rows => rows.filter((row) => row.checkVisibility()).length")


def told(page):
    """Return the text that the browser reads out for the number of rows."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    names = [node.get("name", {}).get("value", "") for node in tree["nodes"]]
    return re.search(r"Claims shown: *(\d+)", " ".join(names)).group(1)


def test_filter(visit):
    page = visit("record/claims", "phone")
    every = entries()
    assert visible(page) == len(every)
    for verdict in claims.VERDICTS:
        page.locator(f"label:has(#verdict-{verdict})").click()
        assert visible(page) == sum(entry["verdict"] == verdict for entry in every)
    page.locator("#section-section-3").check()
    both = sum(e["verdict"] == "fails" and e["where"].startswith("Section 3") for e in every)
    assert visible(page) == both
    assert told(page) == f"{both}"
    # By keyboard: back to all verdicts, one step a key.
    page.locator("#verdict-fails").focus()
    for _ in claims.VERDICTS:
        page.keyboard.press("ArrowLeft")
    assert page.locator("#verdict-all").is_checked()
    assert visible(page) == sum(entry["where"].startswith("Section 3") for entry in every)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "section-section-3"


@pytest.mark.parametrize(
    "name", ["record/claims", "record/errata", "record/paper-map", "chapters/notation"]
)
def test_tables_are_cards_on_a_phone(visit, name):
    page = visit(name, "phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    wide = page.evaluate(
        """[...document.querySelectorAll('article *')].filter(e => {
          const r = e.getBoundingClientRect();
          const math = e.parentElement.closest('.math');
          const scrolls = math && getComputedStyle(math).overflowX === 'auto';
          return r.width > 0 && !scrolls && (r.right > innerWidth + 1 || r.left < -1);
        }).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert wide == []


CONTRAST = """() => {
  const light = text => {
    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(
      c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const clear = color => color === 'transparent' || color.endsWith(', 0)');
  const behind = e => {
    while (e.parentElement && clear(getComputedStyle(e).backgroundColor)) e = e.parentElement;
    return getComputedStyle(e).backgroundColor;
  };
  return [...document.querySelectorAll('.record *, .reading')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => {
      const two = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => a - b);
      return (two[1] + 0.05) / (two[0] + 0.05) < 4.5;
    }).map(e => e.outerHTML.slice(0, 80));
}"""


@pytest.mark.parametrize("view", ["desk", "dark"])
@pytest.mark.parametrize("name", RECORD[:2])
def test_letters_stand_out(visit, name, view):
    assert visit(name, view).evaluate(CONTRAST) == []
