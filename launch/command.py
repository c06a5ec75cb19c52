"""degen: train recurrent networks and measure how different their solutions are.

    degen train     train a condition, a sweep or an experiment
    degen submit    train on a SLURM cluster
    degen status    list conditions, networks and jobs
    degen cancel    cancel a submission
    degen analyze   measure degeneracy: tables and figures
    degen compare   compare networks from files: arrays or PyTorch state_dicts
    degen report    Table 1, numbered figures and report of the paper's experiments
    degen completion    make bash complete these: eval "$(degen completion)"

Examples:
    degen train task=flip_flop task.channels=2 width=64 scale=reduced
    degen train experiment=demo
    degen analyze experiment=demo

`degen COMMAND --help` explains a command. Each is also a module, such as `python -m launch.train`.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from types import ModuleType

from launch.user_code import OWN_PACKAGES

MODULES = {
    "train": "launch.train",
    "submit": "launch.submit",
    "status": "launch.status",
    "cancel": "launch.cancel",
    "analyze": "analysis.__main__",
    "compare": "launch.compare",
    "report": "analysis.paper",
    "completion": "launch.completion",
}


def main() -> None:
    """Run the command named by the first argument."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in ("", "--help", "-h"):
        print((__doc__ or "").strip())
        sys.exit(0 if name else 2)
    if name not in MODULES:
        print(f"error: degen must be given one of {', '.join(MODULES)}, got {name!r}.", file=sys.stderr)
        sys.exit(2)
    # Figures are drawn to files. A name that Matplotlib does not know would end its import.
    os.environ["MPLBACKEND"] = "agg"
    # A folder of the user with the name of a package must not take its place. Completion imports none of the
    # user's modules, and must not wait for torch.
    for package in OWN_PACKAGES if name != "completion" else ():
        _import(package)
    # Tasks of the user are imported from the current folder. At the end of the path, it shadows no package.
    sys.path.append("")
    sys.argv = [f"degen {name}", *sys.argv[2:]]
    _import(MODULES[name]).main()


def _import(name: str) -> ModuleType:
    """Import a module without garbage collection, and exempt its objects. This saves a third of the start."""
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


if __name__ == "__main__":
    main()
