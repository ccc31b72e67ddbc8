"""Sphinx: MyST pages, furo, Diataxis folders."""

import re
from typing import TYPE_CHECKING, Any

from slugkit import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "slugkit"
author = "the slugkit authors"
copyright = "2026, the slugkit authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "slugkit"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
python_display_short_literal_types = True
nitpicky = False
suppress_warnings = ["myst.header"]


def public(*told: Any) -> tuple[str | None, str | None]:  # noqa: ANN401 - six kinds of things
    """Return a signature without the parameters that begin with _: they are between slugkit's own rooms."""
    *_, signature, returns = told
    return signature and re.sub(r", (\*, )?_\w+=[^,)]*", "", signature), returns


def readable(*told: Any) -> None:  # noqa: ANN401 - six kinds of things
    """Take references to the specification out of a docstring: they are for whoever changes slugkit."""
    lines = told[-1]
    lines[:] = re.sub(r" \(contract\.md [\d.]+\)", "", "\n".join(lines)).split("\n")


def setup(app: "Sphinx") -> None:
    """Have autodoc show what is public."""
    app.connect("autodoc-process-signature", public)
    app.connect("autodoc-process-docstring", readable)
