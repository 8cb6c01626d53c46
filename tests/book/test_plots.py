"""Names of lines in the drawing."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from gfbook import plots


@pytest.fixture
def ax():
    with plt.rc_context():
        plots.style()
        figure, ax = plt.subplots()
        yield ax
        plt.close(figure)


def boxes(ax):
    """Return the names that stand in a drawing, with their places."""
    ax.figure.draw_without_rendering()
    return {text.get_text(): text.get_window_extent() for text in ax.texts}


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_names_stand_in_the_frame_on_no_line_and_on_no_other_name(ax, scale):
    t = np.linspace(0.1, 8, 400)
    for rate in (0.05, 0.2, 0.7):
        ax.plot(t, np.exp(-rate * t), label=f"rate {rate}")
    ax.plot(t, 0.9 + 0 * t, label="_quiet")
    ax.set(yscale=scale, ylim=(1e-4, 2))
    plots.name(ax)
    found = boxes(ax)
    assert sorted(found) == ["rate 0.05", "rate 0.2", "rate 0.7"]
    assert ax.get_legend() is None
    drawn = [ax.transData.transform(line.get_xydata()) for line in ax.lines]
    for label, box in found.items():
        inside = [box.contains(*point) for points in drawn for point in points]
        assert not any(inside)
        assert not any(box.overlaps(other) for name, other in found.items() if name != label)
        assert ax.bbox.contains(*box.min)
        assert ax.bbox.contains(*box.max)
        far = [np.hypot(*(a - a.clip(box.min, box.max)).T).min() for a in drawn[:3]]
        assert ax.lines[int(np.argmin(far))].get_label() == label


def test_lines_that_are_too_close_have_a_legend(ax):
    t = np.linspace(0, 1, 50)
    for i in range(12):
        ax.plot(t, np.sin(2 * np.pi * t + i / 4), label=f"line {i}")
    plots.name(ax)
    assert boxes(ax) == {}
    assert len(ax.get_legend().get_texts()) == 12
