"""The stage `train`: from chips to Raster Vision's train bundle; resumes by itself."""

from __future__ import annotations

import csv
import logging
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.environments import LightningEnvironment
from rastervision.core.rv_pipeline import RVPipelineConfig
from rastervision.pytorch_learner import SemanticSegmentationImageDataConfig
from rastervision.pytorch_learner.learner import Learner

from swath.config.classes import NULL_CLASS, NULL_CLASS_ID
from swath.errors import Problem, UserError
from swath.files import short_hash, unzip, zip_directory
from swath.rv.chip import FOLDERS
from swath.rv.pipeline import (
    SceneOptions,
    augmentation,
    class_config,
    model_config,
    pipeline_config,
    scene_config,
    solver_config,
    write_config,
)
from swath.scenes.manifest import Facts, channel_order
from swath.training.checkpoints import BEST, LAST, AtomicCheckpointIO, newest_checkpoint
from swath.training.module import MONITOR, LearnerModule
from swath.training.seeding import seed_everything

ARCHITECTURES = Path(__file__).parent / "architectures"
NEVER = -1.0e4  # a logit whose probability is zero in every floating-point format
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


def use_threads(number: int) -> None:
    """Let torch use this many CPU threads, and OpenCV, which augments single chips, none of its own."""
    torch.set_num_threads(number)
    torch.set_flush_denormal(True)  # numbers next to zero slow a CPU down a hundredfold
    cv2.setNumThreads(0)


def train_model(job: TrainingJob, outputs: Mapping[str, Path]) -> None:
    """Train a model, going on from the last checkpoint if there is one.

    Args:
        job: What to train.
        outputs: Files to write: ``bundle`` (Raster Vision's train bundle), ``metrics`` (CSV, a row per epoch),
            ``timing`` (CSV, seconds per epoch) and ``config`` (the pipeline config Raster Vision accepts).

    Raises:
        UserError: If there are too few chips, or the network refuses its settings or the chips' size.
    """
    config = _pipeline_config(job)
    with tempfile.TemporaryDirectory() as temporary:
        learner = _build_learner(job, config, Path(temporary))
        module = LearnerModule(job.name, learner, [name for name in job.classes if name != NULL_CLASS], job.seed)
        _fit(job, module)
        _write_rows(outputs["metrics"], module.rows)
        _write_rows(
            outputs["timing"], [{"epoch": epoch, "seconds": value} for epoch, value in enumerate(module.seconds, 1)]
        )
        _save_bundle(job, learner, config, Path(temporary), outputs["bundle"])
    write_config(config, outputs["config"])


def _pipeline_config(job: TrainingJob) -> RVPipelineConfig:
    """Describe the training for Raster Vision; all paths start at the working directory."""
    definition = job.folder / "architecture"
    definition.mkdir(parents=True, exist_ok=True)
    shutil.copy(ARCHITECTURES / "hubconf.py", definition / "hubconf.py")
    bands = len(channel_order(job.scenes[0], job.options.imagery["bands"]))
    classes = class_config(job.classes, job.colours)
    try:
        augmentations = augmentation(job.train["augmentations"])
    except (TypeError, ValueError) as error:
        raise UserError(
            Problem("config", "train.augmentations", str(error), "arguments albumentations takes", "correct them")
        ) from None
    scenes = {
        split: [
            scene_config(facts, job.options, aoi=facts["evaluated"] if split == "validation" else facts["aoi"])
            for facts in job.scenes
            if facts["split"] == split
        ]
        for split in ("train", "validation")
    }
    return pipeline_config(
        classes=classes,
        train=scenes["train"],
        validation=scenes["validation"],
        model=model_config(job.model, bands, len(job.classes), str(definition)),
        solver=solver_config(job.train, job.classes),
        data=SemanticSegmentationImageDataConfig(
            uri=list(job.chips),
            class_config=classes,
            img_channels=bands,
            img_sz=job.chip_size,
            num_workers=job.train["num_workers"],
            augmentors=[],
            aug_transform=augmentations,
        ),
        root_uri=str(job.folder),
        train_uri=str(job.folder),
        analyze_uri=str(Path(job.options.stats).parents[2]) if job.options.stats else None,
    )


def _build_learner(job: TrainingJob, config: RVPipelineConfig, temporary: Path) -> Learner:
    """Let Raster Vision build model, data, loss and optimizer; chips of all shards lie in one folder by name."""
    chips = temporary / "chips"
    for folder in FOLDERS.values():
        for kind in ("img", "labels"):
            (chips / folder / kind).mkdir(parents=True)
    for archive in job.chips:
        unzip(archive, chips)
    _check_chips(job, chips)
    learner_config = config.backend.get_learner_config(config)
    learner_config.data.uri = str(chips)
    learner_config.output_uri = str(temporary / "learner")
    seed_everything(job.seed)
    try:
        learner: Learner = learner_config.build(str(temporary), training=True)
    except (TypeError, ValueError, KeyError, OSError) as error:
        raise UserError(
            Problem(
                "config",
                "model",
                f"{job.model['architecture']} with {job.model['encoder']}: {error}",
                "a network that can be built",
                "change `model`",
            )
        ) from error
    config.backend.data.uri = list(job.chips)  # the learner config's data is the same object
    learner_config.output_uri = config.train_uri
    silence_null_class(learner.model, len(job.classes))
    return learner


def silence_null_class(model: torch.nn.Module, classes: int) -> None:
    """Keep a segmentation network from ever predicting the null class, which it is never taught.

    The last layer's bias for it becomes so low that its probability, and with it its gradient, is zero. The bias is
    part of the weights: Raster Vision's own predictor behaves the same.

    Args:
        model: Any network whose last layer is a convolution with one output channel per class.
        classes: Number of classes, the null class included.
    """
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d) and m.out_channels == classes]
    if layers and layers[-1].bias is not None:
        with torch.no_grad():
            layers[-1].bias[NULL_CLASS_ID] = NEVER


def _check_chips(job: TrainingJob, chips: Path) -> None:
    for split, least in (("train", 2), ("validation", 1)):
        count = len(list((chips / FOLDERS[split] / "img").iterdir()))
        log.info("%s: %d %s chips", job.name, count, split)
        if count < least:
            raise UserError(
                Problem(
                    "config",
                    "chips",
                    f"{count} {split} chips",
                    f"at least {least}",
                    "lower `chips.min_labelled`, or raise `chips.per_scene`",
                )
            )


def _fit(job: TrainingJob, module: LearnerModule) -> None:
    """Run Lightning's loop to the end, and put the chosen epoch's weights into the model."""
    folder = job.folder / "checkpoints" / fingerprint(job)
    last = newest_checkpoint(folder)
    if last:
        log.info("%s: going on from %s", job.name, last.name)
    every_epoch = {"dirpath": folder, "every_n_epochs": 1, "save_on_train_epoch_end": True}
    best = ModelCheckpoint(filename=BEST, monitor=MONITOR, mode="max", enable_version_counter=False, **every_epoch)
    trainer = pl.Trainer(
        max_epochs=job.train["epochs"],
        accelerator="auto",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[best, ModelCheckpoint(filename=LAST + "-{epoch:05d}", **every_epoch)],
        # LightningEnvironment: SLURM's variables alone would switch on Lightning's own requeueing
        plugins=[LightningEnvironment(), AtomicCheckpointIO()],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, ckpt_path=last, weights_only=False)
    if job.train["keep"] == "best":
        state = torch.load(folder / f"{BEST}.ckpt", map_location="cpu", weights_only=False)["state_dict"]
        module.load_state_dict(state)


def fingerprint(job: TrainingJob) -> str:
    """Name what checkpoints depend on, so that none is ever taken up by another training."""
    return short_hash([job.model, {**job.train, "num_workers": None}, job.seed, sorted(map(str, job.chips))])


def _save_bundle(job: TrainingJob, learner: Learner, config: RVPipelineConfig, temporary: Path, output: Path) -> None:
    """Write Raster Vision's train bundle, always with the same bytes for the same weights.

    A model in a bundle is built before its weights are loaded: nothing pretrained has to be fetched for that.
    """
    learner.cfg = learner.cfg.model_copy(deep=True)
    learner.cfg.data.uri = None  # where the chips lay says nothing about the model
    model = learner.cfg.model
    model.pretrained = False
    if model.external_def:
        model.external_def.entrypoint_kwargs["encoder_weights"] = None
    learner.cfg.to_file(learner.config_path)
    learner.save_model_bundle(export_onnx=False)
    unzip(Path(learner.output_dir_local) / "model-bundle.zip", temporary / "bundle")
    zip_directory(temporary / "bundle", output)


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)
