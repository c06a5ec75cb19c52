"""Code of the documentation's pages, for tests that run it as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def read_blocks(page: str, languages: str) -> list[tuple[str, str]]:
    """Return the language and the text of each fenced block of a page.

    Args:
        page: path below `docs/`.
        languages: languages of the blocks, separated by `|`.
    """
    return re.findall(rf"^```({languages})\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


def write_files(page: str, folder: Path) -> None:
    """Write the files that a page asks to write: "Write `path`", followed by a block of YAML."""
    for name, content in re.findall(
        r"Write\s+`(\S*?)`.*?```yaml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def run_shell(
    code: str, folder: Path, environment: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run shell code, and return its exit code and all that it prints as `stdout`.

    The commands `python` and `degen` are those of the Python of this process.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), environment["PATH"]))
    return subprocess.run(
        ["bash", "-c", code],
        cwd=folder,
        env={**environment, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
