"""With a kernel: an explorer in JupyterLab answers with what gfcore gives at that setting."""

import pytest

from benchmarks import live
from tests.site.conftest import answers


@pytest.mark.slow
def test_explorer_in_jupyterlab_answers_with_what_gfcore_gives(browser, tmp_path):
    explorer = live.explorer()
    with live.lab(browser, tmp_path) as box:
        slider, choice = box.locator("input[type=range]"), box.locator("select")
        seen = set()

        def is_answer():
            """The sentence, the label, the value in words and the curve, at this position."""
            expected = answers(box, explorer)
            assert slider.get_attribute("aria-valuetext") == expected["said"][0]
            assert box.locator("output").inner_text() == expected["said"][0]
            picture = box.locator("canvas").evaluate("c => c.toDataURL()")
            seen.add((expected["text"], tuple(expected["y"][0]), picture))

        is_answer()
        slider.focus()
        for key in ("End", "PageDown", "Home", "ArrowRight"):
            box.page.keyboard.press(key)
            is_answer()
        assert slider.input_value() == "0.01"  # no page of the book has an answer for this
        choice.focus()
        box.page.keyboard.press("ArrowDown")
        is_answer()
        assert len(seen) == 6
