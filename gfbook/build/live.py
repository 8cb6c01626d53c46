"""A Sphinx extension: pages whose code runs in them, where the parts of Python are at hand.

`gfbook.live.parts` has gathered those. A page that can run gets a button, and the names of all
that is loaded when it is pressed; each folder has the digest of what is in it in its name, so
that no old file meets a new page.
"""

import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from gfbook import explore
from gfbook.build import playground, put
from gfbook.live import parts

STATIC = Path(parts.__file__).with_name("static")
LICENSES = Path(__file__).with_name("licenses") / "live"  # where no wheel brings them
LEDGER, PLAYGROUND = "record/claims", "record/playground"
SCRIPTS = {
    LEDGER: ("Check the paper in this browser", "ledger"),
    PLAYGROUND: ("Run this page", "playground"),
}
PAGE = '<script type="application/json" id="live-parts">{}</script>'
FORMAT = ("nbformat", "nbformat_minor")


def source(notebook: dict[str, Any]) -> str:
    """Return an executed notebook as it was before."""
    empty: dict[str, Any] = {"outputs": [], "execution_count": None}
    cells = [cell | empty if "outputs" in cell else cell for cell in notebook["cells"]]
    metadata = {k: v for k, v in notebook["metadata"].items() if k != "executed"}
    whole = {"cells": cells, "metadata": metadata} | {key: notebook[key] for key in FORMAT}
    return json.dumps(whole, ensure_ascii=False, indent=1)


def begin(app: Sphinx, env: Any, names: list[str]) -> None:
    """Find out what there is to run, and what it runs in."""
    folder = parts.ready(Path(app.srcdir))
    how = app.config.html_context.get("install")
    if app.builder.name != "html" or folder is None or how is None:
        return
    wheel = Path(app.outdir, how.wheel).read_bytes()
    files = {p.name: p.read_bytes() for p in sorted((STATIC / "live").iterdir())}
    files["explore.mjs"] = explore.module().encode()
    if (own := Path(app.srcdir, playground.MODULE)).is_file():
        files[own.name] = own.read_bytes()
    for name, notebook in app.gfbook.chapters.items():  # type: ignore[attr-defined]
        files[f"{name}.ipynb"] = source(notebook).encode()
    about = json.loads((folder / "parts.json").read_bytes())
    later = {f"{archive}.pack" for archive, later in about["archives"].items() if later}
    first = {name: size for name, size in about["bytes"].items() if name not in later}
    packed = sum(len(gzip.compress((folder / n).read_bytes(), 6)) for n in first)
    digest = hashlib.sha256(wheel + b"".join(files.values())).hexdigest()[:12]
    app.gfbook_live = {  # type: ignore[attr-defined]
        "folder": folder,
        "about": about,
        "files": files,
        "page": {
            "python": f"_static/{folder.name}/",
            "scripts": f"_static/live-{digest}/",
            "wheel": f"{how.wheel}?{digest}",
            "bytes": first | {how.wheel: len(wheel)},
            "size": packed + len(wheel),
        },
    }


def tell(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Put into a page that can run where all is that it needs for that."""
    live = getattr(app, "gfbook_live", None)
    if live is None or (f"{page}.ipynb" not in live["files"] and page not in SCRIPTS):
        return
    label, script = SCRIPTS.get(page, ("Run this page", "cells"))
    more = {"label": label, "script": script, "notebook": f"{page}.ipynb"}
    more["key"] = f"{live['page']['wheel'].split('-')[0]}/{page}"  # in a reader's browser
    context["body"] += PAGE.format(json.dumps(live["page"] | more).replace("<", "\\u003c"))
    app.add_js_file("live.js", loading_method="defer")
    app.add_css_file("live.css")


def licenses(about: dict[str, Any]) -> dict[str, str]:
    """Return the texts of the licenses of all that is loaded, by the names of their files."""
    texts = {file.name: file.read_text(encoding="utf-8") for file in LICENSES.glob("*.txt")}
    for name, its in sorted(about["licenses"].items()):
        if its:
            whole = [f"\n\n\n{name} {about['versions'][name]}", *its]
            texts["python.txt"] += "\n\n".join(whole)
    return texts


def deliver(app: Sphinx, error: Exception | None) -> None:
    """Put beside the pages what they load."""
    live = getattr(app, "gfbook_live", None)
    if error or live is None:
        return
    static = Path(app.outdir, "_static")
    for name in ("live.js", "live.css"):
        shutil.copy(STATIC / name, static)
    shutil.copytree(live["folder"], static / live["folder"].name, dirs_exist_ok=True)
    put(static / "licenses", licenses(live["about"]))
    put(Path(app.outdir, live["page"]["scripts"]), live["files"])


def setup(app: Sphinx) -> None:
    """Say to Sphinx when to do what."""
    app.connect("env-before-read-docs", begin, priority=600)  # when the record is there
    app.connect("html-page-context", tell, priority=700)  # below all that a page has
    app.connect("build-finished", deliver)
