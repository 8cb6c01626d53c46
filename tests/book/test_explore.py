"""The explorers: the same answers in Python, packed in a page, and in the front end."""

import base64
import gzip
import json
import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from gfbook import explore, plots
from gfbook.build import BuildError
from gfbook.build.chapter import EXPLORER, explorers
from tests.conftest import ROOT

LINES = [("a", plots.TWO_LAYER), ("b", plots.THEORY)]


def wave(a, kind):
    x = np.linspace(0, 1, 50)
    return explore.Answer(x, [np.exp(-a * x), kind + np.sin(a * x)], f"a is {a:.2f}")


def explorer(**options):
    controls = {
        "a": explore.Slider("rate a", 0.1, 10, value=1, log=True, positions=21),
        "kind": explore.Choice("kind", {"zero": 0.0, "two": 2.0}, first=1),
    }
    return explore.Explorer(wave, controls, "x", "y", LINES, "explore-test", **options)


def unpacked(text):
    """Read a page's data as the front end does, but with NumPy."""
    (source,) = re.findall(r'<script type="application/json">(.*?)</script>', text, re.S)
    data = json.loads(source)
    curves = {}
    for name in ("x", "y"):
        steps = np.frombuffer(base64.b64decode(data[name]), "<u2")
        steps = np.cumsum(steps.reshape(data[f"{name}_shape"]), axis=-1, dtype=np.uint16)
        low, high = np.array(data[f"{name}_range"]).T[:, :, None, None]
        values = np.where(steps == 65535, np.nan, low + (high - low) * (steps / 65534))
        curves[name] = 10**values if data[f"{name}_log"] else values
    return data, curves


@pytest.mark.parametrize("log", [False, True])
def test_page_holds_every_answer(log):
    made = explorer(log=log)
    data, curves = unpacked(made.page())
    assert curves["y"].shape == (42, 2, 50)
    assert curves["x"].shape == (1, 1, 50)  # the same for all settings, so stored once
    for state, (i, j) in enumerate((i, j) for i in range(21) for j in range(2)):
        answer = wave(made.controls["a"].at(i), made.controls["kind"].at(j))
        expected = (
            np.where(np.array(answer.curves) > 0, answer.curves, np.nan)
            if log
            else answer.curves
        )
        span = 5 if log else 3
        assert np.allclose(
            curves["y"][state], expected, rtol=span * 1e-4 * log, atol=1e-4, equal_nan=True
        )
        assert data["text"][state] == answer.text
    assert data["first"] == [made.controls["a"].first, 1]


def test_page_without_a_script_has_a_picture_with_its_words():
    def answer(a):
        return explore.Answer([0, 1], [[0, a]], f"It ends at {a:g}.", [([0, 1], [0, a])])

    beside = explore.Plane("u", "v", LINES[:1], (0, 2), (0, 2))
    slider = explore.Slider("slope a", 0, 2, value=1, positions=3)
    made = explore.Explorer(answer, {"a": slider}, "x", "y", LINES[:1], "e", plane=beside)
    (still,) = re.findall(r"<noscript><p>(<img .*?>)</p></noscript>", made.page())
    alt, source = ET.fromstring(f"{still[:-1]}/>").attrib.values()
    name = LINES[0][0]
    assert alt == f"y against x: {name}. v against u: {name}."
    kind, _, data = source.partition(",")
    assert kind == "data:image/svg+xml;base64"
    drawn = ET.fromstring(base64.b64decode(data))
    axes = [g for g in drawn.iter() if re.fullmatch(r"axes_\d+", g.get("id", ""))]
    assert len(axes) == 2
    with mpl.rc_context():
        plots.style()  # as each chapter does
        assert made.page() == made.page()


def test_settings_may_differ_by_orders_and_some_have_no_curve():
    def answer(a):
        return explore.Answer(
            np.linspace(0, 1 / a, 50), [np.full(50, np.nan if a > 99 else a)], ""
        )

    slider = explore.Slider("rate a", 1e-4, 100, value=1, log=True, positions=7)
    _, curves = unpacked(
        explore.Explorer(answer, {"a": slider}, "x", "y", LINES[:1], "e").page()
    )
    for i, x in enumerate(curves["x"][:, 0]):
        assert np.allclose(x, answer(slider.at(i)).x, rtol=0, atol=2e-5 / slider.at(i))
    assert np.isnan(curves["y"][-1]).all()
    assert np.allclose(curves["y"][:-1, 0, 0], 10.0 ** np.arange(-4, 2), rtol=1e-5)


def test_slider_names_its_values():
    slider = explore.Slider("s", 0.01, 100, value=1, log=True, positions=5)
    assert [slider.say(i) for i in range(5)] == ["0.01", "0.1", "1", "10", "100"]
    assert slider.first == 2
    assert explore.Slider("s", -1, 1, value=-1, positions=3).say(0) == "−1"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: explore.Slider("a", 0, 2, 7), "a: value must be from 0 to 2, got 7"),
        (lambda: explore.Slider("a", 0, 2, np.nan), "a: value must be from 0 to 2, got nan"),
        (lambda: explore.Slider("a", 2, 0, 1), "a: value must be from 2 to 0, got 1"),
        (lambda: explore.Slider("a", 0, 2, 1, positions=1), "a: positions must be 2 or more"),
        (lambda: explore.Slider("a", 0, 2, 1, log=True), "a: a logarithmic scale is above 0"),
        (lambda: explore.Choice("a", {"x": 1}, 1), "a: first of 1 is 1"),
        (lambda: explore.Choice("a", {}), "a: first of 0 is 0"),
        (lambda: explorer(grips=[explore.Grip(wave, ["b"])]), "moves 'b', which is no slider"),
    ],
)
def test_controls_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        wrong()


def test_two_explorers_of_one_name_are_refused():
    output = {"data": {"text/html": f'<div {EXPLORER} id="explore-x"></div>'}}
    chapters = {"chapters/a": {"cells": [{"outputs": [output]}]}}
    assert explorers(chapters)["explore-x"][0] == "chapters/a"
    chapters["chapters/b"] = chapters["chapters/a"]
    with pytest.raises(BuildError, match="chapters/b: explore-x: chapters/a has one as well"):
        explorers(chapters)


def test_wrong_answers_are_errors():
    made = explorer()
    short = explore.Explorer(
        lambda **_: explore.Answer([0, 1], [[0, 1]], ""), made.controls, "x", "y", LINES, "e"
    )
    with pytest.raises(ValueError, match="curves must be 2, got 1"):
        short.answer([0, 0])
    uneven = explore.Explorer(
        lambda **_: explore.Answer([0, 1], [[0, 1], [0, 1, 2]], ""), made.controls, "x", "y",
        LINES, "e",
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"curves must have the shape \(T,\) of x, got"):
        uneven.answer([0, 0])


def test_lines_in_the_plane_have_an_x_of_their_own():
    turn = np.linspace(0, 2 * np.pi, 50)

    def circle(r):
        return explore.Answer([r * np.cos(turn), turn], [r * np.sin(turn), turn], f"{r}")

    def made(function):
        radius = {"r": explore.Slider("r", 1, 2, value=1, positions=3)}
        look = [("a", plots.TWO_LAYER), ("b", {"color": "#000000", "marker": "o"})]
        frame = (-2.0, 2.0)
        return explore.Explorer(
            function, radius, "x", "y", look, "explore-plane", frame, xlim=frame
        )

    data, curves = unpacked(made(circle).page())
    assert data["spec"]["xlim"] == [-2, 2]
    assert [line["dots"] for line in data["spec"]["lines"]] == [False, True]
    for state, r in enumerate((1, 1.5, 2)):
        answer = circle(r)
        assert np.allclose(curves["x"][state], answer.x, atol=1e-3)
        assert np.allclose(curves["y"][state], answer.curves, atol=1e-3)
    with pytest.raises(ValueError, match=r"x must be one for each line in the plane"):
        made(lambda r: explore.Answer(turn, [turn, turn], "")).answer([0])


def test_plane_beside_has_its_own_points():
    turn = np.linspace(0, 2 * np.pi, 20)

    def answer(r):
        x = np.linspace(0, 1, 50)
        plane = [(r * np.cos(turn), r * np.sin(turn)), (turn, 0 * turn)][: 2 if r < 3 else 1]
        return explore.Answer(x, [r * x], f"r is {r:.3g}", plane)

    look = [("circle", plots.TWO_LAYER), ("dots", {"color": "#000000", "points": ["x₀"]})]
    made = explore.Explorer(
        answer, {"r": explore.Slider("r", 1, 2, value=1, positions=3)}, "x", "y", LINES[:1],
        "explore-beside", plane=explore.Plane("u", "v", look, (-2, 2), (-2, 2)),
    )  # fmt: skip
    data, _ = unpacked(made.page())
    assert data["plane_x_shape"] == data["plane_y_shape"] == [3, 2, 20]
    assert [line.get("points") for line in data["spec"]["plane"]["lines"]] == [None, ["x₀"]]
    assert np.allclose(made.start["plane_x"], [np.cos(turn), turn], atol=1e-5)
    with pytest.raises(ValueError, match=r"plane must be \(2, 2, S\), got \(1, 2, 20\)"):
        made.answer([6])


def test_grip_has_its_place_at_every_setting_and_its_sliders_lead_it():
    made = explorer(grips=[explore.Grip(lambda a, kind: (a, kind + 1), ["a"])])
    data, _ = unpacked(made.page())
    assert data["spec"]["grips"] == [{"controls": [0], "plane": False}]
    values = [made.controls["a"].at(i) for i in range(21)]
    expected = [(a, kind + 1) for a in values for kind in (0.0, 2.0)]
    assert np.allclose(data["grips"], [expected], rtol=1e-4)
    (grip,) = made.widget().state["grips"]
    assert np.allclose(grip["at"], (values[made.first[0]], 3), rtol=1e-4)
    assert np.allclose(grip["track"], [(a, 3) for a in values], rtol=1e-4)


def test_widget_answers_between_the_positions():
    made = explorer()
    widget = made.widget()
    widget.position = [10.5, 0]
    value = made.controls["a"].at(10.5)
    assert widget.state["text"] == f"a is {value:.2f}"
    assert np.allclose(widget.state["y"][0], np.exp(-value * np.linspace(0, 1, 50)), rtol=1e-5)


def shown(site):
    """Return (page, name, number of controls) of every explorer in the book."""
    return [
        (path.relative_to(site).as_posix(), name)
        for path in sorted((site / "chapters").glob("*.html"))
        for name in re.findall(r'class="explorer" id="([^"]+)"', path.read_text())
    ]


def test_ten_explorers_and_one_in_each_chapter_of_sections_2_to_6(site):
    found = shown(site)
    assert len(found) >= 10
    chapters = {page.split("/")[1][:2] for page, _ in found}
    assert chapters >= {"02", "03", "04", "05", "06"}
    again = {"chapters/start.html", "chapters/summary.html"}  # show some that a chapter has
    own = [name for page, name in found if page not in again]
    assert len({*own}) == len(own)
    assert {name for _, name in found} == {*own}


def test_explorers_are_small(site):
    for page, name in shown(site):
        text = (site / page).read_text()
        (part,) = re.findall(
            rf'<div class="explorer" id="{name}">.*?</script></div>', text, re.S
        )
        assert len(gzip.compress(part.encode())) < 300_000, name


def test_front_end_does_no_mathematics():
    source = (ROOT / "gfbook" / "explore" / "explore.js").read_text()
    assert not re.search(r"Math\.(exp|sqrt|pow|sin|cos|tanh)", source)
