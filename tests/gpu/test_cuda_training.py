"""Training and its memory on a CUDA device, compared with the CPU (`make gpu`, or `pytest -m gpu`)."""

from __future__ import annotations

import dataclasses
import warnings

import pytest
import torch

import degen
from degen.condition import Condition
from degen.models import Standard
from degen.training import Ensemble, train
from degen.training.cuda.ensemble_batches import EnsembleBatches
from degen.training.memory import draw_bytes, plan_memory, step_bytes
from tests.conftest import TINY, assert_same_networks, build, run_folder
from tests.gpu.device import DEVICE, close, conditions, needs_device, new, parameterizations

pytestmark = [pytest.mark.gpu, needs_device]


def trained(condition: Condition, ensemble: Ensemble, epochs: list[Ensemble] | None = None) -> list[float]:
    """Train, and return the losses of every network and epoch, sorted by seed."""
    losses: dict[int, list[float]] = {}

    def on_epoch(running: Ensemble, done: Ensemble) -> None:
        if epochs is not None:
            epochs.append(running)
        losses.update(zip(done.seeds, [history.loss for history in done.histories], strict=True))

    parts = condition.task, condition.model, condition.training, condition.regularizer
    train(ensemble, *parts, on_epoch=on_epoch)
    return [loss for seed in sorted(losses) for loss in losses[seed]]


@conditions
@parameterizations
def test_training_equals_the_cpu_in_float64(overrides, parameterization):
    condition = build(*TINY, *overrides, f"parameterization={parameterization}", "dtype=float64")
    here, there = (trained(condition, new(condition, 3, device)) for device in ("cpu", DEVICE))
    assert len(here) == 3 * 4
    assert there == pytest.approx(here, rel=1e-6)


@pytest.mark.parametrize(("first", "then"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_training_resumes_on_another_device(first, then):
    condition = build(*TINY, "dtype=float64")
    epochs: list[Ensemble] = []
    whole = trained(condition, new(condition, 3, first), epochs)
    assert trained(condition, epochs[1].to(then)) == pytest.approx(whole, rel=1e-6)


def test_finished_networks_leave_and_the_others_continue():
    condition = build(
        *TINY, "training.max_epochs=12", "dtype=float64", "training.patience=1", "training.settle_epochs=0"
    )
    losses = torch.tensor(trained(condition, new(condition, 8))).view(8, 12)
    threshold = losses[:, 4].median().item()
    training = dataclasses.replace(condition.training, threshold=threshold)
    condition = dataclasses.replace(condition, training=training)
    here, there = (trained(condition, new(condition, 8, device)) for device in ("cpu", DEVICE))
    assert there == pytest.approx(here, rel=1e-6)
    assert len(there) < 8 * 12


class _Curious(Standard):
    """Asks for a value in every step, which cannot be captured."""

    def __call__(self, parameters, trials):
        assert parameters["recurrent"].sum().item() == parameters["recurrent"].sum().item()
        return super().__call__(parameters, trials)


def test_a_model_that_cannot_be_captured_is_trained():
    condition = build(*TINY)
    model = condition.model
    curious = _Curious(width=model.width, gamma=model.gamma)
    with pytest.warns(UserWarning, match="not captured"):
        slow = trained(dataclasses.replace(condition, model=curious), new(condition, 2))
    assert slow == pytest.approx(trained(condition, new(condition, 2)), rel=1e-4)


def test_built_in_models_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(build(*TINY), new(build(*TINY), 2))


def test_the_entry_point_trains_on_the_device(launch, tmp_path):
    arguments = (*TINY, "seeds=3", "dtype=float64")
    launch(*arguments, "device=cuda", "tf32=true", "runs=there/runs")
    launch(*arguments, "device=cpu", "runs=here/runs")
    there, here = degen.load(run_folder(tmp_path / "there")), degen.load(run_folder(tmp_path / "here"))
    assert there.sessions[-1]["device"] == torch.cuda.get_device_name(DEVICE)
    assert there.sessions[-1]["tf32"] is True
    assert here.sessions[-1]["tf32"] is False
    assert there.history["loss"].tolist() == pytest.approx(here.history["loss"].tolist(), rel=1e-6)
    for name, weights in here.initial.items():
        assert torch.equal(weights, there.initial[name])
    before = degen.load(run_folder(tmp_path / "there")).sessions
    launch(*arguments, "device=cuda", "runs=there/runs")
    assert degen.load(run_folder(tmp_path / "there")).sessions == before


def test_repeated_training_on_a_device_is_bitwise_equal(launch, tmp_path):
    for folder_name in ("one", "other"):
        launch(*TINY, "seeds=3", "device=cuda", f"runs={folder_name}/runs")
    assert_same_networks(run_folder(tmp_path / "one"), run_folder(tmp_path / "other"))


@pytest.mark.parametrize(
    "overrides",
    [
        ("task=flip_flop",),
        ("task=flip_flop", "parameterization=mup", "width=512", "training.batch_size=64"),
        ("task=path_integration", "regularizer=nuclear_norm"),
        ("task=delayed_discrimination", "width=32", "dtype=float64"),
    ],
    ids=" ".join,
)
def test_an_epoch_needs_at_most_the_predicted_memory(overrides):
    condition = build(*overrides, "training.steps_per_epoch=3")
    task, batch, dtype = condition.task, condition.training.batch_size, condition.dtype
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(DEVICE)
    # Reserved, not allocated: what a captured step needs counts as free between its replays and is not.
    before = torch.cuda.memory_reserved(DEVICE)
    members = new(condition, 16)
    parts = task, condition.model, condition.training
    batches = EnsembleBatches(*parts, condition.regularizer, free_bytes=torch.cuda.mem_get_info(DEVICE)[0])
    batches.epoch(members, lambda: None)
    taken = torch.cuda.max_memory_reserved(DEVICE) - before
    steps = plan_memory(16, *parts, dtype, batches.free_bytes).steps_per_draw
    assert steps == 3
    said = 16 * (step_bytes(task, condition.model, batch, dtype) + steps * draw_bytes(task, batch, dtype))
    # The formula leaves out copies of the networks, workspaces of libraries, and idle memory between blocks.
    print(f"said {said:.3g}, taken {taken:.3g}")
    assert 0.2 * said < taken < 1.3 * said + 2**28


def test_split_batches_agree_with_one_batch():
    condition = build("training.batch_size=32", "training.steps_per_epoch=4", "dtype=float64", "width=16")
    parts = condition.task, condition.model, condition.training
    member = step_bytes(condition.task, condition.model, 32, torch.float64)
    member += draw_bytes(condition.task, 32, torch.float64)
    whole = EnsembleBatches(*parts, condition.regularizer, free_bytes=100 * member)
    split = EnsembleBatches(*parts, condition.regularizer, free_bytes=int(3.5 * member / 0.6))
    of_whole, of_split = (
        whole.epoch(new(condition, 7), lambda: None),
        split.epoch(new(condition, 7), lambda: None),
    )
    assert (len(whole.step.ensemble), len(split.step.ensemble)) == (7, 3)
    for name, weights in of_whole.parameters.items():
        assert close(of_split.parameters[name], weights, 1e-9), name
