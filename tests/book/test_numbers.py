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

import pytest
import yaml
from conftest import ROOT

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
PAGES = sorted([*(ROOT / "chapters").glob("*.md"), *(ROOT / "record").glob("*.md")])
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
        r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}",  # numbered formulas
        r"<[^>]*>|\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}",  # HTML, Jinja
        r"\{[\w:+-]+\}`[^`]*`|`[^`]*`",  # roles, code in a line
        r"^\([\w-]+\)=$|^:{3,}.*$|^:\w+:.*$",  # labels, directives, their options
        r"\[[\d.]+\]\([^)\s]*\)|\]\([^)\s]*\)",  # addresses
        r"\b(?:text|eq|fn|def|prop|cor|fig|table|related|app)-[\w-]+",  # claims
        rf"\b(?:{REFERENCE})(?:s|ies|es)?\.?\s+{NUMBER}(?:(?:,|,? and| or| to)\s+{NUMBER})*",
        r"\([A-D]?\d+(?:\.\d)?\)",  # (8), (C3), (5.1)
        r"\b(?:19|20)\d\d[a-z]?(?:/[a-z])?\b",  # years
        r"^#+ (?:\d+|[A-D])(?:\.\d+)?\.? |^\d+\. ",  # headings, lists
        # Names.
        r"double precision|period doubling|2 by 2|Python 3\.\d+|CC BY 4\.0|BSD-3-Clause",
    )
]
ALLOWED: dict[str, str] = {}
COUNT = "two|three|four|five|six|seven|eight|nine|ten|a few|several|many"
SIZE = re.compile(
    rf"""(?<![\w.])-?\d+(?:[.,·]\d+)*(?:\^\{{?-?\d+\}}?|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?
    (?:\s?\\?%|\s(?:per\ ?cent|times|orders|digits|decades)\b)?
    |\b(?:half|halves|halve[ds]?|halving|thirds|quarters?|(?:a|one)\ third)\b
    |\b(?:fifths?|tenths?|hundredths?|thousandths?)\b
    |\b(?:eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)\b
    |\b(?:dozens?|hundreds?|thousands?|millions?|billions?)\b
    |\b(?:two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|many)-?fold\b
    |\b(?:(?:{COUNT}|one)\ )?per\ ?cent\b|\btwice\ as\b|\bdouble[ds]?\b
    |\b(?:{COUNT})\s+(?:times|orders?|decades|powers|digits)\b""",
    re.X | re.I,
)


def formula(found):
    """Return what of a formula is to be looked at: a bare number, or decimals anywhere."""
    text = found[1].replace(r"\%", "%")
    decimals = re.findall(r"\d+\.\d+", text)
    return f" {' ◌ '.join(decimals)} " if re.search(r"[A-Za-z=<>/]", text) else f" {text} "


def prose(text):
    """Return a text without what is no number of its own."""
    for pattern in OUT:
        text = pattern.sub(" ◌ ", text)
    return " ".join(re.sub(r"\$\$?([^$]+)\$\$?", formula, text).split())


def value(number):
    """Return what digits say, or None for words."""
    plain = number.replace("{", "").replace("}", "")
    if power := re.fullmatch(r"(-?[\d.]+)\^(-?\d+)", plain):
        return float(power[1]) ** int(power[2])
    return float(plain) if re.fullmatch(r"-?\d+(?:\.\d+)?", plain) else None


def found(text, own=()):
    """Yield each typed number of a text that is none of its own code, with what is around it."""
    text = prose(text)
    for number in SIZE.finditer(text):
        size = value(number[0])
        small = size is not None and size in range(-9, 10) and "." not in number[0]
        around = text[max(number.start() - 40, 0) : number.end() + 40]
        if not small and size not in own and not any(re.search(p, around) for p in ALLOWED):
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
    for path in PAGES:
        yield path.stem, path.read_text(encoding="utf-8"), ()
    for entry in yaml.safe_load((ROOT / "data/claims.yml").read_text(encoding="utf-8")):
        for key in TEXTS:
            yield f"ledger: {entry['id']}, {key}", entry.get(key, ""), ()
    sentences = yaml.safe_load((ROOT / "data/verdicts.yml").read_text(encoding="utf-8"))
    for id, text in sentences.items():
        yield f"verdicts: {id}", text, ()
