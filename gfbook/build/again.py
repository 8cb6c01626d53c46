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
        explorers = self.env.app.gfbook.explorers  # type: ignore[attr-defined]
        if name not in explorers:
            raise self.error(f"no chapter has an explorer {name}")
        chapter, html = explorers[name]
        html = html.replace('"../_static', f'"{"../" * self.env.docname.count("/")}_static')
        to: dict[str, Any] = {"refdomain": "std", "reftype": "doc", "reftarget": f"/{chapter}"}
        to |= {"refexplicit": False, "refwarn": True, "refdoc": self.env.docname}
        link = addnodes.pending_xref("", nodes.inline(), **to)
        where = nodes.paragraph("", "", nodes.Text("From "), link, classes=["from"])
        return [nodes.raw("", html, format="html"), where]


def setup(app: Sphinx) -> None:
    """Say to Sphinx what the directive is."""
    app.add_directive("explorer", Again)
