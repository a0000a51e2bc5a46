"""Readable names of results: there from the start of a run, whole at its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swath.plan.finished import FinishedRun
from swath.report.links import link_runs, link_trainings


def run(key: str, name: str = "learning_rate=0.1,seed=0") -> FinishedRun:
    return FinishedRun(
        name=name,
        trial="learning_rate=0.1",
        values={"train.learning_rate": 0.1},
        fold=None,
        seed=0,
        model=f"results/models/{key}",
        bundle=f"results/bundles/{key}",
        maps=f"results/predictions/{key}",
        evals={},
        log=f"results/logs/train/{key}.log",
    )


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("results/experiments/mine/trials/learning_rate=0.1,seed=0")


def links(folder: Path) -> dict[str, str]:
    return {file.name: os.path.normpath(folder / file.readlink()) for file in folder.iterdir()}


def test_a_log_can_be_followed_before_it_is_there(trial: Path) -> None:
    link_trainings(trial.parents[1], [run("a")])
    assert links(trial) == {"model": "results/models/a", "train.log": "results/logs/train/a.log"}
    Path("results/logs/train").mkdir(parents=True)
    Path("results/logs/train/a.log").write_text("epoch 1")
    assert (trial / "train.log").read_text() == "epoch 1"


def test_what_is_linked_is_of_one_model_and_other_trials_stay(trial: Path) -> None:
    link_runs(trial.parents[1], [run("a"), run("b", "another")], lambda run, split: run.maps)
    before = {file: file.lstat().st_ino for file in trial.parent.rglob("*") if file.is_symlink()}
    link_trainings(trial.parents[1], [run("a"), run("b", "another")])
    assert {file: file.lstat().st_ino for file in before} == before
    link_trainings(trial.parents[1], [run("c")])  # another model: the maps of the one before are not its own
    assert links(trial) == {"model": "results/models/c", "train.log": "results/logs/train/c.log"}
    assert links(trial.with_name("another"))["model"] == "results/models/b"
    assert not list(trial.parent.rglob(".*"))
