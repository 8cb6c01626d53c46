"""The reader first: code that checks or draws is folded, and the page follows its reader."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.conftest import ROOT
from tests.site.conftest import until

NAMES = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))
SHORT, OTHER = "06-figure-1", "01-introduction"  # with few formulas, which take time
SEEN = "[...document.querySelectorAll('{}')].filter(e => e.checkVisibility()).length"


def closed(page):
    """Return how many checks of a page are closed, when its scripts have run."""
    page.locator("label.checks").wait_for()
    return page.locator("details.check:not([open])").count()


@pytest.fixture
def plain(browser, site):
    """Return a function that opens a page, as a browser of these settings does at first."""
    contexts = []

    def opened(name, query="", **settings):
        contexts.append(
            browser.new_context(viewport={"width": 1280, "height": 900}, **settings)
        )
        page = contexts[-1].new_page()
        page.clock.install()
        page.goto((site / f"chapters/{name}.html").as_uri() + query)
        return page

    yield opened
    for context in contexts:
        context.close()


def test_notebook_is_as_it_was(site):
    for name in NAMES:
        offered = json.loads((site / f"_sources/chapters/{name}.ipynb").read_bytes())["cells"]
        source = json.loads((ROOT / f"chapters/{name}.ipynb").read_bytes())["cells"]
        metadata = {cell["id"]: cell["metadata"] for cell in source}
        for cell in (cell for cell in offered if cell["id"] in metadata):
            own = metadata[cell["id"]]
            assert {*cell["metadata"].get("tags", ())} <= {*own.get("tags", ())}
            assert cell["metadata"].get("mystnb") == own.get("mystnb")


@pytest.mark.slow
def test_fold_opens_and_closes_by_keyboard(plain):
    page = plain(SHORT)
    fold = page.locator("details.check").first
    fold.locator("summary").focus()
    assert fold.locator("summary").evaluate("e => e.matches(':focus-visible')")
    assert fold.locator("summary").evaluate("e => getComputedStyle(e).outlineStyle") != "none"
    expect(fold.locator("summary")).to_contain_text("show the check")
    page.keyboard.press("Enter")
    expect(fold.locator("pre")).to_be_visible()
    expect(fold.locator(".residual")).to_be_visible()
    expect(fold.get_by_text("hide the check")).to_be_visible()
    expect(fold.get_by_text("show the check")).to_be_hidden()
    page.keyboard.press("Space")
    expect(fold.locator("pre")).to_be_hidden()


@pytest.mark.slow
def test_switch_opens_all_checks_and_is_remembered(plain, site):
    page = plain(SHORT)
    every = closed(page)
    assert every >= 10
    switch = page.get_by_role("switch", name="Show all checks")
    switch.focus()
    page.keyboard.press("Space")
    assert closed(page) == 0
    page.goto((site / f"chapters/{OTHER}.html").as_uri())
    until(lambda: closed(page) == 0, page.reload)  # what one page keeps comes late to the next
    expect(switch).to_be_checked()
    switch.uncheck()
    assert closed(page) == page.locator("details.check").count() >= 10
    page.goto((site / f"chapters/{SHORT}.html").as_uri())
    until(lambda: closed(page) == every, page.reload)
    expect(switch).not_to_be_checked()


@pytest.mark.slow
def test_address_opens_all_or_the_one_it_leads_to(plain, site):
    page = plain(SHORT, "?checks=open")
    assert closed(page) == 0
    page.goto((site / f"chapters/{SHORT}.html").as_uri())
    assert closed(page) == page.locator("details.check").count()  # it was not to be remembered
    page.goto((site / f"chapters/{SHORT}.html").as_uri() + "#claim-fn-4")
    check = page.locator("details.check:has(#claim-fn-4)")
    expect(check.locator("pre")).to_be_visible()
    expect(page.locator("#claim-fn-4")).to_be_in_viewport()
    assert closed(page) == page.locator("details.check").count() - 1
    # A claim that holds, among many about an item: its link is behind a fold.
    link = page.locator("a.verdict[href='#claim-fig-1-b']").first
    expect(link).to_be_hidden()
    page.locator("details:has(> .verdicts)", has=link).first.locator("summary").click()
    link.click()
    expect(page.locator("details.check:has(#claim-fig-1-b) pre")).to_be_visible()
    expect(page.locator("#claim-fig-1-b")).to_be_in_viewport()


@pytest.mark.slow
def test_without_a_script_checks_are_open(plain):
    page = plain(SHORT, java_script_enabled=False)
    assert page.locator("label.checks").count() == 0
    fold = page.locator("details.check").first
    expect(fold.locator(".claim").first).to_be_visible()
    expect(fold.locator("pre")).to_be_visible()
    expect(fold.locator(".residual").first).to_be_visible()
    expect(fold.locator(".ask").first).to_be_hidden()


@pytest.mark.slow
def test_paper_has_verdicts_and_figures_and_code_to_read(plain):
    page = plain(SHORT)
    page.emulate_media(media="print")
    bars = page.locator("details.check .claim")
    assert page.evaluate(SEEN.format("details.check .claim")) == bars.count() >= 10
    assert page.evaluate(SEEN.format(".ask, .checks, details.hide > *, .residual, .run")) == 0
    figures = page.locator("article figure img").count()
    assert page.evaluate(SEEN.format("article figure img")) == figures > 0
    home = page.locator("link[rel=canonical]")
    where = page.locator(".runs")
    assert where.count() == home.count()
    if home.count():
        expect(where).to_contain_text(home.get_attribute("href"))
        expect(where).to_be_visible()
        page.emulate_media(media="screen")
        expect(where).to_be_hidden()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_is_that_of_the_reader(plain, scheme):
    page = plain(SHORT, color_scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    box = page.locator(".explorer.explorer-ready").first
    box.scroll_into_view_if_needed()
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", shade)[:3])) > 3 * 128
    assert light == (scheme == "light")
    image = page.locator("article figure img").first
    assert ("invert" in image.evaluate("e => getComputedStyle(e).filter")) == (scheme == "dark")
    before = box.locator("canvas").evaluate("c => c.toDataURL()")
    page.emulate_media(color_scheme={"light": "dark", "dark": "light"}[scheme])
    expect(page.locator(f"html:not([data-theme={scheme}])")).to_have_count(1)
    page.wait_for_function(
        "before => document.querySelector('.explorer canvas').toDataURL() !== before",
        arg=before,
    )


@pytest.mark.slow
def test_verdicts_of_one_equation_stand_together(visit):
    for view in ("desk", "phone"):
        page = visit(NAMES[2], view)
        formula = page.locator("#eq-22").bounding_box()
        marks = page.locator("#eq-22 ~ .beside a.verdict").all()
        one, two = (mark.bounding_box() for mark in marks)
        assert one["y"] + one["height"] <= two["y"] or one["x"] + one["width"] <= two["x"]
        if view == "desk":
            assert one["x"] == two["x"] >= formula["x"] + formula["width"]
            assert two["y"] + two["height"] <= formula["y"] + formula["height"] + 1


def test_own_statements_are_numbered_by_their_section(site):
    numbers = {}
    for name in NAMES:
        text = (site / f"chapters/{name}.html").read_text(encoding="utf-8")
        found = re.findall(r'class="caption-number">(Proposition|Theorem) ([\w.]*)', text)
        numbers[name] = [" ".join(pair) for pair in found if pair[1]]
    assert numbers["05-discrete-time"] == ["Proposition 5.A", "Proposition 5.B"]
    assert numbers["06-figure-3"] == ["Proposition 6.3.A"]
    every = [number for found in numbers.values() for number in found]
    assert len(set(every)) == len(every)
    assert not any(re.fullmatch(r"\w+ \d+", number) for number in every)


SHOWN = "#preview:not([hidden])"


@pytest.mark.slow
def test_preview_of_what_a_link_leads_to(plain):
    page = plain(NAMES[3])
    box = page.locator(SHOWN)
    # An equation of another page, by the keyboard.
    link = page.locator("article p a[href*='03-'][href*='#eq-']").first
    link.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(box).to_be_visible()
    expect(box.locator("mjx-container").first).to_be_visible()
    expect(box).to_contain_text("Used by")
    assert link.get_attribute("aria-describedby") == "preview"
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    assert link.get_attribute("aria-describedby") is None
    # A claim, by the mouse, which may go on into what is shown.
    claim = page.locator("a.verdict[href='#claim-text-4-sigma-min']").first
    claim.hover()
    expect(box).to_contain_text("the rate knows singular values")
    place = box.bounding_box()
    assert place["x"] >= 0
    assert place["x"] + place["width"] <= 1280
    assert 0 <= place["y"] <= place["y"] + place["height"] <= 900
    page.mouse.move(place["x"] + 20, place["y"] + 10, steps=8)
    page.clock.run_for(500)
    expect(box).to_be_visible()
    page.mouse.move(5, 5)
    expect(box).to_have_count(0)
    # A statement of the book's own.
    page.locator("article p a[href*='#thm-10-turns']").first.hover()
    expect(box.locator("mjx-container").first).to_be_visible()
    page.mouse.move(5, 5)
    expect(box).to_have_count(0)
    # A work that is cited.
    cited = page.locator("article p a[href^='#id']").first
    cited.hover()
    expect(box).to_contain_text(re.compile(r"\d{4}"))


@pytest.mark.slow
def test_preview_is_for_links_with_one_and_not_for_a_finger(plain):
    page = plain(SHORT, has_touch=True)
    page.locator("article p a[href*='#eq-']").first.dispatch_event(
        "pointerover", {"pointerType": "touch", "bubbles": True}
    )
    page.clock.run_for(600)
    assert page.locator(SHOWN).count() == 0
    page = plain(SHORT)
    page.locator("article p a[href*='#eq-']").first.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(page.locator(SHOWN)).to_be_visible()
    page.locator("article p a.reference[href^='#fig-']").first.hover()
    page.clock.run_for(600)
    assert page.locator(SHOWN).count() == 0
