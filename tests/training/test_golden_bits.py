"""The bits of trained networks: a change of the code that changes them must raise `degen.versions.NUMERICS`.

Bits also depend on the processor and on torch. `golden_bits.json` holds digests for the processors and torch
versions seen so far. Elsewhere losses are compared to rounding instead.

`python -m tests.training.test_golden_bits` writes the digests of this machine, after NUMERICS was raised or
on a new kind of machine.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from degen.training import Ensemble, train
from degen.versions import NUMERICS
from launch.provenance import cpu_model
from tests.conftest import build

FILE = Path(__file__).with_name("golden_bits.json")

SMALL = (
    *("task.n_steps=20", "training.steps_per_epoch=4", "training.validation_trials=130"),
    *("training.confirmation_trials=140", "training.max_epochs=4"),
)
CASES = {
    "flip-flop that settles": (
        *("task=flip_flop", "width=16", "training.batch_size=16", "training.threshold=10"),
        *("training.patience=2", "training.settle_epochs=2", "regularizer=l1"),
    ),
    "flip-flop in blocks": ("task=flip_flop", "width=8", "training.batch_size=130"),
    "sine wave, mup": ("task=sine_wave", "parameterization=mup", "gamma=2", "width=16"),
    "delayed discrimination, nuclear norm": (
        *("task=delayed_discrimination", "task.n_steps=60", "width=8", "training.batch_size=8"),
        *("regularizer=nuclear_norm", "training.schedule.T_0=3"),
    ),
    "path integration, float64": (
        *("task=path_integration", "task.start=hidden_state", "width=8", "training.batch_size=8"),
        "dtype=float64",
    ),
}


def machine() -> str:
    """Return the properties of a machine that bits depend on."""
    return f"{cpu_model()}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def trained(case: str) -> tuple[list[float], str]:
    """Losses of the last epoch of two networks, and a digest of all weights and histories."""
    condition = build(*SMALL, *CASES[case])
    ended: dict[int, Ensemble] = {}
    ensemble = Ensemble.new([0, 1], condition.task, condition.model, dtype=condition.dtype)
    parts = condition.task, condition.model, condition.training, condition.regularizer
    train(
        ensemble,
        *parts,
        on_epoch=lambda running, done: ended.update(
            {seed: done.select([i]) for i, seed in enumerate(done.seeds)}
        ),
    )
    digest = hashlib.sha256()
    for seed in (0, 1):
        for name in ("converged", "parameters"):
            for key, weights in sorted(getattr(ended[seed], name).items()):
                digest.update(f"{name}/{key}".encode() + weights.numpy().tobytes())
        digest.update(repr(ended[seed].histories).encode())
    return [ended[seed].histories[0].validation_loss[-1] for seed in (0, 1)], digest.hexdigest()[:16]


@pytest.mark.parametrize("case", CASES)
def test_bits_change_only_with_the_numerics_version(case):
    golden = json.loads(FILE.read_text())
    advice = "raise degen.versions.NUMERICS and run python -m tests.training.test_golden_bits"
    assert golden["numerics"] == NUMERICS, advice
    losses, digest = trained(case)
    assert losses == pytest.approx(golden["losses"][case], rel=1e-4), advice
    expected = golden["digests"].get(machine())
    if expected is None:
        pytest.skip(f"no digests of {machine()} are stored; losses agree to rounding")
    assert digest == expected[case], advice


def main() -> None:
    """Store the losses and the digests of this machine."""
    golden = json.loads(FILE.read_text()) if FILE.exists() else {"numerics": None}
    if golden["numerics"] != NUMERICS:
        golden = {"numerics": NUMERICS, "losses": {}, "digests": {}}
    torch.set_num_threads(1)
    results = {case: trained(case) for case in CASES}
    golden["losses"] = {case: losses for case, (losses, _) in results.items()}
    golden["digests"][machine()] = {case: digest for case, (_, digest) in results.items()}
    FILE.write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__":
    main()
