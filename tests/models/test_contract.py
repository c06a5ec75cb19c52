"""The check of a user's network before training."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from degen.errors import BadInputError
from degen.models import Model, MuP, Parameters, Standard
from degen.models.contract import require_valid
from degen.streams import Stream
from degen.tasks import FlipFlop, Task, Trials
from tests.conftest import task

FLIP_FLOP = FlipFlop(channels=2, n_steps=20, pulse_probability=0.3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gated(Model):
    """A gated network with a fault that is chosen by name."""

    fault: str = ""

    def initialize(self, task: Task, stream: Stream) -> Parameters:
        n = self.width
        assert self.fault != "multiples of 24" or n % 24 == 0
        weights = {
            "recurrent": stream.normal(n, n) / n**0.5,
            "gate": stream.normal(n, n) / n**0.5,
            "input": stream.normal(n, task.n_inputs),
            "output": 0 * stream.normal(task.n_outputs, n),  # no gradient passes it at initialization
            "time_constant": stream.uniform(n, low=0.01, high=0.02),
            "output_bias": stream.normal(task.n_outputs),
        }
        if self.fault == "unused weight":
            weights["extra"] = stream.normal(n)
        if self.fault == "global generator":
            weights["input"] = torch.randn(weights["input"].shape)
        if self.fault == "no seeds":
            weights["input"] = weights["input"][0]
        if self.fault == "float64":
            weights["input"] = weights["input"].double()
        return weights

    def step(self, parameters: Parameters, hidden: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(hidden @ parameters["gate"].mT)
        if self.fault == "gate in NumPy":
            gate = torch.sigmoid(hidden.detach() @ parameters["gate"].mT.detach())
        drive = hidden @ parameters["recurrent"].mT + inputs @ parameters["input"].mT
        if self.fault == "trials mixed":
            drive = drive - drive.mean(dim=1, keepdim=True)
        if self.fault == "networks mixed":
            drive = drive - drive.mean(dim=0, keepdim=True)
        if self.fault == "wrong axis":
            drive = hidden @ parameters["recurrent"].mT + parameters["input"] @ inputs
        if self.fault == "float32 inside":
            drive = drive + hidden @ torch.ones(self.width, self.width)
        rate = gate * torch.exp(parameters["time_constant"].log() / 9).unsqueeze(1)
        return (1 - rate) * hidden + rate * torch.tanh(drive)

    def readout(self, parameters: Parameters, hidden: torch.Tensor) -> torch.Tensor:
        outputs = hidden @ parameters["output"].mT.unsqueeze(1) + parameters["output_bias"][:, None, None]
        return outputs[..., :1] if self.fault == "one output" else outputs

    def recurrent(self, parameters: Parameters) -> torch.Tensor:
        return parameters["recurrent"][0] if self.fault == "no networks" else parameters["recurrent"]

    def unroll(self, parameters: Parameters, trials: Trials) -> torch.Tensor:
        hidden = super().unroll(parameters, trials)
        return hidden.roll(1, dims=-2) if self.fault == "unroll late" else hidden

    def __call__(self, parameters: Parameters, trials: Trials) -> torch.Tensor:
        outputs = super().__call__(parameters, trials)
        return 2 * outputs if self.fault == "other call" else outputs


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("unused weight", r"weights extra of Gated must be weights that the loss depends on, got"),
        ("gate in NumPy", r"weights gate of Gated must be weights that the loss depends on, got"),
        (
            "global generator",
            r"Gated.initialize must be a function of its stream alone .* got 'other weights input",
        ),
        ("no seeds", r"weights input of Gated must be of shape \(2 seeds, ...\), got \(16, 2\)"),
        ("float64", r"weights input of Gated must be of dtype torch.float32, as .*, got torch.float64\.$"),
        (
            "trials mixed",
            r"Gated.__call__ must be a function that agrees with the call with half of the trials",
        ),
        ("networks mixed", r"Gated.__call__ must be a function that agrees with the call with one network"),
        (
            "wrong axis",
            r"Gated.__call__ must not fail, got RuntimeError: .* \(.*test_contract.py, line \d+\)\.$",
        ),
        ("float32 inside", r"Gated.unroll must not fail, got RuntimeError: .*"),
        ("one output", r"outputs of Gated must be of shape .* = \(2, 16, 20, 2\), got \(2, 16, 20, 1\)\.$"),
        ("no networks", r"recurrent matrix of Gated must be of shape .* = \(2, 16, 16\), got \(16, 16\)\.$"),
        ("unroll late", r"Gated.unroll must be a function that agrees with steps one after another"),
        (
            "other call",
            r"Gated.__call__ must be a function that agrees with Gated.readout of the hidden states",
        ),
    ],
)
def test_a_faulty_network_is_rejected_in_one_sentence(fault, sentence):
    with pytest.raises(BadInputError, match=f"^{sentence}"):
        require_valid(Gated(width=16, gamma=1.0, fault=fault), FLIP_FLOP)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_network_without_fault_is_accepted(dtype):
    require_valid(Gated(width=16, gamma=1.0), FLIP_FLOP, dtype)
    require_valid(Gated(width=24, gamma=1.0, fault="multiples of 24"), FLIP_FLOP, dtype)


@pytest.mark.parametrize(
    "overrides",
    [
        ("task=delayed_discrimination", "task.auxiliary_loss=true"),
        ("task=sine_wave",),
        ("task=path_integration", "task.start=hidden_state", "task.dimensions=3"),
    ],
    ids=" ".join,
)
def test_networks_of_the_package_are_valid(overrides):
    for dtype in (torch.float32, torch.float64):
        require_valid(Standard(width=64, gamma=2.0), task(*overrides), dtype)
        require_valid(MuP(width=64, gamma=2.0, leak_rate=0.1, input_std=1.0), task(*overrides), dtype)
