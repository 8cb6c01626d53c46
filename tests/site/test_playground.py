"""The playground, as a reader meets it: opened by an address, run, changed, taken away."""

import csv
import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from playwright.sync_api import expect

from gfbook.build import playground as built
from gfbook.live import playground
from tests.book.conftest import written
from tests.conftest import ROOT
from tests.site.conftest import serious, until
from tests.site.test_run import READY, Reader, served, types_all  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow
PAGE = "record/playground"
DATA = written(built.FILE)
BOARDS = ".play-boards .explorer-plot"


class Player(Reader):
    """A reader of the playground."""

    def field(self, id):
        return self.page.locator(f"#play-{id}")

    def runs(self):
        return int(self.page.evaluate("document.documentElement.dataset.liveRuns ?? 0"))

    def after(self, before):
        """Wait until something more was calculated."""
        until(lambda: self.runs() != before, timeout=READY)
        self.state("ready")

    def open(self, hash):
        if self.hash == hash:
            return  # which would change nothing, so that there is nothing to wait for
        before = self.runs()
        self.page.evaluate("hash => { location.hash = hash; }", hash)
        self.after(before)

    def set(self, id, value):
        before = self.runs()
        self.field(id).fill(value)
        self.after(before)

    def shown(self):
        """Return what the pictures have, by name, and the table."""
        boards = self.page.locator(BOARDS).evaluate_all(
            "all => all.map((b) => [b.closest('section').querySelector('h2').textContent,"
            " JSON.stringify(b.plot.data)])"
        )
        rows = self.page.locator(".play-table tbody tr").evaluate_all(
            "all => all.map((r) => [...r.cells].map((c) => c.textContent))"
        )
        return {name: json.loads(data) for name, data in boards}, rows

    def take(self, what):
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name=f"Download {what}", exact=True).click()
        return download.value.path().read_text(encoding="utf-8")

    @property
    def hash(self):
        return self.page.evaluate("location.hash")


def expected(id=None, **more):
    """Return what the module gives here, in this Python."""
    state = next((p["state"] for p in DATA["presets"] if p["id"] == id), {}) | more
    return playground.Playground(ROOT / built.MODULE).show(
        playground.complete(DATA["fields"], state)
    )


def alike(shown, answer):
    """Check that the pictures of a page are those of the module."""
    pictures, rows = shown
    assert [*pictures] == [panel["spec"]["name"] for panel in answer["panels"]]
    for panel in answer["panels"]:
        name, state = panel["spec"]["name"], panel["state"]
        if name in ("Error", "Drift of Q", "Modes in the plane"):
            continue  # on logarithmic axes down to rounding; signs of vectors
        _, *lines = pictures[name]
        assert np.allclose(
            np.array(lines, float),
            np.array(state["y"], float),
            rtol=1e-4,
            atol=1e-6,
            equal_nan=True,
        ), name
    assert [row[0] for row in rows] == [row[0] for row in answer["rows"]]


@pytest.fixture(scope="module")
def player(browser, served):  # noqa: F811
    """A reader who came by the address of a preset and ran the page."""
    player = Player(browser, served, f"{PAGE}")
    player.page.goto(f"{served}{PAGE}.html#preset-blind")
    player.before = list(player.asked)
    player.start()
    yield player
    player.context.close()


def test_a_preset_is_opened_by_its_address_changed_and_taken_away(player):
    assert not [url for url in player.before if "/python-" in url or "/live-" in url]
    player.open("#preset-blind")
    alike(player.shown(), expected("blind"))
    assert player.hash == "#preset-blind"
    expect(player.field("start")).to_have_value("spectral")
    player.set("v", "0.3, 0.2")
    alike(player.shown(), expected("blind", v="0.3, 0.2"))
    assert player.hash == "#start=spectral&u=0.3,0&v=0.3,0.2"
    expect(player.field("preset")).to_have_value("")
    code = player.take("Python")
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    pictures, _ = player.shown()
    last = [line[-1] for line in pictures["Singular values"][1:3]]
    assert np.allclose([*map(float, done.stdout.strip("[] \n").split())], last, rtol=1e-5)
    rows = [*csv.reader(io.StringIO(player.take("CSV")))]
    flow = [float(y) for panel, name, _, y in rows if (panel, name) == ("Determinant", "flow")]
    assert np.allclose(flow, pictures["Determinant"][2], rtol=1e-5)
    assert ET.fromstring(player.take("SVG")).tag.endswith("svg")
    assert player.troubles == []


def test_an_address_has_the_whole_state(player, served):  # noqa: F811
    player.open("#start=orthogonal&Y=2,0,0;0,1,0&k=6&q1=3&t=3")
    answer = expected(start="orthogonal", Y="2,0,0;0,1,0", k="6", q1="3", t="3")
    alike(player.shown(), answer)
    assert "Determinant" not in player.shown()[0]
    expect(player.field("Y")).to_have_value("2,0,0\n0,1,0")
    expect(player.field("std")).to_be_hidden()
    player.open("#preset-escape")
    alike(player.shown(), expected("escape"))
    expect(player.page.locator(".play-said")).to_contain_text("escapes to infinity")
    expect(player.field("step")).to_be_hidden()


@pytest.mark.parametrize(
    ("hash", "field", "words"),
    [
        (
            "#start=zzz",
            None,
            "“zzz” for “Start”, which is one of: Gaussian; balanced; Q = λ₀ I",
        ),
        ("#start=", None, "“” for “Start”"),
        ("#det_sign=2", None, "“2” for “"),
        ("#Y=", "Y", "Y must have numbers, and is empty"),
        ("#Y=%zz%", "Y", "row 1 of Y is not numbers alone: '%zz%'"),
        ("#k=many", "k", "k must be a number, got 'many'"),
        ("#t=" + "9" * 5000, "t", "t must be a number, got '999"),
        ("#zzz=1", None, "“zzz”, which is no field here"),
        ("#__proto__=1&constructor=2", None, "“constructor”, which is no field here"),
        ("#preset-zzz", None, "the example “zzz”, which is none of those here"),
        ("#%", None, "“%”, which is no field here"),
        ("#k=2&k=3", None, "“k” more than once: the last one counts"),
    ],
)
def test_what_an_address_has_amiss_is_told_and_the_page_goes_on(player, hash, field, words):
    player.open("#preset-order")
    player.open(hash)
    place = f"#play-{field}-wrong" if field else ".play-form > .play-wrong:not([hidden])"
    expect(player.page.locator(place)).to_contain_text(words)
    wrong = player.page.locator(".play-wrong:not([hidden])")
    expect(wrong).to_have_count(1)
    if field and player.field(field).evaluate("(field) => field.localName") == "select":
        before = player.runs()
        player.field(field).select_option(index=1)
        player.after(before)
    elif field:
        player.set(field, "3")
    else:
        alike(player.shown(), expected(k="3") if "k=3" in hash else expected("order"))
        player.set("t", "5")
    expect(wrong).to_have_count(0)
    player.open("#preset-blind")
    alike(player.shown(), expected("blind"))
    assert player.troubles == []


def test_what_is_wrong_is_told_beside_its_field(player):
    player.open("#preset-identity")
    before = player.shown()
    old = player.page.locator(".play-before")
    expect(old).to_be_hidden()
    player.set("k", "3")
    wrong = player.page.locator("#play-lam-wrong")
    expect(wrong).to_contain_text("Q = lam I_k needs k <= m for lam > 0")
    expect(player.field("lam")).to_have_attribute("aria-invalid", "true")
    assert player.shown() == before
    expect(old).to_have_text("This is of the values before, not of those in the form.")
    expect(player.page.locator(f"{BOARDS} canvas").first).to_have_css("opacity", "0.45")
    expect(player.page.get_by_role("button", name="Download CSV")).to_be_disabled()
    player.set("k", "2")
    expect(wrong).to_be_hidden()
    expect(old).to_be_hidden()
    expect(player.page.get_by_role("button", name="Download CSV")).to_be_enabled()
    types_all(player.page, player.field("Y"))
    wrong = player.page.locator("#play-Y-wrong")
    for text, words in (
        ("1, 2; 3", "row 1 has 2, row 2 has 1"),
        ("width,height\n1,2\n3,4", "row 1 of Y has no number: 'width,height'"),
        ("1, 2; 3, 4\n5, 6; 7, 8", "Y has semicolons within its lines"),
        ("1,5;x\n3;4", "row 1 of Y is not numbers alone: 'x'"),
        ("1,234;2\n3;4", "a decimal or thousands"),
    ):
        player.set("Y", text)
        expect(wrong).to_contain_text(words)
    # Decimals with a comma are read, and their address does not make something else of them.
    player.set("Y", "1,5;2\n\n3;4,25")
    expect(wrong).to_be_hidden()
    expect(player.page.locator(".play-code")).to_contain_text("Y = [[1.5, 2.0], [3.0, 4.25]]")
    hash = player.hash
    player.open("#preset-identity")
    player.open(hash)
    expect(player.page.locator(".play-code")).to_contain_text("Y = [[1.5, 2.0], [3.0, 4.25]]")
    said = player.page.locator(".play-said", has_text="two numbers with a comma between")
    player.set("Y", "1,5;2,5")
    expect(said).to_have_count(1)
    assert "Y=1+5;2+5" in player.hash
    choose = player.page.get_by_label("Target Y: one of this book's")
    before = player.runs()
    choose.select_option("two strengths")
    player.after(before)
    assert player.hash == "#preset-identity"


@pytest.mark.parametrize(
    "text", ["[[1,2],\n [3,4]]", "[[1.\n  2.]\n [3. 4.]]", "[[1, 2],[3,\n4]]"]
)
def test_rows_in_brackets_are_the_same_by_their_address(player, text):
    code = player.page.locator(".play-code")
    player.open("#preset-identity")
    player.set("Y", text)
    expect(code).to_contain_text("Y = [[1.0, 2.0], [3.0, 4.0]]")
    hash = player.hash
    player.open("#preset-identity")
    expect(code).not_to_contain_text("Y = [[1.0, 2.0], [3.0, 4.0]]")
    player.open(hash)
    expect(code).to_contain_text("Y = [[1.0, 2.0], [3.0, 4.0]]")
    expect(player.page.locator(".play-wrong:not([hidden])")).to_have_count(0)


def test_the_name_of_an_example_leads_to_the_form(player):
    player.open("#preset-order")
    name = player.page.locator("#preset-blind a")
    before = player.runs()
    name.click()
    player.after(before)
    assert player.hash == "#preset-blind"
    expect(name).not_to_be_in_viewport()
    expect(player.field("preset")).to_be_in_viewport()
    expect(player.field("preset")).to_have_value("blind")


def test_what_is_too_long_for_an_address_stays_in_the_tab(player):
    player.open("#preset-order")
    word = player.page.get_by_text("too long for an address")
    expect(word).to_be_hidden()
    rows = np.random.default_rng(0).standard_normal((20, 20))
    player.set("Y", "\n".join("\t".join(map(repr, map(float, row))) for row in rows))
    expect(word).to_be_visible()
    assert player.hash == ""
    code = f"Y = {rows.tolist()}"
    expect(player.page.locator(".play-code")).to_contain_text(code[:80])
    player.page.reload()
    player.start()
    expect(player.page.locator(".play-code")).to_contain_text(code[:80])
    expect(word).to_be_visible()
    player.open("#preset-order")
    expect(word).to_be_hidden()
    before = player.runs()
    player.page.go_back()
    player.after(before)
    expect(player.page.locator(".play-code")).to_contain_text(code[:80])
    assert player.troubles == []


def test_every_preset_is_chosen_by_keyboard(player):
    player.open("#preset-order")
    choose = player.field("preset")
    choose.focus()
    for preset in DATA["presets"][1:]:
        before = player.runs()
        player.page.keyboard.press("ArrowDown")
        player.after(before)
        assert player.hash == f"#preset-{preset['id']}"
        alike(player.shown(), expected(preset["id"]))
    player.page.keyboard.press("Tab")
    player.page.keyboard.press("Tab")
    assert player.page.evaluate("document.activeElement.id") == "play-Y"


def test_python_is_stopped_and_starts_with_the_next_value(player):
    player.open("#preset-blind")
    # Not even what was typed just before is calculated then, and what is shown says so.
    player.field("t").evaluate(
        """(field) => {
          field.value = "3";
          field.dispatchEvent(new Event("input", { bubbles: true }));
          [...document.querySelectorAll("button")].find(b => b.textContent === "Stop").click();
        }"""
    )
    expect(player.page.locator(".live-start")).to_contain_text("Stopped")
    expect(player.page.locator(".play-before")).to_be_visible()
    player.state("stopped")
    player.set("t", "4")
    alike(player.shown(), expected("blind", t="4"))


@pytest.mark.parametrize(("theme", "t"), [("light", "8"), ("dark", "8"), ("dark", "refused")])
def test_page_is_accessible_and_fits(player, theme, t):
    page = player.page
    if player.field("t").input_value() != t:
        player.set("t", t)
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert serious(page, ".play, .live-start") == []


def test_errata_lead_to_what_can_be_touched(visit):
    page = visit("record/errata", "desk")
    page.get_by_role("link", name="A large norm of Q in one direction").first.click()
    assert page.url.endswith("playground.html#preset-one-direction")
    entry = page.locator("[id=preset-one-direction]")
    expect(entry).to_be_in_viewport()
    expect(page.locator("#play")).to_contain_text("The form comes here when Python runs")


def test_a_check_leads_to_what_can_be_touched(site):
    claims = {c["id"]: c for c in json.loads((site / "claims.json").read_bytes())["claims"]}
    for preset in DATA["presets"]:
        for id in preset["claims"]:
            text = (site / f"{claims[id]['url'].partition('#')[0]}").read_text(encoding="utf-8")
            below = text.partition(f'id="claim-{id}"')[2].partition("</details>")[2]
            links = below[: below.index("</p>")]
            assert f'href="../record/playground.html#preset-{preset["id"]}"' in links
