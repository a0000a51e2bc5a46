"""Chips as training gets them, for people to look at."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rastervision.pytorch_learner.object_detection_utils import BoxList

from swath.report.preview import PreviewChip
from swath.rv.chip_files import CHIP_FILES, FOLDERS
from swath.scenes.manifest import channel_order
from swath.training.data import augmented
from swath.training.job import TrainingJob
from swath.training.learner import describe_training, unpack_chips


def sample_chips(job: TrainingJob, number: int) -> tuple[list[PreviewChip], dict[str, int]]:
    """Draw training chips as the first epoch will see them.

    Args:
        job: The training; nothing is written into its folder.
        number: How many, at most; evenly spread over the chips.

    Returns:
        The chips, and the number of chips by split.
    """
    with tempfile.TemporaryDirectory() as temporary:
        chips = Path(temporary) / "chips"
        job = replace(job, folder=Path(temporary) / "model")  # gets the network's definition, when it is described
        unpack_chips(job, chips)
        config = describe_training(job)
        data = config.backend.get_learner_config(config).data
        data.uri = str(chips)
        dataset, *_ = data.build(temporary)
        shown = augmented(data, dataset, job.train.seed)
        chosen = np.linspace(0, len(shown) - 1, min(number, len(shown))).round().astype(int)
        sampled = [_as_arrays(*shown[0, int(index)]) for index in chosen]
        counts = {split: CHIP_FILES[job.options.task].count(chips / folder) for split, folder in FOLDERS.items()}
    return sampled, counts


def band_names(job: TrainingJob) -> list[str]:
    """Name the bands the model sees: as the first scene's image does, or by number."""
    scene = job.scenes[0]
    return [scene.bands[index] or f"band {index + 1}" for index in channel_order(scene, job.options.imagery.bands)]


def _as_arrays(image: Any, target: Any) -> PreviewChip:
    if isinstance(target, BoxList):
        boxes = np.column_stack([target.convert_boxes("yxyx").numpy(), target.get_field("class_ids").numpy()])
        return PreviewChip(image.numpy(), boxes)
    return PreviewChip(image.numpy(), target.numpy())
