"""Sphinx: MyST pages, furo, Diataxis folders."""

from slugkit import __version__

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
