"""Source files of the user's modules: those that a condition names, and those that they import."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from launch.paths import PROJECT_ROOT

OWN_PACKAGES = ("degen", "launch", "analysis")
"""Packages of this project."""


def require_not_shadowed() -> None:
    """Raise `ImportError` if Python would import a file or folder of the user in place of a package of ours.

    `python -m` looks into the current folder first.
    """
    for name in OWN_PACKAGES:
        spec = importlib.util.find_spec(name)
        paths = (
            []
            if spec is None
            else [Path(path) for path in spec.submodule_search_locations or [spec.origin or ""]]
        )
        if paths and paths[0].resolve().parent != PROJECT_ROOT:
            allowed = "only degen may have: rename it, or run the command degen in place of python -m"
            raise ImportError(f"{paths[0]} has a name that {allowed}.", name="launch")


def source_files(names: Sequence[str]) -> dict[str, Path]:
    """Return the source file of modules outside degen, and of all modules of the user that they import.

    Modules of the user lie in the folder of the named module's top-level package, such as `laboratory/` and
    `helpers.py` for `laboratory.echo`. For an installed module only its own package counts. Imports are read
    from the source, also those inside functions.

    Args:
        names: dotted names of imported modules.

    Returns:
        Files by the dotted name of their module, sorted by name.
    """
    files: dict[str, Path] = {}
    for name in names:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and not _is_own(name, Path(file)):
            _collect(name, _root(name, Path(file)), files)
            files.setdefault(name, Path(file))  # of a module without a source in the usual place
    return dict(sorted(files.items()))


def _is_own(name: str, file: Path) -> bool:
    return name.partition(".")[0] in OWN_PACKAGES and file.resolve().is_relative_to(PROJECT_ROOT)


def _root(name: str, file: Path) -> Path:
    """Return the folder from which a module's top-level package is imported."""
    depth = name.count(".") + (file.name == "__init__.py")
    return file.parents[depth]


def _collect(name: str, root: Path, files: dict[str, Path]) -> None:
    """Add a module and everything that it imports to `files`."""
    waiting = [name]
    is_installed = root.name in ("site-packages", "dist-packages")
    while waiting:
        module = waiting.pop()
        top = module.partition(".")[0]
        is_foreign = top != name.partition(".")[0] if is_installed else top in OWN_PACKAGES
        file = None if is_foreign or module in files else _find(module, root)
        if file is not None:
            files[module] = file
            waiting += _imports(module, file)


def _find(module: str, root: Path) -> Path | None:
    """Return the source file of a module below `root`, None if there is none."""
    path = root.joinpath(*module.split("."))
    return next(
        (file for file in (path / "__init__.py", path.with_name(f"{path.name}.py")) if file.is_file()), None
    )


def _imports(module: str, file: Path) -> Iterator[str]:
    """Yield the dotted names that a module may import. Some of them are names of functions and classes."""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    yield from (".".join(package[:depth]) for depth in range(1, len(package) + 1))
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (prefix for alias in node.names for prefix in _prefixes(alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = [*base, *(node.module or "").split(".")] if node.module else base
            yield from (prefix for alias in node.names for prefix in _prefixes([*start, alias.name]))


def _prefixes(words: list[str]) -> list[str]:
    """Return the module and its packages: importing a.b.c also imports a and a.b."""
    return [".".join(words[:depth]) for depth in range(1, len(words) + 1)]
