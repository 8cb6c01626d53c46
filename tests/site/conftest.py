"""Pages in Chromium, and what a reader should not meet there."""

import functools
import time

import pytest
from playwright.sync_api import expect, sync_playwright

from gfbook.build.browser import chromium
from tests.conftest import ROOT

# Milliseconds: what takes a moment takes a minute on a machine that does much else.
SOON = 180_000
expect.set_options(timeout=SOON)
VIEWS = {"desk": (1280, "light"), "phone": (390, "light"), "dark": (1280, "dark")}
QUIET = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


def answers(box, explorer):
    """Check that a shown explorer has the answer of its function, and return that."""
    controls = box.locator("input[type=range], select").all()
    position = [c.evaluate("c => c.selectedIndex ?? Number(c.value)") for c in controls]
    expected = explorer.answer(position)
    expect(box.locator(".explorer-answer")).to_have_text(expected["text"])
    boards = box.locator(".explorer-plot").all()
    assert all(expected["text"] in board.get_attribute("aria-label") for board in boards)
    x, *curves = boards[0].evaluate("b => b.plot.data.map((values) => Array.from(values))")
    assert [x] == expected["x"]
    assert curves == expected["y"]
    for board in boards[1:]:
        lines = zip(expected["plane_x"], expected["plane_y"], strict=True)
        assert board.evaluate("b => b.plot.data")[1:] == [[*line] for line in lines]
    return expected


def until(so, again=lambda: time.sleep(0.1), timeout=SOON):
    """Do something again and again until something is so."""
    late = time.monotonic() + timeout / 1000
    while not so():
        assert time.monotonic() < late
        again()


def serious(page, where="html", **options):
    """Return what axe finds of weight in a part of a page: rule, and places."""
    if page.evaluate("!window.axe"):
        page.evaluate((ROOT / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    # It would load style sheets anew, and look for what they import in the wrong folder.
    return page.evaluate(
        """([where, options]) =>
          axe.run(where, {resultTypes: ['violations'], preload: false, ...options}).then(
            r => r.violations.filter(v => /serious|critical/.test(v.impact)).map(v =>
              [v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 150) + n.failureSummary)]))
        """,
        [where, options],
    )


def patient(make):
    """Return what makes a page or a context that does not give up after half a minute."""

    @functools.wraps(make)
    def made(*args, **settings):
        new = make(*args, **settings)
        new.set_default_timeout(SOON)
        return new

    return made


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=QUIET.split())
        browser.new_context = patient(browser.new_context)
        browser.new_page = patient(browser.new_page)
        yield browser
        browser.close()


def watch(page, own, troubles):
    """Note what the reader of a page should not meet: errors, and requests beyond `own`."""

    def asked(request):
        if not request.url.startswith((*own, "data:", "blob:")):
            troubles.append(f"another origin: {request.url}")

    def failed(request):
        # What is still under way when a page is left is given up, and that is no fault of it.
        if request.failure != "net::ERR_ABORTED":
            troubles.append(f"failed: {request.url} ({request.failure})")

    page.on("pageerror", lambda error: troubles.append(f"script error: {error}"))
    page.on("requestfailed", failed)
    page.on("request", asked)
    page.on("console", lambda said: said.type == "error" and troubles.append(said.text))


@pytest.fixture
def visit(browser, site):
    """Return a function that opens a page, and fails on what its reader should not meet."""
    contexts, troubles = [], []

    def opened(name, view):
        width, scheme = VIEWS[view]
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        contexts.append(context)
        context.add_init_script(f"localStorage.setItem('mode', '{scheme}')")
        context.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
        page = context.new_page()
        watch(page, ["file:"], troubles)
        path = site / f"{name}.html" if "/" in name else site / "chapters" / f"{name}.html"
        page.goto(path.as_uri())
        page.wait_for_function("!window.MathJax || MathJax.startup.promise.then(() => true)")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []
