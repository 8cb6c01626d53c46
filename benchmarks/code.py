"""How much of each page of the book is code that is seen, in Chromium at 1280 pixels.

``python benchmarks/code.py [SITE]`` prints for each page of chapters its height in pixels, the
share of it that is visible code, and how much of that is in cells that check, draw, or neither.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from gfbook.build.browser import chromium

MEASURE = """() => {
  const height = document.querySelector("article").scrollHeight;
  const found = { height, checks: 0, draws: 0, other: 0 };
  for (const code of document.querySelectorAll("article div.cell_input")) {
    const cell = code.closest("div.cell");
    const kind = cell.querySelector(".claim") ? "checks"
      : cell.querySelector("figure, .explorer") ? "draws" : "other";
    if (code.checkVisibility()) found[kind] += code.getBoundingClientRect().height;
  }
  return found;
}"""
SETTLED = "!window.MathJax || MathJax.startup.promise.then(() => true)"


def measured(site: Path) -> dict[str, dict[str, float]]:
    """Return the pixels of each page's height and of its code, by the kind of its cell."""
    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        for path in sorted(site.glob("chapters/*.html")):
            page.goto(path.resolve().as_uri())
            page.wait_for_function(SETTLED)
            if page.locator("div.cell").count():
                found[path.stem] = page.evaluate(MEASURE)
        browser.close()
    return found


def main() -> None:
    """Print the table."""
    print(f"{'page':30} {'height':>7} {'code':>5}  checks  draws  other")
    for name, at in measured(Path(*sys.argv[1:] or ["_build/html"])).items():
        shares = [at[kind] / at["height"] for kind in ("checks", "draws", "other")]
        told = "".join(f"{share:7.0%}" for share in shares)
        print(f"{name:30} {at['height']:7.0f} {sum(shares):5.0%} {told}")


if __name__ == "__main__":
    main()
