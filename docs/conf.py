"""Sphinx configuration of the documentation site (`make docs`)."""

from degen.versions import VERSION

project = "degen"
author = "the degen developers"
copyright = f"2026, {author}"
version = release = VERSION

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
# Tables that commands write. Pages link to them.
exclude_patterns = ["reproduction/*/table-1.md"]

# Examples in docstrings run as doctests; pages with code cells run in the build.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
# Pages write files.
nb_execution_in_temp = True
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_type_aliases = {"Array": "Array"}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Attributes of a named tuple are described once: autodoc documents its fields, too.
napoleon_use_ivar = True
# A name in single backticks is code, as everywhere in the docstrings.
default_role = "code"
# Packages export classes of their modules, so that a name in a signature has two equal targets.
suppress_warnings = ["ref.python"]

html_theme = "pydata_sphinx_theme"
html_title = "degen"
html_show_sourcelink = False
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
