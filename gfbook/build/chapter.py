"""A chapter as Sphinx reads it: its checks are folded behind what the ledger says of them.

What a reader takes away of it is found here too: each figure as SVG, and its data as CSV.
"""

import ast
import copy
import json
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from sphinx.highlighting import PygmentsBridge

from gfbook.build import BuildError
from gfbook.check import METADATA

EXPLORER = 'class="explorer"'  # as gfbook.explore writes it
LESSON = 10  # lines of code that one reads with the text
FORMS = {"svg": "image/svg+xml", "csv": "text/csv"}  # of a figure, and what each is
PLAYGROUND = "record/playground"


def checks(cell: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the outputs of a cell that are checks."""
    return [o for o in cell.get("outputs", ()) if METADATA in o.get("metadata", ())]


def explorers(chapters: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the chapter of each explorer, and its HTML there, by its name."""
    found: dict[str, tuple[str, str]] = {}
    for page, notebook in chapters.items():
        for output in (o for cell in notebook["cells"] for o in cell.get("outputs", ())):
            html = "".join(output.get("data", {}).get("text/html", ""))
            for name in re.findall(rf'{EXPLORER} id="([^"]+)"', html):
                if name in found:
                    raise BuildError(f"{page}: {name}: {found[name][0]} has one as well")
                found[name] = page, html
    return found


def figures(
    name: str, notebook: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Yield the metadata of each named figure of a chapter, and its files: {path: text}."""
    for cell in notebook["cells"]:
        figure = cell["metadata"].get("mystnb", {}).get("figure")
        shown = [o.get("data", {}) for o in cell.get("outputs", ())]
        if figure and (drawn := [data for data in shown if FORMS["svg"] in data]):
            place = f"figures/{PurePath(name).name}/{figure['name']}"
            texts = {f"{place}.{form}": drawn[0].get(kind) for form, kind in FORMS.items()}
            yield figure, {path: "".join(text) for path, text in texts.items() if text}


def aside(cell: dict[str, Any]) -> str:
    """Return what a cell has that is no lesson, to be read with the text, or nothing."""
    source, metadata = "".join(cell["source"]), cell["metadata"]
    if "parameters" in metadata.get("tags", ()):
        return "the parameters"
    if "figure" in metadata.get("mystnb", ()):
        return "the plot's code"
    if any(
        EXPLORER in "".join(o.get("data", {}).get("text/html", "")) for o in cell["outputs"]
    ):
        return "the explorer's code"
    hidden = "hide-input" in metadata.get("tags", ()) or "glue(" in source
    return f"the code{does(source)}" if hidden or len(source.splitlines()) > LESSON else ""


def does(source: str) -> str:
    """Return what code is there for, by the names that it gives; nothing if it gives none.

    Examples
    --------
    >>> does("def f(x): return x"), does("t, a.b = 1, 2"), does("import a; x = 1; print(x)")
    (' of f', ' that calculates t', ': imports, x')
    """
    body = ast.parse(source).body
    functions = [a.name for a in body if isinstance(a, ast.FunctionDef | ast.ClassDef)]
    targets = [target for a in body if isinstance(a, ast.Assign) for target in a.targets]
    stored = [
        name.id
        for target in targets
        for name in ast.walk(target)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    ]
    names = functions or [*dict.fromkeys(stored)]
    said = ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")
    if any(isinstance(a, ast.Import | ast.ImportFrom) for a in body):
        return ": " + ", ".join(filter(None, ["imports", said]))
    if "glue(" in source and not functions:
        return " of the numbers in the text"
    return f" {'of' if functions else 'that calculates'} {said}" if said else ""


def read(name: str, notebook: dict[str, Any], claims: list[dict[str, Any]], marks: Any) -> str:
    """Return a chapter for Sphinx to read: its code folded that checks, draws, or is long.

    Parameters
    ----------
    name : str
        As _toc.yml has it.
    notebook : dict
        As it was executed.
    claims : list of dict
        All that there are.
    marks : module
        The macros of ``templates/marks.html``.
    """
    content = copy.deepcopy(notebook)
    by_id, up = {claim["id"]: claim for claim in claims}, "../" * name.count("/")
    for figure, files in figures(name, content):
        # What follows the first paragraph of a caption is its legend.
        figure["caption"] += f"\n\n{marks.download([up + path for path in files])}"
    for cell in content["cells"]:
        if cell["cell_type"] != "code":
            continue
        metadata = cell["metadata"]
        tags = metadata["tags"] = [*metadata.get("tags", ())]
        if made := checks(cell):
            code = PygmentsBridge("html").highlight_block("".join(cell["source"]), "ipython3")
            found = [by_id[output["metadata"][METADATA]["id"]] for output in made]
            made[0]["data"]["text/html"] = marks.fold(found, code, f"{up}{PLAYGROUND}.html")
            cell["outputs"] = [o for o in cell["outputs"] if o not in made[1:]]
            tags.append("remove-input")
        elif what := aside(cell):
            tags.append("hide-input")
            prompts = {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}
            metadata["mystnb"] = metadata.get("mystnb", {}) | prompts
        tags.append(f"id-{cell['id']}")  # the page can find it by its class
        for output in cell["outputs"]:  # MyST-NB does not know it, and warns
            output.get("data", {}).pop(FORMS["csv"], None)
    return json.dumps(content)
