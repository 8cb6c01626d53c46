"""A Sphinx extension: what a site has beside its pages, and what a page may load and shows.

Sphinx and its theme write short scripts into every page. The policy allows these by their
digests, so that any other script in a page is refused. It cannot forbid styles in a page: the
theme, MathJax and Matplotlib's pictures set them. Who may frame a page only a server can say.
"""

import base64
import hashlib
import json
import os
import posixpath
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from html import unescape
from html.entities import codepoint2name
from importlib.metadata import distribution
from pathlib import Path
from string import ascii_uppercase
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from docutils import nodes
from jinja2 import Environment, PackageLoader
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.search.en import SearchEnglish
from sphinx.transforms import SphinxTransform
from sphinx_proof.nodes import unenumerable_node

from gfbook.build import BuildError, put, typeset
from gfbook.build.place import project, repository

HERE = Path(__file__).parent
TEMPLATES = Environment(loader=PackageLoader(__package__), trim_blocks=True, lstrip_blocks=True)
SAID: Any = TEMPLATES.get_template("site.html").module
RULES = (
    "default-src 'self'; script-src 'self'{}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'"
)
PARTS = ["accessible-pygments", "myst-nb", "pydata-sphinx-theme", "sphinx", "sphinx-book-theme"]
PARTS += [
    f"sphinx-{part}" for part in ("copybutton", "design", "exercise", "proof", "togglebutton")
]
PICTURE = "book.png"  # shown where others lead to the book
START = '<meta charset="utf-8" />'
POLICY = '<meta http-equiv="Content-Security-Policy"'
# The theme's fonts have every icon; this script, half of a first load, draws them once more.
ICONS = re.compile(r'\s*<script src="[^"]*scripts/fontawesome\.js[^"]*"></script>')
# Scripts that are written into a page, but for data; what an element does when it is pressed.
SCRIPT = re.compile(
    r'<script(?![^>]*\s(?:src=|type="application/(?:ld\+)?json"))[^>]*>(.*?)</script>', re.S
)
HANDLER = re.compile(r'\son[a-z]+="([^"]+)"')
NAMED = re.compile(r'(<[a-z][^<>]*?)\sid="([^"]*)"')
# An address within the site, and not one that begins at its root, elsewhere, or on the page.
ADDRESS = re.compile(
    r'(\s(?:href|src|action|data-content_root)=")(?![a-z]+:|[/#"])([^"]*)(?=")'
)
# Each Greek letter with its name; sigma has two forms.
LETTERS = {chr(c): codepoint2name[c].removesuffix("f") for c in range(0x3B1, 0x3CA)}


def locate(app: Sphinx, config: Config) -> None:
    """Say to Sphinx and the theme where the repository, if any, and our templates are."""
    options = config.html_theme_options
    if found := repository(project(Path(app.srcdir))):
        options |= {"repository_url": found.url, "repository_branch": found.branch}
        options["use_repository_button"] = True
        config.html_baseurl = config.html_baseurl or found.site
    else:
        for name in ("repository_url", "launch_buttons"):
            options.pop(name, None)
    if config.html_baseurl:
        config.html_baseurl = config.html_baseurl.rstrip("/") + "/"
    if any(Path(app.confdir, path, PICTURE).is_file() for path in config.html_static_path):
        config.html_context["picture"] = f"{config.html_baseurl}_static/{PICTURE}"
    # Not from the root: Sphinx puts a digest of these names into the site.
    own = os.path.relpath(HERE / "templates", app.confdir)
    config.templates_path = [*config.templates_path, own]


def _allowed(page: str, handlers: list[str]) -> str:
    found = [*dict.fromkeys(SCRIPT.findall(page)), *handlers]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in found]
    allowed = "".join(f" 'sha256-{digest.decode()}'" for digest in digests)
    return (" 'unsafe-hashes'" if handlers else "") + allowed


class Install(NamedTuple):
    """How a reader installs the project that a book belongs to."""

    wheel: str
    python: str
    command: str


def install(root: Path, site: Path, home: str = "") -> Install:
    """Return how to install a project from the wheel that a site has of it."""
    about = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wheel,) = (path.name for path in site.glob("*.whl"))
    # By its address or its file, never by its name alone: that is another's to take.
    where = f"{about['name']}[book] @ {home}{wheel}" if home else f"{wheel}[book]"
    python = about["requires-python"].removeprefix(">=") + " or newer"
    return Install(wheel, python, f'pip install "{where}"')


def pack(app: Sphinx) -> None:
    """Put the project's wheel into the site."""
    if app.builder.name != "html":
        return
    app.config.html_static_path.append(str(HERE / "static"))
    root, site = project(Path(app.srcdir)), Path(app.outdir)
    if root is None:
        return
    for old in site.glob("*.whl"):
        old.unlink()
    command = [sys.executable, "-m", "pip", "--isolated", "wheel", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-build-isolation"]
    times = os.environ | {"SOURCE_DATE_EPOCH": "1577836800"}  # or two wheels would differ
    done = subprocess.run(
        [*command, f"--wheel-dir={site}", str(root)], env=times, capture_output=True, text=True
    )
    if done.returncode:
        raise BuildError(f"pip made no wheel of {root}: {done.stderr.strip()}")
    app.config.html_context["install"] = install(root, site, app.config.html_baseurl)


def tell(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Say on a notebook's page how to run it elsewhere, and lead there from the download."""
    app.add_js_file("page.js", priority=1)  # before anything is drawn
    for link in filter(None, (context.get("prev"), context.get("next"))):
        link["title"] = re.sub(r"^([\d.]+) ", "\\1\N{NO-BREAK SPACE}", link["title"])
    if page == "search":
        app.add_js_file("search.js", loading_method="defer")
    if context.get("page_source_suffix") == ".ipynb" and (home := app.config.html_baseurl):
        context["body"] += SAID.runs(f"{home}{page}.html")
    how: Install | None = app.config.html_context.get("install")
    if how is None or context.get("page_source_suffix") != ".ipynb":
        return
    at = context["pathto"]
    notebook = at(f"_sources/{context['sourcename']}", 1)
    context["body"] += SAID.run(how, notebook, at(how.wheel, 1), app.config.html_baseurl)
    for group in context.get("header_buttons", ()):
        if group["label"] == "download-buttons":
            told = {"text": "how to run it", "tooltip": "What the notebook needs"}
            group["buttons"].append(
                {"type": "link", "url": "#run", "icon": "fas fa-play", "label": "run", **told}
            )


def offer(site: Path, how: Install) -> None:
    """Say in each notebook that a site offers how to get what it needs, below its title."""
    for path in site.glob("_sources/**/*.ipynb"):
        notebook = json.loads(path.read_bytes())
        cells = [cell for cell in notebook["cells"] if cell.get("id") != "install"]
        note = {
            "cell_type": "markdown",
            "id": "install",
            "metadata": {},
            "source": SAID.note(how),
        }
        notebook["cells"] = [*cells[:1], note, *cells[1:]]
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8")


def lost(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the page that a server shows for an address that it does not have."""
    start = f"{app.config.root_doc}.html"
    yield "404", {"title": "No such page", "body": SAID.lost(start)}, "page.html"


def counted(_: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Put the index in the order of its numbers, 2 before 10, and those of a kind into one."""
    for _letter, entries in context.get("genindexentries", ()):
        entries.sort(
            key=lambda entry: [
                int(part) if part.isdigit() else part.casefold()
                for part in re.split(r"(\d+)", entry[0])
            ]
        )
        kinds: list[tuple[str, Any]] = []
        for name, said in entries:
            if not (found := re.fullmatch(r"([A-Z][a-z]+) ([A-Z]?[\d.]*[\dA-Za-z])", name)):
                kinds.append((name, said))
                continue
            if not kinds or kinds[-1][0] != found[1]:
                kinds.append((found[1], [[], [], None]))
            kinds[-1][1][1].append((found[2], said[0]))
        entries[:] = kinds


class Statements(SphinxTransform):
    """Put each numbered statement and equation into the index, where the search finds them."""

    default_priority = 800  # before the index is collected

    def apply(self, **options: Any) -> None:
        """Put an entry before each that has a number, a tag or a letter."""
        title = next(self.document.findall(nodes.title), None)
        section = title and typeset.section(title.astext())
        letters = defaultdict[str, Iterator[str]](lambda: iter(ascii_uppercase))
        for node in [*self.document.findall(nodes.Element)]:
            tag = None
            if "realtype" in node:  # of sphinx-proof
                kind = node["realtype"].capitalize()
                named = {node["label"]: kind}
                if section and not isinstance(node, unenumerable_node):
                    tag = f"{section}.{next(letters[kind])}"
            elif isinstance(node, nodes.math_block):
                if found := re.search(r"\\tag\{([\w.]+)\}", node.astext()):
                    tag = found[1]
                    node["ids"] = node["ids"] or [nodes.make_id(f"eq-{tag}")]  # to lead to
                named = dict.fromkeys(node["ids"], "Equation")
            else:
                continue
            for label, kind in named.items():
                numbered = re.fullmatch(r"[a-z]+-(\d+)", label)
                if number := numbered[1] if numbered else tag:
                    entry = ("single", f"{kind} {number}", label, "main", None)
                    place = node.parent.index(node)
                    node.parent.insert(place, addnodes.index(entries=[entry]))


class Letters(SearchEnglish):
    """The search in English, to which a Greek letter and its name are one word."""

    js_splitter_code = (
        f"const LETTERS = {json.dumps(LETTERS)};\n"
        "var splitQuery = (query) => query.replace(/[α-ω]/gi, (letter) =>"
        " ` ${LETTERS[letter.toLowerCase()]} `).match(/[\\p{L}\\p{N}_]+/gu) ?? [];\n"
    )

    def split(self, input: str) -> list[str]:
        """Return the words of a text; a letter's name in a formula ends before its index."""
        named = re.sub(r"\\[A-Za-z]+", r"\g<0> ", re.sub("[α-ωΑ-Ω]", self._name, input))
        return super().split(named)

    @staticmethod
    def _name(letter: re.Match[str]) -> str:
        return f" {LETTERS.get(letter[0].lower(), '')} "


def unique(page: str) -> str:
    """Return a page on which each name is that of one place: the first that has it."""
    seen: set[str] = set()

    def first(tag: re.Match[str]) -> str:
        again = tag[2] in seen
        seen.add(tag[2])
        return tag[1] if again else tag[0]

    return NAMED.sub(first, page)


def moved(page: str, folder: str) -> str:
    """Return the text of a page for another place, from where its folder is at an address."""

    def place(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, found[2]))
        return found[1] + (path + "/" if found[2].endswith("/") and path != "/" else path)

    return ADDRESS.sub(place, page)


def _licenses() -> dict[str, bytes]:
    licenses = {"uplot": HERE.parent / "explore/uplot/LICENSE"}
    for name in PARTS:
        files = distribution(name).files or []
        (licenses[name],) = [Path(p.locate()) for p in files if p.stem == "LICENSE"]
    licenses |= {file.stem: file for file in (HERE / "licenses").glob("*.txt")}
    return {f"{name}.txt": file.read_bytes() for name, file in licenses.items()}


def finish(site: Path) -> None:
    """Put its policy into every page of a site, and the licenses beside them."""
    put(site / "_static/licenses", _licenses())
    paths = sorted(site.rglob("*.html"))
    pages = {path: ICONS.sub("", path.read_text(encoding="utf-8")) for path in paths}
    for file in site.glob("_static/scripts/fontawesome.js*"):
        file.unlink()
    # Not those that are parts of the theme.
    whole = {path: text for path, text in pages.items() if START in text}
    # The search page reads the others, and so has to allow what the buttons on them do.
    handlers = sorted({unescape(h) for text in whole.values() for h in HANDLER.findall(text)})
    for path, text in whole.items():
        if POLICY in text:
            continue  # finished by an earlier build, and not written again
        policy = f'{POLICY} content="{RULES.format(_allowed(text, handlers))}">'
        text = text.replace(START, f"{START}\n{policy}", 1)
        # docutils calls this a list, but its parts are no list items.
        text = text.replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )
        # MyST-NB gives what opens a fold another name than what it says.
        text = text.replace('<summary aria-label="Toggle hidden content">', "<summary>")
        path.write_text(unique(text), encoding="utf-8")


def complete(app: Sphinx, error: Exception | None) -> None:
    """Finish what Sphinx has built: the pages, and what a host asks a site for."""
    if error or app.builder.name != "html":
        return
    site, home = Path(app.outdir), app.config.html_baseurl
    finish(site)
    if how := app.config.html_context.get("install"):
        offer(site, how)
    policy = f'{POLICY} content="{RULES.format("")}">'
    files = {"404.html": SAID.bare(app.config.html_title, policy)}
    if home:  # shown for addresses in any folder
        text = (site / "404.html").read_text(encoding="utf-8")
        files["404.html"] = moved(text, urlsplit(home).path)
        files["sitemap.xml"] = SAID.sitemap(home, sorted(app.env.found_docs))
    if app.config.root_doc != "index":
        text = (site / f"{app.config.root_doc}.html").read_text(encoding="utf-8")
        files["index.html"] = moved(text, posixpath.dirname(app.config.root_doc))
    put(site, files)


def setup(app: Sphinx) -> None:
    """Say to Sphinx when to do what."""
    app.setup_extension("sphinx.ext.githubpages")  # .nojekyll
    app.add_search_language(Letters)
    app.add_transform(Statements)
    app.connect("config-inited", locate)
    app.connect("builder-inited", pack)
    app.connect("html-page-context", tell, priority=600)  # when the theme has its buttons
    app.connect("html-page-context", counted)
    app.connect("html-collect-pages", lost)
    app.connect("build-finished", complete, priority=900)  # when all is there that others put
