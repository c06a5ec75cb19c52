"""Progress of the stages of an analysis: a bar on a terminal, plain lines elsewhere, with the time left."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

from degen.metrics.pairs import observe_batches

T = TypeVar("T")

logger = logging.getLogger(__name__)

DELAY_S = 5.0
"""A stage that ends earlier shows nothing."""

_LINE_INTERVAL_S, _BAR_INTERVAL_S = 10.0, 0.5


def track(title: str, items: Sequence[T], unit: str = "conditions") -> Iterator[T]:
    """Iterate over the items of a stage and show its progress.

    Args:
        title: name of the stage, as in the line that the stage prints at its end.
        items: parts of the stage that take about equally long.
        unit: name of the items.
    """
    stage = Stage(title, len(items), unit)
    with observe_batches(stage.set_batches):
        try:
            for item in items:
                yield item
                stage.finish_item()
        finally:
            stage.close()


class Stage:
    """Progress of one stage, shown by a background thread because a single item may take minutes.

    Starting a stage closes the previous stage, if an error left it open.
    """

    _current: Stage | None = None

    def __init__(self, title: str, n_items: int, unit: str):
        self.title, self.n_items, self.unit = title, n_items, unit
        self.n_done = 0
        self.started_at = self.item_started_at = self.call_started_at = time.monotonic()
        self.fraction = 0.0
        self.bar: tqdm | None = None
        self.ended = threading.Event()
        if Stage._current is not None:
            Stage._current.close()
        Stage._current = self
        self.thread = threading.Thread(target=self._show_repeatedly, daemon=True)
        self.thread.start()

    def set_batches(self, n_done: int, n_batches: int) -> None:
        """Store how many batches of a computation within an item are finished."""
        if n_done == 0:
            self.call_started_at = time.monotonic()
        self.fraction = n_done / n_batches

    def finish_item(self) -> None:
        """Store that an item is finished."""
        self.n_done += 1
        self.item_started_at = self.call_started_at = time.monotonic()
        self.fraction = 0.0

    def seconds_left(self, now: float) -> float | None:
        """Estimate the time to the end of the stage, None before there is any basis.

        Finished items tell how long an item takes, finished batches how long the current item still takes.
        """
        in_item = now - self.item_started_at
        of_call = (
            (now - self.call_started_at) * (1 - self.fraction) / self.fraction if self.fraction else None
        )
        if self.n_done:
            per_item = (self.item_started_at - self.started_at) / self.n_done
            of_item = max(per_item - in_item, of_call or 0.0)
        elif of_call is not None:
            per_item, of_item = in_item + of_call, of_call
        else:
            return None
        return of_item + (self.n_items - self.n_done - 1) * per_item

    def describe(self, now: float) -> str:
        """Return the state in words."""
        words = [f"{self.n_done} of {self.n_items} {self.unit}", f"{now - self.started_at:.0f} s"]
        left = self.seconds_left(now)
        return ", ".join(words if left is None else [*words, f"about {tqdm.format_interval(left)} left"])

    def close(self) -> None:
        """End the stage."""
        self.ended.set()
        self.thread.join()
        if Stage._current is self:
            Stage._current = None

    def _show_repeatedly(self) -> None:
        is_terminal = sys.stderr.isatty()
        interval = _BAR_INTERVAL_S if is_terminal else _LINE_INTERVAL_S
        wait = DELAY_S
        while not self.ended.wait(wait):
            wait = interval
            self._show(is_terminal)
        if self.bar is not None:
            self.bar.close()

    def _show(self, is_terminal: bool) -> None:
        now = time.monotonic()
        if not is_terminal:
            logger.info("  %s: %s", self.title, self.describe(now))
            return
        if self.bar is None:
            bar_format = "{desc}: |{bar:30}| {postfix}"
            self.bar = tqdm(total=1.0, desc=self.title, bar_format=bar_format, leave=False)
        elapsed, left = now - self.started_at, self.seconds_left(now)
        self.bar.n = 0.0 if left is None else elapsed / (elapsed + left)
        self.bar.set_postfix_str(self.describe(now))
