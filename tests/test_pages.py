"""The built pages, looked at in Chromium: on a desk, on a phone, in the dark."""

import os
import re

import pytest
from conftest import ROOT, VIEWS

PLAIN = ["chapters/notation", "chapters/summary"]
RECORD = ["record/claims", "record/errata", "record/paper-map"]
PAGES = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))
page_named = pytest.mark.parametrize("name", PAGES)
any_page = pytest.mark.parametrize("name", PAGES + PLAIN + RECORD)
each_view = pytest.mark.parametrize("view", VIEWS)


@any_page
@each_view
def test_nothing_overflows(visit, name, view):
    page = visit(name, view)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    wide = page.evaluate(
        """[...document.querySelectorAll('article *')].filter(e => {
          const r = e.getBoundingClientRect();
          const scrolls = 'pre, .math, .highlight, .pst-scrollable-table-container, table';
          return r.width > 0 && r.right > innerWidth + 1 && !e.closest(scrolls);
        }).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert wide == []


@any_page
def test_no_markup_is_left_raw(visit, name):
    page = visit(name, "desk")
    text = page.evaluate(
        """() => {
          const article = document.querySelector('article').cloneNode(true);
          article.querySelectorAll('pre, code, mjx-container, script').forEach(e => e.remove());
          return article.textContent;
        }"""
    )
    raw = re.findall(r".{20}(?:\\[a-z]+|\$|\{\w+\}`|```|:::|\[\^).{20}", text)
    assert raw == []
    assert page.locator("mjx-container").count() > 0 or name == "record/paper-map"
    assert page.locator("mjx-merror").count() == 0


@page_named
def test_pictures_are_drawn_and_described(visit, name):
    page = visit(name, "desk")
    pictures = page.locator("article figure img")
    assert pictures.count() > 0
    for picture in pictures.all():
        assert len(picture.get_attribute("alt")) > 20
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("i => i.decode().then(() => i.naturalWidth)") > 100


@page_named
def test_letters_in_pictures_can_be_read_on_a_phone(visit, name):
    page = visit(name, "phone")
    for picture in page.locator("article figure img").all():
        scale = picture.evaluate("i => i.decode().then(() => i.width / i.naturalWidth)")
        assert 9 * 4 / 3 * scale >= 9  # pixels, of letters that are 9 points high


@page_named
def test_figures_and_badges_turn_dark(visit, name):
    page = visit(name, "dark")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    for picture in page.locator("article figure img").all():
        assert "invert" in picture.evaluate("i => getComputedStyle(i).filter")
    for badge in page.locator("article .claim").all():
        card = badge.locator("xpath=..")
        shade = card.evaluate("e => getComputedStyle(e).backgroundColor")
        assert shade in ("rgba(0, 0, 0, 0)", "transparent")


@any_page
def test_links_lead_somewhere(visit, name, site):
    page = visit(name, "desk")
    assert (
        page.evaluate(
            """[...document.querySelectorAll('article a[href^="#"]')].filter(
          a => !document.getElementById(decodeURIComponent(a.hash.slice(1)))
        ).map(a => a.outerHTML)"""
        )
        == []
    )
    for url in page.evaluate(
        "[...document.querySelectorAll('a[href]')].map(a => a.href.split('#')[0])"
    ):
        if url.startswith("file:"):
            assert os.path.isfile(url.removeprefix("file://").replace("%20", " ")), url


@page_named
def test_launch_and_download(visit, name):
    page = visit(name, "desk")
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)")
    branch = re.search(r"branch: (v[\d.]+)", (ROOT / "_config.yml").read_text()).group(1)
    (binder,) = [link for link in links if "binder" in link]
    assert f"/{branch}?urlpath=lab/tree/chapters/{name}.ipynb" in binder.replace("%2F", "/")
    assert any(link.endswith(f"_sources/chapters/{name}.ipynb") for link in links)


@page_named
def test_solution_opens(visit, name):
    page = visit(name, "desk")
    for toggle in page.locator("div.solution.dropdown").all()[:1]:
        content = toggle.locator(".section, .cell, p").nth(1)
        assert not content.is_visible()
        toggle.locator("button, summary").first.click()
        assert content.is_visible()
