"""The condition file of a run folder, `condition.yaml`."""

from __future__ import annotations

from pathlib import Path

import yaml

from degen.condition import Condition
from degen.errors import BadInputError, require
from degen.files import write_atomically
from degen.versions import VERSION

FORMAT = 2
"""Version of the format of run folders. Raise it when older folders can no longer be read."""

# libyaml is nine times as fast, and a status of a large sweep reads thousands of files.
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def write_condition(file: Path, condition: Condition) -> None:
    """Store a condition with its signature, the format and the version of the package."""
    header = {"signature": condition.signature, "format": FORMAT, "written_by": f"degen {VERSION}"}
    write_atomically(file, yaml.safe_dump(header | condition.config, sort_keys=False).encode())


def read_condition(file: Path) -> Condition:
    """Return the stored condition.

    Raises:
        BadInputError: the file is missing, unreadable or altered, or has a format or fields that this
            version does not support.
    """
    require(file.is_file(), "run folder", str(file.parent), "a folder with a condition.yaml")
    try:
        stored = yaml.load(file.read_text(), Loader=_LOADER)
        signature = stored.pop("signature")
        written_by, format_number = stored.pop("written_by", "degen 0.1.0"), stored.pop("format", 1)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, UnicodeDecodeError, OSError) as error:
        problem = f"{file} must be as degen wrote it, got unreadable contents ({error!r})."
        raise BadInputError(problem) from error
    this = f"degen {VERSION}"
    given = f"format {format_number} of {written_by}"
    allowed = f"of format {FORMAT}, the only one that {this} reads (read this folder with {written_by})"
    require(format_number == FORMAT, str(file), given, allowed)
    try:
        condition = Condition.from_config(stored)
    except BadInputError as error:
        problem = f"{file}, written by {written_by}, cannot be read by {this}: {error}"
        raise BadInputError(problem) from error
    allowed = f"of signature {condition.signature}, which its contents have"
    require(condition.signature == signature, str(file), signature, allowed)
    return condition
