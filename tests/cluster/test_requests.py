"""What `snakemake --profile slurm` asks SLURM for: the lines that accounting keeps of every submission."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from cluster_clone import AS_FINISHED, add_chips, clone
from experiment import Project
from slurm import HOST, Slurm, wait_until

pytestmark = [pytest.mark.workflow, pytest.mark.cluster]

LINES = {
    "a CPU, with a module": (
        ("--until", "scenes", "--precommand", "module load apptainer"),
        "-A my-project -p cpu -t 10 --mem 1000 --no-requeue --ntasks=1 --cpus-per-task=1",
    ),
    "another account": (
        ("--until", "scenes", "--default-resources", "slurm_account=lab", "slurm_partition=cpu"),
        "-A lab -p cpu -t 10 --mem 1000 --no-requeue --ntasks=1 --cpus-per-task=1",
    ),
    "a prediction": (
        ("--until", "predict", "--forcerun", "predict"),
        "-A my-project -p gpu -t 60 --mem 5003 --no-requeue --cpus-per-task=2 --gpus=1",
    ),
    "a GPU": (
        ("--until", "train"),
        "-A my-project -p gpu -t 240 --mem 6001 --nodes=1 --no-requeue --cpus-per-task=1 --gpus=1",
    ),
    "two GPUs": (
        ("--until", "train"),
        "-A my-project -p gpu -t 240 --mem 9001 --nodes=1 --no-requeue --cpus-per-task=2 --gpus=2",
    ),
    "a type": (
        ("--until", "train", "--set-resources", "train:slurm_partition=gpu", "train:gpu_model=h100"),
        "-A my-project -p gpu -t 240 --mem 6001 --nodes=1 --no-requeue --cpus-per-task=1 --gpus=h100:1",
    ),
    "a GRES string": (
        ("--until", "train", "--set-resources", "train:slurm_partition=gpu", "train:gpu=0", "train:gres=gpu:h100:1"),
        "-A my-project -p gpu -t 240 --mem 6001 --nodes=1 --no-requeue --cpus-per-task=1 --gres=gpu:h100:1",
    ),
}
REFUSED = {
    "a type that is not there": (
        ("train:slurm_partition=gpu", "train:gpu_model=a100"),
        ("train: gpu_model", "1 × a100", "gpu: 2 nodes with 2 × h100"),
    ),
    "a GRES string that is not there": (
        ("train:slurm_partition=gpu", "train:gpu=0", "train:gres=gpu:a100_1g.10gb:1"),
        ("train: gres", "gpu:a100_1g.10gb:1", "gpu: 2 nodes with 2 × h100"),
    ),
    "two ways at once": (
        ("train:slurm_partition=gpu", "train:gres=gpu:h100:1"),
        ("train: gres", "SLURM adds them up", "gpu: 0"),
    ),
    "more GPUs than a node has": (("train:slurm_partition=gpu", "train:gpu=3"), ("train: gpu", "3 × gpu", "fewer")),
    "a GRES string with more GPUs than it trains on": (
        ("train:slurm_partition=gpu", "train:gpu=0", "train:gres=gpu:h100:2"),
        ("train: gres", "gpu:h100:2", "1 GPU, as `train.gpus` says"),
    ),
    "a partition without GPUs": (
        ("train:slurm_partition=cpu",),
        ("train: gpu", "cpu: 1 node without GPUs", "replaces all of the profile's"),
    ),
    "a partition that is not there": (("train:slurm_partition=gpus",), ("train: slurm_partition", "did you mean")),
    "more time than is allowed": (
        ("train:slurm_partition=gpu", "train:runtime=1000"),
        ("train: runtime", "1000 minutes", "gpu: 480 minutes"),
    ),
    "an account that is not the user's": (
        ("train:slurm_account=theirs",),
        ("slurm_account", "theirs", "lab, my-project"),
    ),
}


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    return clone(tmp_path / "swath", finished)


def submitted(project: Project, slurm: Slurm, arguments: Sequence[str], rule: str) -> str:
    """Start a run, wait for a rule's first job, end the run; the job's sbatch line."""
    command = ["snakemake", "--profile", "slurm", *HOST, *AS_FINISHED, *arguments]
    log = (project.folder / "said.txt").open("w")
    process = subprocess.Popen(
        command, cwd=project.folder, env=slurm.environment, stdout=log, stderr=subprocess.STDOUT, text=True
    )

    def queued() -> bool:  # those of the last test may be there, too
        here = [job for job in slurm.jobs() if job["folder"] == str(project.folder)]
        return any(job["comment"].startswith(f"rule_{rule}") for job in here)

    def lines() -> list[str]:
        jobs = slurm.accounting("WorkDir", "Comment", "SubmitLine")
        here = [job for job in jobs if job["WorkDir"] == str(project.folder)]
        return [job["SubmitLine"] for job in here if job["Comment"].startswith(f"rule_{rule}")]

    try:
        wait_until(lambda: queued() or process.poll() is not None, seconds=300)
        assert process.poll() is None, (project.folder / "said.txt").read_text()
    finally:
        process.kill()
        process.wait()
        slurm.ask("scancel", "--full", "--me")
    wait_until(lines)  # accounting may come to know of a job when it ends
    return lines()[0]


@pytest.mark.parametrize("name", LINES)
def test_the_line_for(name: str, project: Project, finished: Project, slurm: Slurm) -> None:
    arguments, expected = LINES[name]
    rule = arguments[1]
    if rule == "train":
        add_chips(project, finished)
    if rule == "predict":
        shutil.copytree(finished.results, project.results, symlinks=True)
    if name == "two GPUs":
        project.config["train"]["gpus"] = 2
        project.write().replace(project.folder / "config" / "config.yaml")
    line = submitted(project, slurm, arguments, rule)
    assert "--job-name small-" in line
    assert ("module load apptainer" in line) == ("module" in name)
    assert f"--output {project.folder}/results/logs/slurm/rule_{rule}/" in line
    asked = re.search(r"(-A .*?) -D \S+(.*?) --wrap", line)
    assert asked, line
    assert asked[1] + asked[2] == expected


def refused(project: Project, slurm: Slurm, *arguments: str) -> str:
    """What is said, within a minute and without a job, of a run that cannot start."""
    done = subprocess.run(
        ["snakemake", "--profile", "slurm", *HOST, *arguments],
        cwd=project.folder,
        env=slurm.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    folders = slurm.ask("squeue", "--noheader", "--states", "all", "--format", "%Z").split()
    assert str(project.folder) not in folders
    return done.stdout


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_never_start_is_refused_at_once(name: str, project: Project, slurm: Slurm) -> None:
    resources, words = REFUSED[name]
    said = refused(project, slurm, "--set-resources", *resources)
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("site", "words"),
    {
        "atlas": ("scenes: slurm_partition", "found:    atlas", "train: slurm_partition", "found:    gpu-a100-mig7"),
        "generic": ("train: gpu_model", "1 × a100", "predict: gpu_model"),
    }.items(),
)
def test_the_site_is_a_file_of_its_own(site: str, words: Sequence[str], project: Project, slurm: Slurm) -> None:
    """Its lines take the place of the profile's: on this cluster they are refused."""
    said = refused(project, slurm, "--profile", f"profiles/sites/{site}.yaml")
    for word in words:
        assert word in said
