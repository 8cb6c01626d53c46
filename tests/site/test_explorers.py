"""The explorers on their pages: each control moves the sentence and the picture."""

import pytest

from tests.book.test_explore import shown, unpacked


@pytest.mark.parametrize("view", ["desk", "phone"])
def test_each_explorer_answers_on_the_page(site, visit, view):
    pages = {}
    for path, name in shown(site):
        pages.setdefault(path.removesuffix(".html"), []).append(name)
    for path, names in pages.items():
        page = visit(path, view)
        for name in names:
            box = page.locator(f"#{name}")
            box.scroll_into_view_if_needed()
            canvas = box.locator("canvas")
            canvas.wait_for()
            text = (site / f"{path}.html").read_text().split(f'id="{name}"')[1]
            data, _ = unpacked(text.split("</script>")[0] + "</script>")

            def state(box=box, canvas=canvas):
                """The sentence and the picture."""
                words = box.locator(".explorer-answer").inner_text()
                assert words in box.locator(".explorer-plot").get_attribute("aria-label")
                return words, canvas.evaluate("c => c.toDataURL()")

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
            assert box.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
        page.close()
