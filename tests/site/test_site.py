"""What a built site has beside the chapters: addresses, citations, licenses, a search."""

import base64
import hashlib
import html
import json
import os
import re
import runpy
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import expect
from pybtex.database import parse_file
from sphinx.errors import ExtensionError

from gfbook.build import place
from gfbook.build import site as finishing
from tests.book.conftest import written
from tests.conftest import ROOT
from tests.site.conftest import watch

CHAPTERS = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))
GRANTS = {
    "MIT": "Permission is hereby granted, free of charge, to any person obtaining a copy",
    "OFL-1.1": "PERMISSION & CONDITIONS Permission is hereby granted, free of charge",
    "Apache-2.0": "perpetual, worldwide, non-exclusive, no-charge, royalty-free, irrevocable",
    "BSD-": "Redistribution and use in source and binary forms",
}
OWN = "book.css ledger.css rests.css page.js search.js previews.js mode.js book.png logo.svg "
OWN += "favicon.svg licenses/* live.css live.js live-*/chapters/* live-*/*.py "
OWN += " ".join(
    f"live-*/{name}.mjs"
    for name in ("cells", "kernel", "ledger", "playground", "python", "states", "worker")
)


def read(site, name):
    return (site / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CHAPTERS)
def test_what_the_source_names_has_its_address(site, name):
    cells = json.loads((ROOT / "chapters" / f"{name}.ipynb").read_bytes())["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    named = set(re.findall(r"^\(([\w-]+)\)=|^:label: ([\w-]+)", text, re.M))
    named = {one or other for one, other in named}
    named |= {c["metadata"]["mystnb"]["figure"]["name"] for c in cells
              if "figure" in c["metadata"].get("mystnb", ())}  # fmt: skip
    assert named
    assert named <= set(re.findall(r'\sid="([^"]+)"', read(site, f"chapters/{name}")))


LOGO = runpy.run_path(str(ROOT / "assets/logo.py"))


def test_committed_pictures_are_those_that_gfcore_draws():
    for name, text in LOGO["pictures"]().items():
        assert (ROOT / "assets" / name).read_text(encoding="utf-8") == text
        assert ET.fromstring(text).find("{http://www.w3.org/2000/svg}title").text


def test_logo_ends_on_the_minima():
    u, v = LOGO["mode"](1.0, 0.01).T
    assert u * u - v * v == pytest.approx(1.0)
    assert u[-1] * v[-1] == pytest.approx(LOGO["SIGMA"], abs=1e-3)


def test_citations_are_those_of_the_repository(site):
    shown = re.findall(r"<pre>(.*?)</pre>", read(site, "record/cite"), re.S)
    paper, book = (html.unescape(re.sub(r"<[^>]+>", "", entry)).strip() for entry in shown[:2])
    assert paper in (ROOT / "references.bib").read_text(encoding="utf-8")
    assert "tarmoun2021" in paper
    cited = written("CITATION.cff")
    fields = dict(re.findall(r"(\w+) += \{(.*)\}", book))
    assert fields["author"].strip("{}") == cited["authors"][0]["name"]
    assert (fields["title"], fields["version"]) == (cited["title"], cited["version"])
    found = place.repository(ROOT)
    assert fields.get("url") == (found.url if found else None)
    (ours,) = cited["references"]
    assert ours["title"] in paper
    assert all(person["family-names"] in paper for person in ours["authors"])


def test_works_have_their_doi(site):
    entries = parse_file(ROOT / "references.bib").entries
    without = {key for key, entry in entries.items() if "doi" not in entry.fields}
    # Proceedings that give none, and older works whose DOI could not be confirmed.
    proceedings = {"tarmoun2021", "xu2023", "min2023", "braun2022", "fukumizu1998"}
    assert without == proceedings | {
        "brockett1991",
        "callier1992",
        "callier1994",
        "helmke1994",
        "kovacic1986",
        "molinari1977",
        "putsinger2003",
        "sasagawa1982",
        "wehrfritz1973",
    }
    cited = "".join(read(site, f"chapters/{name}") for name in CHAPTERS)
    for key in entries.keys() - without:
        doi = entries[key].fields["doi"]
        assert re.fullmatch(r"10\.\d{4,}/\S+", doi)
        assert f'href="https://doi.org/{doi}"' in cited, key


def test_every_file_of_others_is_named_with_its_license(site):
    page = read(site, "record/cite")
    rows = re.findall(r"<tr.*?</tr>", page.partition('id="parts"')[2], re.S)
    patterns = [p for row in rows[1:] for p in re.findall(r'class="pre">([^<]+)<', row)]
    assert "mathjax/*" in patterns
    static = site / "_static"
    files = [p.relative_to(static).as_posix() for p in static.rglob("*") if p.is_file()]
    for file in files:
        assert any(fnmatch(file, p) for p in [*patterns, *OWN.split()]), file
    for pattern in patterns:
        assert any(fnmatch(file, pattern) for file in files), pattern
    texts = re.findall(r'_static/(licenses/[\w-]+\.txt)"', page)
    assert sorted(texts) == sorted(file for file in files if file.startswith("licenses/"))
    assert len(texts) == len(rows) - 1
    assert all("copyright" in (static / text).read_text().lower() for text in texts)
    for row in rows[1:]:
        (text,) = re.findall(r"licenses/[\w-]+\.txt", row)
        said = " ".join((static / text).read_text().split())
        assert all(GRANTS[name] in said for name in GRANTS if name in row)


def test_index_has_the_terms(site):
    index = read(site, "genindex")
    terms = re.findall(r'<a href="chapters/[\w-]+\.html#index-\d+">([^<]+)</a>', index)
    assert len(set(terms)) >= 40
    assert {"Riccati equation", "imbalance", "sharpness", "cobweb"} <= set(terms)
    of_equations = re.search(r"<li>\s*Equation\s*<ul>(.*?)</ul>", index, re.DOTALL)[1]
    numbers = re.findall(r"<strong>\s*([\w.]+)\s*</strong>", of_equations)
    assert numbers.index("9") < numbers.index("10") < numbers.index("12a") < numbers.index("C5")
    assert {"5.1", "7.4", "D2"} < {*numbers}
    assert re.search(r"<li>\s*Theorem\s*<ul>.*?9\.A.*?</ul>", index, re.DOTALL)
    assert not [*site.glob("*-*.html")]  # no other list of what the index has


def test_policy_names_what_is_written_into_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "_static").mkdir()
    page = tmp_path / "a.html"
    page.write_text(
        f"<html><head>{finishing.START}<script>let a</script><script async>\nlet b</script>"
        '<script type="application/json">{}</script><script src="b.js"></script></head><body>'
        '<button class="b" onclick="run(&quot;b&quot;)" onfocus="see()">b</button></body>'
    )
    finishing.finish(tmp_path)
    text = page.read_text()
    digests = re.findall(r"'(sha256-[^']+)'", text)
    scripts = (b"let a", b"\nlet b", b'run("b")', b"see()")
    hashes = [hashlib.sha256(script).digest() for script in scripts]
    assert digests == [f"sha256-{base64.b64encode(h).decode()}" for h in hashes]
    finishing.finish(tmp_path)  # as where Sphinx writes only what has changed
    assert page.read_text() == text


class Tags(HTMLParser):
    """The names of a page's places, without a tree of them, which takes three times as long."""

    def __init__(self):
        super().__init__()
        self.names = []

    def handle_starttag(self, tag, attributes):
        self.names += [value for name, value in attributes if name == "id"]


def test_pages_take_no_key_that_a_reader_types(site):
    options = (site / "_static/documentation_options.js").read_text()
    for name in ("ENABLE_SEARCH_SHORTCUTS", "NAVIGATION_WITH_KEYS"):
        assert re.findall(rf"{name}: (\w+)", options) == ["false"]


def test_a_name_is_that_of_one_place_on_every_page(site):
    pages = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    assert len(pages) > 15
    for path in pages:
        tags = Tags()
        tags.feed(path.read_text(encoding="utf-8"))
        assert len(set(tags.names)) == len(tags.names), path
    page = '<p id="a"><b class="x" id="a">id="a"</b><i id="b" title="t">'
    assert finishing.unique(page) == page.replace(' class="x" id="a"', ' class="x"')


def test_a_page_that_is_moved_loads_and_leads_to_the_same():
    page = '<a href="../x.html#p"></a><img src="i/p.svg"><a href="#q"></a><a href="b.html?c=1">'
    assert finishing.moved(page, "f") == (
        '<a href="x.html#p"></a><img src="f/i/p.svg"><a href="#q"></a><a href="f/b.html?c=1">'
    )
    kept = '<a href="https://a/b"></a><a href="mailto:a@b"></a><i data-x="../y"></i>'
    assert finishing.moved(kept, "f") == kept
    for root, of_chapter in (("/", "/chapters/"), ("/book/", "/book/chapters/")):
        assert finishing.moved('<html data-content_root="./">', root).split('"')[1] == root
        assert (
            finishing.moved('<a href="chapters/a.html">', root)
            == f'<a href="{of_chapter}a.html">'
        )


def repository(folder, remote):
    """Make a project with one commit and the remote."""
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "two-words"\nversion = "1.2"\nrequires-python = ">=3.11"\n'
        "[tool.hatch.build.targets.wheel]\nbypass-selection = true\n"
    )
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "pyproject.toml"],
        [*author, "commit", "-qm", "first"],
        ["remote", "add", "origin", remote],
    ):
        subprocess.run(["git", "-C", folder, *command], check=True)  # fmt: skip


@pytest.fixture(scope="module")
def nowhere():
    """Take away what a public workflow would say."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SERVER_URL", "REPOSITORY", "REF_NAME"):
            patch.delenv(f"GITHUB_{name}", raising=False)
        yield


OURS = place.Repository("https://github.com/Some/book", "main", "https://some.github.io/book/")


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("https://github.com/Some/book", OURS),
        ("https://github.com/Some/book.git", OURS),
        ("https://user:secret@github.com/Some/book.git", OURS),
        ("git@github.com:Some/book.git", OURS),
        ("ssh://git@github.com/Some/book", OURS),
        ("https://github.com/Some/some.github.io",
         place.Repository("https://github.com/Some/some.github.io", "main", "https://some.github.io/")),
        ("git@gitlab.com:some/book.git",
         place.Repository("https://gitlab.com/some/book", "main", "https://some.gitlab.io/book/")),
        ("/srv/git/Some/book.git", None),
        ("../book", None),
        ("file:///srv/github.com/Some/book", None),
        ("https://localhost/Some/book", None),
        ("https://github.com.example.org/Some/book", None),
        ("git@intranet:Some/book.git", None),
    ],
)  # fmt: skip
def test_repository_is_the_remote_if_readers_can_reach_it(tmp_path, nowhere, remote, expected):
    repository(tmp_path, remote)
    assert place.repository(tmp_path) == expected


def test_repository_of_another_is_not_taken_for_the_books(tmp_path, nowhere):
    repository(tmp_path, "https://github.com/Some/dotfiles")
    inner = tmp_path / "unpacked"
    inner.mkdir()
    (inner / "pyproject.toml").touch()
    assert place.project(inner / "deep" / "er") == inner
    assert place.repository(inner) is None
    assert place.repository(tmp_path / "none") is None


def test_a_process_with_nothing_of_the_users_is_told_the_place(tmp_path, nowhere, monkeypatch):
    (tmp_path / ".gitconfig").write_text('[url "https://github.com/"]\n\tinsteadOf = gh:\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(ROOT / ".git"))  # as in a hook
    folder = tmp_path / "book"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.delenv("GIT_DIR")
        repository(folder, "gh:Some/book")
    assert place.repository(folder) == OURS
    if os.geteuid() == 0:  # git asks whose a checkout is
        for path in (folder, folder / ".git"):
            os.chown(path, 65534, 65534)
        assert place.repository(folder) == OURS
    told = place.handed(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    assert place.repository(folder) is None
    monkeypatch.setenv(place.PLACE, told[place.PLACE])
    assert place.repository(folder) == OURS
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(place.PLACE, "")  # that there is none is told as well
    assert place.repository(folder) is None


def test_wheel_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "a"\n'
    )
    config = SimpleNamespace(html_static_path=[])
    app = SimpleNamespace(builder=SimpleNamespace(name="html"), config=config)
    app.srcdir = app.outdir = tmp_path
    with pytest.raises(ExtensionError, match=r"no wheel of .*\n(.*\n)*.*version"):
        finishing.pack(app)


def test_workflow_says_where_the_book_is(tmp_path, monkeypatch):
    for name, value in (("SERVER_URL", "https://github.com"), ("REPOSITORY", "Some/book"),
                        ("REF_NAME", "main")):  # fmt: skip
        monkeypatch.setenv(f"GITHUB_{name}", value)
    assert place.repository(tmp_path) == OURS
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://forge.example.org")
    assert place.repository(tmp_path) is None


def small(folder, remote):
    """Build a book of two pages, as its author would, and return the folder of its site."""
    repository(folder, remote)
    config = written("_config.yml")
    settings = config["sphinx"]["config"]
    settings["extensions"] = [
        name
        for name in settings["extensions"]
        if name not in ("sphinx-mathjax-offline", "sphinxcontrib.bibtex")
    ]
    settings["extensions"][-1] = "gfbook.build.site"
    settings["html_static_path"] = settings["html_css_files"] = []
    settings = {key: settings[key] for key in settings if not key.startswith("bibtex")}
    config["sphinx"]["config"] = settings
    config = {key: config[key] for key in ("title", "author", "launch_buttons", "sphinx")}
    config["execute"] = {"execute_notebooks": "off"}
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    (folder / "_toc.yml").write_text("format: jb-book\nroot: in/one\nchapters:\n- file: two\n")
    (folder / "in").mkdir()
    statement = ":::{prf:lemma} no. 7\n:label: lem-7\n:nonumber:\n\nAll is well.\n:::\n"
    cells = [new_markdown_cell(f"# One\n\nSee [](../two).\n\n{statement}"), new_code_cell("1")]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(made, folder / "in" / "one.ipynb")
    (folder / "two.md").write_text("# Two\n\nWith a σ, and {prf:ref}`lem-7`.\n")
    book = Path(sys.executable).with_name("jupyter-book")
    settings = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [book, "build", folder, "-W", "-n", "--keep-going"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "_build/html"


@pytest.fixture(scope="module")
def unknown(tmp_path_factory, nowhere):
    """Return the folder of a book of two pages whose repository no reader can reach."""
    folder = tmp_path_factory.mktemp("unknown")
    small(folder, "/srv/git/book.git")
    return folder


def texts(site):
    """Return what the files of a site say, by their names; but not the theme's own."""
    files = [path for path in site.rglob("*") if path.is_file() and "_static" not in path.parts]
    kinds = {".html", ".js", ".json", ".ipynb", ".xml", ".md", ".inv"}
    return {
        path.relative_to(site).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in files
        if path.suffix in kinds
    }


@pytest.mark.slow
def test_book_of_a_known_repository(tmp_path, nowhere, browser):
    site = small(tmp_path, "git@github.com:Some/book.git")
    assert (site / ".nojekyll").is_file()
    assert not (site / "CNAME").exists()
    one = BeautifulSoup((site / "in/one.html").read_text(), "html.parser")
    home = "https://some.github.io/book/"
    for page in (one, BeautifulSoup((site / "index.html").read_text(), "html.parser")):
        assert page.select_one("link[rel=canonical]")["href"] == f"{home}in/one.html"
        assert page.select_one('meta[property="og:url"]')["content"] == f"{home}in/one.html"
    links = {link["href"] for link in one.select("a[href]")}
    assert "https://github.com/Some/book" in links
    binder = "https://mybinder.org/v2/gh/Some/book/main?urlpath=lab/tree/in/one.ipynb"
    assert binder in links
    sitemap = ET.parse(site / "sitemap.xml").iter(
        "{http://www.sitemaps.org/schemas/sitemap/0.9}loc"
    )
    assert [place.text for place in sitemap] == [f"{home}in/one.html", f"{home}two.html"]
    needed = f'pip install "two-words[book] @ {home}two_words-1.2-py3-none-any.whl"'
    assert needed in one.select_one("#run pre").text
    assert needed in nbformat.read(site / "_sources/in/one.ipynb", 4).cells[1].source
    with served(tmp_path, "book", site) as address:
        missing = []
        page = browser.new_page()
        page.on("response", lambda said: said.status == 404 and missing.append(said.url))
        lost = f"{address}book/some/where/else.html"
        assert page.goto(lost).status == 404
        expect(page.locator("article h1")).to_have_text("There is no such page")
        page.get_by_role("link", name="the first page").click()
        expect(page.locator("article h1")).to_contain_text("One")
        page.goto(f"{address}book/")
        expect(page.locator("article h1")).to_contain_text("One")
        page.get_by_role("link", name="Two").first.click()
        expect(page).to_have_url(f"{address}book/two.html")
        assert set(missing) <= {lost, f"{address}favicon.ico"}  # the small book has no icon
        page.close()


@pytest.mark.slow
def test_what_is_not_there_is_told_below_any_address(tmp_path, unknown, browser):
    with (
        served(tmp_path, "book", unknown / "_build/html") as address,
        browser.new_context() as context,
    ):
        page, asked, said = context.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(str(error)))
        for lost, link in (("nope", "in the folder"), ("in/nope.html", "in the one above")):
            asked.clear()
            assert page.goto(f"{address}book/{lost}").status == 404
            expect(page.locator("h1")).to_have_text("There is no such page")
            assert {*asked} <= {page.url, f"{address}favicon.ico"}
            page.get_by_role("link", name=link).click()
            expect(page).to_have_url(f"{address}book/")
            expect(page.locator("article h1")).to_contain_text("One")
        assert said == []


@pytest.mark.slow
def test_book_of_no_known_repository_needs_none(unknown):
    site = unknown / "_build/html"
    found = texts(site)
    assert {"index.html", "404.html", "in/one.html", "two.html", "search.html"} <= found.keys()
    for name, text in found.items():
        for word in ("github", "mybinder", "canonical", "og:url", "og:image", "/srv/git"):
            assert word not in text.lower(), (name, word)
        for folder in (unknown, ROOT, Path.home()):
            assert f"{folder}/" not in text, name
    assert not (site / "sitemap.xml").exists()
    page = BeautifulSoup(found["index.html"], "html.parser")
    assert page.html["lang"] == "en"
    assert page.title.text.startswith("One")
    assert page.select_one('meta[property="og:title"]')["content"] == "One"
    assert {page.select_one("html")["data-content_root"]} == {"./"}
    (run,) = BeautifulSoup(found["in/one.html"], "html.parser").select("#run")
    assert run.pre.text == 'pip install "two_words-1.2-py3-none-any.whl[book]"'
    links = {link.text: link["href"] for link in run.select("a")}
    assert links == {
        "the notebook": "../_sources/in/one.ipynb",
        "two_words-1.2-py3-none-any.whl": "../two_words-1.2-py3-none-any.whl",
    }
    assert all((site / "in" / target).is_file() for target in links.values())
    assert run.pre.text in nbformat.read(site / "_sources/in/one.ipynb", 4).cells[1].source
    assert "run" not in found["two.html"].partition("<article")[2].partition("</article")[0]


class Host(SimpleHTTPRequestHandler):
    """A host of pages: for what it does not have it shows the site's 404 page."""

    lost = b""

    def log_message(self, *_):
        """Say nothing."""

    def send_error(self, code, message=None, explain=None):
        """Answer with the page."""
        self.send_response(code, message)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.lost)


@contextmanager
def served(folder, name, site):
    """Serve a site below the address /name/, and give the address of the host."""
    root = folder / "host"
    root.mkdir()
    (root / name).symlink_to(site)
    kind = type("Here", (Host,), {"lost": (site / "404.html").read_bytes()})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(kind, directory=root)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


FOUND = {
    "erratum": ("record/errata.html", "Errata"),
    "error": ("record/errata.html", "Errata"),
    "Proposition 5": ("chapters/04-general-initialization.html#prop-5", "Any start"),
    "proposition 1": ("chapters/02-symmetric-factorization.html#prop-1", "Symmetric"),
    "Corollary 1": ("chapters/02-symmetric-factorization.html#cor-1", "Symmetric"),
    "Definition 2": ("chapters/03-spectral-initialization.html#def-2", "spectral"),
    "Figure 1": ("chapters/06-figure-1.html", "Figure 1"),
    "equation 22": ("chapters/03-spectral-initialization.html#eq-22", "Conservation laws"),
    "(22)": ("chapters/03-spectral-initialization.html#eq-22", "Conservation laws"),
    "Eq. 22": ("chapters/03-spectral-initialization.html#eq-22", "Conservation laws"),
    "λ": ("chapters/notation.html", "Notation"),
    "sigma_min": ("chapters/notation.html", "Notation"),
    "Q": ("chapters/notation.html", "Notation"),
    "balanced": ("chapters/03-spectral-initialization.html#index-", "Conservation laws"),
    "hyperbola": ("chapters/03-spectral-initialization.html#index-", "Conservation laws"),
    "catapult": ("chapters/05-discrete-time.html#index-", "Gradient descent"),
    "eq. (12b)": ("chapters/12-lazy-or-rich.html#c12-gram", "Lazy or rich"),
    "Prop. 5": ("chapters/04-general-initialization.html#prop-5", "Any start"),
    "def 2": ("chapters/03-spectral-initialization.html#def-2", "spectral"),
    "Fig. 3": ("chapters/06-figure-3.html", "Figure 3"),
    "Theorem 9.A": ("chapters/09-wide-networks.html#thm-9-two", "Wide networks"),
    "lemma e.a": ("chapters/appendix-e-quadratures.html#lem-e-taylor", "quadratures"),
    "λ₀": ("chapters/notation.html", "Notation"),
    r"\lambda_0": ("chapters/notation.html", "Notation"),
    "misprints": ("record/errata.html", "Errata"),
    "imbalances": ("chapters/03-spectral-initialization.html#index-", "Conservation laws"),
    "counterexamples": ("record/playground.html", "Playground"),
    "initialisation": ("chapters/09-wide-networks.html#index-", "Wide networks"),
    "pip": ("chapters/notation.html#index-", "Notation"),
    "PyTorch": ("chapters/notation.html#index-", "Notation"),
    "code": ("chapters/notation.html#index-", "Notation"),
    "learning rate": ("chapters/notation.html#index-", "Notation"),
    "bibtex": ("record/cite.html", "Cite"),
    "How to cite?": ("record/cite.html", "Cite"),
    "SGD": ("chapters/07-conclusion.html#index-", "What is settled"),
    "depth": ("chapters/07-conclusion.html#index-", "What is settled"),
    "transformers": ("chapters/07-conclusion.html#index-", "What is settled"),
    "MNIST": ("chapters/13-not-white.html#index-", "not white"),
    "dataset": ("chapters/13-not-white.html#index-", "not white"),
    "overfitting": ("chapters/08-related-flows.html#index-", "gradient flows"),
    "what is a saddle": (
        "chapters/03-spectral-initialization.html#index-",
        "Conservation laws",
    ),
}


@pytest.mark.slow
def test_search_finds_what_a_reader_calls_things_and_shows_sentences(site, browser, tmp_path):
    troubles = []
    page = browser.new_page()
    with served(tmp_path, "book", site) as address:
        watch(page, [address], troubles)
        page.goto(f"{address}book/search.html?q=erratum")
        expect(page.locator("ul.search > li a").first).to_contain_text("Errata")

        def asked(query):
            """Ask as the page does when it is opened, without loading the index again."""
            page.evaluate(
                """query => {
                  history.replaceState(null, "", `?q=${encodeURIComponent(query)}`);
                  document.getElementById("search-results").replaceChildren();
                  Search.performSearch(query);
                }""",
                query,
            )
            expect(page.locator(".search-summary")).to_contain_text("found")
            count = int(re.search(r"\d+", page.locator(".search-summary").inner_text())[0])
            expect(page.locator("ul.search p.context")).to_have_count(count)
            found = page.locator("ul.search > li").evaluate_all(
                """all => all.map(item => [item.querySelector('a').getAttribute('href'),
                  ...['a', '.context'].map(e => item.querySelector(e).innerText)])"""
            )
            assert len(found) == count
            return found

        for query, (target, title) in FOUND.items():
            (first, *_) = asked(query)
            assert first[0].startswith(target), query
            assert title in first[1]
        assert asked("(22)")[0][2].startswith("C=(√D-4σx₀-λ₀²)/(4λ₀²(σ-x₀)), D=4σ²λ₀²+")
        assert asked("Q")[0][2].startswith("Q, Q₀: imbalance UᵀU-VᵀV")
        letters = {name: asked(name) for name in ("sigma", "σ", "Σ", "lambda", "λ")}
        assert letters["sigma"] == letters["σ"] == letters["Σ"]
        assert letters["lambda"] == letters["λ"] != letters["σ"]
        assert sum("σ" in text for _, _, text in letters["sigma"]) > 5
        for signs in ("rank-one", "c++ flow", "(half) [of] {the} balanced?", "a|b^2 rate/*.$"):
            asked(signs)  # what means something in a pattern
        for found in (*letters.values(), asked("imbalance"), asked("spectrum")):
            assert len(found) > 4
            for _, title, text in found:
                assert len(text) > 10
                assert not re.search(r"\\|[{}$]|\b\w_\w", title + text), text
                assert re.search(r"[.?!…]$", text)
        # A sign is shown as such; its name only where that is what one reads.
        formulas = re.findall(
            r'class="math [^>]*>(.*?)</(?:span|div)>',
            "".join(file.read_text() for file in site.glob("*/*.html")),
            re.DOTALL,
        )
        named = sorted({*re.findall(r"\\([a-z]{3,})", "".join(formulas))})
        assert len(named) > 50
        words = page.evaluate(
            "all => all.filter(name => plain(`\\\\${name} xy`).includes(name))", named
        )
        assert {*words} <= {"sin", "cos", "arccos", "sinh", "cosh", "tanh", "exp", "log", "max",
                            "min", "det", "ker", "lim", "arg", "Tr", "tag"}  # fmt: skip
        assert page.goto(f"{address}book/search.html?q=nosuchword").ok
        expect(page.locator(".search-summary")).to_contain_text("did not match")
    page.goto((site / "search.html").as_uri() + "?q=Proposition 5")
    expect(page.locator("ul.search > li a").first).to_contain_text("Any start")
    page.close()
    assert [told for told in troubles if "another origin: file:" not in told] == []
