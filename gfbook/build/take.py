"""What readers take away: each figure as SVG, its data as CSV, and the executed notebooks."""

import json
import shutil
from pathlib import Path

from gfbook.build import badge, ledger
from gfbook.build.execute import EXECUTED

FOLDER = "figures"
FORMS = {"SVG": "image/svg+xml", "CSV": "text/csv"}  # what a reader is told, and what it is


def offer(notebook: Path, tree: Path) -> None:
    """Write an executed chapter's figures into the tree, and links below them in its copy."""
    copy = tree / notebook
    content = json.loads(copy.read_bytes())
    badge.put(content, ledger.load())
    root = "../" * len(notebook.parent.parts)
    for cell in content["cells"]:
        shown = [output["data"] for output in cell.get("outputs", ()) if "data" in output]
        pictures = [data for data in shown if FORMS["SVG"] in data]
        texts = {f: "".join(d[k]) for d in pictures[:1] for f, k in FORMS.items() if k in d}
        for data in shown:
            data.pop(FORMS["CSV"], None)  # myst-nb does not know it, and warns
        figure = cell["metadata"].get("mystnb", {}).get("figure")
        if not (figure and texts):
            continue
        links = []
        for form, text in texts.items():
            file = Path(FOLDER, notebook.stem, f"{figure['name']}.{form.lower()}")
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            (tree / file).write_text(text, encoding="utf-8")
            links.append(f'<a href="{root}{file.as_posix()}" download>{form}</a>')
        # What follows the first paragraph of a caption is its legend.
        figure["caption"] += f"\n\nDownload: {', '.join(links)}"
    copy.write_text(json.dumps(content), encoding="utf-8")


def deliver(notebooks: list[Path], tree: Path, site: Path) -> None:
    """Put the figures into the site, and the notebooks as they were executed."""
    if (tree / FOLDER).is_dir():
        shutil.copytree(tree / FOLDER, site / FOLDER)
    for notebook in notebooks:
        if (source := site / "_sources" / notebook).is_file():  # the download button leads here
            shutil.copy(EXECUTED / notebook, source)
