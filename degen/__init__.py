"""Train ensembles of recurrent networks and measure how different their solutions are.

`load` reads the networks of a run folder. `compare` compares networks from anywhere. The
subpackages are `tasks`, `models`, `training`, `metrics`, `statistics` and `comparison`.
"""

from degen.comparison import compare, run_state_dict
from degen.run import Run, load
from degen.streams import Stream
from degen.versions import VERSION

__all__ = ["Run", "Stream", "compare", "load", "run_state_dict"]
__version__ = VERSION
