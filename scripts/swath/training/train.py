"""The stage `train`: from chips to Raster Vision's train bundle; goes on by itself after any interruption."""

from __future__ import annotations

import csv
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from rastervision.pytorch_learner import ImageDataConfig
from rastervision.pytorch_learner.learner import Learner

from swath.config.classes import NULL_CLASS
from swath.config.train import WITHOUT_INFLUENCE
from swath.files import sha256, short_hash, unzip, zip_directory
from swath.rv.pipeline import scene_options, write_config
from swath.rv.task import SceneOptions
from swath.scenes.manifest import Facts, read_splits
from swath.training.checkpoints import CheckpointFolder
from swath.training.data import remember_chips
from swath.training.definition import definition_files
from swath.training.learner import build_learner, describe_training
from swath.training.loop import fit
from swath.training.module import LearnerModule
from swath.training.ownership import owned
from swath.training.processes import run_together
from swath.training.stopping import StopRequest
from swath.training.weights import encoder_of

log = logging.getLogger("swath.train")


@dataclass(frozen=True)
class TrainingJob:
    """What a training is made of.

    Attributes:
        name: Readable name, for messages.
        folder: The model's folder, from the working directory; checkpoints lie in its `checkpoints/`.
        chips: Chip zips of the training and validation scenes.
        scenes: Facts of the training and validation scenes.
        options: Imagery settings, statistics, unlabelled class.
        classes: Class names by id.
        colours: Colours by id.
        chip_size: Pixels.
        model: The `model` settings.
        train: The `train` settings.
        seed: The training seed.
        weights: File of the first weights, or None.
        code: Hash of the code that trains.
        deadline: Seconds since 1970 at which this process will be killed, if that was told.
    """

    name: str
    folder: Path
    chips: Sequence[str]
    scenes: Sequence[Facts]
    options: SceneOptions
    classes: Sequence[str]
    colours: Sequence[str]
    chip_size: int
    model: Mapping[str, Any]
    train: Mapping[str, Any]
    seed: int
    weights: Path | None = None
    code: str = ""
    deadline: float | None = None

    @classmethod
    def of_rule(
        cls, inputs: Any, params: Any, folder: Path, without_influence: Mapping[str, Any] | None = None, **others: Any
    ) -> TrainingJob:
        """Put a job together from what a rule reads.

        Args:
            inputs: chips, scenes (manifests), stats.
            params: name, spec, settings, classes, colours, splits.
            folder: The model's folder.
            without_influence: `train` settings that are not in the spec.
            others: Further attributes.
        """
        return cls(
            name=params.name,
            folder=folder,
            chips=list(inputs.chips),
            scenes=read_splits(inputs.scenes, params.splits),
            options=scene_options(params.settings, inputs.stats, params.classes),
            classes=params.classes,
            colours=params.colours,
            chip_size=params.settings["chips"]["size"],
            model=params.spec["model"],
            train={**params.spec["train"], **(without_influence or {})},
            seed=params.spec["seed"],
            **others,
        )

    @property
    def fingerprint(self) -> str:
        """Name what checkpoints depend on, so that none is ever taken up by another training."""
        train = {name: value for name, value in self.train.items() if name not in WITHOUT_INFLUENCE}
        weights = [self.weights] if self.weights else []
        paths: list[str | Path] = [*sorted(self.chips), *weights, *definition_files(self.model)]
        files = [sha256(path) for path in paths]
        return short_hash([self.model, train, self.seed, files, self.code])


@dataclass(frozen=True)
class TrainingOutputs:
    """Files that a training writes.

    Attributes:
        bundle: Raster Vision's train bundle.
        metrics: CSV, a row per epoch: what was learned; the same in every run.
        timing: CSV, a row per epoch: how long it took and what it needed.
        config: The pipeline config, as Raster Vision takes it.
    """

    bundle: Path
    metrics: Path
    timing: Path
    config: Path


def use_threads(number: int) -> None:
    """Let torch use this many CPU threads, and OpenCV, which augments single chips, none of its own."""
    torch.set_num_threads(number)
    torch.set_flush_denormal(True)  # numbers next to zero slow a CPU down a hundredfold
    cv2.setNumThreads(0)


def train_model(job: TrainingJob, outputs: TrainingOutputs) -> None:
    """Train a model, going on from the last checkpoint if there is one.

    Args:
        job: What to train.
        outputs: Files to write.

    Raises:
        ToBeContinuedError: If training was asked to stop, or its time limit came near; the same call goes on.
        UserError: If there are too few chips, the network refuses its settings, the chips' size or the first weights,
            fewer GPUs can be seen than asked for, or another process owns the checkpoints.
    """
    if job.train["gpus"] == 1:
        train_here(job, outputs)
    else:
        run_together(train_here, job, outputs)


def train_here(job: TrainingJob, outputs: TrainingOutputs) -> None:
    """Train in this process, alone or as one of several; the first of them keeps checkpoints and writes the outputs."""
    use_threads(job.train["threads"])
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    checkpoints = CheckpointFolder(job.folder / "checkpoints" / job.fingerprint)
    if torch.cuda.is_available() and job.train["gpus"] > 1:
        torch.cuda.set_device(rank)
    owner = owned(checkpoints.path) if rank == 0 else nullcontext()
    with owner as ownership, tempfile.TemporaryDirectory() as temporary:
        config = describe_training(job)
        learner = build_learner(job, config, Path(temporary))
        remember_chips(learner, job.train["cache_gb"], max(1, job.train["num_workers"]) * job.train["gpus"])
        module = LearnerModule(
            job.name,
            learner,
            [name for name in job.classes if name != NULL_CLASS],
            job.train,
            job.seed,
            encoder=encoder_of(learner.model) if job.train["freeze_encoder"] else None,
        )
        fit(module, checkpoints, ownership, StopRequest(job.deadline, ownership))
        if ownership is None:
            return
        ownership.check()
        write_rows(outputs.metrics, module.rows)
        write_rows(outputs.timing, module.timings)
        save_bundle(learner, Path(temporary), outputs.bundle)
        write_config(config, outputs.config)


def save_bundle(learner: Learner, temporary: Path, output: Path) -> None:
    """Write Raster Vision's train bundle, always with the same bytes for the same weights."""
    learner.cfg = learner.cfg.model_copy(deep=True)
    if isinstance(learner.cfg.data, ImageDataConfig):
        learner.cfg.data.uri = None  # where the chips lay says nothing about the model
    learner.cfg.to_file(learner.config_path)
    learner.model.to("cpu", memory_format=torch.contiguous_format)
    learner.save_model_bundle(export_onnx=False)
    unzip(Path(learner.output_dir_local) / "model-bundle.zip", temporary / "bundle")
    for compiled in list((temporary / "bundle").rglob("__pycache__")):  # it carries dates
        shutil.rmtree(compiled)
    zip_directory(temporary / "bundle", output)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV, a row per epoch."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)
