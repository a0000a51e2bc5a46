"""Processes that train in one folder, to be stopped and killed; forked from one that has imported everything once."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import yaml
from experiment import Project
from training_jobs import outputs_in, training_job

from swath.files import sha256
from swath.status.watched import WatchedRun

PROCESSES = multiprocessing.get_context("forkserver")


def train(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """What such a process does: train, with signs of life that come and are missed soon."""
    os.setsid()
    os.chdir(folder)
    with Path(f"{name}.log").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    from swath.coordination import heartbeat
    from swath.errors import ToBeContinuedError, UserError
    from swath.training.train import train_model

    heartbeat.HEARTBEAT, heartbeat.SILENCE = 0.2, 3.0
    config = yaml.safe_load(Path("config.yaml").read_text())
    try:
        train_model(training_job(config, "model", **settings), outputs_in(Path(name)))
    except UserError as error:
        sys.exit(f"left: {error}")
    except ToBeContinuedError as error:
        print(error, file=sys.stderr)
        sys.exit(75)


class Trainings:
    """Processes that train in one working directory, each with outputs of its own."""

    def __init__(self, finished: Project, folder: Path):
        PROCESSES.set_forkserver_preload(["swath.training.train"])
        self.folder = folder
        for shared in ("results", "data"):
            (folder / shared).symlink_to(finished.folder / shared)
        (folder / "config.yaml").write_text(yaml.safe_dump(finished.config, sort_keys=False))

    def start(self, name: str, **settings: Any) -> ForkServerProcess:
        (self.folder / name).mkdir()
        process = PROCESSES.Process(target=train, args=(self.folder, name, settings))
        process.start()
        return process

    def log(self, name: str) -> str:
        log = self.folder / f"{name}.log"
        return log.read_text() if log.exists() else ""

    def wait_for(self, name: str, words: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.log(name):
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.05)

    def status(self, process: ForkServerProcess, seconds: float = 300) -> int | None:
        """Wait for the end of one; its exit status, None if it has not ended by then."""
        process.join(seconds)
        return process.exitcode

    def watched(self, name: str) -> WatchedRun:
        """What is watched of one."""
        outputs = ("model-bundle.zip", "metrics.csv", "timing.csv")
        training = [str(self.folder / name / output) for output in outputs]
        return WatchedRun(name, str(self.folder / "model"), "", training, {}, monitor="macro_f1")

    def state(self) -> dict[str, str]:
        """All checkpoints and their checksums."""
        return {path.name: sha256(path) for path in self.folder.glob("model/checkpoints/*/*.ckpt")}
