"""Figures, each from tables and matrices alone; one file a figure, `style` for what they share."""

from __future__ import annotations

import textwrap
from pathlib import Path

from analysis.figures import choice, degeneracy, embedding, loss
from analysis.figures.data import STATUSES, Data, factor_words, note, task_words
from analysis.results import Results, fingerprint, read_table
from degen.condition import Condition
from degen.files import read_tensors, sha256, write_atomically
from launch.conditions import Experiment


def draw_all(experiment: Experiment, results: Results) -> list[Path]:
    """Draw the figures of an experiment; nothing where they are there, made from the same files.

    Those of an earlier analysis that this one does not draw are removed.
    """
    table, history = read_table(results.degeneracy), read_table(results.history)
    assert table is not None  # written by the stages before
    assert history is not None
    trained = set(history["condition"])
    along = [c for c in experiment.along_the_axis(experiment.conditions) if c.signature in trained]
    conditions = sorted(along, key=lambda each: each.task_name)
    titles = {c.signature: _title(experiment, c) for c in conditions}
    thresholds = {condition.signature: condition.training.threshold for condition in conditions}
    with_dsa = set(table["condition"][table["measure"] == "dsa"])
    matrices = {one: results.matrix("dsa", one) for one in titles if one in with_dsa}
    tasks = dict.fromkeys(c.task_name for c in experiment.conditions if c.signature in with_dsa)
    choices = {task: path for task in tasks if (path := results.choice("dsa", task)).exists()}
    sources = [results.degeneracy, results.history, *matrices.values(), *choices.values()]
    made_from = fingerprint([sha256(source) for source in sources], titles, thresholds, experiment.label)
    record = results.figures / ".made_from"  # and, a line each, what was drawn
    lines = record.read_text(errors="replace").splitlines() if record.exists() else []
    before, *names = lines or [""]
    drawn = [results.figures / name for name in names]
    if drawn and before == made_from and all(path.exists() for path in drawn):
        print(f"figures: {len(drawn)} files, unchanged", flush=True)
        return drawn
    data = Data(experiment, results)
    paths = degeneracy.draw(table, experiment.label, note(data), results.figures)
    every = ", ".join(f"{data.counts[status].sum()} {status}" for status in STATUSES)
    words = f"every trained network ({every})"
    paths += loss.draw(history, titles, thresholds, words, results.figures)
    if matrices:
        distances = {key: read_tensors(path)[0]["distances"].numpy() for key, path in matrices.items()}
        paths += embedding.draw(distances, titles, "dsa", note(data), results.figures)
    if choices:
        curves = {task: read_table(path) for task, path in choices.items()}
        found = {task: curve for task, curve in curves.items() if curve is not None}
        paths += choice.draw(found, results.figures)
    for path in set(drawn) - set(paths):
        path.unlink(missing_ok=True)
    write_atomically(record, "\n".join([made_from, *(path.name for path in paths)]).encode())
    print(f"figures: {len(paths)} files, new", flush=True)
    return paths


def _title(experiment: Experiment, condition: Condition) -> str:
    """What stands above a condition's panel, in lines that fit it."""
    words = f"{experiment.label} = {factor_words(experiment.value(condition))}"
    return "\n".join([task_words(condition.task_name), *textwrap.wrap(words, 28)])
