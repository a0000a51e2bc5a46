"""Chips per second of three training loops, side by side on the demo's data.

    python benchmarks/train.py

- bare: batches that lie in memory as tensors; forward, backward, step, and nothing else. Nobody can be faster.
- Swath: what `train` does, with augmentation, loading of chips and checkpoints; alone, and with a process that loads.
- Raster Vision: its own loop, with the same chips, network, augmentation and batch size.

Rounds are short and interleaved, every round begins with another loop, and ratios are medians over rounds, because
machines are never quiet.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_jobs import demo_config, make_chips, training_job, use_cores

if TYPE_CHECKING:
    from rastervision.pytorch_learner.learner import Learner

EPOCHS = 2
"""Epochs that are measured in a round; one more goes before them, in which chips are decoded for the first time."""

CONFIG = demo_config(chips={"per_scene": 80}, sweep={"grid": {}})


def new_learner(folder: Path) -> Learner:
    """Build the learner as the stage does."""
    from swath.training.learner import build_learner, describe_training

    job = training_job(CONFIG, str(folder))
    return build_learner(job, describe_training(job), folder)


def bare(folder: Path) -> float:
    """Train on batches in memory; return chips per second."""
    import torch

    from swath.training.data import training_loader

    learner = new_learner(folder)
    loader = training_loader(learner, 0, 0, lambda: (0, 0), 0, 1)
    batches = list(loader)
    model, optimizer = learner.model.train(), torch.optim.Adam(learner.model.parameters(), lr=1e-3)

    def epoch() -> None:
        for images, labels in batches:
            optimizer.zero_grad()
            learner.loss(learner.post_forward(model(images)), labels).backward()
            optimizer.step()

    return measured(epoch, sum(len(images) for images, _ in batches))


def swath(folder: Path, workers: int) -> float:
    """Train as the stage `train` does; return chips per second."""
    from swath.coordination.lease import leased
    from swath.training.checkpoints import CheckpointFolder
    from swath.training.data import remember_chips
    from swath.training.loop import fit
    from swath.training.module import LearnerModule
    from swath.training.stopping import StopRequest

    learner = new_learner(folder)
    job = training_job(CONFIG, str(folder), num_workers=workers, epochs=EPOCHS + 1)
    remember_chips(learner, job.train.cache_gb, max(1, workers))
    module = LearnerModule(job.name, learner, job.classes[1:], job.train)
    checkpoints = CheckpointFolder(folder / "model" / "checkpoints" / "0")
    with leased(checkpoints.path) as ownership:
        fit(module, checkpoints, ownership, StopRequest())
    seconds = sum(timing["training_seconds"] for timing in module.timings[1:])
    return EPOCHS * len(learner.train_ds) / seconds


def raster_vision(folder: Path) -> float:
    """Train with Raster Vision's own loop; return chips per second."""
    learner = new_learner(folder)
    return measured(lambda: learner.train_epoch(learner.opt), len(learner.train_ds))


def measured(epoch: Callable[[], Any], chips: int) -> float:
    """Run one epoch unmeasured and then some with a clock; return chips per second."""
    epoch()
    started = time.perf_counter()
    for _ in range(EPOCHS):
        epoch()
    return EPOCHS * chips / (time.perf_counter() - started)


LOOPS: dict[str, Callable[[Path], float]] = {
    "bare loop in memory": bare,
    "Swath": lambda folder: swath(folder, 0),
    "Swath, 1 worker": lambda folder: swath(folder, 1),
    "Raster Vision": raster_vision,
}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    rounds = parser.parse_args().rounds
    use_cores(1)
    with tempfile.TemporaryDirectory() as folder:
        make_chips(Path(folder), CONFIG)
        os.chdir(folder)
        from swath.training.train import set_up_torch

        set_up_torch(CONFIG["train"]["threads"])
        speeds: dict[str, list[float]] = {name: [] for name in LOOPS}
        for number in range(rounds):
            first = number % len(LOOPS)
            for name in [*list(LOOPS)[first:], *list(LOOPS)[:first]]:
                work = Path(f"round-{number}")
                work.mkdir()
                speeds[name].append(LOOPS[name](work))
                shutil.rmtree(work)
            shown = "  ".join(f"{name}: {values[-1]:.0f}" for name, values in speeds.items())
            print(f"round {number + 1}, chips/s  {shown}", flush=True)
    print("\n| loop | chips/s | ratio to the bare loop |\n|---|---|---|")
    limit = speeds["bare loop in memory"]
    for name, values in speeds.items():
        ratio = statistics.median(value / bound for value, bound in zip(values, limit, strict=True))
        print(f"| {name} | {statistics.median(values):.0f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
