"""A trained network that predicts batches of windows, the way Raster Vision's learner makes use of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from rastervision.core.box import Box
from rastervision.pytorch_learner import Learner
from rastervision.pytorch_learner.dataset import AlbumentationsDataset, TransformType

from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.job.environment import keep_freed_memory
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


class Predictor(Protocol):
    """What predicts windows: a trained network, or several."""

    def batches(self, strips: Strips, windows: Sequence[Box]) -> Iterator[Batch]:
        """Read windows, in batches.

        Args:
            strips: Has the windows' rows in memory.
            windows: In pixels of the image.
        """

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


class Model:
    """A trained network.

    Args:
        learner: Raster Vision's, with the weights.
        task: The task.
        size: Of windows, pixels of a side.
        computing: How it computes.
        order: The network's own number of each class; None for a null class that it does not know. Left out, they are
            the same.
    """

    def __init__(
        self, learner: Learner, task: Task, size: int, computing: Computing, order: Sequence[int | None] | None = None
    ):
        self._learner, self._task, self._computing, self._size = learner, task, computing, (size, size)
        self._order = order if order and list(order) != list(range(len(order))) else None
        data = learner.cfg.data
        self._transform, _ = data.get_data_transforms()
        self._is_plain = task != DETECTION and data.base_transform is None and data.img_sz == size
        keep_freed_memory()
        learner.model.eval()
        if computing.channels_last:  # what its convolutions get is laid out as their weights are
            learner.model.to(memory_format=torch.channels_last)
        torch.backends.cudnn.benchmark = not computing.deterministic  # windows are of one size
        torch.backends.cudnn.deterministic = computing.deterministic

    @property
    def network(self) -> torch.nn.Module:
        """The network itself."""
        return self._learner.model

    def batches(self, strips: Strips, windows: Sequence[Box]) -> Iterator[Batch]:
        """Read windows, in batches, as the model's learner reads them; see :class:`Predictor`."""
        for start in range(0, len(windows), self._computing.batch_size):
            chosen = windows[start : start + self._computing.batch_size]
            images = self._plainly(strips, chosen) if self._is_plain else self._by_raster_vision(strips, chosen)
            yield Batch(chosen, images.pin_memory() if self._learner.device.type == "cuda" else images)

    def _by_raster_vision(self, strips: Strips, windows: Sequence[Box]) -> torch.Tensor:
        dataset = AlbumentationsDataset(strips, transform=self._transform, transform_type=TRANSFORMS[self._task])
        collate = self._learner.get_collate_fn() or torch.utils.data.default_collate
        images: torch.Tensor = collate([dataset[window] for window in windows])[0]
        return images

    def _plainly(self, strips: Strips, windows: Sequence[Box]) -> torch.Tensor:
        """Do what Raster Vision's data set does when it has nothing to resize: in a fraction of the time."""
        images = torch.from_numpy(normalised(np.stack([strips.chip(window) for window in windows])))
        images = images.permute(0, 3, 1, 2)
        return images if self._computing.channels_last else images.contiguous()

    def predict(self, batch: Batch, raw_out: bool = True) -> Iterable[Any]:
        """Predict a batch; see :class:`Predictor`."""
        images = batch.images.to(self._learner.device, non_blocking=True)
        dtype = DTYPES.get(self._computing.mixed_precision or "")
        with torch.autocast(self._learner.device.type, dtype, enabled=dtype is not None):
            predicted = self._in_all_orientations(images) if self._computing.flips else self._once(images)
        if self._order and self._task != DETECTION:
            predicted = _in_order(predicted, self._order)
        if not raw_out:
            predicted = predicted.max(dim=1).indices  # what argmax says, which takes six times as long
        found = [self._learner.output_to_numpy(one) for one in predicted]
        if self._order and self._task == DETECTION:
            for boxes in found:
                boxes["class_ids"] = np.array([self._order.index(number) for number in boxes["class_ids"].astype(int)])
        return found

    def _once(self, images: torch.Tensor) -> Any:
        options = {} if self._task == CLASSIFICATION else {"out_shape": self._size}
        predicted = self._learner.predict(images, raw_out=True, **options)
        return predicted if self._task == DETECTION else predicted.float()

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
        return (sums / 8).clamp_min(torch.finfo(torch.float32).tiny).log() if self._task == CLASSIFICATION else sums / 8


def _in_order(scores: torch.Tensor, order: Sequence[int | None]) -> torch.Tensor:
    """Put scores, windows × classes and whatever follows, in another order of the classes; nothing for unknown ones."""
    return torch.stack(
        [torch.zeros_like(scores[:, 0]) if number is None else scores[:, number] for number in order], dim=1
    )


class Ensemble:
    """Several models that see the same, and whose scores are averaged.

    Args:
        models: Of one task with scores: not of object detection.
        task: The task.
    """

    def __init__(self, models: Sequence[Model], task: Task):
        self._models, self._task = models, task

    def batches(self, strips: Strips, windows: Sequence[Box]) -> Iterator[Batch]:
        """Read windows as the first model does; see :class:`Predictor`."""
        return self._models[0].batches(strips, windows)

    def predict(self, batch: Batch, raw_out: bool = True) -> Iterable[Any]:
        """Predict a batch with all models; see :class:`Predictor`. Of cells, it is the logarithm of the mean."""
        for outputs in zip(*(model.predict(batch) for model in self._models), strict=True):
            if self._task == CLASSIFICATION:
                mean = np.mean([_softmax(output) for output in outputs], axis=0)
                yield np.log(np.maximum(mean, np.finfo(np.float32).tiny))
            else:
                mean = np.mean(outputs, axis=0, dtype=np.float32)
                yield mean if raw_out else mean.argmax(axis=0)


def _softmax(output: NDArray[Any]) -> NDArray[Any]:
    shares: NDArray[Any] = np.exp(output - output.max())
    shares /= shares.sum()
    return shares


def normalised(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Scale whole numbers to 0..1, as Raster Vision's data sets do; other values stay as they are."""
    if pixels.dtype == np.uint8:  # in 32 bits from the start, which for these values makes no difference
        shares: NDArray[np.float32] = np.divide(pixels, np.float32(255), dtype=np.float32)
        return shares
    if np.issubdtype(pixels.dtype, np.unsignedinteger):
        return (pixels.astype(float) / np.iinfo(pixels.dtype).max).astype(np.float32)
    return pixels.astype(np.float32)
