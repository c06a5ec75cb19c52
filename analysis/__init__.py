"""Analysis of trained networks: tables, figures and reports from run folders."""

import importlib.util
import os

# A Jupyter kernel passes its Matplotlib backend on to the commands that it starts. Matplotlib cannot be
# imported with a backend that this environment lacks.
_backend = os.environ.get("MPLBACKEND", "").removeprefix("module://").partition(".")[0]
if os.environ.get("MPLBACKEND", "").startswith("module://") and importlib.util.find_spec(_backend) is None:
    del os.environ["MPLBACKEND"]
