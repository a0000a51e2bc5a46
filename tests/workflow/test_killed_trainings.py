"""Trainings that are killed, and processes that want the same checkpoints. Everything here is a real process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from direct_training import bytes_of
from experiment import Project
from kill_resume import CONFIG, Campaign
from trainings import Trainings

from swath.status.trainings import DONE, STOPPED, TRAINING, state_of
from swath.status.witness import Witness

pytestmark = pytest.mark.workflow


@pytest.mark.long
def test_killed_at_any_moment_training_ends_with_the_same_bytes(finished: Project, tmp_path: Path) -> None:
    for shared in ("results", "data"):
        (tmp_path / shared).symlink_to(finished.folder / shared)
    train = {**finished.config["train"], "epochs": 4, "batch_size": 4}
    config = {**finished.config, "train": train, "model": CONFIG["model"]}  # a small network: small checkpoints
    campaign = Campaign(tmp_path, config, seed=1)
    campaign.warm_up()
    campaign.undisturbed()
    records = [campaign.disturbed(number, 4) for number in range(2)]
    for record in records:
        assert not record.different, record
        assert record.lost <= record.interval, record
    assert sum(len(record.kills) for record in records) >= 4
    assert any("fsync" in kill or "replace" in kill or "unlink" in kill for r in records for kill in r.kills)


def test_of_two_trainings_on_one_folder_one_trains_and_the_other_leaves(finished: Project, tmp_path: Path) -> None:
    trainings = Trainings(finished, tmp_path)
    processes = {name: trainings.start(name, epochs=30) for name in ("one", "two")}
    status = {name: trainings.status(process) for name, process in processes.items()}
    assert sorted(map(str, status.values())) == ["0", "1"]
    winner, loser = sorted(status, key=lambda name: str(status[name]))
    assert f"already in use by process {processes[winner].pid}" in trainings.log(loser)
    assert "epoch 30/30" in trainings.log(winner)
    assert "epoch" not in trainings.log(loser)
    assert not list((tmp_path / loser).iterdir())


@pytest.mark.long
def test_a_stopped_training_is_taken_over_and_writes_nothing_when_it_is_continued(
    finished: Project, tmp_path: Path
) -> None:
    trainings = Trainings(finished, tmp_path)
    first = trainings.start("first", epochs=60)
    trainings.wait_for("first", "epoch 5/60")
    os.kill(first.pid, signal.SIGSTOP)
    second = trainings.start("second", epochs=60)
    try:
        trainings.wait_for("second", "gave no sign of life")
        trainings.wait_for("second", "epoch 12/60")
        os.kill(second.pid, signal.SIGSTOP)  # so that whatever is written now is the first one's
        seen = state_of(trainings.watched("second"), Witness())
        assert seen.state == TRAINING and seen.worker and seen.worker["pid"] == second.pid
        before = trainings.state()
        os.kill(first.pid, signal.SIGCONT)
        assert trainings.status(first) == 1, trainings.log("first")
        assert trainings.state() == before
        assert f"taken over by process {second.pid}" in trainings.log("first")
        assert not list((tmp_path / "first").iterdir())
    finally:
        os.kill(second.pid, signal.SIGCONT)
        first.kill()
    assert trainings.status(second) == 0
    assert "epoch 60/60" in trainings.log("second")
    done = state_of(trainings.watched("second"), Witness())
    assert (done.state, done.epoch) == (DONE, 60)
    assert not (tmp_path / "model" / "metrics-so-far.csv").exists()
    assert set(bytes_of(tmp_path / "second"))


@pytest.mark.parametrize("settings", [{"num_workers": 2, "accumulate": 2}, {"accumulate": 3}])
def test_asked_to_stop_with_its_whole_group_a_training_writes_a_checkpoint(
    settings: dict[str, Any], finished: Project, tmp_path: Path
) -> None:
    trainings = Trainings(finished, tmp_path)
    training = trainings.start("asked", epochs=60, batch_size=4, **settings)
    trainings.wait_for("asked", "epoch 2/60")
    seen = state_of(trainings.watched("asked"), Witness())
    assert (seen.state, seen.epochs, seen.monitor) == (TRAINING, 60, "macro_f1")
    assert (seen.epoch or 0) >= 1 and seen.best and seen.seconds_left and "CPU thread" in seen.hardware
    assert seen.worker and seen.worker["pid"] == training.pid
    assert len(pd.read_csv(tmp_path / "model" / "metrics-so-far.csv")) >= 1
    os.killpg(training.pid, signal.SIGTERM)  # as SLURM does
    assert trainings.status(training) == 75, trainings.log("asked")
    seen = state_of(trainings.watched("asked"), Witness())
    assert seen.state == STOPPED and seen.remark.startswith("stopped by SIGTERM after ")
    assert seen.epoch == max(int(name.split("-")[1]) for name in trainings.state() if name.startswith("last"))
    assert "stopped by SIGTERM" in trainings.log("asked")
    assert len([name for name in trainings.state() if name.startswith("last")]) == 2
