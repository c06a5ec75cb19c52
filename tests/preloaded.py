"""Modules that commands in forked processes need, imported before the first fork.

Garbage collection would take up to a third of the time of these imports.
"""

import gc
import importlib

COMMANDS = "launch.train", "launch.submit", "launch.status", "analysis.__main__", "analysis.submit"

gc.disable()
for module in (*COMMANDS, "tests.conftest", "tests.composed"):
    importlib.import_module(module)
gc.freeze()
gc.enable()
