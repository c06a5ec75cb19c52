"""degen: how different are networks trained on the same task, and what controls that?"""

from degen.run import Run, load

__all__ = ["Run", "load"]
__version__ = "0.1.0"
