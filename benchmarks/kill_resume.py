"""Kill training again and again, at random moments and between the writes of its checkpoints; compare the bytes.

    python benchmarks/kill_resume.py --kills 100

Every training runs in a process of its own, is killed with SIGKILL, and is started again, until it is done; then the
checksums of its weights, bundle, metrics.csv and pipeline config are compared with those of a training nobody touched.
Three kinds of training take turns: checkpoints after epochs, as by default; after every step; and after every step with
two processes that load chips. The default writes one once fifty times as long has passed as the last one took: how many
steps a kill then undoes is printed, and bounded for the other two.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import logging
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training_jobs import demo_config, make_chips, outputs_in, training_job, use_cores

SMALL = {"encoder_depth": 3, "decoder_channels": 32, "decoder_atrous_rates": [2, 4, 6]}
CONFIG = demo_config(
    chips={"per_scene": 60},
    # dropout, and augmentation with a random state of its own: both have to be the same after an interruption
    model={"architecture": "deeplabv3plus", "encoder": "tu-resnet10t", "arguments": SMALL},
    train={"epochs": 5, "batch_size": 8, "augmentations": ["HorizontalFlip", "RandomRotate90", "GaussNoise"]},
    sweep={"grid": {}},
)
DEFAULT = "after epochs"
KINDS: dict[str, dict[str, Any]] = {
    DEFAULT: {"checkpoint_minutes": None, "num_workers": 0},
    "every step": {"checkpoint_minutes": 0.0, "num_workers": 0},
    "every step, 2 workers": {"checkpoint_minutes": 0.0, "num_workers": 2},
}
MOST_KILLS = 12
"""Kills that one training has to bear before it is left alone."""


@dataclass
class Record:
    """What happened to one training.

    Attributes:
        kind: When it writes checkpoints.
        kills: Moments of its kills.
        lost: Most steps that had to be done again after a kill.
        interval: Most steps between two checkpoints.
        different: What does not have the same bytes as after the undisturbed training.
    """

    kind: str
    kills: list[str] = field(default_factory=list)
    lost: int = 0
    interval: int = 1
    different: list[str] = field(default_factory=list)


def attempt(folder: str, config: dict[str, Any], train: dict[str, Any], fault: int | None) -> None:
    """Train, in a process of its own; with a fault, until that many file operations have been done.

    Args:
        folder: Where the training runs: the working directory.
        config: The experiment.
        train: Changed settings.
        fault: Number of the file operation before (even) or after (odd) which the process kills itself, counted twice.
    """
    os.setsid()
    os.chdir(folder)
    with Path("log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    from swath.training.module import LearnerModule
    from swath.training.train import train_here

    step = LearnerModule.training_step

    def noted_step(module: Any, batch: Any, batch_idx: int) -> Any:
        loss = step(module, batch, batch_idx)
        Path("position").write_text(json.dumps([len(module.rows), batch_idx + 1]))
        return loss

    LearnerModule.training_step = noted_step
    if fault is not None:
        _kill_at(fault)
    train_here(training_job(config, "model", **train), outputs_in(Path("model")))


def _kill_at(fault: int) -> None:
    """Let this process kill itself just before or after one of its file operations."""
    count = 0

    def wrapped(operation: Callable[..., Any], word: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            for moment in ("before", "after"):
                if count == fault:
                    Path("fault").write_text(f"{moment} {word}")
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
                if moment == "before":
                    result = operation(*arguments, **options)
            return result

        return call

    for word in ("replace", "fsync", "unlink", "link"):
        setattr(os, word, wrapped(getattr(os, word), word))


def bytes_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of everything a training leaves, and of every file in its bundle."""
    from swath.files import sha256

    names = ("model-bundle.zip", "metrics.csv", "pipeline-config.json")
    sums = {name: sha256(folder / name) for name in names}
    with zipfile.ZipFile(folder / "model-bundle.zip") as bundle:
        for name in bundle.namelist():
            sums[f"bundle/{name}"] = hashlib.sha256(bundle.read(name)).hexdigest()
    return sums


class Campaign:
    """Trainings that are killed.

    Args:
        folder: Where the chips lie.
        config: The experiment.
        seed: Of the moments.
    """

    def __init__(self, folder: Path, config: dict[str, Any], seed: int):
        self.folder, self.config, self.seed = folder, config, seed
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(["swath.training.train"])  # importing takes longer than training
        self.seconds = 0.0
        self.steps = self.steps_per_epoch = 0
        self.expected: dict[str, str] = {}

    def warm_up(self) -> None:
        """Let the process that all others are forked from import everything, once."""
        process = self.processes.Process(target=time.sleep, args=(0,))
        process.start()
        process.join()

    def undisturbed(self) -> None:
        """Train once in peace: what all others have to end with."""
        started = time.monotonic()
        self._run(self._workspace("undisturbed"), KINDS[DEFAULT], None, None)
        self.seconds = time.monotonic() - started
        self.expected = bytes_of(self.folder / "undisturbed" / "model")
        epochs, self.steps_per_epoch = json.loads((self.folder / "undisturbed" / "position").read_text())
        self.steps = (epochs + 1) * self.steps_per_epoch

    def disturbed(self, number: int, kills: int) -> Record:
        """Kill one training `kills` times, let it finish, compare."""
        kind, train = list(KINDS.items())[number % len(KINDS)]
        record = Record(kind, interval=self.steps if kind == DEFAULT else 1)
        work = self._workspace(f"killed-{number:03d}")
        killed = True
        while killed:
            moments = random.Random(f"{self.seed} {number} {len(record.kills)}")
            fault, seconds = None, None
            if len(record.kills) < kills:
                fault = moments.randrange(60) if moments.random() < 0.5 else None
                seconds = moments.uniform(0, self.seconds) if fault is None else None
            reached = self._reached(work)
            killed = self._run(work, train, fault, seconds)
            resumed = self._resumed(work)
            if resumed is not None:
                record.lost = max(record.lost, reached - resumed)
            if killed:
                note = work / "fault"
                record.kills.append(note.read_text() if note.exists() else "at a random moment")
        found = bytes_of(work / "model")
        record.different = sorted(
            name for name in {*found, *self.expected} if found.get(name) != self.expected.get(name)
        )
        if not record.different:
            shutil.rmtree(work)
        return record

    def _workspace(self, name: str) -> Path:
        """Make a working directory: paths in it, which end up in bundles, are the same for all."""
        work = self.folder / name
        work.mkdir()
        for shared in ("results", "resources", "data"):
            if (self.folder / shared).exists():
                (work / shared).symlink_to(self.folder / shared)
        return work

    def _run(self, work: Path, train: dict[str, Any], fault: int | None, seconds: float | None) -> bool:
        """Start a training; kill it after some seconds. Returns whether it was killed."""
        for name in ("log", "fault"):
            (work / name).unlink(missing_ok=True)
        process = self.processes.Process(target=attempt, args=(str(work), self.config, train, fault))
        process.start()
        process.join(seconds)
        if process.is_alive():
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:  # so young that it has no group of its own yet
                process.kill()
            process.join()
        if process.exitcode not in (0, -signal.SIGKILL):
            raise SystemExit(f"{work.name} failed:\n{(work / 'log').read_text()}")
        return process.exitcode != 0

    def _reached(self, work: Path) -> int:
        """How many steps a training had done when it was killed."""
        position = work / "position"
        epoch, step = json.loads((position.read_text() if position.exists() else "") or "[0, 0]")
        return int(epoch * self.steps_per_epoch + step)

    def _resumed(self, work: Path) -> int | None:
        """Find in the log after how many steps a training went on; None if it did not come that far."""
        text = (work / "log").read_text() if (work / "log").exists() else ""
        found = re.search(r"going on from last-(\d+)-(\d+)\.ckpt", text)
        if found:
            return int(found[1]) * self.steps_per_epoch + int(found[2])
        return 0 if "epoch 1/" in text else None


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    use_cores(1)
    with tempfile.TemporaryDirectory() as folder:
        records = run_campaign(Path(folder), CONFIG, arguments.kills, arguments.seed)
    report(records)


def run_campaign(folder: Path, config: dict[str, Any], kills: int, seed: int) -> list[Record]:
    """Make chips, train in peace, then kill trainings until there are enough kills; two at a time."""
    make_chips(folder, config)
    campaign = Campaign(folder, config, seed)
    campaign.warm_up()
    campaign.undisturbed()
    print(f"undisturbed training: {campaign.seconds:.1f} s, {campaign.steps_per_epoch} steps an epoch", flush=True)
    records: list[Record] = []
    numbers = itertools.count()

    def keep_killing() -> None:
        while sum(len(record.kills) for record in records) < kills:
            record = campaign.disturbed(next(numbers), min(MOST_KILLS, kills))
            records.append(record)
            lost = f"most steps lost {record.lost:2d} of {record.interval:2d}"
            outcome = f"DIFFERENT: {', '.join(record.different)}" if record.different else "equal"
            print(f"{len(record.kills):3d} kills, checkpoints {record.kind:22s} {lost}  {outcome}", flush=True)

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(keep_killing) for _ in range(2)]:
            future.result()
    return records


def report(records: list[Record]) -> None:
    """Print how many kills there were, where they hit, and whether anything differed."""
    kills = [moment for record in records for moment in record.kills]
    equal = sum(not record.different for record in records)
    print(f"\n{len(kills)} kills in {len(records)} trainings; {equal} trainings equal")
    for moment in sorted(set(kills)):
        print(f"  {kills.count(moment):3d} {moment}")
    if any(record.different or record.lost > record.interval for record in records):
        sys.exit("FAILED: see above")


if __name__ == "__main__":
    main()
