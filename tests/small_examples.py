"""Raster Vision's example experiments in small: their folder trees and names, tiny imagery, short trainings."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import example_data as data
from experiment import Project, with_setting

from swath.config.load import read_yaml

SHORT = {"train.epochs": 1, "train.batch_size": 4, "train.num_workers": 0, "train.threads": 1, "model.weights": "none"}
SMALL_CHIPS = {"chips.size": 32}
FEW_BOXES = {"chips.size": 64, "chips.per_scene": 3, "model.encoder": "resnet18", "predict.score_threshold": 0.05}


@dataclass(frozen=True)
class Example:
    """An example and how it is tried out.

    Attributes:
        build: Makes its folder tree.
        shorter: Settings that make it small, beside `SHORT`.
        bands: Channels that its model has to see.
    """

    build: Callable[[Path], None]
    shorter: dict[str, Any] = field(default_factory=dict)
    bands: int = 3


EXAMPLES = {
    "tiny-spacenet": Example(data.tiny_spacenet, SMALL_CHIPS),
    "spacenet-vegas": Example(
        data.tutorial,
        {**SMALL_CHIPS, "predict.stride": 32, "sweep.grid": {}},
    ),
    "spacenet-vegas-buildings": Example(data.vegas_buildings, SMALL_CHIPS),
    "spacenet-vegas-roads": Example(data.vegas_roads, SMALL_CHIPS),
    "spacenet-rio": Example(data.rio, {"chips.size": 16, "chips.stride": 8, "model.encoder": "resnet18"}),
    "isprs-potsdam": Example(data.potsdam, SMALL_CHIPS),
    "isprs-potsdam-multi-source": Example(data.potsdam, SMALL_CHIPS, bands=5),
    "cowc-potsdam": Example(data.cowc, FEW_BOXES),
    "xview": Example(data.xview, FEW_BOXES),
}


def project_of(name: str, example: Example, folder: Path, **changes: Any) -> Project:
    """A folder with the example's data and tables, and its config, as short as it gets."""
    example.build(folder)
    (folder / "config" / "examples").mkdir(parents=True)
    for table in data.EXAMPLES.glob("*.csv"):
        shutil.copy(table, folder / "config" / "examples")
    config = read_yaml(data.EXAMPLES / f"{name}.yaml")
    for setting, value in {**SHORT, **example.shorter, **changes}.items():
        config = with_setting(config, setting, value)
    return Project(folder, config)
