"""Exceptions with messages for the user, and checks of arguments."""

from __future__ import annotations

import math
import numbers
from typing import Any

_INTEGER_LIMIT = 2**63
"""Sizes from here on do not fit into an integer of torch."""


class BadInputError(ValueError):
    """A value from the user is not allowed. The message says which value is, in one sentence.

    Commands print the message and end with exit code 2.
    """


class UnwritableError(OSError):
    """A file cannot be written, for example on a full disk. Existing files are intact."""


def require(holds: bool, field: str, value: Any, allowed: str) -> None:
    """Raise `BadInputError` with the field, its value and the allowed values, unless `holds`.

    Examples:
        >>> require(False, "width", 0, "an integer of at least 1")
        Traceback (most recent call last):
            ...
        degen.errors.BadInputError: width must be an integer of at least 1, got 0.
    """
    if not holds:
        raise BadInputError(f"{field} must be {allowed}, got {value!r}.")


def require_integer(field: str, value: Any, minimum: int) -> None:
    """Raise `BadInputError` unless `value` is an integer of at least `minimum`."""
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    require(is_integer and value >= minimum, field, value, f"an integer of at least {minimum}")
    require(value < _INTEGER_LIMIT, field, value, "an integer below 2^63")


def require_number(
    field: str,
    value: Any,
    *,
    above: float = -math.inf,
    minimum: float = -math.inf,
    maximum: float = math.inf,
) -> None:
    """Raise `BadInputError` unless `value` is a finite number within the given bounds.

    `above` is exclusive; `minimum` and `maximum` are inclusive.
    """
    bounds = ((above, "above"), (minimum, "of at least"), (maximum, "of at most"))
    words = [f"{word} {bound:g}" for bound, word in bounds if math.isfinite(bound)]
    holds = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    holds = holds and above < value and minimum <= value <= maximum
    require(holds, field, value, " ".join(["a finite number", *words]).replace(" of at most", " and at most"))


def require_choice(field: str, value: Any, choices: tuple[object, ...]) -> None:
    """Raise `BadInputError` unless `value` is one of `choices`."""
    require(value in choices, field, value, "one of " + ", ".join(map(str, choices)))
