"""A Sphinx extension: what a chapter shows, once more on another page.

The directive ``{explorer}`` puts an explorer there by its name, with a link to its chapter.
"""

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Again(SphinxDirective):
    """An explorer of a chapter."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the explorer as its chapter shows it, and where that is."""
        name = self.arguments[0]
        for chapter, notebook in self.env.app.gfbook.chapters.items():  # type: ignore[attr-defined]
            for cell in notebook["cells"]:
                for output in cell.get("outputs", ()):
                    html = "".join(output.get("data", {}).get("text/html", ""))
                    if f'class="explorer" id="{name}"' in html:
                        up = "../" * self.env.docname.count("/")
                        html = html.replace('"../_static', f'"{up}_static')
                        return [nodes.raw("", html, format="html"), self._source(chapter)]
        raise self.error(f"no chapter has an explorer {name}")

    def _source(self, chapter: str) -> nodes.paragraph:
        link = addnodes.pending_xref(
            "",
            nodes.inline(),
            refdomain="std",
            reftype="doc",
            reftarget=f"/{chapter}",
            refexplicit=False,
            refwarn=True,
            refdoc=self.env.docname,
        )
        return nodes.paragraph("", "", nodes.Text("From "), link, classes=["from"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Say to Sphinx what the directive is."""
    app.add_directive("explorer", Again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
