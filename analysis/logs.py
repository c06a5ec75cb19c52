"""Progress messages of the analysis: plain lines on standard output, warnings on standard error."""

from __future__ import annotations

import logging
import sys


def log_to_terminal() -> None:
    """Print the messages of the package `analysis`."""
    progress = logging.StreamHandler(sys.stdout)
    progress.addFilter(lambda record: record.levelno < logging.WARNING)
    warnings = logging.StreamHandler(sys.stderr)
    warnings.setLevel(logging.WARNING)
    warnings.setFormatter(logging.Formatter("warning: %(message)s"))
    logger = logging.getLogger("analysis")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [progress, warnings]
