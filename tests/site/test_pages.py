"""The built pages, looked at in Chromium: on a desk, on a phone, in the light, in the dark.

Each page is loaded once, and then turned to each view once: a few in all runs, the others among
the slow tests, as a page takes some seconds.
"""

import functools
import itertools
import json
import re
import time
from urllib.parse import unquote, urldefrag

import pytest
from playwright.sync_api import expect

from benchmarks import live
from gfbook.build import place
from gfbook.build.chapter import LESSON
from gfbook.check import METADATA
from tests.book.test_explore import shown, unpacked
from tests.conftest import ROOT
from tests.site.conftest import SOON, VIEWS, serious, watch

CHAPTERS = [f"chapters/{p.stem}" for p in sorted((ROOT / "chapters").glob("*.ipynb"))]
PLAIN = [f"chapters/{path.stem}" for path in sorted((ROOT / "chapters").glob("*.md"))]
RECORD = [*(f"record/{p.stem}" for p in sorted((ROOT / "record").glob("*.md"))), "genindex"]
WITHOUT_MATHS = {
    "record/benchmarks",
    "record/cite",
    "record/faults",
    "record/rests",
    "genindex",
    "search",
}
PAGES = [*CHAPTERS, *PLAIN, *RECORD, "search"]
# One of each kind: a chapter, a page without code, a long table, one with a script of its own.
FEW = {"chapters/06-figure-1", "chapters/start", "record/claims", "record/errata", "search"}


def each(pages):
    """Return what runs a test on each page, all of a page together."""
    slow = [p if p in FEW else pytest.param(p, marks=pytest.mark.slow) for p in pages]
    return pytest.mark.parametrize("page", slow, indirect=True, scope="module")


each_chapter, each_page = each(CHAPTERS), each(PAGES)
TITLE = """[...document.querySelector(':is(article, .bd-search-container) h1').childNodes]
.filter(e => !e.matches?.('.headerlink')).map(e => e.textContent).join('').trim()"""
# Their tables are cards on a phone; others scroll.
CARDS = {
    *(f"record/{name}" for name in ("ten-things", "claims", "errata", "paper-map", "rests")),
    "chapters/notation",
    "chapters/start",
}
CONTRAST = """() => {
  const light = text => {
    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(
      c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const clear = color => color === 'transparent' || color.endsWith(', 0)');
  const behind = e => {
    while (e.parentElement && clear(getComputedStyle(e).backgroundColor)) e = e.parentElement;
    return getComputedStyle(e).backgroundColor;
  };
  return [...document.querySelectorAll('.record *, .reading')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => {
      const two = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => a - b);
      return (two[1] + 0.05) / (two[0] + 0.05) < 4.5;
    }).map(e => e.outerHTML.slice(0, 80));
}"""
# What axe finds and CSS, templates and settings cannot mend: rule, and the reason.
ACCEPTED: dict[str, str] = {}


@pytest.fixture(scope="module")
def served(site):
    """Return the address of the book on a server, as a reader has it."""
    with live.served(site.resolve()) as address:
        yield address


@pytest.fixture(scope="module")
def page(request, browser, served):
    """Open a page once; fail at the end on what the browser complained about."""
    troubles = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    watch(page, [served], troubles)
    page.name, page.troubles, page.answers, page.view = request.param, troubles, [], None
    page.on("response", lambda answer: page.answers.append(answer))
    page.under_way = set()
    page.on("request", lambda asked: page.under_way.add(asked))
    for end in ("requestfinished", "requestfailed"):
        page.on(end, lambda asked: page.under_way.discard(asked))
    page.goto(f"{served}{page.name}.html")
    page.wait_for_function("!window.MathJax || MathJax.startup.promise.then(() => true)")
    page.add_style_tag(content="* { transition: none !important }")
    yield page
    context.close()
    assert troubles == []


def test_watch_notes_what_a_reader_should_not_meet(browser, tmp_path):
    (tmp_path / "index.html").write_text(
        """<img src="none.png"><script src="https://elsewhere.invalid/a.js"></script>
        <script>console.error("oh"); fetch("slow"); throw Error("no")</script>"""
    )
    (tmp_path / "left.html").write_text("<p>")
    troubles = []
    with live.served(tmp_path) as address, browser.new_context() as context:
        page = context.new_page()
        watch(page, [address], troubles)
        page.route("**/slow", lambda route: None)  # never answered: given up at the next page
        page.goto(f"{address}index.html")
        page.goto(f"{address}left.html")
    said = "\n".join(troubles)
    for trouble in (
        "Failed to load resource: the server responded with a status of 404",
        "another origin: https://elsewhere.invalid/a.js",
        "failed: https://elsewhere.invalid/a.js (net::ERR_",
        "script error: no",
        "\noh\n",
    ):
        assert trouble in said
    assert "slow" not in said


def look(page, view):
    """Turn an opened page to a view; heavy pages take seconds to be laid out anew."""
    if page.view == view:
        return
    page.view = view
    width, mode = VIEWS[view]
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(
        """mode => { const d = document.documentElement.dataset; d.mode = d.theme = mode;
          return new Promise(done => requestAnimationFrame(() => setTimeout(done, 50))); }""",
        mode,
    )


@each_chapter
def test_tab_key_passes_formulas_and_shows_where_it_is(page):
    look(page, "desk")
    assert page.locator("mjx-container").count() > 10
    assert page.locator("mjx-container[tabindex]:not([tabindex='-1'])").count() == 0
    page.keyboard.press("Tab")
    buttons = page.locator(".bd-header-article .btn:visible").all()
    assert len(buttons) >= 3
    for button in buttons:
        button.focus()
        assert button.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"


@each_chapter
def test_displayed_formulas_have_room_on_a_desk(page):
    look(page, "desk")
    wide = page.evaluate(
        """[...document.querySelectorAll('article div.math')].filter(box =>
          [box, ...box.querySelectorAll('mjx-container')].some(
            e => e.scrollWidth > box.clientWidth + 1)).map(e => e.id || e.textContent)"""
    )
    assert wide == []


@each_page
def test_first_load_is_below_a_megabyte(page):
    late = time.monotonic() + SOON / 1000
    while page.under_way and time.monotonic() < late:
        page.wait_for_timeout(50)
    assert not page.under_way
    assert 200_000 < live.weight(page.answers) < 1_000_000


@each_page
def test_no_markup_is_left_raw(page):
    text = page.evaluate(
        """() => {
          const page = document.querySelector('article, .bd-search-container');
          const article = page.cloneNode(true);
          article.querySelectorAll('pre, code, mjx-container, script').forEach(e => e.remove());
          return article.textContent;
        }"""
    )
    raw = re.findall(r".{20}(?:\\[a-z]+|\$|\{\w+\}`|```|:::|\[\^).{20}", text)
    assert raw == []
    assert page.locator("mjx-container").count() > 0 or page.name in WITHOUT_MATHS
    assert page.locator("mjx-merror").count() == 0


APART = """[...document.querySelectorAll('article span.math')].filter(e =>
  !e.parentElement.classList.contains('together') && e.nextSibling?.nodeType === Node.TEXT_NODE
  && /^[.,;:]/.test(e.nextSibling.data)).length"""


@each_chapter
def test_no_line_begins_with_a_stop(page):
    assert page.locator(".together").count() > 2
    assert page.evaluate(APART) == 0
    loosened = """() => {
      const first = document.querySelector('.together');
      first.classList.remove('together');
      const found = APART;
      first.classList.add('together');
      return found;
    }"""
    assert page.evaluate(loosened.replace("APART", APART)) == 1


@each_page
def test_headings_are_in_order(page):
    levels = page.evaluate(
        """[...document.querySelector('article, .bd-search-container')
          .querySelectorAll('h1, h2, h3, h4, h5, h6')].map(e => Number(e.tagName[1]))"""
    )
    assert levels.count(1) == 1
    assert levels[0] == 1
    steps = itertools.pairwise(levels)
    assert all(after <= before + 1 for before, after in steps), levels


@each_page
def test_links_lead_somewhere(page, served, site):
    found = page.evaluate(
        """[...document.querySelectorAll('a[href]')].map(
          a => new URL(a.getAttribute('href'), document.baseURI).href)"""
    )
    inside = {link for link in found if link.startswith(served)}
    assert inside
    for link in inside:
        address, anchor = urldefrag(link)
        file = site / (unquote(address.removeprefix(served)).partition("?")[0] or "index.html")
        assert file.is_file(), link
        if anchor and file.suffix == ".html":
            assert unquote(anchor) in anchors(file), link


@functools.cache
def anchors(file):
    return set(re.findall(r'\sid="([^"]+)"', file.read_text(encoding="utf-8")))


@each_page
def test_link_has_a_preview(page):
    def content(name):
        return page.locator(f"meta[property='og:{name}']").get_attribute("content")

    assert content("title") == page.evaluate(TITLE)
    assert len(content("description")) > 30 or page.name in ("genindex", "search")
    # The other two need the whole address, which the place of the build knows or not.
    if found := place.repository(ROOT):
        assert content("url") == f"{found.site}{page.name}.html"
        assert content("image") == f"{found.site}_static/book.png"
    else:
        assert page.locator("meta[property='og:url'], meta[property='og:image']").count() == 0


@each_page
def test_own_scripts_run_and_no_other(page):
    policy = page.locator("meta[http-equiv='Content-Security-Policy']").get_attribute("content")
    scripts = re.search(r"script-src ([^;]*)", policy).group(1)
    assert scripts.startswith("'self' 'unsafe-hashes' 'sha256-")
    assert "unsafe-inline" not in scripts
    assert "unsafe-eval" not in scripts
    assert page.evaluate("DOCUMENTATION_OPTIONS.pagename") == page.name
    # Only the theme writes scripts into a page: what chapters show is data, or a file.
    own = "article script:not([src]):not([type='application/json'])"
    assert page.locator(f"{own}, article [onclick]").count() == 0
    before = list(page.troubles)
    ran = page.evaluate(
        """() => {
          document.head.append(
            Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }));
          const button = document.createElement('button');
          button.setAttribute('onclick', 'window.ran = 2');
          button.click();
          return window.ran;
        }"""
    )
    assert ran is None
    assert len(page.troubles) == len(before) + 2  # the browser says so twice
    page.troubles[:] = before


def cells(page):
    """Return the executed code cells of an opened chapter."""
    content = json.loads((ROOT / f"_build/executed/{page.name}.ipynb").read_bytes())
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


def checks(cell):
    """Return what the checks of an executed cell recorded."""
    metadata = [output.get("metadata", {}) for output in cell["outputs"]]
    return [found[METADATA] for found in metadata if METADATA in found]


def seen(page, places):
    """Return how many elements of a page can be seen."""
    return page.evaluate(
        """places => [...document.querySelectorAll(places)].filter(
          e => e.checkVisibility() && e.getClientRects().length).length""",
        places,
    )


@each_chapter
def test_what_is_seen_is_the_text_its_results_and_short_code(page):
    look(page, "desk")
    page.locator("label.checks").wait_for()
    checked = [found for cell in cells(page) if (found := checks(cell))]
    assert page.locator("details.check:not([open])").count() == len(checked)
    claims = [f"#claim-{check['id']}" for found in checked for check in found]
    assert seen(page, ", ".join(claims) or "#none") == len(claims)
    assert seen(page, "details.check .cell_input, .residual") == 0
    assert (
        seen(page, "div.cell:has(figure, .explorer) .cell_input, .tag_parameters .cell_input")
        == 0
    )
    assert seen(page, "article figure") == page.locator("article figure").count()
    visible = page.locator("article div.cell_input:visible")
    assert all(len(code.strip().splitlines()) <= LESSON for code in visible.all_inner_texts())
    heights = visible.evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
    assert sum(heights) < 0.15 * page.evaluate("document.documentElement.scrollHeight")


@each_chapter
def test_fold_has_the_code_and_the_figures_of_its_checks(page):
    folds = page.locator("details.check").evaluate_all(
        """folds => folds.map(fold => [fold.querySelector('pre').textContent,
          [...fold.querySelectorAll('.residual')].map(e => e.textContent)])"""
    )
    checked = [cell for cell in cells(page) if checks(cell)]
    for cell, (code, said) in zip(checked, folds, strict=True):
        assert code.strip() == "".join(cell["source"]).strip()
        assert [line.split()[0] for line in said] == [check["id"] for check in checks(cell)]
        assert all(re.search(r"residual .+, tolerance .+ when altered$", s) for s in said)


def dragged(page, grip, state):
    """Return the states that a grip leads to when it is dragged to corners of its board."""
    found = []
    at, board = grip.bounding_box(), grip.locator("xpath=..").bounding_box()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    for x, y in ((0.02, 0.02), (0.98, 0.98), (0.02, 0.98)):
        page.mouse.move(board["x"] + x * board["width"], board["y"] + y * board["height"])
        found.append(state())
    page.mouse.up()
    return found


def played(box, state):
    """Play the first slider of an explorer, from its beginning until it has moved."""
    slider, button = box.locator("input[type=range]").first, box.locator(".explorer-play").first
    slider.focus()
    slider.press("Home")
    before = state()
    button.click()
    expect(button).to_have_accessible_name(re.compile("^Pause: "))
    expect(box.locator(".explorer-answer")).not_to_have_text(before[0])
    button.click()
    expect(button).to_have_accessible_name(re.compile("^Play: "))
    assert state()[1] != before[1]


@each_page
def test_each_explorer_answers_on_the_page(page, site):
    """Each control moves the sentence and the picture."""
    look(page, "desk")
    names = [name for path, name in shown(site) if path == f"{page.name}.html"]
    assert page.locator(".explorer").count() == len(names)
    for name in names:
        box = page.locator(f"#{name}")
        box.scroll_into_view_if_needed()
        canvas = box.locator("canvas")
        canvas.first.wait_for()
        text = (site / f"{page.name}.html").read_text().split(f'id="{name}"')[1]
        data, _ = unpacked(text.split("</script>")[0] + "</script>")

        def state(box=box, canvas=canvas):
            """The sentence and the picture."""
            words = box.locator(".explorer-answer").inner_text()
            for board in box.locator(".explorer-plot").all():
                assert words in board.get_attribute("aria-label")
            return words, canvas.evaluate_all("all => all.map(c => c.toDataURL())")

        for i, slider in enumerate(box.locator("input[type=range]").all()):
            before = state()
            slider.focus()
            page.keyboard.press("Home" if int(slider.input_value()) > 0 else "End")
            after = state()
            assert before[0] != after[0], f"{name}: slider {i} says nothing"
            assert before[1] != after[1], f"{name}: slider {i} draws nothing"
            assert after[0] in data["text"]
            value = box.locator("output").nth(i).inner_text()
            assert slider.get_attribute("aria-valuetext") == value
        for select in box.locator("select").all():
            before = state()
            now = select.evaluate("s => s.selectedIndex")
            select.select_option(index=0 if now else 1)
            assert state() != before, f"{name}: a choice does nothing"
            select.select_option(index=now)
        grips = box.locator(".explorer-grip:visible").all()
        assert len(grips) == len(data["spec"]["grips"]), f"{name}: a point is not to be seen"

        def told(box=box):
            """The sentence, and the values of the sliders."""
            words = box.locator(".explorer-answer").inner_text()
            return words, box.locator("output").all_inner_texts()

        for grip in grips:
            words, values = zip(*dragged(page, grip, told), strict=True)
            assert len(set(words)) > 1, f"{name}: a dragged point says nothing"
            assert len({*map(tuple, values)}) > 1, f"{name}: a dragged point moves no slider"
        if name == names[0]:
            played(box, state)
        assert box.evaluate("e => e.scrollWidth <= e.clientWidth + 1")


@each_chapter
def test_pictures_are_drawn_and_described(page):
    look(page, "desk")
    pictures = page.locator("article figure img")
    assert pictures.count() > 0
    for picture in pictures.all():
        assert len(picture.get_attribute("alt")) > 20
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("i => i.decode().then(() => i.naturalWidth)") > 100


@each_chapter
def test_solution_opens(page):
    look(page, "desk")
    for toggle in page.locator("div.solution.dropdown").all()[:1]:
        content = toggle.locator(".section, .cell, p").nth(1)
        assert not content.is_visible()
        toggle.locator("button, summary").first.click()
        assert content.is_visible()


@each_page
@pytest.mark.parametrize("view", ["desk", "dark"])
def test_letters_stand_out(page, view):
    look(page, view)
    assert page.evaluate(CONTRAST) == []


@each_chapter
def test_figures_and_badges_turn_dark(page):
    look(page, "dark")
    filters = styles(page, "article figure img", "filter")
    assert all("invert" in applied for applied in filters)
    shades = styles(page, "article :has(> .claim)", "backgroundColor")
    assert {*shades} <= {"rgba(0, 0, 0, 0)", "transparent"}


@each_page
@pytest.mark.parametrize("view", ["desk", "phone"])
def test_nothing_overflows(page, view):
    look(page, view)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    scrolls = "pre, .math, .highlight, svg *, figure.wide"
    if page.name not in CARDS:
        scrolls += ", .pst-scrollable-table-container, table"
    wide = page.evaluate(
        """scrolls => [...document.querySelectorAll('article *')].filter(e => {
          const { width, left, right } = e.getBoundingClientRect();
          return width > 0 && (right > innerWidth + 1 || left < -1) && !e.closest(scrolls);
        }).map(e => e.outerHTML.slice(0, 80))""",
        scrolls,
    )
    assert wide == []
    # A formula in a line breaks where the line ends, and nothing of it has to be looked for.
    cut = page.evaluate(
        """[...document.querySelectorAll('article span.math mjx-math')].filter(e => {
          if (e.closest('.pst-scrollable-table-container')) return false;
          const [r, box] = [e, e.closest('span.math')].map(a => a.getBoundingClientRect());
          return r.width > 0 && (r.right > innerWidth || r.width > box.width + 1);
        }).map(e => e.closest('span.math').textContent.slice(0, 80))"""
    )
    assert cut == []
    # Nor is the stop behind it cut off.
    cut = page.evaluate(
        """[...document.querySelectorAll('article .together')].filter(e => {
          const text = e.closest('p, li, td, dd');
          return text && !e.closest('.pst-scrollable-table-container') && e.checkVisibility()
            && e.getBoundingClientRect().right > text.getBoundingClientRect().right + 1;
        }).map(e => e.textContent.slice(0, 80))"""
    )
    assert cut == []
    # So does a displayed one: none has to be scrolled.
    cut = page.evaluate(
        """[...document.querySelectorAll('article div.math')].filter(e =>
          [e, ...e.querySelectorAll('mjx-container, mjx-table')].some(
            box => box.scrollWidth > box.clientWidth + 1)
        ).map(e => e.textContent.slice(0, 80))"""
    )
    assert cut == []
    # A figure is shown so large that its letters of 9 points can be read.
    letters = page.evaluate(
        """[...document.querySelectorAll('article figure:not(.small) img[src$=".svg"]')].map(
          e => 9 * e.getBoundingClientRect().width / (e.naturalWidth * 0.75))"""
    )
    assert min(letters, default=11) >= 11
    # What of a formula scrolls is a stop of the Tab key.
    unreached = page.evaluate(
        """[...document.querySelectorAll('article .math, article mjx-container')].filter(e =>
          e.tabIndex < 0 && e.scrollWidth > e.clientWidth + 1
          && /auto|scroll/.test(getComputedStyle(e).overflowX)
        ).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert unreached == []


@each_page
def test_explorers_keep_their_height_and_names_their_places_on_a_phone(page):
    look(page, "phone")
    for box in page.locator(".explorer").all():
        box.scroll_into_view_if_needed()
        box.locator("canvas").first.wait_for()
        assert box.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
        heights, names, amiss = box.evaluate(
            """async box => {
              const heights = [], amiss = [];
              let names = 0;
              const set = async (slider, value) => {
                slider.value = value;
                slider.dispatchEvent(new Event('input', { bubbles: true }));
                heights.push(box.getBoundingClientRect().height);
                await new Promise(requestAnimationFrame); // by then it is drawn
                for (const frame of box.querySelectorAll('.u-over')) {
                  const all = [...frame.querySelectorAll('.explorer-name')]
                    .filter((name) => name.style.visibility !== 'hidden')
                    .map((name) => {
                      const [x, y] = name.style.transform.match(/-?\\d+/g).map(Number);
                      const [w, h] = [name.offsetWidth, name.offsetHeight];
                      return [x, y, x + w, y + h, name.textContent];
                    });
                  names += all.length;
                  all.forEach((one, i) => {
                    const [a, b, c, d, said] = one;
                    if (a < 0 || b < 0 || c > frame.clientWidth || d > frame.clientHeight)
                      amiss.push(`${said} leaves the frame at ${value}`);
                    for (const [e, f, g, h, other] of all.slice(i + 1))
                      if (a < g && e < c && b < h && f < d)
                        amiss.push(`${said} on ${other} at ${value}`);
                  });
                }
              };
              for (const slider of box.querySelectorAll('input[type=range]')) {
                const first = slider.value, step = Math.max(1, Math.floor(slider.max / 8));
                for (let at = 0; at <= slider.max; at += step) await set(slider, at);
                await set(slider, first);
              }
              return [heights, names, amiss];
            }"""
        )
        assert max(heights) - min(heights) <= 1
        assert names >= len(heights)
        assert amiss == []


@each_chapter
def test_long_equations_scroll_and_keep_their_numbers_on_a_phone(page):
    look(page, "phone")
    places = page.locator("article div.math mjx-labels mjx-mtd").evaluate_all(
        """all => all.map(e => [e.getBoundingClientRect().left,
          e.getBoundingClientRect().right])"""
    )
    assert all(0 < left < right <= 390 for left, right in places)
    cut = page.evaluate(
        """[...document.querySelectorAll('article div.math')].map(e =>
          e.querySelector('mjx-mtable[width=full] > mjx-table') ?? e).filter(e =>
          e.scrollWidth > e.clientWidth + 1).map(e => getComputedStyle(e)).filter(e =>
          e.overflowX !== 'auto' || !e.backgroundImage.includes('gradient')).length"""
    )
    assert cut == 0


@each_chapter
def test_equations_break_where_print_would_break_them(page):
    look(page, "phone")
    broken = page.evaluate(
        """() => {
          const read = row => [...row.querySelectorAll('mjx-c')].map(c =>
            String.fromCodePoint(parseInt(/-c([0-9A-F]+)/.exec(c.className)[1], 16))).join('');
          return [...document.querySelectorAll('article div.math.long')].map(formula =>
            [...formula.querySelectorAll('.piece')].map(row => row.matches(':last-child,\
              :has(+ mjx-tstrut)') ? '' : read(row)));
        }"""
    )
    for row in itertools.chain(*broken):
        held = re.search(r"[(\[{\u27e8]([^()\[\]{}\u27e8\u27e9]*)$", row)
        assert held is None or re.search(r"[+\u2212=]", held[1]), row  # not after one term
    assert not any(row.endswith(("=", "+", "\u2212")) for row in itertools.chain(*broken))


@each_chapter
def test_a_formula_in_the_text_is_broken_in_brackets_only_where_these_are_too_long(page):
    look(page, "phone")
    broken = page.evaluate(
        """() => {
          const read = row => [...row.querySelectorAll('mjx-c')].map(c =>
            String.fromCodePoint(parseInt(/-c([0-9A-F]+)/.exec(c.className)[1], 16)));
          return [...document.querySelectorAll('article span.math.long')].flatMap(formula => {
            const found = [], width = formula.closest('p, li, td, dd').clientWidth;
            let held = [], open = 0;
            for (const piece of formula.querySelectorAll('.piece')) {
              held.push(piece);
              for (const c of read(piece)) open += '([{'.includes(c) - ')]}'.includes(c);
              if (open > 0) continue;
              const sum = held.reduce((all, e) => all + e.getBoundingClientRect().width, 0);
              if (held.length > 1 && sum <= width) found.push(held.flatMap(read).join(''));
              held = [];
            }
            return found;
          });
        }"""
    )
    assert broken == []


@each_chapter
def test_letters_in_pictures_can_be_read_on_a_phone(page):
    look(page, "phone")
    for picture in page.locator("article figure img").all():
        scale = picture.evaluate("i => i.decode().then(() => i.width / i.naturalWidth)")
        assert 9 * 4 / 3 * scale >= 9  # pixels, of letters that are 9 points high


def styles(page, places, name):
    """Return a style of all elements at some places; the browser's own `:has` is quick."""
    return page.evaluate(
        """([places, name]) => [...document.querySelectorAll(places)].map(
          e => getComputedStyle(e)[name])""",
        [places, name],
    )


@each_chapter
def test_launch_and_download(page):
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)")
    binder = [link for link in links if "binder" in link]
    if found := place.repository(ROOT):
        (launched,) = (link.replace("%2F", "/") for link in binder)
        assert f"/{found.branch}?urlpath=lab/tree/{page.name}.ipynb" in launched
    else:
        assert binder == []
    assert any(link.endswith(f"_sources/{page.name}.ipynb") for link in links)


@pytest.mark.long
@each_page
@pytest.mark.parametrize("view", ["desk", "dark"])
def test_axe_finds_nothing_serious(page, view):
    look(page, view)
    if page.evaluate("!window.axe"):
        # MathJax describes its formulas itself, and one code cell is colored as the other;
        # their thousands of boxes would take axe minutes.
        page.evaluate(
            """() => {
              document.querySelectorAll('mjx-container').forEach(e => e.replaceWith('x'));
              const code = [...document.querySelectorAll('pre')].slice(3);
              code.forEach(e => { e.textContent = e.textContent; });
            }"""
        )
    only = {} if view == "desk" else {"runOnly": ["color-contrast"]}
    found = serious(page, **only)
    assert [(rule, nodes) for rule, nodes in found if rule not in ACCEPTED] == []


@pytest.mark.slow
@pytest.mark.parametrize("page", ["search"], indirect=True, scope="module")
@pytest.mark.parametrize("word", ["hyperbola", "Riccati"])
def test_search_finds_a_word(page, served, word):
    page.goto(f"{served}search.html")
    field = page.locator("article, .bd-content").locator("input[name=q]").first
    field.fill(word)
    field.press("Enter")
    page.wait_for_url(f"**q={word}*")
    hit = page.locator("#search-results li a").first
    hit.wait_for()
    hit.click()
    page.wait_for_url("**/chapters/**")
    assert word.lower() in page.locator("article").inner_text().lower()
