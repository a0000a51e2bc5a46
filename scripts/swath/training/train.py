"""The stage `train`: from chips to Raster Vision's train bundle; goes on by itself after any interruption."""

from __future__ import annotations

import csv
import logging
import os
import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path

import cv2
import torch
from rastervision.pytorch_learner import ImageDataConfig
from rastervision.pytorch_learner.learner import Learner

from swath.config.classes import NULL_CLASS
from swath.coordination.lease import leased
from swath.files import unzip, zip_directory
from swath.job.environment import keep_freed_memory
from swath.metrics.history import csv_of
from swath.rv.pipeline import write_config
from swath.training.callbacks import metrics_so_far
from swath.training.checkpoints import CheckpointFolder
from swath.training.data import remember_chips
from swath.training.job import Rung, TrainingJob, TrainingOutputs
from swath.training.learner import build_learner, describe_training, weights_of_chips
from swath.training.loop import fit
from swath.training.module import LearnerModule
from swath.training.optimizers import needs_encoder
from swath.training.processes import run_together
from swath.training.stopping import StopRequest
from swath.training.weights import encoder_parts

log = logging.getLogger("swath.train")


def set_up_torch(threads: int) -> None:
    """Let torch use this many CPU threads and keep its memory; OpenCV, which augments single chips, has no threads."""
    keep_freed_memory()
    torch.set_num_threads(threads)
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
    _train(job, outputs)


def train_to_rung(job: TrainingJob, rung: Rung) -> None:
    """Train a model for the epochs of a rung, going on from the last checkpoint if there is one.

    A training that has been there says how it stood then.

    Args:
        job: What to train.
        rung: How far.

    Raises:
        ToBeContinuedError, UserError: As :func:`train_model`.
    """
    finished = job.folder / "metrics.csv"
    if finished.is_file():
        with finished.open(newline="") as file:
            rows = list(csv.DictReader(file))[: rung.epochs]
        rung.metrics.write_text(csv_of(rows), newline="")
    else:
        _train(job, rung)


def _train(job: TrainingJob, wanted: TrainingOutputs | Rung) -> None:
    if job.train.gpus == 1:
        train_here(job, wanted)
    else:
        run_together(train_here, job, wanted)


def train_here(job: TrainingJob, wanted: TrainingOutputs | Rung) -> None:
    """Train in this process, alone or as one of several; the first of them keeps checkpoints and writes the outputs."""
    rung = wanted if isinstance(wanted, Rung) else None
    set_up_torch(job.train.threads)
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    checkpoints = CheckpointFolder(job.folder / "checkpoints" / job.fingerprint)
    if torch.cuda.is_available() and job.train.gpus > 1:
        torch.cuda.set_device(rank)
    owner = leased(checkpoints.path) if rank == 0 else nullcontext()
    with owner as ownership, tempfile.TemporaryDirectory() as temporary:
        config = describe_training(job)
        learner = build_learner(job, config, Path(temporary))
        remember_chips(learner, job.train.cache_gb, max(1, job.train.num_workers) * job.train.gpus)
        module = LearnerModule(
            job.name,
            learner,
            [name for name in job.classes if name != NULL_CLASS],
            job.train,
            encoder=encoder_parts(learner.model) if needs_encoder(job.train) else None,
            chip_weights=weights_of_chips(learner, len(job.classes)) if job.train.sampling == "balanced" else None,
        )
        fit(module, checkpoints, ownership, StopRequest(job.deadline, ownership), rung.epochs if rung else None)
        if ownership is None:
            return
        ownership.check()
        if isinstance(wanted, Rung):
            wanted.metrics.write_text(csv_of(module.rows[: wanted.epochs]), newline="")
            return
        write_history(module, wanted, checkpoints.path)
        save_bundle(learner, Path(temporary), wanted.bundle)
        write_config(config, wanted.config)


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


def write_history(module: LearnerModule, outputs: TrainingOutputs, checkpoints: Path) -> None:
    """Write the CSV files, a row per epoch, in whose place there was one of the metrics so far.

    Args:
        module: What was trained.
        outputs: Files to write.
        checkpoints: The folder of the checkpoints.
    """
    outputs.metrics.write_text(csv_of(module.rows), newline="")
    outputs.timing.write_text(csv_of(module.timings), newline="")
    metrics_so_far(checkpoints).unlink(missing_ok=True)
