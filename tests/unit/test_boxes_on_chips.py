"""Boxes on chips have exact edges, and are there however chips are drawn."""

from __future__ import annotations

import json
import zipfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from looking import look
from tiny import TINY, square, write_labels, write_tiny

from swath.rv.chip import cut_chips
from swath.rv.pipeline import scene_options

DATA = Path("data")
LEFT, TOP, SIZE = 20.25, 30.5, 12.0


@pytest.mark.parametrize(
    "chips",
    [
        {"size": 40, "per_scene": 12},
        {"size": 40, "per_scene": 12, "negative_ratio": 0},
        {"size": 40, "sampling": "sliding", "stride": 20},
    ],
)
def test_boxes_on_chips_are_as_large_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chips: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny(DATA)
    for scene in "abcd":
        write_labels(DATA, scene, [square(scene, LEFT, TOP, SIZE, SIZE)], ["tree"])
    found = look({**deepcopy(TINY), "task": "object_detection", "classes": {"tree": "green"}, "chips": chips})
    facts = list(found.facts("a").values())
    stats = Path("stats/train_scenes/stats.json")
    stats.parent.mkdir(parents=True)
    stats.write_text(json.dumps({"means": [1500.0] * 3, "stds": [500.0] * 3, "counts": None}))
    options = scene_options(found.stage_settings(), [str(stats)], ["null", "tree"])
    cut_chips(facts, "train", found.plan.experiment.chips, options, ["null", "tree"], Path("chips.zip"))
    with zipfile.ZipFile("chips.zip") as archive:
        boxes = json.loads(archive.read("train/labels/a.json"))["annotations"]
    whole = [box["bbox"] for box in boxes if np.allclose(box["bbox"][2:], SIZE, atol=1e-3)]
    assert len(whole) > 1
    assert all((box[0] % 1, box[1] % 1) == pytest.approx((0.25, 0.5), abs=1e-3) for box in whole)
    assert all(box["bbox"][0] + box["bbox"][2] <= 40 + 1e-3 for box in boxes)
