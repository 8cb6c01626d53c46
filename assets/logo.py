"""Draw the logo and the icon: modes of the paper's (20), calculated by gfcore.

``python assets/logo.py`` writes logo.svg and favicon.svg beside it. Each mode runs on its
hyperbola u^2 - v^2 = lam from near the saddle to the curve uv = sigma, the minima.
"""

from pathlib import Path

import numpy as np

import gfcore as gf

SIGMA, SIDE = 1.0, 2.4  # the target, and how far the picture reaches
TIMES = np.linspace(0, 4, 25)
HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"{}>\n<title>{}</title>\n'
LINE = '<path d="{}" fill="none" stroke="{}" stroke-width="{}" stroke-linecap="round"/>\n'
DOT = '<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}"/>\n'
MINIMA, PATHS = "#D55E00", "#0072B2"  # of gfbook.plots: each stands out on white and on black


def mode(lam: float, x0: float) -> np.ndarray:
    """Return the points (u, v) of a mode of imbalance lam that starts at uv = x0."""
    x = gf.exact.spectral_modes(SIGMA, lam, x0, TIMES)
    square = (lam + np.hypot(lam, 2 * x)) / 2
    u = np.sqrt(square)
    return np.stack([u, x / u], axis=1)


def place(points: np.ndarray) -> np.ndarray:
    """Return where points of the plane are in the picture, v upwards."""
    return 4 + 56 * np.stack([points[:, 0] / SIDE, 1 - points[:, 1] / SIDE], axis=1)


def path(points: np.ndarray) -> str:
    """Return a polygonal line for SVG."""
    return "M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in place(points))


def draw(imbalances: tuple[float, ...], width: float, size: str, title: str) -> str:
    """Return a picture of the minima and of one mode for each imbalance."""
    u = np.geomspace(SIGMA / SIDE, SIDE, 41)
    text = HEAD.format(size, title)
    text += LINE.format(path(np.stack([u, SIGMA / u], axis=1)), MINIMA, width)
    for lam in imbalances:
        points = mode(lam, 0.01)
        text += LINE.format(path(points), PATHS, width)
        text += DOT.format(*place(points)[-1], 1.2 * width, PATHS)
    return text + "</svg>\n"


def pictures() -> dict[str, str]:
    """Return each file of assets/ that is drawn here, and its text."""
    title = "Paths of gradient flow on hyperbolas, and the curve of minima they end at"
    many = (-3.0, -1.0, 0.0, 1.0, 3.0)
    return {
        "logo.svg": draw(many, 2.2, ' width="128" height="128"', title),
        "favicon.svg": draw((-1.5, 1.5), 5.5, "", title),
    }


if __name__ == "__main__":
    for name, text in pictures().items():
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")
