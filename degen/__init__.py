"""Train ensembles of recurrent networks and measure how different their solutions are.

`load` reads the networks of a run folder. The subpackages are `tasks`, `models`, `training`, `metrics` and
`statistics`.
"""

from degen.run import Run, load
from degen.streams import Stream
from degen.versions import VERSION

__all__ = ["Run", "Stream", "load"]
__version__ = VERSION
