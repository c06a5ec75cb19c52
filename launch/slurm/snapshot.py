"""A copy of the code in use, from which jobs run: to edit the working tree changes nothing for them."""

from __future__ import annotations

import errno
import shutil
import sys
import sysconfig
from pathlib import Path

from degen.errors import UnwritableError
from launch.paths import CONF, PROJECT_ROOT
from launch.training_record import git_commit

_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "*.safetensors")


def freeze(target: Path) -> None:
    """Copy degen, launch, analysis, conf/, and every other module in use that is not installed.

    Raises:
        UnwritableError: the disk is full, say.
    """
    try:
        _copy(target)
    except shutil.Error as error:  # of many files: what went wrong with the first
        raise UnwritableError(errno.EIO, error.args[0][0][2], str(target)) from error
    except OSError as error:
        raise UnwritableError(error.errno, error.strerror, str(target)) from error


def _copy(target: Path) -> None:
    for name in ("degen", "launch", "analysis"):
        shutil.copytree(PROJECT_ROOT / name, target / name, ignore=_LEFT_OUT)
    if not CONF.is_relative_to(PROJECT_ROOT / "launch"):
        shutil.copytree(CONF, target / "conf", ignore=_LEFT_OUT)
    (target / "git_commit").write_text(git_commit() or "")
    for source in _own_modules():
        if source.is_dir():
            shutil.copytree(source, target / source.name, ignore=_LEFT_OUT, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target / source.name)


def require_frozen(code: Path) -> None:
    """Raise `RuntimeError` unless this process runs the copy there."""
    if code.resolve() != PROJECT_ROOT:
        raise RuntimeError(f"this job was to run the code in {code}, and runs that in {PROJECT_ROOT}")


def _own_modules() -> set[Path]:
    """Files and folders of the top-level modules that the user wrote: a task's, say."""
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")]
    found = set()
    for name in [name for name in sys.modules if "." not in name and name != "__main__"]:
        module = sys.modules[name]
        places = getattr(module, "__path__", None) or [getattr(module, "__file__", None)]
        for place in [Path(place).resolve() for place in places if place]:
            is_own = place.exists() and PROJECT_ROOT not in place.parents
            is_installed = any(folder in place.parents for folder in installed) or any(
                parent.name in ("site-packages", "dist-packages") for parent in place.parents
            )
            if is_own and not is_installed:
                found.add(place)
    return found
