"""A training on the cluster, which something happens to; it ends with the bytes of an undisturbed one."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import pandas as pd
import psutil
from cluster_clone import AS_FINISHED, add_chips, clone, same_bytes
from experiment import REPOSITORY, Project
from slurm import Slurm, wait_until

from swath.files import read_json

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
        wait_until(lambda: epochs_done(project) >= 2 or process.poll() is not None, seconds=300)
        assert process.poll() is None, said(project)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def type_it(project: Project, slurm: Slurm, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Type the command, and wait for its end."""
    return wait_for(command(*arguments), project, slurm)


def resume(project: Project, slurm: Slurm) -> subprocess.CompletedProcess[str]:
    """Type `make resume`, and wait for its end."""
    (project.folder / ".venv").symlink_to(REPOSITORY / ".venv")
    make = ["make", "--assume-old", "envs/requirements.lock"]  # nothing is to be installed
    return wait_for([*make, "resume", f"ARGS={shlex.join(command()[3:])}"], project, slurm)


def wait_for(command: Sequence[str], project: Project, slurm: Slurm) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
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


def submitted(slurm: Slurm, project: Project, *fields: str) -> list[dict[str, str]]:
    """What accounting says of a project's trainings, in the order they were submitted."""
    jobs = slurm.accounting("JobIDRaw", "WorkDir", "Comment", *fields)
    here = [job for job in jobs if job["WorkDir"] == str(project.folder) and job["Comment"].startswith("rule_train")]
    return sorted(here, key=lambda job: int(job["JobIDRaw"]))


def nodes(slurm: Slurm, project: Project) -> list[str]:
    """Where a project's trainings have run, in the order they were submitted."""
    return [job["NodeList"] for job in submitted(slurm, project, "NodeList") if "gpu" in job["NodeList"]]


def other(node: str) -> str:
    return {"gpu1": "gpu2", "gpu2": "gpu1"}[node]


def is_dead_pid(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def epochs_done(project: Project) -> int:
    """How many epochs the newest checkpoint has behind it."""
    names = project.results.glob("models/*/checkpoints/*/last-*.ckpt")
    return max((int(path.name.split("-")[1]) for path in names), default=0)


def history(project: Project) -> str:
    """What all attempts of the training have said."""
    return next(project.results.glob("models/*/train.log")).read_text()


def trainer(project: Project) -> int:
    """The process that trains."""
    (owner,) = project.results.glob("models/*/checkpoints/*/owner-*.json")
    return int(read_json(owner)["pid"])


def said(project: Project) -> str:
    return (project.folder / "said.txt").read_text()


def trainings(slurm: Slurm, project: Project) -> list[dict[str, str]]:
    """A project's trainings in the queue."""
    here = [job for job in slurm.jobs() if job["folder"] == str(project.folder)]
    return [job for job in here if job["comment"].startswith("rule_train")]


def ends_well(process: subprocess.Popen[str], project: Project, undisturbed: Project, attempts: int = 2) -> None:
    """The run ends by itself, with one history and the bytes of an undisturbed run."""
    assert process.wait(timeout=600) == 0, said(project)
    is_complete(project, undisturbed, attempts)


def is_complete(project: Project, undisturbed: Project, attempts: int = 2) -> None:
    """The bytes of an undisturbed run, from attempts of which each went on where the one before was."""
    assert history(project).count("attempt on") == attempts
    assert history(project).count("going on from last-") == attempts - 1
    has_the_bytes(project, undisturbed)


def has_the_bytes(project: Project, undisturbed: Project) -> None:
    same_bytes(undisturbed, project, ("models/*/m*", "models/*/pipeline-config.json"))
    metrics = pd.read_csv(next(project.results.glob("models/*/metrics.csv")))
    assert list(metrics["epoch"]) == list(range(1, EPOCHS + 1))
