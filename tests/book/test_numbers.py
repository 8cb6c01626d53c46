"""No number stands typed in the book's prose: it is computed, or it is no measurement.

What is looked for: digits, and words of size (half, dozen, thousandfold, percent, three times,
four orders). Not looked at is what is no number of this book's making: code, roles (glue among
them), formulas with a letter in them, references to numbered things, years, names. Left out too
are words that only count (one, two, the third), unless they multiply (three times), and whole
numbers below ten that stand alone: they count, or are a formula (the rate 1, singular at 0).
What is left has to be a number of the chapter's own code, or to be in ALLOWED with a reason.
"""

import ast
import json
import re
from math import isclose as close

import pytest

from tests.book.conftest import written
from tests.conftest import ROOT

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
# The page of benchmarks is all numbers, and none is typed: `make bench` writes it.
PAGES = sorted({*(ROOT / "chapters").glob("*.md"), *(ROOT / "record").glob("*.md")}
               - {ROOT / "record/benchmarks.md"})  # fmt: skip
TEXTS = ("title", "statement", "condition", "correction", "note", "why")
NUMBER = r"[A-D]?\d+[a-d]?(?:\.\d+)?"
REFERENCE = (
    "section|chapter|figure|table|proposition|corollary|definition|footnote|appendix|theorem|step|"
    "equation|exercise|plot|statement|hypothesis|no"
)
OUT = [
    re.compile(pattern, re.M | re.S | re.I)
    for pattern in (
        r"^(`{3,}).*?^\1`*$",  # code, and directives of that form: an index, a bibliography
        r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}|\\tag\{[^}]*\}",  # numbered formulas, their numbers
        r"</?[a-z][^<>$]*>|\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}",  # HTML, Jinja
        r"\{[\w:+-]+\}`[^`]*`|`[^`]*`",  # roles, code in a line
        r"^\([\w-]+\)=$|^:{3,}[^\n]*$|^:\w+:[^\n]*$",  # labels, directives, their options
        r"\[[\d.]+\]\([^)\s]*\)|\]\([^)\s]*\)",  # addresses
        r"\b(?:text|eq|fn|def|prop|cor|fig|table|related|app)-[\w-]+",  # claims
        rf"\b(?:{REFERENCE})(?:s|ies|es)?\.?\s+{NUMBER}(?:(?:,|,? and| or| to)\s+{NUMBER})*",
        r"\([A-D]?\d+(?:\.\d|[a-j])?\)",  # (8), (C3), (5.1), (13a)
        r"\b(?:19|20)\d\d[a-z]?(?:/[a-z])?\b",  # years
        r"^#+ (?:\d+|[A-D])(?:\.\d+)?\.? |^\d+\. ",  # headings, lists
        # Names.
        r"double precision|period doubling|2 by 2|Python 3\.\d+|CC BY 4\.0|BSD-3-Clause",
    )
]
ALLOWED = {  # what stands around a number, and why that is typed
    r"95% interval": "the customary level of confidence, SciPy's own",
    r"[Hh]alf-times?|[Hh]alf learned|half its strength|within half of|at one half|"
    r"half of the largest|half of ◌ , from|[Hh]alf is learned|to the half|one half (?:bef|on)|"
    r"below one half|half way up": "when a mode counts as learned",
    r"(?:at|with) half (?:its|the) speed": "a factor of two between two equations, exact",
    r"half of the \S+ of a square target": "one of two equal terms of a formula, exact",
    r"half the square(?:d Frobenius norm| of)": "the loss in words",
    r"twice as large and starts at": "the example that the sentence is about",
    r"half step halves|[Hh]al(?:f|ves?) (?:the )?step|It halves too|correct digits doubles|"
    r"step, and the distance halves|"
    r"half the distance|halves (?:with the step|that)": "the order of a method, exact",
    r"half of (?:its edge|its largest step)|half and (?:of )?twice the (?:best )?number":
        "what the check compares, a choice",
    r"balanced(?: square)? (?:starts|ones)\W.*half|"
    r"[Hh]alf of the (?:balanced|random|time|starts)|half of all random|"
    r"half of these starts|one half: reflecting|Half the starts have|the other half a negative":
        "one of two signs, exact by symmetry, or drawn so",
    r"[Hh]alf of it|half is enough|half the limit's rate": "the constant of a theorem",
    r"second half of the run|other half of the sentence|the fifth component|"
    r"half in which the period|Halve the interval|at three times, each": "parts, not sizes",
    r"large make the rate four times as large|ten times (?:larger|nearer|the root)|"
    r"three times as much|3, four times|Four times the imbalance|4\^2 times less|"
    r"A hundred times|is a third of that|doubled and the other one halved|Entries twice as":
        "follows from what stands beside it, exact",
    r"nine tenths of the largest step|1\.05 to 1\.5 and 1\.9 times|start a hundred times|"
    r"width of some hundred|95 networks in 100|to 50 digits": "what is asked for, no result",
    r"Feigenbaum's constant 4\.669": "a constant of mathematics",
    r"\bwidth (?:50|100|200)\b": "the three widths of the paper's Figure 2",
    r"4\.6.*Frobenius|4\.6 (?:two layers|for weights)|4\.6, and what is 0\.1|"
    r"0\.1 (?:is the|for a|a) standard": "printed in the caption of the paper's Figure 3",
    r"2\.5313 .*too fast|2\.5313 .*error remains|error remains.*too fast":
        "the claim itself, beyond-figure-2, whose check compares these digits",
}  # fmt: skip
COUNT = "two|three|four|five|six|seven|eight|nine|ten|a few"
SIZE = re.compile(
    rf"""(?<![\w.])-?\d+(?:\.\d+)?(?:\^\{{?-?\d+\}}?|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?
    (?:\s?\\?%|\s(?:per\ ?cent|times|orders|digits|decades)\b)?
    |\b(?:half|halves|halve[ds]?|halving|thirds|quarters?|(?:a|one)\ third)\b
    |\b(?:fifths?|tenths?|hundredths?|thousandths?)\b
    |\b(?:eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)\b
    |\b(?:dozens?|hundreds?|thousands?|millions?|billions?)\b
    |\b(?:two|three|four|five|six|seven|eight|nine|ten|hundred|thousand)-?fold\b
    |\b(?:(?:{COUNT}|one)\ )?per\ ?cent\b|\btwice\ as\b|\bdouble[ds]?\b
    |\b(?:{COUNT})\s+(?:times|orders?|decades|powers|digits)\b""",
    re.X | re.I,
)


def formula(found):
    """Return what of a formula is to be looked at: a bare number, what is nearly, decimals."""
    text = found[1].replace(r"\%", "%")
    decimals = re.findall(r"\d+\.\d+|(?<=\\approx)\s?\d+$", text)
    bare = not re.search(r"[A-Za-z=<>/]", text)
    return f" {text} " if bare else f" {' '.join(['◌', *decimals])} "


def prose(text):
    """Return a text without what is no number of its own."""
    for pattern in OUT:
        text = pattern.sub(" ◌ ", text)
    return " ".join(re.sub(r"\$\$?([^$]+)\$\$?", formula, text).split())


def values(number):
    """Return what digits may say in code: 1% may be 0.01, 1.01 or 0.99; nothing for words."""
    plain = re.sub(r"[{}]|(?<=[\d.]\d)\s?times$", "", number)
    if power := re.fullmatch(r"(-?[\d.]+)\^(-?\d+)", plain):
        return {float(power[1]) ** int(power[2])}
    if share := re.fullmatch(r"([\d.]+)%", plain):
        part = float(share[1]) / 100
        return {part, round(1 + part, 9), round(1 - part, 9)}
    return {float(plain)} if re.fullmatch(r"-?\d+(?:\.\d+)?", plain) else set()


def found(text, own=()):
    """Yield each typed number of a text that is none of its own code, and its surroundings."""
    text = prose(text)
    for number in SIZE.finditer(text):
        begin = max(number.start() - 60, 0)
        around = text[begin : number.end() + 60]
        given = (m.span() for p in ALLOWED for m in re.finditer(p, around))  # and has it in it
        excused = any(a < number.end() - begin and number.start() - begin < b for a, b in given)
        small = re.fullmatch(r"-?\d", number[0])
        known = any(close(value, literal) for value in values(number[0]) for literal in own)
        if not small and not known and not excused:
            yield f"{number[0]}: {around}"


def literals(cells):
    """Return the numbers that stand in the code of a chapter, and so in sight of its reader."""
    for cell in cells:
        if cell["cell_type"] == "code":
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
                    yield float(node.value)


def texts():
    """Yield each text of the book: where it stands, what it says, the numbers of its code."""
    for path in CHAPTERS:
        cells = json.loads(path.read_bytes())["cells"]
        own = {*literals(cells)}
        for cell in cells:
            where = f"{path.stem}: {cell['id']}"
            if cell["cell_type"] == "markdown":
                yield where, "".join(cell["source"]), own
            if figure := cell["metadata"].get("mystnb", {}).get("figure"):
                yield f"{where}, caption", figure["caption"], own
                yield f"{where}, alt", cell["metadata"]["mystnb"]["image"]["alt"], own
    for path in PAGES:
        yield path.stem, path.read_text(encoding="utf-8"), ()
    for entry in written("data/claims.yml"):
        for key in TEXTS:
            yield f"ledger: {entry['id']}, {key}", entry.get(key, ""), ()
    sentences = written("data/verdicts.yml")
    for id, text in sentences.items():
        yield f"verdicts: {id}", text, ()
    findings = written("data/findings.yml")
    for finding in (finding for part in findings.values() for finding in part):
        picture = finding["picture"]
        told = [picture["told"], picture["alt"], *(line["label"] for line in picture["lines"])]
        text = ". ".join([finding["says"], finding.get("first", ""), *told])
        yield f"findings: {finding['claim']}", text, ()


def test_no_number_is_typed_in_prose():
    assert [
        f"{where} | {line}" for where, text, own in texts() for line in found(text, own)
    ] == []


@pytest.mark.parametrize(
    "text",
    [
        "two layers are a thousandfold slower",
        "the error falls by four orders of magnitude",
        "off by a few percent",
        "half of the draws",
        "a third of the height, or a quarter",
        "about ten times as fast",
        "3 times as fast",
        "twice as fast",
        "3.17 times as fast half of the time",
        "the rate is 1.53",
        "with $r=1.53$ in the end",
        "it is $0.0198$ there",
        "an error of $10^{-5}$",
        "12 of the runs, or 7%",
        "dozens of starts, eleven at least",
        "9 orders below, 100 at most",
        "Section 3 has 14 of them",
        "*Proof.* The rate 1 is 1.04 here, by (8).",
        ":::{hint}\n:class: dropdown\nIt is 12 times as fast.\n:::",
        "so that $r\\approx16$ in the end",
    ],
)
def test_typed_number_is_found(text):
    assert len([*found(text, {1e-3, 1.0})]) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "one of the two, the third first, both at once; ten starts in four panels",
        "the rate 1, singular at 0; $4\\sigma$, $\\frac12$ and $\\sqrt{x^2+\\lambda^2/4}$",
        "Section 3, Figure 1, Propositions 2 and 15, step 12 of B, [(30)](#eq-30), (C12)",
        "Saxe et al. (2014, 2019), Du et al. 2018a, no. 3 of the paper, {cite:t}`c1-a2019`",
        "{glue:text}`c62-log-10` orders, `eta = 0.05`, {numref}`fig-62-a`",
        "the step $10^{-3}$ is 0.001, at 25 times, with 5% more",
        "a 95% interval; the mode is half learned at $t$",
        "$$x = 12y \\tag{7.1}$$",
        "see text-4-rank and app-c-12",
        "on the manifold, a blindfold; orders of magnitude",
    ],
)
def test_what_is_no_typed_number_is_left(text):
    assert [*found(text, {1e-3, 25.0, 1.05})] == []


def test_every_reason_is_needed():
    every = " ".join(prose(text) for _, text, _ in texts())
    assert [pattern for pattern in ALLOWED if not re.search(pattern, every)] == []
