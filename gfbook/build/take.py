"""What readers take away: each figure as SVG, its data as CSV, and the executed notebooks."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from gfbook.build import badge

FORMS = {"SVG": "image/svg+xml", "CSV": "text/csv"}  # what a reader is told, and what it is


def named(notebook: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Yield the metadata of each named figure of a notebook, and its forms."""
    for cell in notebook["cells"]:
        shown = [
            o["data"] for o in cell.get("outputs", ()) if FORMS["SVG"] in o.get("data", ())
        ]
        figure = cell["metadata"].get("mystnb", {}).get("figure")
        if figure and shown:
            yield figure, {f: "".join(shown[0][k]) for f, k in FORMS.items() if k in shown[0]}


def figures(name: str, notebook: dict[str, Any]) -> dict[str, str]:
    """Return the files of the figures of an executed chapter, and their texts."""
    return {
        f"figures/{name.split('/')[-1]}/{figure['name']}.{form.lower()}": text
        for figure, forms in named(notebook)
        for form, text in forms.items()
    }


def offered(
    name: str,
    notebook: dict[str, Any],
    claims: list[dict[str, Any]],
    paper: dict[str, Any],
    presets: Mapping[str, list[dict[str, Any]]],
) -> str:
    """Return a chapter for Sphinx to read: checks folded, links below them and the figures."""
    content = copy.deepcopy(notebook)
    up = "../" * name.count("/")
    by_id = {claim["id"]: claim for claim in claims}
    badge.put(content, by_id, paper, presets, f"{up}record/playground.html")
    folder = f"{up}figures/{name.split('/')[-1]}"
    for figure, forms in named(content):
        links = [
            f'<a href="{folder}/{figure["name"]}.{form.lower()}" download>{form}</a>'
            for form in forms
        ]
        # What follows the first paragraph of a caption is its legend.
        figure["caption"] += f"\n\nDownload: {', '.join(links)}"
    for cell in content["cells"]:
        if cell["cell_type"] == "code":  # the page can find it by its class
            tags = cell["metadata"].get("tags", ())
            cell["metadata"]["tags"] = [*tags, f"id-{cell['id']}"]
        for output in cell.get("outputs", ()):
            # MyST-NB does not know it, and warns.
            output.get("data", {}).pop(FORMS["CSV"], None)
    return json.dumps(content)
