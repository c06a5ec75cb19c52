"""HTML reports from Jinja2 templates: single files that need no network."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(
    package: str, template: str, filters: Mapping[str, Callable[..., str]] | None = None, **context: Any
) -> str:
    """Render a template, with all text escaped.

    Templates may extend `page.html.j2` and import macros from `macros.html.j2`. The filter `table` turns a
    data frame into a table, the filter `data_uri` embeds a PNG file, and the filter `caption` returns the
    caption that `degen.reporting.style.save_figure` stored with it.

    Args:
        package: package with the template, in its folder `templates`.
        template: file name of the template.
        filters: further filters of the template by name.
        context: variables of the template. Using another variable is an error.
    """
    loaders = [PackageLoader(name, "templates") for name in (package, "degen.reporting")]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"table": _table, "data_uri": _data_uri, "caption": _caption}
    environment.filters |= filters or {}
    return environment.get_template(template).render(context)


def _table(frame: pd.DataFrame) -> Markup:
    # pandas escapes the cells.
    return Markup(frame.to_html(index=False, border=0, na_rep="-"))


def _data_uri(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _caption(path: Path) -> str:
    text = path.with_suffix(".txt")
    return text.read_text(encoding="utf-8").strip() if text.exists() else ""
