"""The commands and code of the README and of the pages run as written."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

import degen
from analysis import figures
from analysis.metrics import Metric
from analysis.metrics.contract import require_valid as require_valid_metric
from degen.condition import build
from degen.tasks.contract import require_valid
from launch.config import compose
from tests.composed import files
from tests.conftest import Launched
from tests.conftest import build as build_condition
from tests.pages import run_shell
from tests.test_factor_page import TRAINING

ROOT = Path(__file__).parent.parent


def block(page: str, language: str, text: str) -> str:
    """Return the fenced block of a page that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (match,) = [block for block in blocks if text in block]
    return match


def test_a_users_task_trains_without_changing_this_repository(tmp_path):
    (tmp_path / "my_conf/task").mkdir(parents=True)
    page = "docs/extend.md"
    (tmp_path / "my_tasks.py").write_text(block(page, "python", "class EvidenceAccumulation"))
    (tmp_path / "my_conf/task/evidence_accumulation.yaml").write_text(block(page, "yaml", "my_tasks."))
    command = re.search(r"degen train (--config-dir .*)\n", (ROOT / page).read_text())
    assert command is not None
    arguments = [word for word in command[1].split() if not word.startswith("seeds=")]
    words = ("train", *arguments, "seeds=2", "training.max_epochs=25")
    launched = Launched(words, tmp_path, module="launch.command")
    assert launched.wait() == 0, launched.stderr
    sys.path.insert(0, str(tmp_path))
    try:
        (folder,) = (tmp_path / "runs/evidence_accumulation").iterdir()
        run = degen.load(folder)
    finally:
        sys.path.remove(str(tmp_path))
    assert run.converged.seeds == [0, 1]
    # As the page reads a run folder.
    names = {"run": run, "degen": degen}
    exec(
        block("docs/train.md", "python", "degen.load(").partition("degen.load(")[2].partition("\n")[2], names
    )
    assert names["hidden"].shape == (1, 64, 50, 32)


def test_a_users_metric_is_valid_as_the_page_shows(tmp_path, monkeypatch):
    page = "docs/extend.md"
    (tmp_path / "my_conf/metric").mkdir(parents=True)
    (tmp_path / "my_metrics.py").write_text(block(page, "python", "class MeanSpeed"))
    (tmp_path / "my_conf/metric/mean_speed.yaml").write_text(block(page, "yaml", "my_metrics."))
    monkeypatch.syspath_prepend(tmp_path)
    search_path = f"hydra.searchpath=[number://,'file://{tmp_path}/my_conf']"
    settings = compose("analyze", [search_path, "experiment=demo", "metric=mean_speed"])
    assert list(settings["metrics"]) == ["mean_speed"]
    _, metric = build(settings["metrics"]["mean_speed"], Metric, "metrics.mean_speed")
    require_valid_metric(metric, build_condition("task.channels=1", "width=8"))
    assert metric.level == "dynamics"


def test_class_targets_are_returned_as_the_page_shows():
    page = "docs/extend.md"
    source = block(page, "python", "class EvidenceAccumulation")
    classes = block(page, "python", "cross_entropy").replace("\n", "\n        ").rstrip()
    returned = re.search(r"return Trials\(.*", source)
    assert returned is not None
    source = source.replace(returned[0], classes).replace("n_outputs = 1", "n_outputs = 2")
    module = ModuleType("page")
    sys.modules["page"] = module
    try:
        exec(source, module.__dict__)
        require_valid(module.EvidenceAccumulation(n_steps=50, noise_std=0.2))
    finally:
        del sys.modules["page"]


def test_the_python_code_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(block("README.md", "python", "degen.compare"), {})
    assert "linear, saturated" in capsys.readouterr().out
    assert Path("comparison.html").exists()


def test_the_commands_of_the_readme_run(tmp_path):
    train, analyze, *others, submit, compare = block("README.md", "sh", "degen train").splitlines()
    # Tests of sweeps and of the first experiment run the analysis.
    assert analyze == train.replace("train", "analyze")
    assert [line.split("  ")[0] for line in others] == [
        f"degen {name} experiment=demo" for name in ("train", "status", "analyze")
    ]
    assert submit.startswith("degen submit experiment=demo hydra/launcher=slurm_gpu ")
    trained = run_shell(" ".join((train, *TRAINING)), tmp_path)
    assert trained.returncode == 0, trained.stdout
    assert trained.stdout.count("6 converged") == 3
    for folder in ("networks_a", "networks_b"):
        (tmp_path / folder).mkdir()
        for seed in range(2):
            hidden = np.random.default_rng(seed).normal(size=(8, 9, 3))
            np.savez(tmp_path / folder / f"{seed}.npz", hidden=hidden)
    compared = run_shell(compare, tmp_path)
    assert compared.returncode == 0, compared.stdout
    assert "networks_a, networks_b" in compared.stdout


def test_the_readme_is_short_and_its_links_exist():
    readme = (ROOT / "README.md").read_text()
    for path in re.findall(r"\]\(([^):]+)\)", readme):
        assert (ROOT / path).exists(), path
    assert len(readme.split()) <= 500


def test_the_page_of_training_names_every_task():
    (row,) = re.findall(r"^\| `task=` .*$", (ROOT / "docs/train.md").read_text(), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row.split("|")[3])) == {*files("task")}


def test_the_gallery_names_every_figure_of_an_analysis():
    page = (ROOT / "docs/gallery.md").read_text()
    for name in figures.NAMES:
        assert f"`{name}`" in page, name
