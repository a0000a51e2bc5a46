"""Pulling the plug while a model trains."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from copy import deepcopy
from pathlib import Path

import pandas as pd
import psutil
import pytest
from experiment import Project
from kills import bytes_of, disturbed, new_project

from swath.coordination.training_progress import read_progress
from swath.files import sha256

pytestmark = pytest.mark.workflow

SAME = ("/metrics.csv", "/validation.json", "/polygons.parquet")
"""Endings of what is the same in all shards and beside other trials."""


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """One longer trial to train."""
    return one_trial(finished, tmp_path / "project")


def one_trial(finished: Project, folder: Path) -> Project:
    """The finished experiment up to its chips, with one longer trial to train."""
    shutil.copytree(finished.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("models", "evals", "bundles"))
    config = deepcopy(finished.config)
    config["train"]["epochs"] = 6
    config["sweep"] = {"grid": {"train.learning_rate": [0.002]}}
    return Project(folder, config)


def wait_for(pattern: str, folder: Path, seconds: float = 120) -> Path:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
        time.sleep(0.05)
    raise TimeoutError(pattern)


def look(project: Project) -> tuple[str, dict[str, int]]:
    """What `snakemake status` says, and the files that were there before."""
    before = files_in(project.folder)
    done = subprocess.run(project.command("status"), capture_output=True, text=True, check=True, timeout=60)
    return done.stdout, before


def files_in(folder: Path) -> dict[str, int]:
    """All files but the logs of Snakemake, and when each was changed."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".snakemake/log" not in str(path))
    return {str(path): path.stat().st_mtime_ns for path in files if path.name != "config.yaml"}


@pytest.fixture(scope="module")
def undisturbed(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same training, which nothing happens to."""
    project = one_trial(finished, tmp_path_factory.mktemp("whole") / "project")
    project.snakemake("--until", "train")
    return project


def test_a_training_killed_with_everything_goes_on_from_its_last_epoch(project: Project, undisturbed: Project) -> None:
    process = subprocess.Popen(
        project.command(),
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        checkpoint = wait_for("results/models/*/checkpoints/*/last-00001-*.ckpt", project.folder)
        wait_for("results/models/*/metrics-so-far.csv", project.folder)  # written after what `status` reads
        progress = read_progress(checkpoint.parent)
        assert progress
        training = psutil.Process(progress.process["pid"])  # forked, and therefore in no group of the run's
        training.suspend()  # so that it does not end meanwhile
        os.killpg(process.pid, signal.SIGSTOP)
        looked, before = look(project)
        assert re.search(r"learning_rate=0.002,seed=0  training +[2-6]/6, .* macro_f1 0\.\d{4}, epoch \d", looked)
        assert "trainings    0 of 1, 1 at work" in looked and "chips        2 of 2" in looked
        assert f"A run of Snakemake is at work here: process {process.pid} on" in looked
        assert files_in(project.folder) == before
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    training.wait(30)  # killed, stopped as it is, because whoever has asked for it is gone
    looked, before = look(project)
    assert re.search(r"learning_rate=0.002,seed=0  stopped +[1-6]/6", looked)
    assert "the same command goes on after epoch" in looked and "No run of Snakemake is at work here" in looked
    assert files_in(project.folder) == before
    assert not list(project.results.glob("models/*/model-bundle.zip"))
    logs = [log.read_text() for log in project.results.glob("experiments/small/trials/*/train.log") if log.exists()]
    assert any("epoch 1/6" in log for log in logs)

    done = project.snakemake()  # the same command
    assert "its lock is released" in done.stdout
    assert "going on from last-0000" in done.stdout
    assert "epoch 1/6" not in done.stdout
    assert "epoch 6/6" in done.stdout
    assert (project.results / "experiments" / "small" / "summary.txt").is_file()

    for path in undisturbed.results.glob("models/*/m*"):
        resumed = project.results / path.relative_to(undisturbed.results)
        assert sha256(path) == sha256(resumed), f"{path.name} differs after the interruption"
    history = pd.read_csv(next(project.results.glob("models/*/metrics.csv")))
    assert list(history["epoch"]) == [1, 2, 3, 4, 5, 6]


def test_a_training_asked_to_stop_goes_on_by_itself_where_there_are_retries(project: Project) -> None:
    project.config["train"]["epochs"] = 30  # long enough to be met in the middle
    process = subprocess.Popen(
        project.command("--retries", "2", "--until", "train"),
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for("results/models/*/checkpoints/*/last-00001-*.ckpt", project.folder)
    training = next(child for child in psutil.Process(process.pid).children(recursive=True) if is_training(child))
    training.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "stopped by SIGTERM after" in output
    assert "the same command goes on from here" in output
    assert "going on from last-0000" in output
    metrics = next(project.results.glob("models/*/metrics.csv"))
    assert list(pd.read_csv(metrics)["epoch"]) == list(range(1, 31))


def is_training(process: psutil.Process) -> bool:
    words = process.cmdline()
    return "python" in words[0] and words[-1].endswith("train.py")


@pytest.mark.parametrize(("kind", "stages"), [("kill", ["train", "eval"]), ("ctrl-c", ["predict"])])
def test_whenever_snakemake_alone_is_killed_the_same_command_ends_with_the_same_bytes(
    kind: str, stages: list[str], finished: Project, cut_scenes: Path, tmp_path: Path
) -> None:
    """A few of the moments of benchmarks/kills.py."""
    project = new_project(tmp_path / "project", cut_scenes)
    project.config["sweep"] = {"grid": {"train.learning_rate": [0.001]}}  # one of the trials that are there
    expected = bytes_of(finished.folder)
    record = disturbed(project, kind, stages, 1, {})
    assert not record.failures, record.failures
    assert len(record.moments) == len(stages)
    found = {name: found for name, found in bytes_of(project.folder).items() if name.endswith(SAME)}
    assert len(found) >= 3
    assert found.items() <= expected.items()
