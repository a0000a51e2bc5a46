"""What chips, windows and epochs take on this machine: a few batches of a training, with its own loop."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import psutil
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from swath.config.classes import NULL_CLASS
from swath.config.predict import Window
from swath.config.tasks import SEGMENTATION
from swath.config.train import Train
from swath.cost.answers import Tried
from swath.cost.prices import NOTHING, Time
from swath.cost.sample import Sample
from swath.cost.work import TURNS
from swath.prediction.engine import read_windows
from swath.prediction.grid import Grid
from swath.prediction.model import Batch, Computing, Model
from swath.prediction.strips import Strips
from swath.rv.pipeline import class_config, scene_config
from swath.training.checkpoints import CheckpointFolder
from swath.training.data import remember_chips
from swath.training.job import TrainingJob, model_of_spec
from swath.training.learner import build_learner, describe_training
from swath.training.loop import build_trainer
from swath.training.module import LearnerModule
from swath.training.optimizers import needs_encoder
from swath.training.stopping import StopRequest
from swath.training.train import save_bundle, set_up_torch
from swath.training.weights import encoder_parts

BATCHES, VALIDATION_BATCHES, WINDOWS = 20, 5, 64
MOST_SECONDS = 60.0
"""So long a network is trained; and a third of it, windows are predicted."""
WARMING_UP = 2
"""Batches that take longer than others, because something is made ready in them."""


def probe_training(training: Mapping[str, Any], sample: Sample, folder: Path) -> Tried:
    """Train a few batches and predict some windows.

    Args:
        training: ``model``: spec of the model; ``predict``: the resolved window; ``batch_size``: of predictions.
        sample: Scenes and chips.
        folder: For what is made.
    """
    job = _job(training, sample, folder)
    processes = job.train.gpus
    train = job.train.model_copy(update={"gpus": 1, "batch_size": max(1, job.train.batch_size // processes)})
    begun, cpu = time.perf_counter(), _cpu()
    set_up_torch(train.threads)
    with tempfile.TemporaryDirectory() as temporary:
        config = describe_training(job)
        learner = build_learner(job, config, Path(temporary))
        remember_chips(learner, train.cache_gb, max(1, train.num_workers))
        batches = max(1, len(learner.train_ds) // train.batch_size)
        train = train.model_copy(update={"epochs": math.ceil(BATCHES / batches)})
        watch = _train(learner, job, train, folder)
        window = _predict(learner, job, training, sample)
        save_bundle(learner, Path(temporary), folder / "model-bundle.zip")
    total = Time(time.perf_counter() - begun, _cpu() - cpu)
    return Tried(
        chip=watch.of("train").times(1 / processes),
        validation=watch.of("validation").times(1 / processes),
        epoch=watch.of_epoch(),
        fixed=total.plus(watch.total.times(-1)).plus(window.total.times(-1)),
        window=window.each,
        batches=len(watch.batches["train"]),
        windows=window.number,
        size=job.chip_size,
        bytes=(folder / "model-bundle.zip").stat().st_size,
        gpu=torch.cuda.is_available(),
    )


def _job(training: Mapping[str, Any], sample: Sample, folder: Path) -> TrainingJob:
    """Describe the training, without what says when it ends, and with random weights: they are as fast."""
    spec = training["model"]
    endless: dict[str, Any] = {
        "patience": None,
        "max_gpu_hours": None,
        "keep": "last",
        "class_weights": {},
        "sampling": "uniform",
    }
    train = Train(**spec["train"], seed=spec["seed"]).model_copy(update=endless)
    return TrainingJob(
        name="probe",
        folder=folder,
        chips=sample.zips,
        scenes=sample.facts,
        options=sample.options,
        classes=sample.classes,
        colours=["black"] * len(sample.classes),
        chip_size=sample.chips.size,
        model=model_of_spec(spec["model"]).model_copy(update={"weights": "none"}),
        train=train,
    )


def _train(learner: Any, job: TrainingJob, train: Train, folder: Path) -> Watch:
    module = LearnerModule(
        job.name,
        learner,
        [name for name in job.classes if name != NULL_CLASS],
        train,
        encoder=encoder_parts(learner.model) if needs_encoder(train) else None,
    )
    watch = Watch(train.batch_size)
    trainer = build_trainer(module, CheckpointFolder(folder / "a" / "b" / "checkpoints"), None, StopRequest())
    trainer.callbacks.insert(-1, watch)  # before what writes checkpoints, which a training does only now and then
    trainer.limit_val_batches = VALIDATION_BATCHES
    if train.channels_last:
        module.model.to(memory_format=torch.channels_last)
    if train.compile:
        module.model.compile(dynamic=False)
    trainer.fit(module)
    return watch


class Watch(Checkpoint):  # of this type, because Lightning calls those after the module
    """Stop the clock after every batch, and end the training when that is enough.

    Args:
        batch_size: Chips of a batch.
    """

    def __init__(self, batch_size: int):
        self.batch_size = batch_size
        self.batches: dict[str, list[Time]] = {"train": [], "validation": []}
        self.epochs: list[Time] = []
        self._begun = self._now()
        self._last = self._begun
        self.total = NOTHING

    def _now(self) -> Time:
        return Time(time.perf_counter(), time.process_time())

    def _tick(self, times: list[Time]) -> None:
        now = self._now()
        times.append(now.plus(self._last.times(-1)))
        self._last = now

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin."""
        self._begun = self._last = self._now()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Pass over what lies between epochs."""
        self._last = self._now()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note what a batch took; end where that is enough."""
        self._tick(self.batches["train"])
        done = len(self.batches["train"])
        if done >= BATCHES or (done > WARMING_UP and self._last.seconds - self._begun.seconds > MOST_SECONDS):
            trainer.should_stop = True

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note what a batch of validation took."""
        self._tick(self.batches["validation"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what metrics took."""
        self._tick(self.epochs)
        self.total = self._last.plus(self._begun.times(-1))

    def of(self, part: str) -> Time:
        """Say what a chip takes: the middle by the clock, which others disturb, and the mean of CPU seconds."""
        taken = self.batches[part]
        steady = taken[WARMING_UP:] if part == "train" and len(taken) > 2 * WARMING_UP else taken
        return _per_chip(steady, self.batch_size)

    def of_epoch(self) -> Time:
        """Say what an epoch takes beside its chips."""
        return _per_chip(self.epochs, 1)


def _per_chip(taken: Sequence[Time], chips: int) -> Time:
    if not taken:
        return NOTHING
    return Time(median(one.seconds for one in taken), mean(one.cpu for one in taken)).times(1 / chips)


class _Windows(NamedTuple):
    """What a pixel of a window takes, how many windows were tried, and what all of that took."""

    each: Time
    number: int
    total: Time


def _predict(learner: Any, job: TrainingJob, training: Mapping[str, Any], sample: Sample) -> _Windows:
    """Predict windows of a scene, in batches, with reading; what is made of maps is left out."""
    window = Window.model_validate(dict(training["predict"]))
    train = training["model"]["train"]
    computing = Computing(
        batch_size=training["batch_size"],
        channels_last=train.get("channels_last", True),
        deterministic=train.get("deterministic", False),
        flips=bool(window.flips),
        mixed_precision=window.mixed_precision,
    )
    facts = next(facts for facts in reversed(sample.facts) if facts.split == "validation")
    begun, cpu = time.perf_counter(), _cpu()
    with tempfile.TemporaryDirectory() as temporary:
        scene = scene_config(facts, job.options).build(class_config(job.classes, job.colours), temporary)
        strips = Strips(scene.raster_source)
        grid = Grid(strips.height, strips.width, window.chip_size, window.stride, window.crop)
        learner.cfg.data.img_sz = window.chip_size
        model = Model(learner, job.options.task, window.chip_size, computing)
        each, number = _windows(model, strips, grid, bool(window.smooth) or job.options.task != SEGMENTATION)
    seen = window.chip_size**2 * (TURNS if window.flips else 1)
    return _Windows(each.times(1 / seen), number, Time(time.perf_counter() - begun, _cpu() - cpu))


def _windows(model: Model, strips: Strips, grid: Grid, raw: bool) -> tuple[Time, int]:
    """Say what a window takes, and how many were tried; the first batch, in which kernels are made, is left out."""
    number, begun, cpu, first = 0, time.perf_counter(), _cpu(), True
    with torch.inference_mode():
        for item in read_windows(model, strips, grid, (0, grid.height), (0, grid.width)):
            if not isinstance(item, Batch):
                continue
            list(model.predict(item, raw))
            if first:
                alone = Time(time.perf_counter() - begun, _cpu() - cpu), len(item.windows)
                begun, cpu, first = time.perf_counter(), _cpu(), False
                continue
            number += len(item.windows)
            if number >= WINDOWS or time.perf_counter() - begun > MOST_SECONDS / 3:
                break
    if not number:  # a small image: one batch is all there is
        return alone[0].times(1 / alone[1]), alone[1]
    return Time(time.perf_counter() - begun, _cpu() - cpu).times(1 / number), number


def _cpu() -> float:
    """Return the CPU seconds of this process and of those that load chips for it."""
    loaders = 0.0
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        loaders += times.user + times.system
    return time.process_time() + loaders
