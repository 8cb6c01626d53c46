"""The playground without a browser: each preset shows what it says, and its lines make it.

The references are SciPy's integration of the printed equation (12), and formulas by hand.
"""

import csv
import io
import re
import subprocess
import sys
import tracemalloc
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import gfcore as gf
from gfbook.build import BuildError
from gfbook.build import playground as built
from gfbook.live import playground
from tests.book.conftest import written
from tests.conftest import ROOT

DATA = written(built.FILE)
TARGETS = DATA["fields"][0]["fill"]
(STARTS,) = (field["options"] for field in DATA["fields"] if field["id"] == "start")
PRESETS = {preset["id"]: preset for preset in DATA["presets"]}
KINDS = ("flow", "regularized flow", "descent", "one layer", "closed form")


def given(id=None, **more):
    """Return the values of all fields, those of a preset and others."""
    return playground.complete(DATA["fields"], (PRESETS[id]["state"] if id else {}) | more)


@pytest.fixture(scope="module")
def page():
    return playground.Playground(ROOT / built.MODULE)


class Seen:
    """What is shown for some values, as a reader has it."""

    def __init__(self, page, values):
        self.values, self.answer = values, page.show(values)
        assert "error" not in self.answer, self.answer
        self.rows = {what: value for what, value, _ in self.answer["rows"]}
        self.said = " ".join(self.answer["said"])
        self.names = {}
        exec(self.answer["code"].replace("print(", "shown = ("), self.names)

    def text(self, name):
        """Return the sentence below a picture."""
        (panel,) = (p for p in self.answer["panels"] if p["spec"]["name"] == name)
        return panel["state"]["text"]

    def panel(self, name):
        """Return x, and each line of a picture by its name."""
        (panel,) = (p for p in self.answer["panels"] if p["spec"]["name"] == name)
        names = [line["name"] for line in panel["spec"]["lines"]]
        lines = (np.array(y, float) for y in panel["state"]["y"])
        return np.array(panel["state"]["x"][0]), dict(zip(names, lines, strict=True))

    def rate(self, what):
        """Return a measured rate and its uncertainty."""
        numbers = re.findall(r"[\d.]+", self.rows[f"measured, {what}"].replace("·10", ""))
        return float(numbers[0])

    def reaches(self, level, kind="flow"):
        """Return when an error is below a level."""
        t, lines = self.panel("Error")
        return gf.rates.reach(t, np.nan_to_num(lines[kind]), level)


@pytest.fixture
def seen(page):
    return lambda id=None, **more: Seen(page, given(id, **more))


def integrated(Y, start, t, Sigma=None):
    """Return X of (12) by SciPy, from the equation as it is printed."""
    Y, m = np.array(Y), len(Y)
    shape = start.R.shape

    def slope(_, R):
        R = R.reshape(shape)
        if Sigma is None:
            return np.concatenate(gf.paper.eq_12(Y, R[:m], R[m:])).ravel()
        E = Y - R[:m] @ R[m:].T @ Sigma
        return np.concatenate([E @ R[m:], E.T @ R[:m]]).ravel()

    options = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-13, "max_step": t[-1] / 250}
    R = solve_ivp(slope, (0, t[-1]), start.R.ravel(), t_eval=t, **options).y.T
    R = R.reshape(-1, *shape)
    return R[:, :m] @ R[:, m:].mT


@pytest.mark.parametrize("id", PRESETS)
def test_lines_of_a_preset_make_what_is_shown(seen, id):
    found = seen(id)
    assert 8 <= len(found.answer["code"].splitlines()) <= 12
    names, (t, shown) = found.names, found.panel("Singular values")
    assert np.allclose(names["t"], t, rtol=1e-5)
    paths = {"one layer": names["one"]}
    if "closed" in names:
        paths["closed form"] = names["closed"]
    if "flow" in names:
        paths["flow"] = names["flow"].X
    if names.get("descent") is not None and len(names["descent"].t) == len(t):
        paths["descent"] = names["descent"].X
    assert {"one layer", "closed form"} <= paths.keys() or "No closed form" in found.said
    for kind, X in paths.items():
        values = np.linalg.svd(X, compute_uv=False)
        for i in range(values.shape[1]):
            line = shown[f"{kind} σ{'₁₂₃₄'[i]}"]
            assert np.allclose(line, values[:, i], rtol=1e-5, atol=1e-12), kind
    _, errors = found.panel("Error")
    for kind, X in paths.items():
        seen_as = X @ np.array(names.get("covariance", np.eye(X.shape[-1])))
        error = np.linalg.norm(names["Y"] - seen_as, axis=(1, 2)) / np.linalg.norm(names["Y"])
        assert np.allclose(np.nan_to_num(errors[kind]), error, rtol=1e-5, atol=1e-30), kind


@pytest.mark.parametrize("id", [id for id in PRESETS if id != "escape"])
def test_flow_and_closed_form_are_those_of_the_printed_equation(seen, id):
    found = seen(id)
    names, Sigma = found.names, found.names.get("covariance")
    start, t = names["start"].compress(), names["t"]
    X = integrated(names["Y"], start, t, None if Sigma is None else np.array(Sigma))
    assert np.abs(names["flow"].X - X).max() < 2e-8 * np.abs(X).max()
    if "regularized" in names:
        assert np.abs(names["closed"] - names["regularized"].X).max() < 1e-8 * np.abs(X).max()
    elif "closed" in names:
        assert np.abs(names["closed"] - X).max() < 2e-8 * np.abs(X).max()


def test_strong_direction_is_first_and_one_layer_knows_no_order(seen):
    t, lines = seen("order").panel("Singular values")
    half = {name: t[np.argmax(lines[name] > end / 2)] for name, end in zip(
        ("flow σ₁", "flow σ₂", "one layer σ₁", "one layer σ₂"), (3, 1, 3, 1), strict=True
    )}  # fmt: skip
    assert half["flow σ₂"] > 2.5 * half["flow σ₁"]
    assert half["one layer σ₁"] == half["one layer σ₂"] == pytest.approx(np.log(2), abs=0.06)


def test_imbalance_turns_the_order(seen):
    found = seen("modes")
    t, lines = found.panel("Singular values")
    assert t[np.argmax(lines["flow σ₁"] > 0.5)] < 0.2  # the weak one, then alone
    assert lines["flow σ₁"][len(t) // 3] == pytest.approx(1, abs=1e-3)
    first, second = map(float, found.rows["predicted, by mode"].split(", "))
    assert first == 6
    assert second == pytest.approx(np.hypot(2, 16 - 1e-4), abs=0.01)
    _, plane = found.panel("Modes in the plane")
    assert "Each mode stays on its hyperbola" in found.answer["panels"][2]["state"]["text"]
    assert len(plane) == 8


@pytest.mark.parametrize("id", ["blind", "negative", "narrow"])
def test_a_direction_is_never_learned(seen, id):
    found = seen(id, t="20")
    _, lines = found.panel("Error")
    assert lines["flow"][-1] == pytest.approx(1 / np.sqrt(10), rel=1e-6)
    assert lines["one layer"][-1] < 1e-8
    assert found.rows["at the end"] == "none"
    if id == "negative":
        assert found.rows["predicted, by mode"] == "6, none"
        _, lines = seen(id, v="0.1, -0.09", t="20").panel("Error")
        assert lines["flow"][-1] < 1e-6


def test_what_is_predicted_is_of_the_flow_that_is_shown(seen):
    rows = seen(Y="2,1;1,1", start="spectral", u="0.3,0", v="0.3,0").rows
    assert rows["predicted, by mode"] == "5.236, none"
    assert rows["guaranteed"] == "0"
    rows = seen(start="symmetric_spectral").rows
    slowest = min(map(float, rows["predicted, by mode"].split(", ")))
    assert slowest == pytest.approx(float(rows["at the end"]), rel=1e-2)
    assert rows["predicted"] == "2"  # of (12), where Proposition 2 has twice that for (5)


def test_what_rounding_becomes_near_a_saddle_is_told(seen):
    assert "may be off" not in seen("negative").said
    found = seen("negative", t="40")
    _, lines = found.panel("Error")
    assert lines["closed form"][-1] == pytest.approx(1 / np.sqrt(10), rel=1e-6)
    assert lines["flow"][-1] < 1.001 * lines["closed form"][-1]  # or it has left the saddle
    assert "may be off by" in found.said


def test_determinant_keeps_its_sign_and_descent_does_not(seen):
    found = seen("determinant")
    _, lines = found.panel("Determinant")
    assert lines["det Y"][0] == pytest.approx(3)
    assert (lines["flow"] < 0).all()
    assert abs(lines["flow"][-1]) < 1e-3
    assert lines["descent"][-1] > 0
    values = np.linalg.svd(found.names["flow"].X[-1], compute_uv=False)
    assert values[1] < 1e-4 < values[0]


def test_the_same_norm_of_Q_is_fast_in_all_directions_alone(seen):
    one, every = seen("one-direction"), seen("all-directions")
    for found in (one, every):
        assert np.linalg.norm(found.names["start"].Q) == pytest.approx(36, abs=0.02)
    assert one.reaches(1e-3) > 10 * every.reaches(1e-3)
    assert one.rate("flow") == pytest.approx(2, abs=0.05)


def test_the_end_of_the_path_tells_the_rate(seen):
    found = seen("wide")
    flow = found.names["flow"]
    end = sum(np.linalg.eigvalsh(W @ W.T)[0] for W in (flow.U[-1], flow.V[-1]))
    assert float(found.rows["at the end"]) == pytest.approx(end, rel=1e-3)
    assert found.rate("flow") == pytest.approx(end, rel=0.01)
    assert "No closed form" in found.said
    assert float(found.rows["guaranteed"]) < end


@pytest.mark.parametrize(
    ("id", "least", "lam"), [("identity", 1.0, 3.0), ("sigma-min", 0.302775638, 0.5)]
)
def test_rate_of_proposition_5_is_measured(seen, id, least, lam):
    found = seen(id)
    rate = 2 * np.hypot(least, lam / 2)
    assert float(found.rows["predicted"]) == pytest.approx(rate, rel=1e-3)
    assert found.rate("flow") == pytest.approx(rate, rel=1e-3)
    assert np.allclose(found.names["start"].Q, lam * np.eye(2), atol=1e-12)


def test_two_values_of_Q_have_a_closed_form(seen):
    found = seen("two-values")
    assert "exact.two_imbalances, q1 = 1.5, q2 = -0.5" in found.said
    assert "two_imbalances(" in found.answer["code"]


def test_the_regularized_flow_agrees_at_first(seen):
    found = seen("regularized")
    flow, other = found.names["flow"].error(found.names["Y"]), found.names["regularized"]
    other = other.error(found.names["Y"])
    assert np.abs(flow - other).max() < 0.1
    assert flow[-1] > 100 * other[-1]
    assert found.rate("flow") < 0.8 * found.rate("regularized flow")


def test_a_step_above_the_edge_ends_in_a_cycle_of_two(seen):
    found = seen("edge")
    u, path = 0.5, []
    for _ in range(39):
        path.append(u * u)
        u += 1.05 * (1 - u * u) * u
    descent = found.names["descent"]
    assert np.allclose(descent.X[:, 0, 0], path, atol=1e-9)
    assert abs(path[-1] - path[-3]) < 1e-5 < 0.1 < abs(path[-1] - path[-2])
    assert float(found.rows["largest step"]) == pytest.approx(1)
    assert found.rows["measured, descent"] == "none"
    # A flow that has not arrived has no minimum that could bear a step.
    still = seen(start="typed", U="0, 0; 0, 0", V="0, 0; 0, 0")
    assert still.rows["largest step"] == still.rows["at the end"] == "none"


def test_descent_that_leaves_is_told_and_shown_up_to_there(seen):
    found = seen("diverge")
    u, count = 3.0, 0
    while abs(u) <= 1e75:
        u += 0.4 * (1 - u * u) * u
        count += 1
    assert f"at iteration {count}" in found.said
    assert len(found.names["descent"].t) == count
    assert found.panel("Error")[1]["flow"][-1] < 1e-3


def test_the_escape_is_where_the_formula_by_hand_has_it(seen):
    found = seen("escape")
    t = found.names["t"]
    assert f"t = {np.log(2) / 4:.6g}" in found.said
    assert np.log(2) / 4 * 0.99 < t[-1] < np.log(2) / 4
    exact = 1 / (1 - 2 * np.exp(-4 * t))
    assert np.allclose(found.names["closed"][:, 0, 0], exact, rtol=1e-9)


def test_inputs_that_are_not_white_are_divided_by(seen):
    found = seen("not-white", t="40")
    assert np.allclose(found.names["flow"].X[-1], np.diag([0.75, 2]), atol=1e-6)
    assert np.allclose(found.names["covariance"], np.diag([4, 0.5]))
    assert found.panel("Error")[1]["flow"][-1] < 1e-8
    assert all("XΣ, and not X" in found.text(at) for at in ("Singular values", "Determinant"))
    assert "XΣ" not in seen("order").text("Singular values")


def test_inputs_of_equal_variance_one_are_white(seen):
    assert seen(covariance="1, 1").answer == seen().answer


def test_weights_that_see_nothing_have_singular_values_in_closed_form(seen):
    weights = {"U": "0, 0; 1, 0.5; 0.2, 1", "V": "0, 0; 0.3, 1; 1, -0.4"}
    found = seen(Y="3, 0, 0; 0, 0, 0; 0, 0, 0", start="typed", t="3", **weights)
    assert "exact.zero_target" in found.said
    X = integrated(found.names["Y"], found.names["start"], found.names["t"])
    _, lines = found.panel("Singular values")
    for i, line in enumerate(np.linalg.svd(X, compute_uv=False).T):
        assert np.allclose(lines[f"closed form σ{'₁₂₃'[i]}"], line, atol=1e-5)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("target", ["two strengths", "rank one", "more columns than rows"])
def test_each_start_and_target_is_shown_or_refused_in_words(page, start, target):
    found = page.show(given(Y=TARGETS[target], start=start))
    square = target != "more columns than rows"
    symmetric = target == "two strengths"
    fits = {"orthogonal": square, "typed": square, "imbalanced": False,
            "symmetric_spectral": symmetric, "riccati": symmetric}.get(start, True)  # fmt: skip
    assert ("error" not in found) == fits, found
    if not fits:
        assert found["field"] in ("Y", "V", "k", "lam", "X0"), found


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("start", STARTS)
def test_lines_of_each_start_target_and_option_run_from_nothing(page, start, target):
    """A combination is refused with a word on a field, or its lines make what is shown."""
    m, n = np.shape(page.module.matrix("Y", TARGETS[target]))
    U, V = ("; ".join(["0.3, 0.1"] * rows) for rows in (m, n))
    options = [{}, {"Q0": "2"}, {"covariance": np.array2string(np.eye(n))}]
    options += [{"k": "1"}, {"k": "40"}, {"step": "1e3", "t": "1e4"}]
    options += [{"det_sign": sign} for sign in ("1", "-1") if start == "balanced"]
    shown = 0
    for option in options:
        state = {"Y": TARGETS[target], "start": start, "t": "2", "U": U, "V": V} | option
        found = page.show(given(**state))
        if "error" in found:
            assert found["field"] in given(**state), (option, found)
            continue
        shown += 1
        names = {}
        exec(found["code"].replace("print(", "last = ("), names)
        assert np.isfinite(names["last"]).all(), option
        drawn = found["panels"][0]
        lines = [line["name"] for line in drawn["spec"]["lines"]]
        first = np.linalg.svd(names["one"][0], compute_uv=False)[0]
        begun = drawn["state"]["y"][lines.index("one layer σ₁")][0]
        assert begun == pytest.approx(first, rel=1e-4), option
    symmetric = target in ("two strengths", "symmetric, one eigenvalue negative")
    assert shown or (start in ("symmetric_spectral", "riccati") and not symmetric)


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_of_the_book_is_learned(page, target):
    Y = TARGETS[target]
    found = Seen(page, given(Y=Y, k="16", t="60"))
    assert found.panel("Error")[1]["flow"][-1] < 1e-4


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"Y": "1, 2; 3"}, "Y", "in each row: row 1 has 2, row 2 has 1"),
        ({"Y": "1, two"}, "Y", "row 1 of Y is not numbers alone: 'two'"),
        ({"Y": "a,b\n1,2\n3,4"}, "Y", "row 1 of Y has no number: 'a,b'; leave its words out"),
        ({"Y": "1,2\n\nsum,6"}, "Y", "row 2 of Y is not numbers alone: 'sum'"),
        ({"Y": "1, 2; 3, 4\n5, 6; 7, 8"}, "Y", "Y has semicolons within its lines"),
        ({"Y": "1,2,3; 4,5,6\n7,8,9; 1,2,3"}, "Y", "Y has semicolons within its lines"),
        ({"Y": "1.5;2,5\n3;4"}, "Y", "commas and points in its numbers, as in '2,5'"),
        ({"Y": "1.234,5;2\n3;4"}, "Y", "commas and points in its numbers, as in '1.234,5'"),
        ({"Y": "1,234.5\t2\n3\t4"}, "Y", "commas and points in its numbers"),
        ({"Y": "1,234.5 2\n3 4"}, "Y", "more than one kind of mark between its numbers"),
        ({"Y": "1 234\t2\n3\t4"}, "Y", "more than one kind of mark between its numbers"),
        ({"Y": "1,5;x\n3;4"}, "Y", "row 1 of Y is not numbers alone: 'x'"),
        (
            {"Y": "1;2\n3;4\n;\nsum of all;6"},
            "Y",
            "row 3 of Y is not numbers alone: 'sum of all'",
        ),
        ({"Y": "1\t2\n3\tx"}, "Y", "row 2 of Y is not numbers alone: 'x'"),
        ({"Y": "1 " * 29 + "x"}, "Y", "row 1 of Y is not numbers alone: 'x'"),
        ({"Y": '1,"2\n3,4'}, "Y", "row 1 of Y is not numbers alone: '1,\"2'"),
        ({"Y": "9" * 200_000}, "Y", "Y must have at most 100000 characters"),
        ({"Y": "1,234;2\n3;4,500"}, "Y", "Y has '1,234', a decimal or thousands"),
        ({"Y": "1,234\t2\n3\t4"}, "Y", "Y has '1,234', a decimal or thousands"),
        ({"Y": "1,234,5\t2\n3\t4"}, "Y", "a decimal has a point, not a comma"),
        ({"Y": "1\u202f234;2\n3;4"}, "Y", "has a narrow blank in '1\\u202f234'"),
        ({"Y": "1;;2\n3;4;5"}, "Y", "row 1 of Y has an empty place"),
        ({"Y": "1\t\t2\n3\t4\t"}, "Y", "row 1 of Y has an empty place"),
        ({"Y": "a;b\n1,5;2"}, "Y", "row 1 of Y has no number: 'a;b'"),
        ({"Y": "1'234 2\n3 4"}, "Y", "row 1 of Y is not numbers alone"),
        ({"Y": "1j, 2\n3, 4"}, "Y", "row 1 of Y is not numbers alone: '1j'"),
        ({"Y": "1, 2\n3, -inf"}, "Y", "row 2 of Y is not numbers alone"),
        ({"Y": "1 " + "9" * 400}, "Y", "row 1 of Y is not numbers alone"),
        ({"seed": "9" * 400}, "seed", "seed must be a number"),
        ({"Y": "1,5 2,5"}, "Y", "a decimal has a point, not a comma"),
        ({"Y": "1,,2\n3,,4"}, "Y", "row 1 of Y has an empty place"),
        ({"Y": "1,2\n,3"}, "Y", "row 2 of Y has an empty place"),
        ({"Y": "1,nan\n2,3"}, "Y", "row 1 of Y is not numbers alone: 'nan'"),
        ({"Y": "1,2\n2,1e400"}, "Y", "row 2 of Y is not numbers alone: '1e400'"),
        ({"Y": ""}, "Y", "Y must have numbers, and is empty"),
        ({"Y": "0, 0; 0, 0"}, "Y", "must not be zero"),
        ({"Y": "1e30, 0; 0, 1"}, "Y", "Y must be at most 1e+14 in size until t = 8"),
        ({"Y": "; ".join(["1 " * 31] * 2)}, "Y", "at most 30"),
        ({"k": "0"}, "k", "k must be an integer of at least 1"),
        ({"k": "many"}, "k", "k must be a number, got 'many'"),
        ({"k": "2.5"}, "k", "k must be an integer"),
        ({"k": "20000"}, "k", "at most 2000"),
        ({"std": "1" + "0" * 200}, "std", "std must be at most 1e+30"),
        ({"std": "1e40"}, "std", "std must be at most 1e+30"),
        ({"start": "balanced", "scale": "1e40"}, "scale", "scale must be at most 1e+30"),
        ({"start": "spectral", "v": "0, -1e40"}, "v", "v must be at most 1e+30"),
        ({"start": "typed", "V": "1, 0; 0, 1e40"}, "V", "V must be at most 1e+30"),
        ({"start": "zzz"}, "start", "start must be one of gaussian, orthogonal"),
        ({"start": "balanced", "det_sign": "2"}, "det_sign", "must be one of either, 1, -1"),
        ({"std": "-1"}, "std", "std must be >= 0"),
        ({"std": "nan"}, "std", "std must be a number"),
        ({"std": "0,1"}, "std", "a decimal has a point"),
        ({"seed": "-1"}, "seed", "seed must be an integer"),
        ({"t": ""}, "t", "t must be a number, got ''"),
        ({"t": "-2"}, "t", "t must be >= 0"),
        ({"t": "0"}, "t", "t must be above 0"),
        ({"step": "0"}, "step", "step must be above 0"),
        ({"step": "1e-9"}, "step", "step must be at least"),
        ({"Q0": "x"}, "Q0", "Q0 must be"),
        ({"Q0": "2", "covariance": "1, 2"}, "Q0", "Q0 must be empty"),
        ({"covariance": "1, 2; 0, 1"}, "covariance", "covariance must be symmetric"),
        ({"covariance": "1, -2"}, "covariance", "positive semidefinite"),
        ({"start": "imbalanced", "k": "3"}, "lam", "Q = lam I_k needs k <= m"),
        ({"start": "orthogonal", "q1": "-1"}, "q1", "q1 must be >= 0"),
        ({"start": "orthogonal", "k": "2"}, "k", "orthogonal rows need"),
        ({"start": "spectral", "u": "1, 2, 3"}, "u", "u must have at most 2 entries"),
        ({"start": "symmetric_spectral", "Y": "1, 2; 0, 1"}, "Y", "Y must be symmetric"),
        ({"start": "typed", "U": "1; 2", "V": "1, 2; 3, 4"}, "U", "same width k"),
        ({"start": "spectral", "u": "one"}, "u", "row 1 of u is not numbers alone"),
        ({"start": "typed", "U": "__import__('os')"}, "U", "row 1 of U is not numbers"),
        ({"start": "typed", "V": "1, 2"}, "V", "V must have 2 rows, as Y has columns, not 1"),
        ({"start": "riccati", "X0": "1"}, "X0", "X0 must have shape (2, 2)"),
    ],
)
def test_a_bad_value_is_told_beside_its_field(page, values, field, words):
    found = page.show(given(**values))
    assert found["field"] == field, found
    assert words in found["error"]
    if "Y" in values and "," not in values["Y"]:
        assert "comma" not in found["error"].partition(":")[0]
        assert "a decimal" not in found["error"]


def test_a_large_start_is_drawn_whole(seen):
    for more in ({"std": "1000"}, {"start": "spectral", "u": "1e6, 1e6", "v": "1e6, 1e6"}):
        for name in ("Singular values", "Error"):
            _, lines = seen(**more).panel(name)
            assert np.isfinite(lines["flow" if name == "Error" else "flow σ₁"]).all()


def test_the_widest_start_is_held(page):
    tracemalloc.start()
    found = page.show(given(k="2000", Q0="5", t="1"))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "error" not in found
    assert most < 2e8  # bytes; a phone's browser has ten times that


def test_numbers_are_read_as_they_are_typed_or_pasted(page):
    module = page.module
    texts = [
        "1,2\n3,4\n",
        "1 2; 3 4",
        "1\t2\n3\t4",
        " 1, 2 ;\n3, 4",
        "1,2,\n3,4,\n",
        "\ufeff1,2\n3,4",
    ]
    texts += ["\n1 2\n\n3 4", "[[1 2]\n [3 4]]", "1 ,2\n3 ,\t4", "1 2\r3 4", "[[1,\n2],[3, 4]]"]
    # What spreadsheets put around a table, and around a number.
    texts += ["\t1\t2\n\t3\t4", ";1;2\n;3;4", ",1,2\n,3,4", "1,2,,\n3,4,,", ",,\n1,2\n3,4\n,,"]
    texts += ['"1","2"\n"3","4"', '\ufeff"1" "2"\r\n"3" "4"\r\n', "\t1,2\n\t3,4"]
    for text in texts:
        assert module.matrix("Y", text) == [[1, 2], [3, 4]], text
    for minus in "\u2212\u2013\u2012\u2011\uff0d":
        assert module.matrix("Y", f"{minus}3e-1") == [[-module.number("std", "0.3")]]
        assert module.number("lam", f" {minus}2") == -2
    # As spreadsheets of half of Europe save CSV, or copy it.
    for text in ("1,5;2\n-3;0,25\n", "1,5;2;\r\n;;\r\n\u22123;,25;\r\n", "1,5\t2\n-3\t0,25",
                 '"1,5","2"\n"-3","0,25"', "\t1,5\t2\n\t-3\t,25"):  # fmt: skip
        assert module.matrix("Y", text) == [[1.5, 2], [-3, 0.25]], text
    assert module.matrix("Y", "0,125;1,500\n3;4") == [[0.125, 1.5], [3, 4]]
    assert module.matrix("Y", "1;2\n3;4") == [[1, 2], [3, 4]]
    # On one line it may be rows, as it is in an address; that is told.
    assert module.matrix("Y", "1,5;2,5") == [[1, 5], [2, 5]]
    for text, told in (("1,5;2,5", 1), ("1,5\n2,5", 1), ("1, 5; 2, 5", 0), ("1 5;2 5", 0)):
        said = [*module.twofold(given(Y=text))]
        assert len(said) == told, text
        assert all(
            word.startswith("Each row of Y is two numbers with a comma") for word in said
        )
    assert [*module.twofold(given(Y="[[1,5],[2,5]]"))] == []
    # On lines it may be rows as well; what it is taken for is told.
    assert module.matrix("Y", "1,5;2,5\n3,5;4,5") == [[1.5, 2.5], [3.5, 4.5]]
    told = [*module.twofold(given(Y="1,5;2,5\n3,5;4,5"))]
    assert told == ["The commas of Y are taken for decimal points."]
    assert module.covariance("4, 1", [[0.0, 2.0], [1.0, 0.0]]) == [[1, 0], [0, 4]]


def test_what_is_taken_away_is_what_is_shown(page):
    found = Seen(page, given("identity"))
    rows = [*csv.reader(io.StringIO(page.take("csv")))]
    assert rows[0] == ["panel", "series", "x", "y"]
    t, lines = found.panel("Error")
    taken = [list(map(float, r[2:])) for r in rows if r[:2] == ["Error", "closed form"]]
    assert np.allclose(taken, np.transpose([t, lines["closed form"]]))
    table = {r[1]: r[2] for r in rows if r[0] == "table"}
    assert float(table["predicted"]) == pytest.approx(np.sqrt(13), rel=1e-3)
    root = ET.fromstring(page.take("svg"))
    axes = [g for g in root.iter() if re.fullmatch(r"axes_\d+", g.get("id", ""))]
    assert len(axes) == len(found.answer["panels"]) == 5


@pytest.mark.parametrize("preset", ["blind", "edge"])  # their Q does not drift at all
def test_a_logarithmic_panel_with_nothing_above_zero_can_be_taken(page, preset):
    found = Seen(page, given(preset))
    assert "Nothing moves it" in found.text("Drift of Q")
    assert ET.fromstring(page.take("svg")).tag.endswith("svg")


def test_a_panel_that_has_a_line_does_not_say_that_it_has_none(seen):
    assert "its norm is 9" in seen("order").text("Drift of Q")
    assert "Nothing moves it" not in seen("order").text("Drift of Q")


def test_lines_run_elsewhere(page):
    found = Seen(page, given("two-values"))
    done = subprocess.run(
        [sys.executable, "-c", found.answer["code"]], capture_output=True, text=True, check=True
    )
    last = [lines[-1] for name, lines in found.panel("Singular values")[1].items()
            if name.startswith("flow")]  # fmt: skip
    assert np.allclose([*map(float, done.stdout.strip("[] \n").split())], last, rtol=1e-5)


def test_presets_are_about_claims_and_drawn(tmp_path):
    claims = {claim["id"] for claim in written("data/claims.yml")}
    content = built.load(ROOT, claims)
    assert all(preset["drawn"] and preset["claims"] for preset in content["presets"])
    touched = {id for preset in content["presets"] for id in preset["claims"]}
    amiss = {"prop-1", "prop-3", "text-6-imbalance", "text-6-general"}
    assert amiss <= touched
    (tmp_path / "data").mkdir()
    text = (ROOT / built.FILE).read_text()
    (tmp_path / built.MODULE).write_text((ROOT / built.MODULE).read_text())
    for old, new, words in (
        ("[prop-1]", "[prop-0]", "escape: no claim and no field prop-0"),
        ('X0: "-1"', 'X1: "-1"', "escape: no claim and no field X1"),
        ('X0: "-1"', 'X0: "-1, 1"', "escape: X0 must be"),
        ("panel: Determinant", "panel: Nothing", "determinant: no panel Nothing"),
        ("lines: [", "lines: [nothing, ", "no line nothing in"),
        ("lines: [", "line: [", "order: without lines"),
        ("- id: order", "- name: order", "a preset: without id"),
    ):
        (tmp_path / built.FILE).write_text(text.replace(old, new, 1))
        with pytest.raises(BuildError, match=re.escape(words)):
            built.load(tmp_path, claims)
    assert built.load(tmp_path / "data", claims) == {}
