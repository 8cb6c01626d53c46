"""Finish the built pages: what a page may load, and what a preview of a link to it shows.

Sphinx and its theme write short scripts into every page. The policy allows these by their
digests, so that any other script in a page is refused. It cannot forbid styles in a page: the
theme, MathJax and Matplotlib's pictures set them. Who may frame a page only a server can say.
"""

import base64
import hashlib
import re
from html import escape
from html.parser import HTMLParser
from importlib.metadata import distribution
from pathlib import Path

import yaml

DATA = {"application/json", "application/ld+json"}  # never run
RULES = (
    "default-src 'self'; script-src 'self'{}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'"
)
PARTS = ["accessible-pygments", "myst-nb", "pydata-sphinx-theme", "sphinx", "sphinx-book-theme"]
PARTS += [
    f"sphinx-{part}" for part in ("copybutton", "design", "exercise", "proof", "togglebutton")
]
# No package brings the texts of these: whose they are, and which of tools/licenses are theirs.
OTHERS = {
    "mathjax": (
        """MathJax: Copyright The MathJax Consortium
Speech Rule Engine, within it: Copyright Volker Sorge
mhchemParser, within it: Copyright 2015-2021 Martin Hensel""",
        ["Apache-2.0"],
    ),
    "bootstrap": (
        """Bootstrap: Copyright 2011-2024 The Bootstrap Authors
Popper, within it: Copyright 2019 Federico Zivolo""",
        ["MIT"],
    ),
    "font-awesome": (
        """Font Awesome Free: Copyright 2024 Fonticons, Inc. (https://fontawesome.com)
with Reserved Font Name "Font Awesome".
Icons: CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/legalcode).
Fonts: SIL Open Font License 1.1. Code: MIT License.""",
        ["OFL-1.1", "MIT"],
    ),
    "clipboard": ("clipboard.js: Copyright Zeno Rocha", ["MIT"]),
}
START = '<meta charset="utf-8" />'
# The theme's fonts have every icon; this script, half of a first load, draws them once more.
ICONS = re.compile(r'\s*<script src="[^"]*scripts/fontawesome\.js[^"]*"></script>')


class _Head(HTMLParser):
    """The scripts written into a page, its title, and its first paragraph."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.handlers: set[str] = set()
        self.parts = {"title": "", "p": ""}
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.handlers |= {value for name, value in attrs if name.startswith("on") and value}
        if tag == "script" and "src" not in values and values.get("type") not in DATA:
            self.scripts.append("")
            self._in = "script"
        elif self.parts.get(tag) == "" and (tag == "title" or "h1" in self.parts):
            self._in = tag
        elif tag == "h1":
            self.parts["h1"] = "seen"

    def handle_endtag(self, tag: str) -> None:
        self._in = "" if tag == self._in else self._in

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in:
            self.parts[self._in] += data


def _allowed(head: _Head, handlers: set[str]) -> str:
    found = [*dict.fromkeys(head.scripts), *sorted(handlers)]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in found]
    allowed = "".join(f" 'sha256-{digest.decode()}'" for digest in digests)
    return (" 'unsafe-hashes'" if handlers else "") + allowed


def finish(site: Path) -> None:
    """Put policy and preview into every page of a site, and the licenses beside them."""
    licenses = {"uplot": Path("node_modules/uplot/LICENSE")}
    for name in PARTS:
        files = distribution(name).files or []
        (licenses[name],) = [Path(p.locate()) for p in files if p.stem == "LICENSE"]
    (site / "_static/licenses").mkdir(exist_ok=True)
    texts = {name: file.read_text(encoding="utf-8") for name, file in licenses.items()}
    folder = Path(__file__).with_name("licenses")
    for name, (notice, parts) in OTHERS.items():
        full = [(folder / f"{part}.txt").read_text(encoding="utf-8") for part in parts]
        texts[name] = "\n\n".join([notice, *full])
    for name, text in texts.items():
        (site / "_static/licenses" / f"{name}.txt").write_text(text, encoding="utf-8")
    config = yaml.safe_load(Path("_config.yml").read_text(encoding="utf-8"))
    owner, name = config["repository"]["url"].split("/")[-2:]
    home = f"https://{owner}.github.io/{name}/"  # a preview takes whole addresses only
    paths = sorted(site.rglob("*.html"))
    pages = {path: ICONS.sub("", path.read_text(encoding="utf-8")) for path in paths}
    for file in site.glob("_static/scripts/fontawesome.js*"):
        file.unlink()
    # Not those that are parts of the theme, nor the page that leads to the first one.
    heads = {path: _Head(text) for path, text in pages.items() if START in text}
    heads = {path: head for path, head in heads.items() if "Security-Policy" not in pages[path]}
    # The search page reads the others, and so has to allow what the buttons on them do.
    handlers = set().union(*(head.handlers for head in heads.values()))
    for path, head in heads.items():
        told = re.sub(r"\\[()]|\s+", " ", head.parts["p"])
        told = re.sub(r" +", " ", told).strip()[:300]
        lines = {
            "og:type": "article",
            "og:site_name": config["title"],
            "og:title": re.split(" [—-] ", head.parts["title"])[0].strip(),
            "og:description": told,
            "og:url": home + path.relative_to(site).as_posix(),
            "og:image": f"{home}_static/book.png",
            "og:image:alt": "A page of the book: a proposition, its check, and a plot",
        }
        tags = [f'<meta property="{key}" content="{escape(v)}">' for key, v in lines.items()]
        tags += [f'<meta name="description" content="{escape(told)}">'] if told else []
        tags += ['<meta name="twitter:card" content="summary_large_image">']
        policy = RULES.format(_allowed(head, handlers))
        policy = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        text = pages[path].replace(START, "\n".join([START, policy, *tags]), 1)
        # docutils calls this a list, but its parts are no list items.
        text = text.replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )
        path.write_text(text, encoding="utf-8")
