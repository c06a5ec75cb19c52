"""Snapshot of the code in use, from which jobs run. Edits of the working tree do not reach them."""

from __future__ import annotations

import errno
import shutil
import sys
import sysconfig
from pathlib import Path

from degen.errors import UnwritableError
from launch.paths import CONF, PROJECT_ROOT
from launch.provenance import git_commit

_EXCLUDED = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "*.safetensors")


def snapshot_code(target: Path) -> None:
    """Copy degen, launch, analysis, conf/, and every other module in use that is not installed.

    Raises:
        UnwritableError: the copy cannot be written, because the disk is full for example.
    """
    try:
        _copy(target)
    except shutil.Error as error:  # one reason per file; report the first
        raise UnwritableError(errno.EIO, error.args[0][0][2], str(target)) from error
    except OSError as error:
        raise UnwritableError(error.errno, error.strerror, str(target)) from error


def _copy(target: Path) -> None:
    for name in ("degen", "launch", "analysis"):
        shutil.copytree(PROJECT_ROOT / name, target / name, ignore=_EXCLUDED)
    if not CONF.is_relative_to(PROJECT_ROOT / "launch"):
        shutil.copytree(CONF, target / "conf", ignore=_EXCLUDED)
    (target / "git_commit").write_text(git_commit() or "")
    for source in _user_modules():
        if source.is_dir():
            shutil.copytree(source, target / source.name, ignore=_EXCLUDED, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target / source.name)


def require_snapshot(code: Path) -> None:
    """Raise `RuntimeError` unless this process runs the snapshot in that folder."""
    if code.resolve() != PROJECT_ROOT:
        raise RuntimeError(f"this job must run the code in {code}, but it runs the code in {PROJECT_ROOT}")


def _user_modules() -> set[Path]:
    """Return the files and folders of top-level modules that the user wrote, such as a task's."""
    paths: set[Path] = set()
    for name, module in list(sys.modules.items()):
        if "." not in name and name != "__main__":
            locations = getattr(module, "__path__", None) or [getattr(module, "__file__", None)]
            paths.update(Path(location).resolve() for location in locations if location)
    return {path for path in paths if path.exists() and not _is_installed(path)}


def _is_installed(path: Path) -> bool:
    """Return whether a module belongs to Python, to an installed package, or to this project."""
    standard = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")]
    return any(folder in path.parents for folder in (*standard, PROJECT_ROOT)) or any(
        parent.name in ("site-packages", "dist-packages") for parent in path.parents
    )
