"""Losses of networks that score classes, for pixels or for chips, and class weights from the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from segmentation_models_pytorch import losses as smp_losses
from torch import Tensor, nn
from torch.nn import functional

from swath.config.classes import NULL_CLASS_ID


class LabelledCrossEntropy(nn.Module):
    """Cross-entropy, averaged over labelled pixels or chips; zero, not NaN, where a batch has none.

    Args:
        class_weights: float32 (classes), or None.
        smoothing: Share of a label that is spread over all classes but the null class.
    """

    def __init__(self, class_weights: Tensor | None, smoothing: float = 0.0):
        super().__init__()
        self.smoothing = smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Compare (N, classes, …) logits with (N, …) class ids."""
        loss = functional.cross_entropy(output, target, self.class_weights, ignore_index=NULL_CLASS_ID, reduction="sum")
        labelled = target != NULL_CLASS_ID
        if self.smoothing:  # torch's own would teach the null class, too, whose score is silenced
            others = [index for index in range(output.shape[1]) if index != NULL_CLASS_ID]
            spread = -output[:, others].log_softmax(1).mean(1)
            weights = 1.0 if self.class_weights is None else self.class_weights[target]
            loss = (1 - self.smoothing) * loss + self.smoothing * (spread * weights * labelled).sum()
        total = labelled.sum() if self.class_weights is None else self.class_weights[target][labelled].sum()
        return loss / total.clamp(min=1e-6)


class WeightedSum(nn.Module):
    """A weighted sum of losses; zero where a batch has no labelled pixel.

    Args:
        losses: Name → loss; all take (N, classes, H, W) logits and (N, H, W) class ids.
        weights: Name → weight.
    """

    def __init__(self, losses: Mapping[str, nn.Module], weights: Mapping[str, float]):
        super().__init__()
        self.losses, self.weights = nn.ModuleDict(losses), dict(weights)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Add the losses up."""
        if not (target != NULL_CLASS_ID).any():
            return output.sum() * 0
        terms = [self.weights[name] * loss(output, target) for name, loss in self.losses.items()]
        return torch.stack(terms).sum()


class LabelledJaccard(nn.Module):
    """The soft Jaccard loss of labelled pixels: smp's own has no class to ignore.

    Args:
        real: Class ids that count.
    """

    def __init__(self, real: Sequence[int]):
        super().__init__()
        self.loss = smp_losses.JaccardLoss("multiclass", classes=list(real))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Compare (N, classes, H, W) logits with (N, H, W) class ids."""
        labelled = target != NULL_CLASS_ID
        pixels = output.movedim(1, -1)[labelled]  # (pixels, classes)
        loss: Tensor = self.loss(pixels.T[None, :, :, None], target[labelled][None, :, None])
        return loss


def build_loss(
    weights: Mapping[str, float], classes: int, class_weights: Sequence[float] | None, smoothing: float = 0.0
) -> nn.Module:
    """Build a loss that leaves the null class out.

    Args:
        weights: Name of the loss → weight in the sum.
        classes: Number of classes, the null class included.
        class_weights: By class id, for the cross-entropy.
        smoothing: Label smoothing, of the cross-entropy.
    """
    real = [index for index in range(classes) if index != NULL_CLASS_ID]
    tensor = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
    known: dict[str, Callable[[], nn.Module]] = {
        "cross_entropy": lambda: LabelledCrossEntropy(tensor, smoothing),
        "focal": lambda: smp_losses.FocalLoss("multiclass", ignore_index=NULL_CLASS_ID),
        "dice": lambda: smp_losses.DiceLoss("multiclass", classes=real, ignore_index=NULL_CLASS_ID),
        "jaccard": lambda: LabelledJaccard(real),
    }
    if list(weights) == ["cross_entropy"] and weights["cross_entropy"] == 1:
        return known["cross_entropy"]()
    return WeightedSum({name: known[name]() for name in weights}, weights)


def count_classes(targets: Iterable[Any], classes: int) -> np.ndarray:
    """Count class ids: pixels of label rasters, labels of chips, or boxes.

    Args:
        targets: Per chip: an array or number of class ids, or boxes: as Raster Vision reads them (edges, class ids,
            their format), or as it hands them on (`get_field("class_ids")`).
        classes: Number of classes.

    Returns:
        int64 array, a count per class id.
    """
    counts = np.zeros(classes, dtype=np.int64)
    for target in targets:
        if isinstance(target, tuple):
            ids = target[1]
        else:
            ids = target.get_field("class_ids") if hasattr(target, "get_field") else target
        counts += np.bincount(np.asarray(ids).astype(np.int64).ravel(), minlength=classes)[:classes]
    return counts


def chip_weights(targets: Iterable[Any], classes: int) -> list[float]:
    """Weigh chips by the classes on them, so that classes become as frequent among what is drawn as chips allow.

    Args:
        targets: Per chip, as for :func:`count_classes`.
        classes: Number of classes.

    Returns:
        A weight per chip: the mean of :func:`balanced_weights` over what is labelled on it. A chip with nothing
        labelled weighs as the mean of the others.
    """
    counts = np.stack([count_classes([target], classes) for target in targets]).astype(float)
    weights = np.array(balanced_weights(counts.sum(axis=0)))
    counts[:, NULL_CLASS_ID] = 0
    labelled = counts.sum(axis=1)
    mean = counts @ weights / np.maximum(labelled, 1)
    mean[labelled == 0] = mean[labelled > 0].mean() if labelled.any() else 1.0
    return [float(weight) for weight in mean]


def balanced_weights(counts: np.ndarray) -> list[float]:
    """Weigh classes inversely to how often they occur, so that the weighted pixels count as many as there are.

    The null class, and a class that does not occur, weigh 1. As scikit-learn's ``class_weight="balanced"``.
    """
    real = counts.copy()
    real[NULL_CLASS_ID] = 0
    present = real > 0
    weights = np.ones(len(counts))
    weights[present] = real.sum() / (present.sum() * real[present])
    return [float(weight) for weight in weights]
