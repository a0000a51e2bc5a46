"""Average precision: by hand, and as Raster Vision computes it."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rastervision.pytorch_learner.object_detection_utils import BoxList, compute_coco_eval

from swath.metrics.average_precision import average_precision, matches_of_scene
from swath.metrics.box_draws import matched_boxes, precision_of_draws
from swath.metrics.boxes import Boxes, ious

CLASSES = ["null", "tree", "car"]


def boxes(actual: list[list[float]], found: list[list[float]], scores: list[float], classes: list[int]) -> Boxes:
    actual_classes = np.ones(len(actual), int)
    return Boxes(
        np.array(actual).reshape(-1, 4),
        actual_classes,
        np.array(found).reshape(-1, 4),
        np.array(classes),
        np.array(scores),
    )


def test_by_hand() -> None:
    """Two trees; the best-scored box is one of them, the second is nothing, the third the other, shifted a little."""
    scene = boxes(
        [[0, 0, 10, 10], [20, 20, 30, 30]],
        [[0, 0, 10, 10], [50, 50, 60, 60], [20, 21, 30, 31]],
        [0.9, 0.8, 0.7],
        [1, 1, 1],
    )
    measured = average_precision([scene], CLASSES)
    # up to recall 1/2 precision is 1, beyond it 2/3; COCO reads it at 101 recalls, 51 of them up to 1/2
    assert measured.mAP50 == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert measured.ap50 == {"tree": pytest.approx((51 + 50 * 2 / 3) / 101), "car": None}
    # the shifted one overlaps by 90 / 110 = 0.82: it counts at IoU 0.50 to 0.80, at three thresholds it does not
    assert measured.mAP == pytest.approx((7 * (51 + 50 * 2 / 3) + 3 * 51) / 10 / 101)


def test_overlaps_do_not_depend_on_how_an_array_is_kept() -> None:
    one, other = np.array([[0, 0, 10, 10], [20, 20, 40, 30]], float), np.array([[0, 0, 10, 5], [20, 20, 30, 30.0]])
    expected = [[0.5, 0], [0, 0.5]]
    assert ious(one, other).tolist() == expected == ious(np.asfortranarray(one), np.asfortranarray(other)).tolist()


def test_nothing_found_and_nothing_there() -> None:
    assert average_precision([boxes([[0, 0, 10, 10]], [], [], [])], CLASSES).mAP50 == 0.0
    assert average_precision([boxes([], [[0, 0, 10, 10]], [0.5], [1])], CLASSES).mAP50 is None


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_as_raster_vision_computes_it(seed: int, number: int) -> None:
    """Its function for the validation of a training, which looks at no more than 100 boxes of an image."""
    random = np.random.default_rng(seed)
    scenes = []
    for _ in range(number):
        corners = random.integers(0, 200, (12, 2))
        actual = np.hstack([corners, corners + random.integers(8, 60, (12, 2))]).astype(float)
        found = np.vstack([actual[:9] + random.normal(0, 3, (9, 4)), actual[3:] + random.normal(0, 30, (9, 4))])
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 2)
        classes = random.integers(1, 3, 12)
        scenes.append(Boxes(actual, classes, found, np.concatenate([classes[:9], classes[3:]]), random.random(18)))
    measured = average_precision(scenes, CLASSES)
    targets = [BoxList(torch.tensor(s.actual), class_ids=torch.tensor(s.actual_classes)) for s in scenes]
    outputs = [
        BoxList(torch.tensor(s.found), class_ids=torch.tensor(s.found_classes), scores=torch.tensor(s.scores))
        for s in scenes
    ]
    with redirect_stdout(StringIO()):
        theirs = compute_coco_eval(outputs, targets, len(CLASSES))
    assert measured.mAP == pytest.approx(theirs.stats[0], abs=1e-6)
    assert measured.mAP50 == pytest.approx(theirs.stats[1], abs=1e-6)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_draws_of_scenes_have_the_precision_of_the_scenes_that_were_drawn(seed: int) -> None:
    """A bootstrap that matches boxes once says what evaluating every draw would say."""
    random = np.random.default_rng(seed)
    scenes = []
    for _ in range(4):
        corners = random.integers(0, 200, (8, 2))
        actual = np.column_stack([corners, corners + random.integers(5, 40, (8, 2))]).astype(float)
        found = np.vstack([actual + random.integers(-3, 4, actual.shape), actual[:3] + 60])
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)  # COCO ignores boxes of a negative area
        scores = random.permutation(1000)[: len(found)] / 1000
        actual_classes = random.integers(1, 3, len(actual))
        scenes.append(Boxes(actual, actual_classes, found, random.integers(1, 3, len(found)), scores))
    matches = [matches_of_scene(scene, CLASSES) for scene in scenes]
    by_class = {
        name: matched_boxes(
            [(of[name], (one.actual_classes == n).sum()) for of, one in zip(matches, scenes, strict=True)]
        )
        for n, name in enumerate(CLASSES[1:], 1)
    }
    times = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 3, 0, 1], [0, 0, 4, 0], [0, 0, 0, 0]])
    drawn = [[scene for scene, often in zip(scenes, row, strict=True) for _ in range(often)] for row in times]
    for metric in ("mAP50", "mAP"):
        expected = [getattr(average_precision(one, CLASSES), metric) if one else np.nan for one in drawn]
        found = precision_of_draws(metric, by_class, times.astype(float))
        assert found == pytest.approx(np.array(expected, float), abs=1e-6, nan_ok=True)
