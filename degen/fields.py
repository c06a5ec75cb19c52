"""Dataclass fields that can be added to a class without renaming existing conditions."""

from __future__ import annotations

import dataclasses
from typing import Any

_NEUTRAL = "neutral"


def neutral(value: Any) -> Any:
    """Declare a dataclass field whose `value` means "this option is off".

    A condition's signature leaves such a field out while it has this value. Run folders that were written
    before the field existed therefore keep their names, and are read as having this value. The value must
    never change.

    Examples:
        >>> import dataclasses
        >>> @dataclasses.dataclass(frozen=True, kw_only=True)
        ... class Noisy:
        ...     n_steps: int
        ...     noise_std: float = neutral(0.0)
        >>> neutral_fields(Noisy)
        {'noise_std': 0.0}
    """
    return dataclasses.field(default=value, metadata={_NEUTRAL: True})


def neutral_fields(cls: type) -> dict[str, Any]:
    """Return the neutral fields of a class with their values, by name."""
    if not dataclasses.is_dataclass(cls):
        return {}
    return {field.name: field.default for field in dataclasses.fields(cls) if field.metadata.get(_NEUTRAL)}
