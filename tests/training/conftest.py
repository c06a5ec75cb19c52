from __future__ import annotations

import pytest


@pytest.fixture
def cores(monkeypatch):
    """Set how many cores there seem to be."""

    def use(count: int) -> None:
        for module in ("process_pool", "data_parallel", "batched_gradients"):
            monkeypatch.setattr(f"degen.training.cpu.{module}.count_cores", lambda: count)

    return use
