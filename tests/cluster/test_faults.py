"""Everything that a cluster does to jobs, done to a training: each ends with the bytes of an undisturbed run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import pandas as pd
import psutil
import pytest
from clones import AS_FINISHED, add_chips, clone, same_bytes
from project import Project
from slurm import Slurm, wait_until

from swath.files import read_json

pytestmark = [pytest.mark.workflow, pytest.mark.cluster]

EPOCHS = 30
ON_GPUS = ("--set-resources", "train:slurm_partition=gpu")  # the command line's word replaces all of the profile's
QUICK = ("--slurm-init-seconds-before-status-checks", "2", "--software-deployment-method", "env-modules")


def one_training(finished: Project, folder: Path) -> Project:
    """A clone with the finished experiment's chips, and one longer training to do."""
    project = clone(folder, finished)
    add_chips(project, finished)
    project.config = deepcopy(finished.config)
    project.config["train"]["epochs"] = EPOCHS
    project.config["sweep"] = {"grid": {"train.learning_rate": [0.002]}}
    project.write().replace(folder / "config" / "config.yaml")
    return project


@pytest.fixture(scope="session")
def undisturbed(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same training on this machine, without SLURM."""
    project = one_training(finished, tmp_path_factory.mktemp("undisturbed") / "swath")
    project.snakemake("--until", "train")
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    return one_training(finished, tmp_path / "swath")


def command(*arguments: str) -> list[str]:
    return ["snakemake", "--profile", "slurm", *QUICK, *AS_FINISHED, "--until", "train", *arguments]


@contextmanager
def training(project: Project, slurm: Slurm, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A training that runs on the cluster and has a few epochs behind it."""
    log = (project.folder / "said.txt").open("w")
    process = subprocess.Popen(
        command(*arguments),
        cwd=project.folder,
        env=slurm.environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: epochs_done(project) >= 2)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def type_it(project: Project, slurm: Slurm) -> subprocess.CompletedProcess[str]:
    """Type the command, and wait for its end."""
    return subprocess.run(
        command(),
        cwd=project.folder,
        env=slurm.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def states(slurm: Slurm, job: str) -> list[str]:
    """What accounting says of a job's end."""
    return [entry["State"] for entry in slurm.accounting("JobID", "State") if entry["JobID"] == job]


def nodes(slurm: Slurm, project: Project) -> list[str]:
    """Where a project's trainings have run, in the order they were submitted."""
    jobs = slurm.accounting("JobIDRaw", "NodeList", "WorkDir", "Comment")
    here = [job for job in jobs if job["WorkDir"] == str(project.folder) and job["Comment"].startswith("rule_train")]
    return [job["NodeList"] for job in sorted(here, key=lambda job: int(job["JobIDRaw"])) if "gpu" in job["NodeList"]]


def other(node: str) -> str:
    return {"gpu1": "gpu2", "gpu2": "gpu1"}[node]


def is_dead_pid(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def epochs_done(project: Project) -> int:
    """How many epochs the newest checkpoint has behind it."""
    names = project.results.glob("models/*/checkpoints/*/last-*.ckpt")
    return max((int(path.name.split("-")[1]) for path in names), default=0)


def history(project: Project) -> str:
    """The log of the training, which holds all of its attempts."""
    return max(project.results.glob("logs/train/*.log"), key=lambda path: path.stat().st_mtime_ns).read_text()


def trainer(project: Project) -> int:
    """The process that trains."""
    (owner,) = project.results.glob("models/*/checkpoints/*/owner-*.json")
    return int(read_json(owner)["pid"])


def said(project: Project) -> str:
    return (project.folder / "said.txt").read_text()


def trainings(slurm: Slurm) -> list[dict[str, str]]:
    """The trainings in the queue."""
    return [job for job in slurm.jobs() if job["comment"].startswith("rule_train")]


def ends_well(process: subprocess.Popen[str], project: Project, undisturbed: Project) -> None:
    """The run ends by itself, with one history and the bytes of an undisturbed run."""
    assert process.wait(timeout=600) == 0, said(project)
    is_complete(project, undisturbed)


def is_complete(project: Project, undisturbed: Project) -> None:
    same_bytes(undisturbed, project, ("models/*/m*", "models/*/pipeline-config.json"))
    history = pd.read_csv(next(project.results.glob("models/*/metrics.csv")))
    assert list(history["epoch"]) == list(range(1, EPOCHS + 1))


def test_scancel_of_a_training(project: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(project, slurm) as process:
        job = trainings(slurm)[0]["id"]
        slurm.ask("scancel", job)
        ends_well(process, project, undisturbed)
    assert [state.split()[0] for state in states(slurm, job)] == ["CANCELLED"]
    assert history(project).count("attempt on") == 2


def test_a_node_crashes(project: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(project, slurm) as process:
        job = trainings(slurm)[0]
        slurm.control("crash", job["node"])
        try:
            ends_well(process, project, undisturbed)
        finally:
            slurm.control("start", f"slurmd-{job['node']}")
    assert states(slurm, job["id"]) == ["NODE_FAIL"]
    assert nodes(slurm, project) == [job["node"], other(job["node"])]


def test_a_nodes_daemon_dies_while_its_job_lives(project: Project, undisturbed: Project, slurm: Slurm) -> None:
    """SLURM gives the job up, Snakemake starts it anew, and the first one is still there."""
    with training(project, slurm) as process:
        job, orphan = trainings(slurm)[0], trainer(project)
        os.kill(orphan, signal.SIGSTOP)
        slurm.control("kill", f"slurmd-{job['node']}")
        try:
            wait_until(lambda: len(nodes(slurm, project)) == 2, seconds=180)  # the second has begun
            os.kill(orphan, signal.SIGCONT)
            ends_well(process, project, undisturbed)
            wait_until(lambda: is_dead_pid(orphan), seconds=180)
        finally:
            slurm.control("start", f"slurmd-{job['node']}")
    assert states(slurm, job["id"]) == ["NODE_FAIL"]
    is_complete(project, undisturbed)  # the first one has not touched it


def test_snakemake_is_killed(project: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(project, slurm) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        lost = trainings(slurm)
        assert lost  # it lives on
        done = type_it(project, slurm)
    assert done.returncode == 0, done.stdout
    assert f"{lost[0]['id']} (running): rule_train" in done.stdout
    is_complete(project, undisturbed)


def test_the_controller_is_killed(project: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(project, slurm) as process:
        slurm.control("kill", "slurmctld")
        time.sleep(40)  # Snakemake asks, and nobody answers
        assert process.poll() is None
        slurm.control("start", "slurmctld")
        ends_well(process, project, undisturbed)


def test_a_node_is_drained(project: Project, undisturbed: Project, slurm: Slurm) -> None:
    """What runs there goes on; what is submitted anew goes elsewhere."""
    with training(project, slurm) as process:
        job = trainings(slurm)[0]
        slurm.ask("scontrol", "update", f"NodeName={job['node']}", "State=DRAIN", "Reason=test")
        slurm.ask("scancel", job["id"])
        try:
            ends_well(process, project, undisturbed)
        finally:
            slurm.ask("scontrol", "update", f"NodeName={job['node']}", "State=RESUME")
    assert nodes(slurm, project) == [job["node"], other(job["node"])]


def test_a_training_runs_into_its_time_limit(project: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(project, slurm) as process:
        job = trainings(slurm)[0]["id"]
        slurm.ask("scontrol", "update", f"JobId={job}", "TimeLimit=1")  # the training was told another one
        os.kill(trainer(project), signal.SIGSTOP)
        ends_well(process, project, undisturbed)
    assert states(slurm, job) == ["TIMEOUT"]


def test_a_training_that_does_not_fit_goes_on_in_the_next_job(
    project: Project, undisturbed: Project, slurm: Slurm
) -> None:
    with training(project, slurm, *ON_GPUS, "train:runtime=2") as process:
        job = trainings(slurm)[0]["id"]
        stopped = trainer(project)
        os.kill(stopped, signal.SIGSTOP)
        time.sleep(70)  # of the two minutes it was told, one is left
        os.kill(stopped, signal.SIGCONT)
        ends_well(process, project, undisturbed)
    assert states(slurm, job) == ["FAILED"]
    assert "time limit" in history(project)
    assert history(project).count("attempt on") == 2


def test_a_training_needs_more_memory_than_it_asked_for(project: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(project, slurm, *ON_GPUS, "train:mem_mb=700*attempt*attempt") as process:
        ends_well(process, project, undisturbed)
    assert "SLURM status is: 'OUT_OF_MEMORY'" in said(project)


def test_a_training_is_preempted(project: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(project, slurm, "--set-resources", "train:slurm_partition=scavenge") as process:
        job = trainings(slurm)[0]["id"]
        urgent = ("sbatch", "--parsable", "-p", "gpu", "-N2", "--gpus-per-node=2", "--mem=100", "--wrap", "sleep 10")
        slurm.ask(*urgent, "--output", "/dev/null")
        ends_well(process, project, undisturbed)
    assert states(slurm, job) == ["PREEMPTED"]


@pytest.fixture
def small_disk(project: Project) -> Iterator[Path]:
    """A disk of its own for models, nearly full."""
    models = project.results / "models"
    models.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", models], check=True)
    filler = models / "filler"
    filler.write_bytes(bytes(60 * 2**20))
    try:
        yield filler
    finally:
        subprocess.run(["umount", "--lazy", models], check=True)


def test_the_disk_is_full(project: Project, undisturbed: Project, slurm: Slurm, small_disk: Path) -> None:
    done = type_it(project, slurm)
    assert done.returncode != 0
    assert "No space left on device" in done.stdout
    small_disk.unlink()
    done = type_it(project, slurm)
    assert done.returncode == 0, done.stdout
    is_complete(project, undisturbed)
