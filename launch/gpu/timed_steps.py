"""Stages of a session with little time: processes with deadlines, and a record of what became of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from launch.paths import PROJECT_ROOT

_SECONDS_TO_STORE = 30


class Stages:
    """The stages of a session and what became of them, also of earlier sessions' in the same export folder.

    Args:
        export: where logs and the record go.
        minutes: until the session must end.
        environment: of every stage's process.
    """

    def __init__(self, export: Path, minutes: float, environment: dict[str, str]):
        self.export, self.environment = export, environment
        self.end = time.monotonic() + 60 * minutes
        self.record = export / "stages.json"
        self.states: dict[str, dict[str, Any]] = (
            json.loads(self.record.read_text()) if self.record.exists() else {}
        )
        self.planned: dict[str, None] = {}

    def done_before(self, name: str, key: str) -> bool:
        """Whether a session with the same key did that stage; it is then part of this one's summary."""
        known = self.states.get(name, {})
        if known.get("state") != "done" or known["key"] != key:
            return False
        self.planned[name] = None
        print(f"== {name}: done before", flush=True)
        return True

    def run(self, name: str, key: str, share: float, *arguments: str) -> bool:
        """`python ARGUMENTS`, its output in the export folder too; whether it is done.

        Args:
            key: what another session's stage must share to count as the same.
            share: of the time that is left, until it is interrupted.
        """
        seconds = share * (self.end - time.monotonic())
        if seconds < 1:
            self.note(name, key, "left", "no time was left")
            return False
        self.note(name, key, "left", "interrupted")
        print(f"== {name}: {' '.join(arguments)} (at most {seconds / 60:.1f} min)", flush=True)
        started = time.monotonic()
        code, in_time, last = self._process(name, seconds, arguments)
        state = "left" if not in_time else "failed" if code else "done"
        detail = last if in_time else f"out of time; {last}"
        self.note(name, key, state, f"{time.monotonic() - started:.0f} s; {detail}")
        return state == "done"

    def _process(self, name: str, seconds: float, arguments: tuple[str, ...]) -> tuple[int, bool, str]:
        """Exit code, whether it ended by itself, and the last line that it printed."""
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT_ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        ended_by_us = threading.Event()

        def end(number: int) -> None:
            """Send a signal to the stage and to all that it has started: one would keep the output open."""
            ended_by_us.set()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

        timers = (
            # Training stores what it has; a SIGINT may be ignored.
            threading.Timer(seconds, end, [signal.SIGTERM]),
            threading.Timer(seconds + _SECONDS_TO_STORE, end, [signal.SIGKILL]),
        )
        for timer in timers:
            timer.start()
        last = ""
        try:
            assert process.stdout is not None
            with open(self.export / f"{name.replace(' ', '-')}.log", "w") as log:
                for line in process.stdout:
                    print(line, end="", flush=True)
                    log.write(line)
                    log.flush()
                    last = line.strip() or last
            return process.wait(), not ended_by_us.is_set(), last
        except KeyboardInterrupt:
            end(signal.SIGTERM)  # it is in a session of its own, which no terminal interrupts
            try:
                process.wait(_SECONDS_TO_STORE)
            except subprocess.TimeoutExpired:
                end(signal.SIGKILL)
            raise
        finally:
            for timer in timers:
                timer.cancel()

    def note(self, name: str, key: str, state: str, detail: str) -> None:
        """Record what became of a stage: done, failed or left."""
        self.planned[name] = None
        self.states[name] = {"state": state, "key": key, "detail": detail}
        # Not `degen.files`: its packages may be missing here.
        part = self.record.with_suffix(".part")
        part.write_text(json.dumps(self.states, indent=2) + "\n")
        os.replace(part, self.record)

    def summary(self) -> str:
        """A line for each stage of this session."""
        lines = ["", "what is done, what is left:"]
        for name in self.planned:
            state = self.states[name]
            lines.append(f"  {state['state']:7} {name:35} {state['detail']}"[:160])
        return "\n".join(lines)

    @property
    def complete(self) -> bool:
        """Whether nothing failed and nothing is left."""
        return all(self.states[name]["state"] == "done" for name in self.planned)
