"""Progress of an ensemble in training: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import statistics
import sys
import time
from types import TracebackType

from tqdm import tqdm

from degen.training import Ensemble, Training, status

logger = logging.getLogger(__name__)

_LOG_INTERVAL_S = 10.0


class Progress:
    """Number of finished networks and median loss of the running networks, updated every epoch.

    Args:
        title: text before the first line.
        training: the recipe, from which the status of a network follows.
        n_networks: number of networks to train.
        purpose: text after the first line.
    """

    def __init__(self, title: str, training: Training, n_networks: int, purpose: str = ""):
        self.title = title
        self.purpose = purpose
        self.training = training
        self.n_networks = n_networks
        self.counts = {"converged": 0, "unconverged": 0, "diverged": 0}
        self.logged_at = 0.0
        self.started_at = time.monotonic()
        self.bar: tqdm | None = None

    def __enter__(self) -> Progress:
        logger.info("%s: training %d networks%s", self.title, self.n_networks, self.purpose)
        if sys.stderr.isatty():
            self.bar = tqdm(total=self.n_networks, unit="network")
        return self

    def update(self, running: Ensemble, done: Ensemble) -> None:
        """Show the state after an epoch.

        Args:
            running: the networks that train on.
            done: the networks that ended in this epoch.
        """
        for history in done.histories:
            self.counts[status(history, self.training)] += 1
        text = self._describe(running)
        if self.bar is not None:
            self.bar.set_postfix_str(text)
            self.bar.update(len(done))
        elif not len(running) or time.monotonic() - self.logged_at >= _LOG_INTERVAL_S:
            self.logged_at = time.monotonic()
            logger.info("  %6.0f s  %s", self.logged_at - self.started_at, text)

    def _describe(self, running: Ensemble) -> str:
        parts = [f"{count} {word}" for word, count in self.counts.items() if count]
        if len(running):
            epoch = max(len(history) for history in running.histories)
            loss = statistics.median(history.loss[-1] for history in running.histories)
            validation = statistics.median(history.validation_loss[-1] for history in running.histories)
            parts.insert(0, f"epoch {epoch}, loss {loss:.3g}, validation {validation:.3g}")
        return ", ".join(parts)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()
