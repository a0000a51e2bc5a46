"""What differs between the tasks in the config: defaults, and settings that belong to some of them only."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final, Literal

from swath.config.library_names import EXTERNAL

Task = Literal["semantic_segmentation", "object_detection", "chip_classification"]
SEGMENTATION: Final = "semantic_segmentation"
DETECTION: Final = "object_detection"
CLASSIFICATION: Final = "chip_classification"

DEFAULTS: dict[str, dict[str, Any]] = {
    DETECTION: {
        "model.architecture": "faster_rcnn",
        "train.monitor": "mAP50",
        "train.channels_last": False,
        "sweep.select.metric": "mAP50",
    },
    CLASSIFICATION: {"model.architecture": "classifier", "chips.sampling": "sliding"},
}
"""Task → dotted setting → its default there, where it is another one than elsewhere."""

DEFAULTS_OF_EXTERNAL = {"train.channels_last": False}
"""The same for networks of the user's own, whatever the task."""

BELONGS_TO: dict[str, tuple[str, ...]] = {
    "labels.cells": (CLASSIFICATION,),
    "labels.min_overlap": (CLASSIFICATION,),
    "labels.overlap_of": (CLASSIFICATION,),
    "labels.pick": (CLASSIFICATION,),
    "labels.unlabelled": (SEGMENTATION, CLASSIFICATION),
    "chips.min_labelled": (SEGMENTATION,),
    "chips.negative_ratio": (DETECTION,),
    "chips.min_box_overlap": (DETECTION,),
    "chips.max_negative_overlap": (DETECTION,),
    "train.loss": (SEGMENTATION, CLASSIFICATION),
    "train.class_weights": (SEGMENTATION, CLASSIFICATION),
    "train.label_smoothing": (SEGMENTATION, CLASSIFICATION),
    "predict.chip_size": (SEGMENTATION, DETECTION),
    "predict.stride": (SEGMENTATION, DETECTION),
    "predict.crop": (SEGMENTATION,),
    "predict.smooth": (SEGMENTATION,),
    "predict.flips": (SEGMENTATION, CLASSIFICATION),
    "predict.scores": (SEGMENTATION,),
    "predict.uncertainty": (SEGMENTATION,),
    "predict.mixed_precision": (SEGMENTATION, CLASSIFICATION),
    "predict.score_threshold": (DETECTION,),
    "predict.merge_threshold": (DETECTION,),
}
"""Dotted setting → the tasks it means something to."""

OVERALL = ("macro_f1", "accuracy", "balanced_accuracy", "kappa", "mean_iou")
BY_CLASS = ("f1", "iou", "precision", "recall")

METRICS = {
    SEGMENTATION: OVERALL,
    DETECTION: ("mAP50", "mAP", "macro_f1"),
    CLASSIFICATION: OVERALL,
}
"""Task → the metrics of an evaluation that can select a trial, beside those by class."""

METRICS_BY_CLASS = {SEGMENTATION: BY_CLASS, DETECTION: ("f1", "precision", "recall"), CLASSIFICATION: BY_CLASS}
"""Task → the metrics of a class that can select a trial, as in `f1.water`."""

MONITORS = {
    SEGMENTATION: (*OVERALL, "val_loss"),
    DETECTION: ("mAP50", "mAP"),
    CLASSIFICATION: (*OVERALL, "val_loss"),
}
"""Task → the metrics of an epoch that can say which is best, beside those by class."""

MONITORS_BY_CLASS = {SEGMENTATION: BY_CLASS, DETECTION: (), CLASSIFICATION: BY_CLASS}
"""Task → the metrics of a class that can say which epoch is best."""

NETWORKS = {"deeplabv3": SEGMENTATION, "faster_rcnn": DETECTION, "classifier": CLASSIFICATION}
"""Raster Vision's own networks → their task; all others are for semantic segmentation."""

LOSSES = {
    SEGMENTATION: ("cross_entropy", "focal", "dice", "jaccard"),
    CLASSIFICATION: ("cross_entropy", "focal"),
}
"""Task → its losses; Faster R-CNN has its own."""


def with_task_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what the task's defaults are, and those of the user's own network, where the config says nothing."""
    defaults = dict(DEFAULTS.get(str(config.get("task")), {}))
    model = config.get("model")
    if isinstance(model, Mapping) and model.get("architecture") == EXTERNAL:
        defaults |= DEFAULTS_OF_EXTERNAL
    filled = deepcopy(dict(config)) if defaults else dict(config)
    for setting, value in defaults.items():
        *parents, last = setting.split(".")
        section: Any = filled
        for parent in parents:
            section = section.setdefault(parent, {}) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section.setdefault(last, value)
    return filled
