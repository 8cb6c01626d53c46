"""What a built site has beside the chapters: addresses, citations, licenses, an index."""

import base64
import hashlib
import html
import json
import re
import xml.etree.ElementTree as ET
from fnmatch import fnmatch

import pytest
import yaml
from conftest import ROOT
from pybtex.database import parse_file

from gfbook.build import logo
from gfbook.build import site as finishing

CHAPTERS = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))
GRANTS = {
    "MIT": "Permission is hereby granted, free of charge, to any person obtaining a copy",
    "OFL-1.1": "PERMISSION & CONDITIONS Permission is hereby granted, free of charge",
    "Apache-2.0": "perpetual, worldwide, non-exclusive, no-charge, royalty-free, irrevocable",
    "BSD-": "Redistribution and use in source and binary forms",
}
OWN = "book.css ledger.css book.png logo.svg favicon.svg licenses/*"


def read(site, name):
    return (site / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CHAPTERS)
def test_what_the_source_names_has_its_address(site, name):
    cells = json.loads((ROOT / "chapters" / f"{name}.ipynb").read_bytes())["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    named = set(re.findall(r"^\(([\w-]+)\)=|^:label: ([\w-]+)", text, re.M))
    named = {one or other for one, other in named}
    named |= {c["metadata"]["mystnb"]["figure"]["name"] for c in cells
              if "figure" in c["metadata"].get("mystnb", ())}  # fmt: skip
    assert named
    assert named <= set(re.findall(r'\sid="([^"]+)"', read(site, f"chapters/{name}")))


def test_committed_pictures_are_those_that_gfcore_draws():
    for name, text in logo.pictures().items():
        assert (ROOT / "assets" / name).read_text(encoding="utf-8") == text
        assert ET.fromstring(text).find("{http://www.w3.org/2000/svg}title").text


def test_logo_ends_on_the_minima():
    u, v = logo.mode(1.0, 0.01).T
    assert u * u - v * v == pytest.approx(1.0)
    assert u[-1] * v[-1] == pytest.approx(logo.SIGMA, abs=1e-3)


def test_citations_are_those_of_the_repository(site):
    shown = re.findall(r"<pre>(.*?)</pre>", read(site, "record/cite"), re.S)
    paper, book = (html.unescape(re.sub(r"<[^>]+>", "", entry)).strip() for entry in shown[:2])
    assert paper in (ROOT / "references.bib").read_text(encoding="utf-8")
    assert "tarmoun2021" in paper
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    fields = dict(re.findall(r"(\w+) += \{(.*)\}", book))
    assert fields["author"].strip("{}") == cited["authors"][0]["name"]
    assert (fields["title"], fields["version"]) == (cited["title"], cited["version"])
    (ours,) = cited["references"]
    assert ours["title"] in paper
    assert all(person["family-names"] in paper for person in ours["authors"])


def test_works_have_their_doi(site):
    entries = parse_file(ROOT / "references.bib").entries
    without = {key for key, entry in entries.items() if "doi" not in entry.fields}
    # Proceedings that give none, and four old papers whose DOI was not found.
    proceedings = {"tarmoun2021", "xu2023", "min2023", "braun2022", "fukumizu1998"}
    assert without == proceedings | {
        "callier1992",
        "callier1994",
        "molinari1977",
        "sasagawa1982",
    }
    cited = "".join(read(site, f"chapters/{name}") for name in CHAPTERS)
    for key in entries.keys() - without:
        doi = entries[key].fields["doi"]
        assert re.fullmatch(r"10\.\d{4,}/\S+", doi)
        assert f'href="https://doi.org/{doi}"' in cited, key


def test_every_file_of_others_is_named_with_its_license(site):
    page = read(site, "record/cite")
    rows = re.findall(r"<tr.*?</tr>", page.partition('id="parts"')[2], re.S)
    patterns = [p for row in rows[1:] for p in re.findall(r'class="pre">([^<]+)<', row)]
    assert "mathjax/*" in patterns
    static = site / "_static"
    files = [p.relative_to(static).as_posix() for p in static.rglob("*") if p.is_file()]
    for file in files:
        assert any(fnmatch(file, p) for p in [*patterns, *OWN.split()]), file
    for pattern in patterns:
        assert any(fnmatch(file, pattern) for file in files), pattern
    texts = re.findall(r'_static/(licenses/[\w-]+\.txt)"', page)
    assert sorted(texts) == sorted(file for file in files if file.startswith("licenses/"))
    assert len(texts) == len(rows) - 1
    assert all("copyright" in (static / text).read_text().lower() for text in texts)
    for row in rows[1:]:
        (text,) = re.findall(r"licenses/[\w-]+\.txt", row)
        said = " ".join((static / text).read_text().split())
        assert all(GRANTS[name] in said for name in GRANTS if name in row)


def test_index_has_the_terms(site):
    index = read(site, "genindex")
    terms = re.findall(r'<a href="chapters/[\w-]+\.html#index-\d+">([^<]+)</a>', index)
    assert len(set(terms)) >= 40
    assert {"Riccati equation", "imbalance", "sharpness"} <= set(terms)


def test_policy_names_what_is_written_into_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "_static").mkdir()
    page = tmp_path / "a.html"
    page.write_text(
        f"<html><head>{finishing.START}<title>A &#8212; Book</title><script>let a</script>"
        '<script type="application/json">{}</script><script src="b.js"></script></head><body>'
        '<p>no</p><h1>A</h1><p>Say "\\(x\\)".</p><button onclick="run()">b</button></body>'
    )
    finishing.finish(tmp_path)
    text = page.read_text()
    digests = re.findall(r"'(sha256-[^']+)'", text)
    hashes = [hashlib.sha256(script).digest() for script in (b"let a", b"run()")]
    assert digests == [f"sha256-{base64.b64encode(h).decode()}" for h in hashes]
    assert 'og:title" content="A"' in text
    assert 'og:description" content="Say &quot; x &quot;."' in text
