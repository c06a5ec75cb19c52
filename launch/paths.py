"""Folders of the project itself."""

from __future__ import annotations

from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The folder that contains the packages `degen`, `launch` and `analysis`."""

CONF = next(folder for folder in (PROJECT_ROOT / "launch" / "conf", PROJECT_ROOT / "conf") if folder.is_dir())
"""The Hydra configuration: inside `launch` after an installation, next to `launch` in a checkout."""
