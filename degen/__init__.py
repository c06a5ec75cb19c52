"""Train ensembles of recurrent networks and measure how different their solutions are.

`load` reads the networks of a run folder. `compare` compares networks from anywhere. The
subpackages are `tasks`, `models`, `training`, `metrics`, `statistics` and `comparison`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from degen.run import Run, load
from degen.streams import Stream
from degen.versions import VERSION

if TYPE_CHECKING:
    from degen.comparison import compare, run_state_dict

__all__ = ["Run", "Stream", "compare", "load", "run_state_dict"]
__version__ = VERSION


def __getattr__(name: str) -> Any:
    """Import what is not needed for training when it is used, because SciPy takes a second."""
    if name in ("comparison", "metrics", "statistics"):
        return importlib.import_module(f"degen.{name}")
    if name in ("compare", "run_state_dict"):
        return getattr(importlib.import_module("degen.comparison"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
