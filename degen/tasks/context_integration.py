"""Context-dependent integration: report the sign of the evidence in the cued modality."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from degen.errors import require, require_integer, require_number
from degen.streams import Stream
from degen.tasks.base import Task, Trials
from degen.tasks.windows import window


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContextIntegration(Task):
    """Noisy evidence in several modalities; a context cue selects the modality to integrate.

    Each modality has a constant coherence and noise during the stimulus. The context cue is on for the whole
    trial. The target is the sign of the coherence of the cued modality in the response window, and 0 before
    it. With two modalities this is the task of Mante, Sussillo, Shenoy & Newsome 2013 (Nature 503), with
    motion and color.

    Args:
        modalities: number M of modalities and contexts, with 2M inputs: evidence, then context cues.
        n_steps: time steps per trial.
        stimulus_onset: step at which the evidence starts.
        stimulus_steps: duration of the evidence. The response window follows it until the end of the trial.
        max_coherence: largest absolute coherence.
        n_coherences: number of evenly spaced absolute coherences, from max_coherence / n_coherences up to
            max_coherence. Both signs are equally likely.
        noise_std: standard deviation of the evidence in each step.

    Raises:
        BadInputError: an argument is out of its range, or no step remains for the response.

    Examples:
        >>> task = ContextIntegration(
        ...     modalities=2, n_steps=6, stimulus_onset=1, stimulus_steps=3, max_coherence=1.0,
        ...     n_coherences=1, noise_std=0.0,
        ... )
        >>> trials = task.generate(1, Stream.named([0], "example"))
        >>> trials.inputs.squeeze().T.int().tolist()  # evidence of both modalities, then cues
        [[0, -1, -1, -1, 0, 0], [0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]]
        >>> trials.targets.flatten().int().tolist()
        [0, 0, 0, 0, 1, 1]
    """

    modalities: int
    n_steps: int
    stimulus_onset: int
    stimulus_steps: int
    max_coherence: float
    n_coherences: int
    noise_std: float

    def __post_init__(self) -> None:
        require_integer("task.modalities", self.modalities, 1)
        require_integer("task.n_steps", self.n_steps, 1)
        require_integer("task.stimulus_onset", self.stimulus_onset, 0)
        require_integer("task.stimulus_steps", self.stimulus_steps, 1)
        require_number("task.max_coherence", self.max_coherence, above=0.0)
        require_integer("task.n_coherences", self.n_coherences, 1)
        require_number("task.noise_std", self.noise_std, minimum=0.0)
        latest = self.n_steps - self.stimulus_onset - 1
        require(
            self.stimulus_steps <= latest,
            "task.stimulus_steps",
            self.stimulus_steps,
            f"at most {latest} in a trial of {self.n_steps} steps, so that steps remain for the response",
        )

    @property
    def n_inputs(self) -> int:
        return 2 * self.modalities

    @property
    def n_outputs(self) -> int:
        return 1

    @property
    def variant(self) -> str:
        return f"{self.modalities}mod"

    def generate(self, n_trials: int, stream: Stream) -> Trials:
        level = stream.integers(1, self.n_coherences, n_trials, self.modalities).to(stream.dtype)
        sign = 2 * stream.integers(0, 1, n_trials, self.modalities).to(stream.dtype) - 1
        context = stream.integers(0, self.modalities - 1, n_trials, 1)
        noise = self.noise_std * stream.normal(n_trials, self.n_steps, self.modalities)
        coherence = sign * level * (self.max_coherence / self.n_coherences)
        cue = (context == torch.arange(self.modalities, device=stream.device)).to(stream.dtype)
        evidence = self._window(context, self.stimulus_onset, self.stimulus_steps, stream.dtype)
        inputs = torch.cat((evidence * (coherence.unsqueeze(-2) + noise), _over_time(cue, noise)), dim=-1)
        start = self.stimulus_onset + self.stimulus_steps
        response = self._window(context, start, self.n_steps - start, stream.dtype)
        target = (sign * cue).sum(dim=-1, keepdim=True)
        return Trials(inputs, response * target.unsqueeze(-2))

    def _window(self, like: Tensor, onset: int, length: int, dtype: torch.dtype) -> Tensor:
        return window(torch.full_like(like, onset), length, self.n_steps, dtype)

    def ood(self) -> ContextIntegration:
        """Return the task with twice the duration of the stimulus, in longer trials."""
        extra = self.stimulus_steps
        return dataclasses.replace(
            self, stimulus_steps=self.stimulus_steps + extra, n_steps=self.n_steps + extra
        )


def _over_time(values: Tensor, like: Tensor) -> Tensor:
    """Repeat values (..., trials, units) over the time steps of an array (..., trials, time, units)."""
    return values.unsqueeze(-2).expand(*like.shape[:-1], values.shape[-1])
