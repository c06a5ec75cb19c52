"""Properties that all tasks and variants share."""

from __future__ import annotations

import pytest
import torch

from degen.errors import BadInputError
from degen.streams import Stream, key
from degen.tasks import Trials
from tests.conftest import task

VARIANTS = [
    ("task=flip_flop", "task.channels=1"),
    ("task=flip_flop", "task.channels=4"),
    ("task=sine_wave", "task.channels=1"),
    ("task=sine_wave", "task.channels=3"),
    ("task=delayed_discrimination", "task.channels=1"),
    ("task=delayed_discrimination", "task.channels=3", "task.auxiliary_loss=true"),
    ("task=delayed_discrimination", "task.max_delay=40", "task.n_steps=70"),
    ("task=lorenz96", "task.channels=5"),
    ("task=context_integration", "task.modalities=3"),
    ("task=ring_integration", "task.channels=2"),
    ("task=delayed_match", "task.n_items=6"),
    *(
        ("task=path_integration", f"task.dimensions={d}", f"task.heading={heading}", f"task.start={start}")
        for d in (2, 3)
        for heading in ("angle", "unit_vector", "velocity")
        for start in ("displacement", "pulse", "constant", "hidden_state")
    ),
]
variants = pytest.mark.parametrize("overrides", VARIANTS, ids=" ".join)


def arrays(trials: Trials) -> list[torch.Tensor]:
    return [array for array in (trials.inputs, trials.targets, trials.start) if array is not None]


@variants
def test_arrays_have_axes_keys_trials_time_units(overrides):
    here = task(*overrides)
    for keys in (torch.tensor(5), torch.tensor([5, 6]), torch.tensor([[5, 6, 7], [8, 9, 10]])):
        trials = here.generate(4, Stream(keys))
        assert trials.inputs.shape == (*keys.shape, 4, here.n_steps, here.n_inputs)
        assert trials.targets.shape == (*keys.shape, 4, here.n_steps, here.n_outputs)
        assert trials.mask is None
        assert (0 if trials.start is None else trials.start.shape[-1]) == here.n_start
        assert trials.start is None or trials.start.shape == (*keys.shape, 4, here.n_start)


@variants
def test_trials_do_not_depend_on_other_seeds(overrides):
    here = task(*overrides)
    together = here.generate(3, Stream.named([4, 0, 9, 2, 7], "test"))
    for index, seed in enumerate([4, 0, 9, 2, 7]):
        alone = here.generate(3, Stream.named([seed], "test"))
        for single, combined in zip(arrays(alone), arrays(together), strict=True):
            assert torch.equal(single[0], combined[index])


@variants
def test_trials_do_not_depend_on_steps_drawn_at_once(overrides):
    here = task(*overrides)
    keys = torch.tensor([[key(seed, "test", 0, step) for seed in (0, 1)] for step in range(3)])
    together = here.generate(3, Stream(keys))
    for step in range(3):
        alone = here.generate(3, Stream.named([0, 1], "test", 0, step))
        for single, combined in zip(arrays(alone), arrays(together), strict=True):
            assert torch.equal(single, combined[step])


@variants
def test_trials_are_a_pure_function_of_task_and_key(overrides):
    here = task(*overrides)
    first, second = (here.generate(3, Stream.named([1, 2], "test")) for _ in range(2))
    for array, repeated_array in zip(arrays(first), arrays(second), strict=True):
        assert torch.equal(array, repeated_array)
    assert not torch.equal(first.inputs[0], first.inputs[1])


@variants
def test_trials_are_finite_and_have_the_streams_dtype(overrides):
    for dtype in (torch.float32, torch.float64):
        for array in arrays(task(*overrides).generate(16, Stream.named([0], "test", dtype=dtype))):
            assert array.dtype == dtype
            assert array.isfinite().all()


@variants
def test_the_ood_task_has_equal_inputs_and_outputs(overrides):
    here = task(*overrides)
    there = here.ood()
    assert type(there) is type(here)
    assert there != here
    assert (there.n_inputs, there.n_outputs, there.n_start) == (here.n_inputs, here.n_outputs, here.n_start)
    there.generate(2, Stream.named([0], "test"))


@pytest.mark.parametrize(
    "name", ["flip_flop", "sine_wave", "path_integration", "lorenz96", "ring_integration"]
)
def test_the_ood_task_differs_only_in_length(name):
    here = task(f"task={name}")
    there = here.ood()
    assert there.n_steps == 2 * here.n_steps
    assert vars(there) == vars(here) | {"n_steps": 2 * here.n_steps}


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("flip_flop", "channels", 0),
        ("flip_flop", "channels", 1.5),
        ("flip_flop", "channels", True),
        ("flip_flop", "n_steps", 0),
        ("flip_flop", "pulse_probability", 0.0),
        ("flip_flop", "pulse_probability", 1.1),
        ("sine_wave", "channels", 0),
        ("sine_wave", "n_steps", -1),
        ("sine_wave", "dt", 0.0),
        ("sine_wave", "min_frequency", 0.0),
        ("sine_wave", "max_frequency", 0.5),
        ("sine_wave", "n_frequencies", 0),
        ("delayed_discrimination", "channels", 0),
        ("delayed_discrimination", "min_delay", -1),
        ("delayed_discrimination", "max_delay", 4),
        ("delayed_discrimination", "max_delay", 31),
        ("delayed_discrimination", "n_steps", 49),
        ("delayed_discrimination", "min_amplitude", -1),
        ("delayed_discrimination", "max_amplitude", 2),
        ("delayed_discrimination", "first_onset", -1),
        ("delayed_discrimination", "pulse_steps", 0),
        ("delayed_discrimination", "response_onset", 4),
        ("delayed_discrimination", "response_steps", 0),
        ("delayed_discrimination", "auxiliary_loss", "yes"),
        ("delayed_discrimination", "auxiliary_scale", 0.0),
        ("lorenz96", "channels", 3),
        ("lorenz96", "n_steps", 0),
        ("lorenz96", "forcing", 0.0),
        ("lorenz96", "dt", 0.2),
        ("lorenz96", "dt", 0.0),
        ("lorenz96", "burn_in_steps", -1),
        ("lorenz96", "initial_noise_std", 0.0),
        ("lorenz96", "initial_noise_std", 30.0),
        ("context_integration", "modalities", 0),
        ("context_integration", "stimulus_onset", -1),
        ("context_integration", "stimulus_steps", 55),
        ("context_integration", "max_coherence", 0.0),
        ("context_integration", "n_coherences", 0),
        ("context_integration", "noise_std", -0.1),
        ("ring_integration", "channels", 0),
        ("ring_integration", "velocity_std", 0.0),
        ("ring_integration", "correlation_steps", 0.0),
        ("delayed_match", "n_items", 1),
        ("delayed_match", "amplitude", 0.0),
        ("delayed_match", "sample_onset", -1),
        ("delayed_match", "pulse_steps", 0),
        ("delayed_match", "min_delay", -1),
        ("delayed_match", "max_delay", 9),
        ("delayed_match", "response_steps", 0),
        ("path_integration", "dimensions", 4),
        ("path_integration", "dimensions", 2.0),
        ("path_integration", "n_steps", 0),
        ("path_integration", "heading", "compass"),
        ("path_integration", "start", "nowhere"),
        ("path_integration", "box_size", 0.7),
        ("path_integration", "max_speed", 0.0),
        ("path_integration", "speed_std", -0.1),
        ("path_integration", "heading_std", -0.1),
        ("path_integration", "input_noise_std", -0.1),
        ("path_integration", "mean_stop", 0.5),
        ("path_integration", "mean_go", 0.5),
    ],
)
def test_a_bad_argument_names_field_value_and_allowed_values(name, field, value):
    good = task(f"task={name}")
    with pytest.raises(BadInputError) as caught:
        type(good)(**vars(good) | {field: value})
    sentence = str(caught.value)
    named = "max_delay" if (name, field) == ("delayed_discrimination", "n_steps") else field
    assert sentence.startswith(f"task.{named} must be ")
    assert sentence.endswith("." if named != field else f", got {value!r}.")
    assert "\n" not in sentence
    assert ". " not in sentence
