"""`snakemake --profile slurm doctor` on a real cluster, whose GPUs are placeholders: no driver, no CUDA."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from cluster_clone import clone
from experiment import Project
from slurm import HOST, Slurm

from swath.doctor import cluster, machine, node
from swath.doctor.lines import ERROR, FINE, WARNING
from swath.files import write_json

pytestmark = [pytest.mark.workflow, pytest.mark.cluster]

SITE = ("slurm_account=my-project", "slurm_partition=cpu")
ON_GPUS = {"slurm_account": "my-project", "slurm_partition": "gpu", "gpu": 1}


def doctor(project: Project, slurm: Slurm, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["snakemake", "doctor", "--profile", "slurm", *arguments],
        cwd=project.folder,
        env=slurm.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    return clone(tmp_path / "swath", finished)


def test_a_sound_cluster_without_drivers(project: Project, slurm: Slurm) -> None:
    done = doctor(project, slurm, *HOST)
    said = " ".join(done.stdout.split())
    for line in (
        "fine partition cpu: 1 node without GPUs",
        "fine partition gpu: 2 nodes with 2 × h100",
        "fine requests leaderboard → cpu, my-project; predict → gpu, my-project; train → gpu, my-project",
        "fine GPU job ran on gpu1",
        "CUDA_VISIBLE_DEVICES=0",
        "error GPU no GPU is seen",
        "fine weights all there, or none needed",
        "fine locks nobody else works here",
    ):
        assert line in said, done.stdout
    assert done.returncode != 0
    assert "found: 1 error" in said


def test_a_profile_for_another_cluster(project: Project, slurm: Slurm) -> None:
    done = doctor(
        project,
        slurm,
        *HOST,
        "--set-resources",
        "train:slurm_partition=gpus",
        "train:slurm_account=mine",
        "train:gpu=1",
    )
    said = " ".join(done.stdout.split())
    assert "error requests slurm_account: mine; expected: an account of yours: lab, my-project" in said
    assert "error requests train: slurm_partition: gpus" in said
    assert "error GPU job SLURM refuses it" in said
    assert done.returncode != 0


def test_for_a_module_of_ones_own(project: Project, slurm: Slurm) -> None:
    said = " ".join(doctor(project, slurm, *HOST, "--configfile", "config/examples/own-pipeline.yaml").stdout.split())
    assert "fine requests configure → cpu, my-project; predict → gpu, my-project; train → gpu, my-project" in said
    assert "fine GPU job ran on gpu1" in said


def test_in_the_container(finished: Project, tmp_path: Path, slurm: Slurm, image: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/srv") as scratch:  # nothing that Apptainer mounts by itself
        tmpdir = f"tmpdir='{scratch}'"
        done = doctor(clone(tmp_path / "swath", finished, image), slurm, "--default-resources", *SITE, tmpdir)
    said = " ".join(done.stdout.split())
    assert "fine Apptainer apptainer version" in said
    assert "swath.sif, torch 2" in said
    assert "fine GPU job ran on gpu1" in said
    assert f"fine temporary files {scratch} on gpu1" in said


def test_what_an_earlier_run_has_left(project: Project, slurm: Slurm) -> None:
    write_json(project.folder / ".snakemake" / "swath-jobs" / "small-1-2-3.json", {"host": "elsewhere", "pid": 1})
    job = slurm.ask(
        *("sbatch", "--parsable", "--hold", "--comment", "rule_train_wildcards_abc", "--job-name", "small-1-2-3"),
        *("--output", "/dev/null", "--wrap", "true"),
    ).strip()
    write_json(
        project.results / "models" / "abc" / "checkpoints" / "123" / "owner-000001.json",
        {"host": "elsewhere", "pid": 1, "started": 0.0},
    )
    try:
        said = " ".join(doctor(project, slurm, *HOST).stdout.split())
    finally:
        slurm.ask("scancel", job)
    assert f"warning job in the queue {job} (pending): rule_train_wildcards_abc" in said
    assert "warning trainings running, or killed elsewhere: abc (process 1 on elsewhere)" in said


@pytest.fixture
def here(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """The cluster, for this process."""
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, slurm.environment[name])
    monkeypatch.chdir(tmp_path)
    return slurm


def test_no_gpu_is_free(here: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 5.0)
    here.ask("scontrol", "update", "PartitionName=gpu", "State=DOWN")
    try:
        (line,) = cluster.gpu_job(cluster.Probe(ON_GPUS, None))
    finally:
        here.ask("scontrol", "update", "PartitionName=gpu", "State=UP")
    assert line.level == WARNING
    assert line.found == "not started within 5 s (PartitionDown)"
    assert here.jobs("PENDING") == []


def test_a_job_that_fails(here: Slurm) -> None:
    (line,) = cluster.gpu_job(cluster.Probe(ON_GPUS, None, before="module load nothing"))
    assert line.level == ERROR
    assert "module" in line.found
    assert "not found" in line.found


@pytest.mark.parametrize(
    ("said", "code", "driver"),
    [
        ("580.65.06", 0, "580.65.06"),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9, ""),
        ("No devices were found", 0, ""),
    ],
)
def test_what_nvidia_smi_says_of_itself_is_no_driver(
    said: str, code: int, driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path / "nvidia-smi", said, code)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert node.look_around()["driver"] == driver


@pytest.mark.parametrize(("files", "level"), [("81000 90000", FINE), ("91000* 90000", WARNING)])
def test_a_quota_that_is_used_up(files: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path / "quota", f"/home 12G 30G {files} 100000")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    line = next(line for line in machine.places({}) if line.what == "quota")
    assert line.level == level


@pytest.mark.parametrize(("pinned", "level"), [("torch==2.14.1", FINE), ("torch==2.15.0", WARNING)])
def test_an_image_of_another_lock_file(
    pinned: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path / "apptainer", "torch==2.14.1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "requirements.lock").write_text(f"{pinned}\n")
    (tmp_path / "swath.sif").touch()
    line = list(machine.container(tmp_path / "swath.sif", tmp_path / "requirements.lock"))[-1]
    assert line.level == level


def plant(program: Path, said: str, code: int = 0) -> None:
    """Put a program in the way that says something and ends."""
    program.write_text(f'#!/bin/sh\necho "{said}"\nexit {code}\n')
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"gpu": 1}, True),
        ({"gpu_model": "a100"}, True),
        ({"gres": "gpu:a100_1g.10gb:1"}, True),
        ({"gpu": 0, "slurm_extra": "--gpus-per-node=a100-sxm4:1"}, True),
        ({"gpu": 0, "gres": "lscratch:10"}, False),
    ],
)
def test_who_wants_a_gpu(resources: dict[str, object], expected: bool) -> None:
    assert cluster.wants_gpu(resources) == expected


def test_what_a_node_with_a_gpu_says() -> None:
    seen = {
        "host": "gpu01",
        "node": "gpu01",
        "torch": "2.14.1+cu130",
        "cuda": "13.0",
        "driver": "580.65",
        "driver_cuda": "13.0",
        "visible": "0",
        "gpus": [{"name": "NVIDIA A100", "memory": 80e9}],
        "problem": "",
        "temporary": "/tmp",
        "temporary_free": 50e9,
    }
    lines = list(cluster.what_a_node_has(seen, wants_gpus=True))
    assert [line.level for line in lines] == [FINE, FINE, FINE]
    assert lines[-1].found == "NVIDIA A100 (80 GB), driver 580.65, CUDA 13.0"
    old = {**seen, "gpus": [], "driver_cuda": "12.9", "problem": "The NVIDIA driver on your system is too old."}
    line = list(cluster.what_a_node_has(old, wants_gpus=True))[-1]
    assert line.level == ERROR
    assert "pin an older torch" in line.cure
    line = list(cluster.what_a_node_has({**seen, "gpus": []}, wants_gpus=True))[-1]
    assert line.level == ERROR
    assert "look at CUDA_VISIBLE_DEVICES" in line.cure
    without = {**seen, "gpus": [], "cuda": ""}
    assert list(cluster.what_a_node_has(without, wants_gpus=True))[-1].level == WARNING
    assert list(cluster.what_a_node_has(without, wants_gpus=False))[-1].level == FINE
