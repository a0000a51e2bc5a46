"""Trainings that are killed, and processes that want the same checkpoints. Everything here is a real process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from kill_resume import CONFIG, Campaign
from project import REPOSITORY, Project
from workshop import bytes_of

from swath.files import sha256

pytestmark = pytest.mark.workflow

TRAIN = """
import json, logging, os, sys, yaml
from pathlib import Path
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
from swath.errors import ToBeContinuedError, UserError
from swath.coordination import heartbeat
heartbeat.HEARTBEAT, heartbeat.SILENCE = 0.2, 3.0
from swath.training.train import train_model
from training_jobs import outputs_in, training_job
config = yaml.safe_load(Path("config.yaml").read_text())
try:
    train_model(training_job(config, "model", **json.loads(sys.argv[1])), outputs_in(Path(sys.argv[2])))
except UserError as error:
    sys.exit(f"left: {error}")
except ToBeContinuedError as error:
    print(error)
    sys.exit(75)
"""


def test_killed_at_any_moment_training_ends_with_the_same_bytes(finished: Project, tmp_path: Path) -> None:
    for shared in ("results", "data"):
        (tmp_path / shared).symlink_to(finished.folder / shared)
    train = {**finished.config["train"], "epochs": 4, "batch_size": 4}
    config = {**finished.config, "train": train, "model": CONFIG["model"]}  # a small network: small checkpoints
    campaign = Campaign(tmp_path, config, seed=1)
    campaign.warm_up()
    campaign.undisturbed()
    records = [campaign.disturbed(number, 4) for number in range(3)]
    for record in records:
        assert not record.different, record
        assert record.lost <= record.interval, record
    assert sum(len(record.kills) for record in records) >= 6
    assert any("fsync" in kill or "replace" in kill or "unlink" in kill for r in records for kill in r.kills)


class Trainings:
    """Processes that train in one working directory, each with outputs of its own."""

    def __init__(self, finished: Project, folder: Path):
        self.folder = folder
        for shared in ("results", "data"):
            (folder / shared).symlink_to(finished.folder / shared)
        (folder / "config.yaml").write_text(yaml.safe_dump(finished.config, sort_keys=False))

    def start(self, name: str, **settings: Any) -> subprocess.Popen[str]:
        (self.folder / name).mkdir()
        paths = os.pathsep.join(str(REPOSITORY / part) for part in ("scripts", "benchmarks"))
        with (self.folder / f"{name}.log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-c", TRAIN, json.dumps(settings), name],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": paths},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def wait_for(self, name: str, words: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.log(name):
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.05)

    def state(self) -> dict[str, str]:
        """All checkpoints and their checksums."""
        return {path.name: sha256(path) for path in self.folder.glob("model/checkpoints/*/*.ckpt")}


def test_of_two_trainings_on_one_folder_one_trains_and_the_other_leaves(finished: Project, tmp_path: Path) -> None:
    trainings = Trainings(finished, tmp_path)
    processes = {name: trainings.start(name, epochs=30) for name in ("one", "two")}
    status = {name: process.wait(timeout=300) for name, process in processes.items()}
    assert sorted(status.values()) == [0, 1]
    winner, loser = sorted(status, key=lambda name: status[name])
    assert f"already in use by process {processes[winner].pid}" in trainings.log(loser)
    assert "epoch 30/30" in trainings.log(winner)
    assert "epoch" not in trainings.log(loser)
    assert not list((tmp_path / loser).iterdir())


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
        before = trainings.state()
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait(timeout=120) == 1
        assert trainings.state() == before
        assert f"taken over by process {second.pid}" in trainings.log("first")
        assert not list((tmp_path / "first").iterdir())
    finally:
        os.kill(second.pid, signal.SIGCONT)
        first.kill()
    assert second.wait(timeout=300) == 0
    assert "epoch 60/60" in trainings.log("second")
    assert set(bytes_of(tmp_path / "second"))


@pytest.mark.parametrize("settings", [{"num_workers": 2, "accumulate": 2}, {"accumulate": 3}])
def test_asked_to_stop_with_its_whole_group_a_training_writes_a_checkpoint(
    settings: dict[str, Any], finished: Project, tmp_path: Path
) -> None:
    trainings = Trainings(finished, tmp_path)
    training = trainings.start("asked", epochs=60, batch_size=4, **settings)
    trainings.wait_for("asked", "epoch 2/60")
    os.killpg(training.pid, signal.SIGTERM)  # as SLURM does
    assert training.wait(timeout=120) == 75, trainings.log("asked")
    assert "stopped by SIGTERM" in trainings.log("asked")
    assert len([name for name in trainings.state() if name.startswith("last")]) == 2
