"""degen: how different are networks trained on the same task, and what controls that?"""

from degen.run import Run, load
from degen.streams import Stream
from degen.versions import VERSION

__all__ = ["Run", "Stream", "load"]
__version__ = VERSION
