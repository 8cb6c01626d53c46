"""Code as a page shows it: what checks is folded behind what the ledger says of its claims."""

import ast
from collections.abc import Mapping
from html import escape
from typing import Any

from sphinx.highlighting import PygmentsBridge

from gfbook.build import ledger
from gfbook.check import METADATA
from gfbook.glue import powers as powers

EXPLORER = 'class="explorer"'  # as gfbook.explore writes it
LESSON = 10  # lines of code that one reads with the text
FOLD = """<details class="check"><summary>{bars}
<span class="ask">show the check</span><span class="ask">hide the check</span></summary>
<div class="cell_input"><div class="highlight-ipython3 notranslate">{code}</div></div>
{figures}</details>"""


def bar(claim: dict[str, Any], name: str) -> str:
    """Return the verdict bar of a claim, of which the paper's name is known or empty."""
    return (
        f'<span class="claim claim-{claim["verdict"]}" id="claim-{claim["id"]}">'
        f'<span class="verdict">{claim["verdict"]}</span> '
        f"{f'<strong>{escape(name)}</strong> ' if name else ''}{escape(claim['title'])}</span>"
    )


def figures(check: dict[str, Any]) -> str:
    """Return what a check measured."""
    said = f"residual {check['residual']:.1e}, tolerance {check['tol']:.0e}"
    if check["altered"] is not None:
        said += f", {check['altered']:.1e} when altered"
    return f'<p class="residual"><code>{escape(check["id"])}</code> {powers(said)}</p>'


def touch(
    checks: list[dict[str, Any]], presets: Mapping[str, list[dict[str, Any]]], to: str
) -> str:
    """Return links to the presets of the playground that are about claims, or nothing."""
    about = {p["id"]: p["title"] for check in checks for p in presets.get(check["id"], ())}
    links = [f'<a href="{to}#preset-{id}">{escape(title)}</a>' for id, title in about.items()]
    return f'<p class="touch">To touch: {", ".join(links)}</p>' if links else ""


def fold(
    source: str, checks: list[dict[str, Any]], claims: dict[str, Any], paper: dict[str, Any]
) -> str:
    """Return a cell that checks: the bars of its claims, and behind them code and figures."""
    return FOLD.format(
        bars="\n".join(bar(claims[c["id"]], ledger.name(c["id"], paper)) for c in checks),
        code=PygmentsBridge("html").highlight_block(source, "ipython3"),
        figures="\n".join(map(figures, checks)),
    )


def aside(cell: dict[str, Any]) -> str:
    """Return what a cell has that is no lesson, to be read with the text, or nothing."""
    shown = "".join("".join(o.get("data", {}).get("text/html", "")) for o in cell["outputs"])
    if "figure" in cell["metadata"].get("mystnb", ()):
        return "the plot's code"
    if EXPLORER in shown:
        return "the explorer's code"
    source = "".join(cell["source"])
    hidden = "hide-input" in cell["metadata"].get("tags", ()) or "glue(" in source
    if hidden or len(source.splitlines()) > LESSON:
        return f"the code{does(source)}"
    return ""


def does(source: str) -> str:
    """Return what code is there for, by the names that it gives; nothing if it gives none.

    Examples
    --------
    >>> does("def f(x): return x"), does("t, a.b = 1, 2"), does("import a; x = 1; print(x)")
    (' of f', ' that calculates t', ': imports, x')
    """
    body = ast.parse(source).body
    imports = (
        ["imports"] if any(isinstance(a, ast.Import | ast.ImportFrom) for a in body) else []
    )
    functions = [a.name for a in body if isinstance(a, ast.FunctionDef | ast.ClassDef)]
    stored = [
        name.id
        for line in body
        if isinstance(line, ast.Assign)
        for target in line.targets
        for name in ast.walk(target)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    ]
    names = functions or [*dict.fromkeys(stored)]
    said = ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")
    if imports:
        return ": imports" + (f", {said}" if said else "")
    if "glue(" in source and not functions:
        return " of the numbers in the text"
    return f" {'of' if functions else 'that calculates'} {said}" if said else ""


def put(
    notebook: dict[str, Any],
    claims: dict[str, Any],
    paper: dict[str, Any],
    presets: Mapping[str, list[dict[str, Any]]],
    to: str,
) -> None:
    """Fold the code of an executed notebook that checks, draws, or is long.

    What a cell shows stays where it is. Below a check are links `to` the page of presets.
    """
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        metadata = cell["metadata"]
        made = [o for o in cell["outputs"] if METADATA in o.get("metadata", ())]
        if made:
            checks = [output["metadata"][METADATA] for output in made]
            source = "".join(cell["source"])
            html = fold(source, checks, claims, paper) + touch(checks, presets, to)
            made[0]["data"]["text/html"] = html
            cell["outputs"] = [o for o in cell["outputs"] if o not in made[1:]]
            metadata["tags"] = [*metadata.get("tags", ()), "remove-input"]
        elif what := aside(cell):
            metadata["tags"] = [*metadata.get("tags", ()), "hide-input"]
            prompts = {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}
            metadata["mystnb"] = metadata.get("mystnb", {}) | prompts
