"""The record: against the ledger, and against altered recordings."""

import json
import os
import re
import shutil
from collections import Counter
from html.parser import HTMLParser

import jsonschema
import pytest

import gfcore as gf
from gfbook.build import BuildError, ledger, record
from gfbook.build.inputs import EXECUTED, documents
from gfbook.build.ledger import VERDICTS
from gfbook.check import METADATA
from gfbook.glue import powers
from tests.book.conftest import written
from tests.conftest import ROOT

RECORD = [
    f"record/{name}"
    for name in (
        "ten-things",
        "claims",
        "errata",
        "faults",
        "paper-map",
        "rests",
        "benchmarks",
        "cite",
    )
]
CHAPTERS = sorted(path.relative_to(ROOT) for path in (ROOT / "chapters").glob("*.ipynb"))
SECOND, THIRD = "02-symmetric-factorization", "03-spectral-initialization"
PAPER = ledger.read(ROOT / ledger.PAPER)


def entries():
    return written(ledger.LEDGER)


@pytest.fixture
def root(site, tmp_path):
    """Return the folder of a book with this one's chapters as executed, to be altered."""
    shutil.copytree(site.parent / "executed", tmp_path / EXECUTED, copy_function=os.symlink)
    shutil.copytree(ROOT / "data", tmp_path / "data")
    for name in ("_toc.yml", "_config.yml", "CITATION.cff", "references.bib", "genindex.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("chapters", "record", "gfcore", "gfbook"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture(scope="module")
def book(site):
    """Return what this book's pages are made of."""
    return record.Book(ROOT)


def read(root):
    """Return the claims of a book, or raise BuildError."""
    return record.Book(root).claims


def outputs(notebook):
    """Yield each cell's list of outputs that are checks, and the check."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if METADATA in output.get("metadata", ()):
                yield cell["outputs"], output


def alter(path, id, change):
    notebook = json.loads(path.read_bytes())
    for among, output in list(outputs(notebook)):
        if output["metadata"][METADATA]["id"] == id:
            change(among, output)
    path.unlink()  # a link to that of the book
    path.write_text(json.dumps(notebook))


def set_check(**values):
    return lambda _, output: output["metadata"][METADATA].update(values)


def test_recordings_and_ledger_are_joined(book):
    assert [claim["id"] for claim in book.claims] == [entry["id"] for entry in entries()]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda among, output: among.remove(output), "eq-5: no checks of this claim"),
        (lambda among, output: among.append(output), "eq-5: 2 checks of this claim"),
        (set_check(id="eq-99"), "eq-99: a check of no claim in data/claims.yml"),
        (set_check(residual=1.0), "eq-5: residual 1.0 exceeds 1e-12"),
        (set_check(residual=float("nan")), "eq-5: residual nan exceeds 1e-12"),
    ],
)
def test_altered_recording_stops_the_build(root, change, said):
    alter(root / EXECUTED / f"chapters/{SECOND}.ipynb", "eq-5", change)
    with pytest.raises(BuildError) as error:
        read(root)
    assert f"chapters/{SECOND}: {said}" in str(error.value).splitlines()


NO_ITEM = "is not an item or a kind of sentence of data/paper.yml, with its number or words"


def first(field):
    """Return the id of the first entry that has a field."""
    return next(entry["id"] for entry in entries() if field in entry)


def edited(text, id, old, new):
    """Return the ledger with a part of one entry replaced."""
    (entry,) = re.findall(rf"^- id: {id}\n(?:(?:  .*)?\n)*", text, re.M)
    assert old in entry
    return text.replace(entry, entry.replace(old, new, 1), 1)


CONDITION, CORRECTION = first("condition"), first("correction")
PLACE = [entry["id"] for entry in entries()].index("fn-1") + 1


@pytest.mark.parametrize(
    ("id", "old", "new", "said"),
    [
        ("eq-5", "id: eq-5", "id: eq-5-x", f"chapters/{SECOND}: eq-5-x: no checks of this"),
        ("eq-5", "id: eq-5", "id: eq-5-x", f"chapters/{SECOND}: eq-5: a check of no claim"),
        ("eq-5", SECOND, "09-none", "chapters/09-none: eq-5: no checks"),
        ("eq-5", "id: eq-5", "id: eqn-5", f"entry eqn-5: id: 'eqn-5' {NO_ITEM}"),
        ("eq-5", "id: eq-5", "id: eq-40", f"entry eq-40: id: 'eq-40' {NO_ITEM}"),
        ("eq-5", "id: eq-5", "id: eq-05", f"entry eq-05: id: 'eq-05' {NO_ITEM}"),
        ("eq-5", "id: eq-5", "id: text", f"entry text: id: 'text' {NO_ITEM}"),
        ("eq-5", "id: eq-5", "id: Eq-5", f"entry Eq-5: id: 'Eq-5' {NO_ITEM}"),
        ("eq-5", "id: eq-5", "id: 5", "entry 5: id: 5 is not of type 'string'"),
        ("fn-1", "  method: symbolic\n", "", "entry fn-1: 'method' is a required property"),
        ("fn-1", "symbolic", "symbols", "method: 'symbols' is not one of ['symbolic',"),
        (CONDITION, "  condition:", "  note:", "'condition' is a required property"),
        (CORRECTION, "  correction:", "  note:", "'correction' is a required property"),
        ("fn-1", "  title: ", "  titel: ", "('titel' was unexpected)"),
        ("fn-1", "Section 1", "Sec. 1", "entry fn-1: section: 'Sec. 1' is not one"),
        ("fn-1", "verdict: holds", "verdict: true", "fn-1: verdict: True is not one of"),
        ("fn-1", "  sharp:", "  reading: maybe\n  sharp:", "entry fn-1: reading: 'maybe'"),
        ("fn-1", "  sharp:", "  by: us\n  sharp:", "entry fn-1: by: 'us' is not one of"),
        ("fn-1", "sharp: 0.01", "sharp: 2", "entry fn-1: sharp: 2 is not valid"),
        ("fn-1", "sharp: 0.01", "sharp: 0", "entry fn-1: sharp: 0 is not valid"),
        ("fn-1", "  sharp: 0.01\n", "", "entry fn-1: 'sharp' is a required property"),
        ("fn-1", "sharp: 0.01", "sharp: qualitative", "fn-1: 'why' is a required"),
        ("fn-1", "  sharp:", "  note: of $x\n  sharp:", "note: 'of $x' is not a text"),
        ("fn-1", "sharp: 0.01", "sharp: 0.1", "fn-1: 'why' is a required"),
        ("fn-1", "  sharp:", "  note: ''\n  sharp:", "entry fn-1: note: '' is not a text"),
        ("fn-1", "id: fn-1", "id: eq-5", "data/claims.yml: entry eq-5: two entries share it"),
        ("fn-1", "id: fn-1", "[", "data/claims.yml: while parsing"),
        ("fn-1", "id: fn-1", "name: fn-1", f"entry {PLACE}: 'id' is a required property"),
        ("fn-1", "- id", "- fn-1\n- id", f"entry {PLACE}: 'fn-1' is not of type 'object'"),
        (
            "text-1-balanced",
            "about: [def-2]",
            "about: [def-9]",
            "about: 0: 'def-9' is not a numbered item of data/paper.yml",
        ),
        ("text-1-balanced", "[def-2]", "[]", "text-1-balanced: about: [] should be non-empty"),
        ("text-1-balanced", "about: [def-2]", "rank: 0", "rank: 0 is less than"),
        (
            "fn-1",
            "Footnote 1 1.2",
            "Footnote 1 1",
            "sentences: 0: 'Footnote 1 1' is not a place",
        ),
        (
            "fn-1",
            "Footnote 1 1.2",
            "footnote 1 1.2",
            "sentences: 0: 'footnote 1 1.2' is not",
        ),
        (
            "fn-1",
            "Footnote 1 1.2",
            "Footnote 1, 1.2",
            "fn-1: sentences: 0: 'Footnote 1' is not",
        ),
        (
            "fn-1",
            "Footnote 1 1.2",
            "Footnote 1 1.0",
            "sentences: 0: 'Footnote 1 1.0' is not",
        ),
        ("fn-1", "Footnote 1 1.2", "1.2", "fn-1: sentences: 0: 1.2 is not of type 'string'"),
        (
            "fn-1",
            "[Footnote 1 1.2]",
            "Footnote 1 1.2",
            "fn-1: sentences: 'Footnote 1 1.2' is not",
        ),
        ("fn-1", "[Footnote 1 1.2]", "[]", "fn-1: sentences: [] should be non-empty"),
        ("fn-1", "1.2]", "1.2, Footnote 1 1.2]", "has non-unique elements"),
    ],
)
def test_altered_ledger_stops_the_build(root, id, old, new, said):
    stated = root / ledger.LEDGER
    stated.write_text(edited(stated.read_text(), id, old, new))
    with pytest.raises(BuildError) as error:
        read(root)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "prop-9: Right.",
            "data/verdicts.yml: 'prop-9' is not a numbered item of data/paper.yml",
        ),
        ("text-2-rank: Right.", "data/verdicts.yml: 'text-2-rank' is not a numbered item"),
        ("prop-1: ' '", "data/verdicts.yml: prop-1: ' ' is not a text"),
        ("prop-1: 3", "data/verdicts.yml: prop-1: 3 is not of type 'string'"),
        ("[prop-1]", "data/verdicts.yml: ['prop-1'] is not of type 'object'"),
    ],
)
def test_altered_sentence_stops_the_build(root, text, said):
    (root / ledger.SENTENCES).write_text(text)
    with pytest.raises(BuildError) as error:
        record.Book(root).sentences  # noqa: B018 - reads them
    assert said in str(error.value)


def test_every_numbered_item_but_equations_and_footnotes_has_a_sentence():
    told = ledger.sentences(ROOT, PAPER)
    named = {id for id in ledger.numbered(PAPER) if not id.startswith(("eq-", "fn-"))}
    assert {*told} == named
    assert all(text.endswith(".") for text in told.values())


def test_claims_are_sharp_or_say_why_not():
    """Nine in ten of those with numbers reject a statement that is wrong by two percent."""
    blunt = [e for e in entries() if e["sharp"] == "qualitative" or e["sharp"] > 0.02]
    assert [entry["id"] for entry in blunt if not entry.get("why", "").strip()] == []
    shares = [e["sharp"] for e in entries() if e["sharp"] != "qualitative"]
    assert sum(share <= 0.02 for share in shares) >= 0.9 * len(shares)
    assert len(shares) > len(entries()) / 2


def test_item_counts_the_claims_that_are_about_it_wherever_they_stand(book):
    items = {item["id"]: item for item in ledger.items(PAPER, book.claims, {}, book.sentences)}
    five = [claim["id"] for claim in items["prop-5"]["claims"]]
    assert five[:4] == [id for id in five if id.startswith("prop-5")]
    assert {"text-4-sigma-min", "text-4-determinant", "app-c-6", "text-6-rate"} <= {*five}
    assert "text-4-back" not in five
    told = ledger.counted(items["prop-5"]["claims"])
    assert "1 misprint" in told
    assert "this book's own: " in told
    page = book.source("record/paper-map", (ROOT / "record/paper-map.md").read_text())
    row = page.partition('<tr id="prop-5">')[2].partition("</tr>")[0]
    assert items["prop-5"]["sentence"] in row
    assert told in row
    assert all(f'claims.html#{id}"' in row for id in five)


def test_errata_begin_with_what_fails_and_by_consequence(site):
    text = (site / "record/errata.html").read_text(encoding="utf-8")
    shown = re.findall(r'id="amiss-([\w-]+)"', text)
    by_id = {entry["id"]: entry for entry in entries()}
    order = ["fails", "misprint", "holds-if"]
    places = [(order.index(by_id[id]["verdict"]), by_id[id].get("rank", 99)) for id in shown]
    assert places == sorted(places)
    assert "paper says" not in text.lower()
    assert text.count("not at hand") == 1


def test_errata_rank_each_claim_that_does_not_hold():
    for verdict in ("fails", "misprint", "holds-if"):
        found = {
            entry["id"]: entry.get("rank") for entry in entries() if entry["verdict"] == verdict
        }
        ranks = [*range(1, len(found) + 1)]
        amiss = {id: rank for id, rank in found.items() if [*found.values()].count(rank) > 1}
        amiss |= {id: rank for id, rank in found.items() if rank not in ranks}
        assert amiss == {}, (
            f"{verdict}: {', '.join(map(str, {*ranks} - {*found.values()}))} is free"
        )
    assert not any("rank" in entry for entry in entries() if entry["verdict"] == "holds")


def test_what_the_book_adds_says_what_it_is_about():
    """So the items that it takes further count it."""
    own = [entry for entry in entries() if entry["id"].startswith("beyond-")]
    assert own
    assert all(entry["about"] for entry in own)


def test_ledger_shows_whose_a_claim_is_and_how_sharp(site):
    shown = rows(site, "record/claims")
    for entry in entries():
        own = "this book&#39;s own" if entry.get("by") == "book" else "the paper&#39;s"
        assert own in shown[entry["id"]].replace("&#x27;", "&#39;").replace(
            "'", "&#39;"
        ).replace("’", "&#39;")
        rejects = (
            f"Rejects a statement {100 * entry['sharp']:g}% off."
            if entry["sharp"] != "qualitative"
            else "Qualitative."
        )
        assert rejects in shown[entry["id"]]
        amiss = entry["verdict"] != "holds" and entry.get("by") != "book"
        assert ("Note: " in shown[entry["id"]]) == ("note" in entry and not amiss)


@pytest.mark.parametrize("text", ["", "{}", "eq-5: holds", "3"])
def test_ledger_that_is_no_list_is_refused(root, text):
    (root / ledger.LEDGER).write_text(text)
    with pytest.raises(BuildError, match=r"data/claims\.yml: not a list"):
        read(root)


def test_id_says_where_a_claim_belongs():
    assert ledger.item("eq-5", PAPER) == ledger.item("eq-5-sign", PAPER) == "eq-5"
    assert ledger.item("eq-39", PAPER) == "eq-39"
    assert ledger.item("table-1-flow-balanced", PAPER) == "table-1"
    assert ledger.item("text-2-rank", PAPER) is None
    assert ledger.item("eq-3x", PAPER) is None


def test_claims_of_paper_and_book_are_counted_apart(root):
    stated = root / ledger.LEDGER
    before = ledger.totals(read(root))
    text = stated.read_text().replace("- id: fn-1\n", "- id: fn-1\n  by: book\n")
    stated.write_text(text)
    book = record.Book(root)
    assert ledger.totals(book.claims)["holds"] == before["holds"] - 1
    assert ledger.totals(book.claims, "book")["holds"] >= 1
    told = json.loads(ledger.as_json(book.claims))
    assert told["totals"]["holds"] == before["holds"] - 1
    assert next(c for c in told["claims"] if c["id"] == "fn-1")["by"] == "book"
    pages = {name: book.source(name, (ROOT / f"{name}.md").read_text()) for name in RECORD}
    assert f"{sum(before.values()) - 1} claims of the paper there are" in pages["record/claims"]
    assert (
        f"Of {sum(before.values()) - 1} claims of the paper {before['holds'] - 1} hold"
        in (pages["record/errata"])
    )
    for name in ("record/claims", "record/paper-map"):
        row = pages[name].partition('id="fn-1"')[2].partition("</tr>")[0]
        assert "this book's own" in row
    assert 'id="by-book"' in pages["record/claims"]
    assert "#by-book:checked" in book.templates.get_template("ledger.css").render()


def test_sections_are_in_the_order_of_the_paper(book):
    text = book.source("record/claims", (ROOT / "record/claims.md").read_text())
    shown = re.findall(r'name="section" id="section-([\w-]+)"', text)
    order = ["all", *(name.lower().replace(" ", "-") for name in PAPER["sections"])]
    assert shown == [name for name in order if name in shown]
    assert shown[:5] == ["all", "abstract", "section-1", "table-1", "section-2"]


def test_broken_page_of_the_record_is_one_error(book):
    with pytest.raises(BuildError, match="record/cite: 'claim' is undefined"):
        book.source("record/cite", "{{ claim }}")


def test_contents_name_the_record():
    toc = (ROOT / "_toc.yml").read_text()
    assert all(f"file: {name}\n" in toc for name in [*RECORD, "genindex"])
    assert {str(path.parent) for path in documents(ROOT)} == {"chapters", "record", "."}


def test_json_is_the_ledger_with_what_was_measured(site):
    record = json.loads((site / "claims.json").read_bytes())
    assert record["schema"] == 1
    schema = json.loads((site / "claims.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(record)
    assert [c["id"] for c in record["claims"]] == [entry["id"] for entry in entries()]
    measured = {}
    for path in CHAPTERS:
        for _, output in outputs(json.loads((site.parent / "executed" / path).read_bytes())):
            measured[output["metadata"][METADATA]["id"]] = output["metadata"]
    for claim, entry in zip(record["claims"], entries(), strict=True):
        where = ", ".join(filter(None, [entry["section"], entry.get("where")]))
        assert (entry | {"where": where}).items() <= claim.items()
        assert claim["by"] == entry.get("by", "paper")
        assert claim["reading"] == entry.get("reading", False)
        assert measured[entry["id"]][METADATA].items() <= claim.items()
        page, _, badge = claim["url"].partition("#")
        assert f'id="{badge}"' in (site / page).read_text(encoding="utf-8")
    for by, told in (("paper", record["totals"]), ("book", record["own"])):
        its = [entry["verdict"] for entry in entries() if entry.get("by", "paper") == by]
        assert told == {verdict: its.count(verdict) for verdict in VERDICTS}


def test_infinite_figure_is_valid_json():
    claim = {"id": "a", "verdict": "holds", "residual": 0.0, "altered": float("inf")}
    assert json.loads(ledger.as_json([claim]))["claims"][0]["altered"] is None


@pytest.mark.parametrize(
    ("value", "place"), [(0.0, 0), (1e-30, 0), (1e-7, 80), (1e4, 160), (float("inf"), 160)]
)
def test_bar_is_on_a_log_scale(value, place):
    assert record.place(value) == place


def test_bars_are_told_in_words():
    assert record.told(1e-12, 1e-8) == "The residual is 4.0 powers of ten below the tolerance."
    assert record.told(0.0, 0.0) == "The residual is zero, below the tolerance."


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
    assert powers(badge) == "residual 2.0·10⁻¹⁶, tolerance 10⁻¹², 3.6 when altered"
    assert powers("0.0e+00 5e-01 1.6e+01 4.2e+13") == "0 0.5 16 4.2·10¹³"


def rows(site, name):
    """Return the rows of a page's table, by id."""
    text = (site / f"{name}.html").read_text(encoding="utf-8")
    return dict(re.findall(r'<tr id="([\w-]+)".*?>(.*?)</tr>', text, re.S))


def number(shown):
    """Return the number that is printed with a power of ten, or without."""
    typed = shown.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    if shown == typed:
        return float(shown)
    digits, power = re.fullmatch(r"(?:(.+)·)?10(-?\d+)", typed).groups()
    return float(f"{digits or 1}e{power}")


def test_tolerances_are_shown_to_two_digits(site):
    shown = rows(site, "record/claims")
    for claim in json.loads((site / "claims.json").read_bytes())["claims"]:
        page = (site / claim["url"].partition("#")[0]).read_text(encoding="utf-8")
        fold = page.partition(f"<code>{claim['id']}</code> residual ")[2].partition("</p>")[0]
        for text in (fold, shown[claim["id"]].replace("</span>", ",")):
            tolerance = re.search("tolerance ([^,]+)", text)[1]
            assert number(tolerance) == float(f"{claim['tol']:.1e}"), claim["id"]
            assert ".0·" not in tolerance


def test_ledger_has_every_claim(site):
    shown = rows(site, "record/claims")
    assert list(shown) == [entry["id"] for entry in entries()]
    for entry in entries():
        row = shown[entry["id"]]
        assert f">{entry['verdict']}</span>" in row
        assert f"{entry['chapter']}.html#claim-{entry['id']}" in row
        assert 'role="img"' in row
        assert "below the tolerance." in row
        amiss = entry["verdict"] != "holds" and entry.get("by") != "book"
        assert (f"errata.html#amiss-{entry['id']}" in row) == amiss


def test_errata_have_all_that_does_not_hold_and_mark_errors_of_reading(site):
    text = (site / "record/errata.html").read_text(encoding="utf-8")
    amiss = [e for e in entries() if e["verdict"] != "holds" and e.get("by") != "book"]
    ids = Links(text).ids
    assert {f"amiss-{entry['id']}" for entry in amiss} == {i for i in ids if "amiss-" in i}
    marked = {entry["id"] for entry in amiss if entry.get("reading")}
    assert marked
    for part in re.split(r'(?=id="amiss-)', text)[1:]:
        id = re.match(r'id="amiss-([\w-]+)', part).group(1)
        assert ('class="reading"' in part) == (id in marked)
        assert f"#claim-{id}" in part


def test_map_names_every_numbered_item(site):
    shown = rows(site, "record/paper-map")
    assert list(shown)[-39:] == [f"eq-{number}" for number in range(1, 40)]
    assert {"def-3", "prop-5", "cor-1", "fig-3", "table-1", "fn-4"} <= set(shown)
    for entry in entries():
        for named in ledger.about(entry, PAPER):
            row = shown[named]
            assert f'claims.html#{entry["id"]}"' in row
            assert f"{entry['verdict']}</span>" in row
            assert "not in this book" not in row
    assert "../chapters/02-symmetric-factorization.html#eq-9" in shown["eq-9"]
    assert "../chapters/02-symmetric-factorization.html#claim-fn-3" in shown["fn-3"]


def test_own_markup_needs_no_inline_script_or_style(book):
    for name in RECORD:
        text = book.source(name, (ROOT / f"{name}.md").read_text())
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", text)


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
