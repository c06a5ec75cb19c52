"""Calls of user-defined functions, whose errors become one sentence."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from degen.errors import BadInputError

P = ParamSpec("P")
R = TypeVar("R")


class FailedCallError(BadInputError):
    """A function of the user raised an unexpected error."""


def call(name: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function of the user, and turn an unexpected error into `FailedCallError`.

    Args:
        name: name of the function, for the message.

    Raises:
        FailedCallError: the function raised an error other than `BadInputError`. The message names the error,
            the file and the line.

    Examples:
        >>> call("Echo.generate", lambda n: [][n], 3)
        Traceback (most recent call last):
            ...
        degen.calls.FailedCallError: Echo.generate must not fail, got IndexError: list index out of range ...
    """
    try:
        return function(*args, **kwargs)
    except BadInputError:
        raise
    except Exception as error:
        # The innermost line of the user's own code, rather than of a package that it calls.
        frames = [
            f for f in traceback.extract_tb(error.__traceback__)[1:] if "site-packages" not in f.filename
        ]
        where = "".join(f" ({frame.filename}, line {frame.lineno})" for frame in frames[-1:])
        text = " ".join(str(error).split())
        raise FailedCallError(f"{name} must not fail, got {type(error).__name__}: {text}{where}.") from error
