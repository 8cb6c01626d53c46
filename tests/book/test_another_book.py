"""A book about another statement, made with gfbook and nothing of this paper."""

import json
import re
import shutil

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.book.conftest import KERNEL, Tree
from tests.conftest import ROOT

pytestmark = pytest.mark.slow
CHECKED = """\
import numpy as np
from gfbook import plots
from gfbook.check import check

plots.style()

rng = np.random.default_rng(seed)
a, b = rng.uniform(0, 1, (2, sides))
c = np.abs(a + 1j * b)
check("thm-1", a**2 + b**2 - c**2, tol=1e-12, altered=a**2 + b**2 - c**2 * 1.01)
check("text-2-sum", np.maximum(c - a - b, 0), tol=1e-12, altered=a + b - c)
c.size
"""
MOVED = """\
from gfbook.explore import Answer, Explorer, Slider

x = np.linspace(0, 1, 11)
Explorer(
    lambda a: Answer(x, [np.hypot(a, x)], f"At b = 1 the long side is {np.hypot(a, 1):.3g}."),
    {"a": Slider("side a", 0, 2, value=1, positions=3)},
    x="side b", y="long side c", lines=[("c", {"color": "#0072B2"})], name="explore-sides",
)
"""
STATED = """\
# Squares on the sides

:::{prf:theorem}
:label: thm-1
The sides of a right triangle have $a^2+b^2=c^2$.
:::

It is {verdict}`thm-1`; {tally}`claims` claim of the source in all. See {numref}`fig-sides`.

:::{judged} thm-2
:::
"""
DRAWN = "import matplotlib.pyplot as plt\nplt.plot(a, c, '.');"
FIGURE = {"figure": {"caption": "The sides.", "name": "fig-sides"}, "image": {"alt": "Sides"}}
CLAIMS = [
    {
        "id": "thm-1",
        "section": "Book I",
        "where": "47",
        "title": "the squares of the short sides add up",
        "statement": "$a^2+b^2=c^2$",
        "chapter": "sides",
        "verdict": "holds-if",
        "condition": "The angle is right.",
        "method": "float64",
        "sharp": 0.01,
    },
    {
        "id": "text-2-sum",
        "section": "Book I",
        "title": "two sides are longer than the third",
        "statement": "$a+b>c$",
        "chapter": "sides",
        "verdict": "holds",
        "method": "float64",
        "by": "book",
        "about": ["thm-2"],
        "sharp": "qualitative",
        "why": "No number is claimed.",
    },
]
SOURCE = {
    "cite": "euclid",
    "verdicts": {
        "holds": "as it stands",
        "holds-if": "with a condition",
        "misprint": "mended",
        "fails": "not so",
    },
    "sections": ["Preface", "Book I"],
    "items": {"thm": {"name": "Theorem {}", "count": 2}},
    "sentences": {"text": "a sentence"},
}
PAGE = """\
# Claims

{% import "record.md" as record %}
{{ record.ledger(claims, all, sections, by, decades, told) }}

{{ record.map(items, titles) }}

```
{{ paper }}
```
"""
CONFIG = {
    "title": "Triangles",
    "author": "nobody",
    "copyright": "2026",
    "only_build_toc_files": True,
    "repository": {"url": "https://github.com/nobody/triangles"},
    "execute": {"execute_notebooks": "off"},
    "parse": {"myst_enable_extensions": ["colon_fence", "dollarmath"]},
    "sphinx": {"extra_extensions": ["sphinx_proof", "gfbook.build"]},
}


@pytest.fixture(scope="module")
def triangles(tmp_path_factory):
    """Return the folder of the book, built."""
    root = tmp_path_factory.mktemp("triangles")
    shutil.copytree(ROOT / "gfbook", root / "gfbook")
    shutil.copy(ROOT / "Makefile", root)
    (root / "node_modules").symlink_to(ROOT / "node_modules")
    for folder in ("chapters", "data", "record"):
        (root / folder).mkdir()
    parameters = new_code_cell("sides: int = 20  # triangles\nseed: int = 0  # of the draw")
    parameters.metadata["tags"] = ["parameters"]
    drawn = new_code_cell(DRAWN)
    drawn.metadata["mystnb"] = FIGURE
    code = [new_code_cell(CHECKED), new_code_cell(MOVED), drawn]
    cells = [new_markdown_cell(STATED), parameters, *code]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.write(notebook, root / "chapters/sides.ipynb")
    (root / "record/claims.md").write_text(PAGE)
    (root / "references.bib").write_text("@book{euclid,\n  title = {Elements},\n}\n")
    files = {
        "data/claims.yml": CLAIMS,
        "data/paper.yml": SOURCE,
        "data/verdicts.yml": {"thm-1": "For a right angle.", "thm-2": "Longer, if $a, b > 0$."},
        "CITATION.cff": {"title": "Triangles"},
        "_config.yml": CONFIG,
        "_toc.yml": {
            "format": "jb-book",
            "root": "chapters/sides",
            "chapters": [{"file": "record/claims"}],
        },
    }
    for name, content in files.items():
        (root / name).write_text(yaml.safe_dump(content, sort_keys=False))
    code, said = Tree(root).run()
    assert code == 0, said
    return root


def test_page_has_the_check_its_verdict_and_the_explorer(triangles):
    text = (triangles / "_build/html/chapters/sides.html").read_text()
    assert '<span class="claim claim-holds-if" id="claim-thm-1">' in text
    assert "<strong>Theorem 1</strong> the squares of the short sides add up" in text
    assert re.search(
        r'class="verdicts"><a class="verdict claim-holds-if" href="#claim-thm-1"', text
    )
    assert re.search(
        r'<p class="judged">For a right angle\. <span class="counted">Claims: 1 holds-if<', text
    )
    second = text.partition("Theorem 2")[2]
    assert re.search(r'<p class="judged">Longer, if <.*?a, b &gt; 0', second)
    assert 'href="#claim-text-2-sum"' in second
    assert 'class="explorer" id="explore-sides"' in text
    assert "1 claim of the source in all" in text
    assert 'href="../figures/sides/fig-sides.svg"' in text
    assert (triangles / "_build/html/figures/sides/fig-sides.svg").is_file()
    assert "uPlot" in (triangles / "_build/html/_static/explore.js").read_text()


def test_record_is_of_that_source(triangles):
    site = triangles / "_build/html"
    text = (site / "record/claims.html").read_text()
    rows = [*re.findall(r'<tr id="([\w-]+)"', text)]
    assert rows == ["thm-1", "text-2-sum", "thm-2"]
    assert "Theorem 2" in text
    assert "For a right angle." in text
    assert "this book's own: 1 holds" in text.replace("’", "'")
    assert "Elements" in text
    record = json.loads((site / "claims.json").read_bytes())
    assert record["totals"] == {"holds": 0, "holds-if": 1, "misprint": 0, "fails": 0}
    assert record["own"] == {"holds": 1, "holds-if": 0, "misprint": 0, "fails": 0}
    assert record["claims"][0]["where"] == "Book I, 47"


def test_nothing_in_it_is_of_this_paper(triangles):
    own = re.compile(r"Tarmoun|gradient|imbalance|Riccati|overparam|PMLR|Proposition \d", re.I)
    site = triangles / "_build/html"
    for path in [*site.glob("*.*"), *site.glob("chapters/*"), *site.glob("record/*")]:
        if path.is_file():
            found = own.search(path.read_text(encoding="utf-8", errors="ignore"))
            assert not found, (path, found)


def test_its_chapter_runs_at_other_values(triangles):
    tree = Tree(triangles)
    code, said = tree.run("chapter", "CHAPTER=sides", "PARAMETERS=-p sides 5")
    assert (code, said) == (0, "executed: _build/chapter/sides.ipynb\n")
    cells = json.loads((triangles / "_build/chapter/sides.ipynb").read_bytes())["cells"]
    shown = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
    assert ["5"] in [data.get("text/plain") for data in shown]
    code, said = tree.run("chapter", "CHAPTER=sides", "PARAMETERS=-p sides 0")
    assert code == 2
    assert "sides = 0 makes no sense: sides > 0 is needed" in said
