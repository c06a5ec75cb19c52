"""Report of a comparison: one HTML file with tables and figure."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from degen.errors import require
from degen.files import write_atomically
from degen.reporting.html import render
from degen.reporting.style import save_figure
from degen.versions import VERSION

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def require_writable(path: Path) -> None:
    """Raise `BadInputError` unless a report can have this path."""
    require(path.parent.is_dir(), "folder of the report", str(path.parent), "an existing folder")
    require(not path.is_dir(), "path of the report", str(path), "a file, such as report.html")


def write_report(path: Path, figure: Figure, **contents: Any) -> Path:
    """Write the report, and return its path.

    Args:
        path: the HTML file.
        figure: figure of the comparison.
        contents: values of the template `comparison.html.j2`.

    Raises:
        UnwritableError: the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        _, image = save_figure(figure, Path(folder), "comparison")
        text = render("degen.comparison", "comparison.html.j2", image=image, version=VERSION, **contents)
    write_atomically(path, text.encode())
    return path
