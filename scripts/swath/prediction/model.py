"""A trained network that predicts batches of windows, the way Raster Vision's learner makes use of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from rastervision.core.box import Box
from rastervision.pytorch_learner import Learner
from rastervision.pytorch_learner.dataset import AlbumentationsDataset, TransformType

from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.prediction.strips import Strips

TRANSFORMS = {
    SEGMENTATION: TransformType.semantic_segmentation,
    DETECTION: TransformType.object_detection,
    CLASSIFICATION: TransformType.classification,
}


DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
COLUMN, ROW = -2, -1
"""The dimensions of an image along its columns and rows."""


@dataclass(frozen=True)
class Computing:
    """How a model computes.

    Attributes:
        batch_size: Windows per step.
        channels_last: Keep bands innermost in memory, as the training did.
        deterministic: Whether the training asked for deterministic GPU kernels; otherwise the fastest ones are taken.
        flips: Whether every window is predicted in all eight orientations, which are averaged; not boxes.
        mixed_precision: The 16 bits to compute in: bf16 or fp16; None for 32 bits.
    """

    batch_size: int
    channels_last: bool
    deterministic: bool
    flips: bool = False
    mixed_precision: str | None = None


@dataclass(frozen=True)
class Batch:
    """Windows on their way to the network.

    Attributes:
        windows: In pixels of the image.
        images: Windows × bands × height × width, float32.
    """

    windows: Sequence[Box]
    images: torch.Tensor


class Model:
    """A trained network.

    Args:
        learner: Raster Vision's, with the weights.
        task: The task.
        size: Of windows, pixels of a side.
        computing: How it computes.
    """

    def __init__(self, learner: Learner, task: Task, size: int, computing: Computing):
        self._learner, self._task, self._computing, self._size = learner, task, computing, (size, size)
        self._transform, _ = learner.cfg.data.get_data_transforms()
        learner.model.eval()
        if computing.channels_last:  # what its convolutions get is laid out as their weights are
            learner.model.to(memory_format=torch.channels_last)
        torch.backends.cudnn.benchmark = not computing.deterministic  # windows are of one size
        torch.backends.cudnn.deterministic = computing.deterministic

    def batches(self, strips: Strips, windows: Sequence[Box]) -> Iterator[Batch]:
        """Read windows, in batches, as the model's learner reads them.

        Args:
            strips: Has the windows' rows in memory.
            windows: In pixels of the image.
        """
        dataset = AlbumentationsDataset(strips, transform=self._transform, transform_type=TRANSFORMS[self._task])
        collate, size = self._learner.get_collate_fn() or torch.utils.data.default_collate, self._computing.batch_size
        for start in range(0, len(windows), size):
            chosen = windows[start : start + size]
            images, _ = collate([dataset[window] for window in chosen])
            yield Batch(chosen, images.pin_memory() if self._learner.device.type == "cuda" else images)

    def predict(self, batch: Batch, raw_out: bool = True) -> Iterable[Any]:
        """Predict a batch.

        Args:
            batch: The windows.
            raw_out: Semantic segmentation: whether to return scores instead of class ids.

        Returns:
            For each window what Raster Vision's learner makes of the network's output, as NumPy arrays, in pixels of
            the window: classes × height × width (scores) or height × width (class ids); boxes, class_ids and scores;
            an output per class.
        """
        images = batch.images.to(self._learner.device, non_blocking=True)
        dtype = DTYPES.get(self._computing.mixed_precision or "")
        with torch.autocast(self._learner.device.type, dtype, enabled=dtype is not None):
            if self._computing.flips:
                predicted = self._in_all_orientations(images)
                if not raw_out:
                    predicted = self._learner.prob_to_pred(predicted)
            else:
                predicted = self._once(images, raw_out)
        return [self._learner.output_to_numpy(one) for one in predicted]

    def _once(self, images: torch.Tensor, raw_out: bool = True) -> Any:
        options = {} if self._task == CLASSIFICATION else {"out_shape": self._size}
        predicted = self._learner.predict(images, raw_out=raw_out, **options)
        return predicted.float() if raw_out and self._task != DETECTION else predicted

    def _in_all_orientations(self, images: torch.Tensor) -> torch.Tensor:
        """Average what the network says of images, mirrored or not, in each of four turns.

        Returns:
            Scores; of cells their logarithms, as a network's own output.
        """
        sums = torch.zeros(())
        for turn, is_mirrored in product(range(4), (False, True)):
            turned = torch.rot90(images.flip(ROW) if is_mirrored else images, turn, (COLUMN, ROW))
            predicted = self._once(turned)
            if self._task == CLASSIFICATION:
                predicted = predicted.softmax(dim=1)
            else:
                predicted = torch.rot90(predicted, -turn, (COLUMN, ROW))
                predicted = predicted.flip(ROW) if is_mirrored else predicted
            sums = sums + predicted
        return (sums / 8).log() if self._task == CLASSIFICATION else sums / 8
