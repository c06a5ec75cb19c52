"""Settings of launchers on a real SLURM: rejected values, and a site's own launcher."""

from __future__ import annotations

import hydra
import pytest

from degen.errors import BadInputError
from launch.config import CONF
from launch.submit import submit
from tests.login import Login

pytestmark = pytest.mark.slurm

CPU = ("hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1", "checkpoint_seconds=0")


def refusal(login: Login, *arguments: str) -> str:
    """Return the sentence with which `launch.submit` rejects its arguments, in this process."""
    own = f"hydra.searchpath=[number://,'file://{login.workspace}/conf']"
    runs = f"runs={login.workspace}/runs"
    with (
        hydra.initialize_config_dir(CONF, version_base="1.3"),
        pytest.raises(BadInputError) as refused,
    ):
        submit([own, "task=slow", runs, *CPU, *arguments], dry_run=False)
    return str(refused.value)


@pytest.mark.parametrize(
    ("settings", "got", "words"),
    [
        ("partition=nowhere", "partition=nowhere", "Invalid partition name specified"),
        ("account=nobody", "account=nobody", "Invalid account or account/partition combination specified"),
        ("gres=gpu:9", "gres=gpu:9", "Requested node configuration is not available"),
    ],
)
def test_a_rejection_contains_the_reason_of_slurm(login, settings, got, words):
    allowed = "hydra.launcher must be settings that this cluster accepts"
    assert refusal(login, f"hydra.launcher.{settings}") == f"{allowed}, got {got} (SLURM: {words})."
    assert not (login.workspace / "runs").exists()


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        (
            "hydra/launcher=local",
            "hydra/launcher must be one for SLURM, such as slurm_gpu or slurm_cpu, got 'local'.",
        ),
        (
            "hydra.launcher.timeout_min=0",
            "hydra.launcher.timeout_min must be an integer of at least 1, got 0.",
        ),
        ("submit.seeds_per_job=0", "submit.seeds_per_job must be an integer of at least 1, got 0."),
        (
            "submit.conditions_per_job=x",
            "submit.conditions_per_job must be an integer of at least 1, got 'x'.",
        ),
        ("device=tpu", "device must be auto, cpu, cuda or cuda:<number>, got 'tpu'."),
        ("device=cuda:1", "device must be one of auto, cpu, cuda, got 'cuda:1'."),
        (
            "runs=/proc/runs",
            "runs must be a folder that can be written to, got /proc/runs (No such file or directory).",
        ),
    ],
)
def test_bad_settings_are_rejected_before_submission(login, argument, sentence):
    assert refusal(login, argument) == sentence
    assert not list(login.workspace.glob("runs/.submissions/*/*"))
    assert login.jobs() == {}


def test_a_site_can_add_its_own_launcher(login):
    folder = login.workspace / "conf" / "hydra" / "launcher"
    folder.mkdir(parents=True)
    site = "defaults: [slurm_gpu, _self_]\npartition: high\naccount: ${oc.env:LAB_ACCOUNT}\n"
    (folder / "site.yaml").write_text(site)
    sweep = ("task=slow", "hydra/launcher=site")
    assert "Environment variable 'LAB_ACCOUNT' not found" in login.refusal("launch.submit", *sweep)
    plan = login.run("launch.submit", *sweep, "--dry-run", LAB_ACCOUNT="lab")
    assert (
        "each: partition=high, account=lab, gres=gpu:1, cpus_per_task=4, mem_gb=16, timeout_min=240" in plan
    )
    allowed = "hydra.launcher must be settings that this cluster accepts"
    refused = login.refusal("launch.train", "-m", *sweep, LAB_ACCOUNT="nobody")
    assert refused.startswith(f"{allowed}, got partition=high, account=nobody, gres=gpu:1 (SLURM: ")


def test_missing_slurm_commands_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "conf").mkdir()
    with hydra.initialize_config_dir(CONF, version_base="1.3"), pytest.raises(BadInputError) as refused:
        submit(["hydra/launcher=slurm_gpu", f"runs={tmp_path}/runs"], dry_run=True)
    assert str(refused.value) == (
        "SLURM must be installed where this command runs, such as a cluster's login node, got no sbatch, "
        "squeue, scancel, scontrol (degen train trains on this machine)."
    )
    assert not (tmp_path / "runs").exists()
