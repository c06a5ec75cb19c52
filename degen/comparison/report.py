"""Report of a comparison: one HTML file with tables and figure."""

from __future__ import annotations

import tempfile
from pathlib import Path

from degen.comparison.figure import draw
from degen.comparison.result import Comparison
from degen.comparison.text import format_degeneracies, format_differences
from degen.errors import require
from degen.files import write_atomically
from degen.reporting.html import render
from degen.reporting.style import save_figure
from degen.versions import VERSION


def require_writable(path: Path) -> None:
    """Raise `BadInputError` unless a report can have this path."""
    require(path.parent.is_dir(), "folder of the report", str(path.parent), "an existing folder")
    require(not path.is_dir(), "path of the report", str(path), "a file, such as report.html")


def write_report(comparison: Comparison, path: Path) -> Path:
    """Write the report, and return its path.

    Raises:
        BadInputError: the folder of the file does not exist, or the path is a folder.
        UnwritableError: the file cannot be written.
    """
    require_writable(path)
    with tempfile.TemporaryDirectory() as folder:
        _, image = save_figure(draw(comparison), Path(folder), "comparison")
        text = render(
            "degen.comparison",
            "comparison.html.j2",
            n_networks=comparison.n_networks,
            degeneracies=format_degeneracies(comparison.table()),
            differences=format_differences(comparison.differences()),
            image=image,
            settings=comparison.settings,
            skipped=comparison.skipped,
            notes=comparison.notes,
            version=VERSION,
        )
    write_atomically(path, text.encode())
    return path
