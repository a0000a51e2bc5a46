"""Raster Vision's learner of a training: its data, network, first weights and loss."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from rastervision.core.rv_pipeline import RVPipelineConfig
from rastervision.pytorch_learner.learner import Learner
from rastervision.pytorch_learner.learner_config import LearnerConfig, ModelConfig
from rastervision.pytorch_learner.object_detection_learner import ObjectDetectionLearner
from torchvision.ops.misc import FrozenBatchNorm2d

from swath.config.classes import NULL_CLASS, NULL_CLASS_ID
from swath.config.library_names import EXTERNAL
from swath.config.train import loss_weights
from swath.errors import Problem, UserError
from swath.files import unzip
from swath.networks.definition import ARCHITECTURES, publish_definition
from swath.networks.not_built import not_built
from swath.rv.chip_files import CHIP_FILES, FOLDERS
from swath.rv.datasets import parts_of
from swath.rv.label_sources import label_source
from swath.rv.networks import NETWORKS, NetworkShape
from swath.rv.pipeline import (
    TASK_CONFIGS,
    augmentation,
    class_config,
    pipeline_config,
    scene_config,
    solver_config,
)
from swath.rv.seeds import seed_everything
from swath.scenes.manifest import channel_order
from swath.training.expected_input import expected_input, tell_channels
from swath.training.job import TrainingJob
from swath.training.losses import balanced_weights, build_loss, chip_weights, count_classes
from swath.training.weight_files import check_weights
from swath.training.weights import load_weights

NEVER = -1.0e4  # a logit whose probability is zero in every floating-point format
log = logging.getLogger("swath.train")


def describe_training(job: TrainingJob) -> RVPipelineConfig:
    """Describe the training for Raster Vision; all paths start at the working directory."""
    bands = len(channel_order(job.scenes[0], job.options.imagery.bands))
    classes = class_config(job.classes, job.colours)
    task = job.options.task
    try:
        augmentations = augmentation(job.train.augmentations)
    except (TypeError, ValueError) as error:
        raise UserError(
            Problem(
                "augmentation_arguments",
                "config",
                "train.augmentations",
                str(error),
                "arguments albumentations takes",
                "correct them",
            )
        ) from None
    scenes = {
        split: [
            scene_config(
                facts,
                job.options,
                labels=label_source(facts, job.options),
                aoi=facts.evaluated if split == "validation" else facts.aoi,
            )
            for facts in job.scenes
            if facts.split == split
        ]
        for split in ("train", "validation")
    }
    return pipeline_config(
        task,
        classes=classes,
        train=scenes["train"],
        validation=scenes["validation"],
        model=_model_config(job, bands),
        solver=solver_config(task, job.train),
        data=TASK_CONFIGS[task].data(
            uri=list(job.chips),
            class_config=classes,
            img_channels=bands,
            img_sz=job.chip_size,
            num_workers=0,  # of no result: how chips are loaded is no part of the config
            augmentors=[],
            aug_transform=augmentations,
        ),
        root_uri=str(job.folder),
        train_uri=str(job.folder),
        analyze_uri=str(Path(job.options.stats).parents[2]) if job.options.stats else None,
    )


def _model_config(job: TrainingJob, bands: int) -> ModelConfig:
    """Describe the network; the definition it is built from is copied beside the model, as paths have to stay."""
    folder = job.folder / "architecture"
    publish_definition(Path(job.model.definition) if job.model.definition else ARCHITECTURES, folder)
    shape = NetworkShape(bands, len(job.classes), job.chip_size)
    return NETWORKS[job.options.task].describe(job.model, shape, str(folder), expected_input(job))


def build_learner(job: TrainingJob, config: RVPipelineConfig, temporary: Path) -> Learner:
    """Let Raster Vision build model, data, loss and optimizer; chips of all shards lie in one folder by name."""
    chips = temporary / "chips"
    unpack_chips(job, chips)
    learner_config = config.backend.get_learner_config(config)
    learner_config.data.uri = str(chips)
    learner_config.output_uri = str(temporary / "learner")
    seed_everything(job.train.seed)
    learner = _built(job, learner_config, temporary)
    config.backend.data.uri = list(job.chips)  # the learner config's data is the same object
    learner_config.output_uri = config.train_uri
    if job.weights:
        _load_first_weights(job, learner.model, job.weights)
    if isinstance(learner, ObjectDetectionLearner):  # which has losses of its own, and no null class
        if not job.weights and job.model.architecture != EXTERNAL:
            let_all_layers_learn(learner.model)
    else:
        if not silence_null_class(learner.model, len(job.classes)):
            log.warning("%s: no last layer with a bias for each of %d classes", job.name, len(job.classes))
        learner.loss = build_loss(
            loss_weights(job.train.loss), len(job.classes), _class_weights(job, learner), job.train.label_smoothing
        )
    return learner


def _built(job: TrainingJob, config: LearnerConfig, temporary: Path) -> Learner:
    """Let Raster Vision build the learner; what the network refuses is the user's to change."""
    external = job.model.architecture == EXTERNAL
    failures = (Exception,) if external else (TypeError, ValueError, KeyError, OSError)  # of any kind
    try:
        learner: Learner = config.build(str(temporary), training=True)
    except failures as error:
        raise UserError(not_built(job.model, error)) from error
    return learner


def unpack_chips(job: TrainingJob, folder: Path) -> None:
    """Unpack the chips of all shards into one folder, in the form that Raster Vision reads.

    Raises:
        UserError: If there are too few.
    """
    for archive in job.chips:
        unzip(archive, folder)
    _check_chips(job, folder)
    for part in FOLDERS.values():
        CHIP_FILES[job.options.task].join(folder / part)


def _load_first_weights(job: TrainingJob, model: torch.nn.Module, path: Path) -> None:
    """Start with weights from a file, and say which layers they fit."""
    part, channels = "model", None
    if job.starts_with_named_weights:
        part = "encoder" if job.model.weights == "imagenet" else "model"
        check_weights(path, path.with_suffix(".json"))
        channels = tell_channels(job)
    for line in load_weights(model, path, part, channels).lines():
        log.info("%s: %s", job.name, line)


def _class_weights(job: TrainingJob, learner: Learner) -> list[float] | None:
    """Weigh the classes as the settings say, by class id; None when all weigh the same."""
    wanted = job.train.class_weights
    if not wanted:
        return None
    if isinstance(wanted, dict):
        return [float(wanted.get(name, 1.0)) for name in job.classes]
    targets = (target for part in parts_of(learner.train_ds) for _, target in part.orig_dataset)
    weights = balanced_weights(count_classes(targets, len(job.classes)))
    shown = ", ".join(f"{name} {w:.3g}" for name, w in zip(job.classes, weights, strict=True) if name != NULL_CLASS)
    log.info("%s: class weights %s", job.name, shown)
    return weights


def weights_of_chips(learner: Learner, classes: int) -> list[float]:
    """Say how often each training chip is to be drawn so that rare classes are seen more often."""
    return chip_weights((target for part in parts_of(learner.train_ds) for _, target in part.orig_dataset), classes)


def let_all_layers_learn(detector: torch.nn.Module) -> None:
    """Train a detector's first layers, and its batch normalisation, as torchvision does without first weights.

    Raster Vision builds Faster R-CNN for ImageNet's weights: its first layers never learn, and its batch normalisation
    keeps to statistics that random weights have not. The weights' names and shapes stay, so that Raster Vision's
    network takes them.
    """
    detector.requires_grad_(True)
    for name, module in list(detector.named_modules()):
        if isinstance(module, FrozenBatchNorm2d):
            parent, _, last = name.rpartition(".")
            norm = torch.nn.BatchNorm2d(len(module.weight), eps=module.eps)
            norm.num_batches_tracked = None
            setattr(detector.get_submodule(parent), last, norm)


def silence_null_class(model: torch.nn.Module, classes: int) -> bool:
    """Keep a network from ever predicting the null class, which it is never taught.

    The last layer's bias for it becomes so low that its probability, and with it its gradient, is zero. The bias is
    part of the weights: Raster Vision's own predictor behaves the same.

    Args:
        model: Any network whose last layer is a convolution or linear, with one output per class.
        classes: Number of classes, the null class included.

    Returns:
        Whether there is such a layer, and it has a bias. Where not, the null class is merely never taught.
    """
    layers = [m for m in model.modules() if classes == getattr(m, "out_channels", getattr(m, "out_features", None))]
    if not layers or layers[-1].bias is None:
        return False
    with torch.no_grad():
        layers[-1].bias[NULL_CLASS_ID] = NEVER
    return True


def _check_chips(job: TrainingJob, chips: Path) -> None:
    gpus = job.train.gpus
    for split, least in (("train", 2 * gpus), ("validation", gpus)):
        count = CHIP_FILES[job.options.task].count(chips / FOLDERS[split])
        log.info("%s: %d %s chips", job.name, count, split)
        if count < least:
            raise UserError(
                Problem(
                    "chips_missing",
                    "config",
                    "chips",
                    f"{count} {split} chips",
                    f"at least {least}",
                    "lower `chips.min_labelled`, or raise `chips.per_scene`",
                )
            )
