"""Progress of an ensemble: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import statistics
import sys
import time
from types import TracebackType

from tqdm import tqdm

from degen.training import Ensemble, Training, status

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts of finished networks and the median loss of those in training, epoch by epoch."""

    def __init__(self, title: str, training: Training, members: int):
        self.title = title
        self.training = training
        self.members = members
        self.counts = {"converged": 0, "unconverged": 0, "diverged": 0}
        self.printed = 0.0
        self.started = time.monotonic()
        self.bar = tqdm(total=members, unit="network") if sys.stderr.isatty() else None

    def __enter__(self) -> Progress:
        if self.bar is None:
            print(f"{self.title}: training {self.members} networks", flush=True)
        else:
            self.bar.write(f"{self.title}: training {self.members} networks")
        return self

    def epoch(self, running: Ensemble, done: Ensemble) -> None:
        """Show the state after an epoch."""
        for history in done.histories:
            self.counts[status(history, self.training)] += 1
        text = ", ".join(f"{count} {word}" for word, count in self.counts.items() if count)
        if len(running):
            epoch = max(len(history) for history in running.histories)
            loss, validation = (
                statistics.median(getattr(history, name)[-1] for history in running.histories)
                for name in ("loss", "validation_loss")
            )
            text = f"epoch {epoch}, loss {loss:.3g}, validation {validation:.3g}" + (text and f", {text}")
        if self.bar is not None:
            self.bar.set_postfix_str(text)
            self.bar.update(len(done))
        elif not len(running) or time.monotonic() - self.printed >= _SECONDS_BETWEEN_LINES:
            self.printed = time.monotonic()
            print(f"  {self.printed - self.started:6.0f} s  {text}", flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()
