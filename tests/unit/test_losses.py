"""Losses that leave unlabelled pixels out, and class weights from the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from swath.training.losses import balanced_weights, build_loss, chip_weights, count_classes

LOSSES = ["cross_entropy", "focal", "dice", "jaccard"]


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of four classes, and labels of which a third are unlabelled (0)."""
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(2, 4, 8, 8, generator=generator)
    target = torch.randint(1, 4, (2, 8, 8), generator=generator)
    target[:, :3] = 0
    return output, target


@pytest.mark.parametrize("name", LOSSES)
def test_unlabelled_pixels_do_not_matter(name: str, batch: Any) -> None:
    output, target = batch
    loss = build_loss({name: 1.0}, 4, None)
    other = output.clone()
    other[:, :, :3] = 7 * torch.rand(2, 4, 3, 8)
    assert loss(other, target).item() == pytest.approx(loss(output, target).item(), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_better_prediction_has_a_smaller_loss(name: str, batch: Any) -> None:
    output, target = batch
    loss = build_loss({name: 1.0}, 4, None)
    right = 20 * torch.nn.functional.one_hot(target, 4).movedim(-1, 1).float() - 10
    assert loss(right, target) < 0.1 < loss(output, target)


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_labels_costs_nothing_and_is_no_nan(name: str, batch: Any) -> None:
    output = batch[0].requires_grad_()
    value = build_loss({name: 1.0}, 4, None)(output, torch.zeros(2, 8, 8, dtype=torch.long))
    value.backward()
    assert value.item() == 0
    assert not output.grad.any()


def test_cross_entropy_is_torchs_own(batch: Any) -> None:
    output, target = batch
    weights = [1.0, 0.5, 2.0, 4.0]
    for class_weights in (None, weights):
        ours = build_loss({"cross_entropy": 1.0}, 4, class_weights)
        tensor = None if class_weights is None else torch.tensor(class_weights)
        theirs = torch.nn.CrossEntropyLoss(weight=tensor, ignore_index=0)
        assert ours(output, target).item() == pytest.approx(theirs(output, target).item(), rel=1e-5)


def test_losses_add_up(batch: Any) -> None:
    parts = {name: build_loss({name: 1.0}, 4, None)(*batch).item() for name in ("cross_entropy", "dice")}
    total = build_loss({"cross_entropy": 2.0, "dice": 0.5}, 4, None)(*batch).item()
    assert total == pytest.approx(2 * parts["cross_entropy"] + 0.5 * parts["dice"], rel=1e-5)


class Boxes:
    """Boxes as object detection has them."""

    def get_field(self, name: str) -> np.ndarray:
        return {"class_ids": np.array([2, 2, 1])}[name]


def test_classes_are_counted_in_rasters_in_labels_of_chips_and_in_boxes() -> None:
    assert list(count_classes([np.array([[0, 1], [1, 3]]), np.array([[1, 1], [1, 1]])], 4)) == [1, 6, 0, 1]
    assert list(count_classes([1, np.array(2), torch.tensor(2)], 3)) == [0, 1, 2]
    assert list(count_classes([Boxes()], 3)) == [0, 1, 2]


def test_balanced_weights_are_scikit_learns() -> None:
    labels = np.repeat([1, 2, 4], [70, 20, 10])
    expected = compute_class_weight("balanced", classes=np.array([1, 2, 4]), y=labels)
    counts = np.bincount(labels, minlength=5)
    counts[0] = 1000  # unlabelled pixels are no class
    weights = balanced_weights(counts)
    assert weights[1:3] == pytest.approx(list(expected[:2]))
    assert weights[4] == pytest.approx(expected[2])
    assert weights[0] == weights[3] == 1.0


def test_smoothed_labels_leave_the_null_class_out() -> None:
    """As torch's own over the real classes; unlabelled pixels count nothing."""
    torch.manual_seed(0)
    output, target = torch.randn(2, 4, 3, 3), torch.randint(0, 4, (2, 3, 3))
    output[:, 0] = -1.0e4
    labelled = target != 0
    pixels = output.movedim(1, -1)[labelled][:, 1:]
    expected = torch.nn.functional.cross_entropy(pixels, target[labelled] - 1, label_smoothing=0.2)
    found = build_loss({"cross_entropy": 1.0}, 4, None, smoothing=0.2)(output, target)
    assert torch.allclose(found, expected, rtol=1e-5)


def test_chips_weigh_as_the_classes_on_them_do() -> None:
    """Class 1 has nine pixels of ten; a chip with nothing labelled weighs as the mean of the others."""
    common, mixed, empty = np.full(8, 1), np.array([1, 2]), np.zeros(4)
    weights = chip_weights([common, mixed, empty], 3)
    rare, often = 10 / (2 * 1), 10 / (2 * 9)
    assert weights[:2] == pytest.approx([often, (often + rare) / 2])
    assert weights[2] == pytest.approx(sum(weights[:2]) / 2)
    assert chip_weights([empty, empty], 3) == [1.0, 1.0]


def test_boxes_are_counted_as_raster_vision_reads_them_from_chips() -> None:
    """Edges, class ids and their format; a chip without boxes weighs as the mean of the others."""
    boxes = [(np.zeros((3, 4)), np.array([1, 1, 2]), "xywh"), (np.zeros((0, 4)), np.array([], int), "xywh")]
    assert count_classes(boxes, 3).tolist() == [0, 2, 1]
    assert len(set(chip_weights(boxes, 3))) == 1
