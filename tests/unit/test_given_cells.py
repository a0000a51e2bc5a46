"""Chip classification from cells that were given: they are cut where they are, not on the grid of the scene."""

from __future__ import annotations

import zipfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import rasterio
from tiny import TINY, square, write_image, write_labels

from swath.config.load import load_experiment
from swath.config.records import of_json
from swath.config.stage import StageSettings
from swath.plan.plan import make_plan
from swath.rv.chip import cut_chips
from swath.rv.pipeline import scene_options
from swath.scenes.facts import ScenesSpec
from swath.scenes.manifest import read_manifests
from swath.scenes.prepare import prepare_scenes
from swath.scenes.table import read_scenes

SIZE, LEFT, TOP = 16, 7, 9
"""Of the cells, and where the first one's corner is: nowhere near the grid's."""


def test_cells_off_the_grid_are_cut_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    table = "scene,image,labels,split\na,a.tif,a.gpkg,train\nc,c.tif,c.gpkg,validation\n"
    Path("data/scenes.csv").write_text(table)
    values = np.random.default_rng(0).integers(0, 256, (3, 80, 80), np.uint8)
    places = [(LEFT + SIZE * column, TOP + SIZE * row) for row in range(3) for column in range(4)]
    kinds = ["field" if index % 3 else "forest" for index in range(len(places))]
    for scene in "ac":
        write_image(Path("data"), scene, values)
        write_labels(Path("data"), scene, [square(scene, *place, SIZE, SIZE) for place in places], kinds)
    config = deepcopy(TINY) | {
        "task": "chip_classification",
        "labels": {"attribute": "kind", "cells": "given"},
        "chips": {"size": SIZE},
    }
    experiment = load_experiment(config)
    plan = make_plan(experiment, read_scenes(experiment.scenes), config)
    run = plan.runs[0]
    spec = of_json(ScenesSpec, plan.specs["scenes"][run.scenes])
    prepare_scenes(plan.scenes_of("train"), spec, Path("results/scenes"), Path("results/scenes.json"))
    sections = {name: getattr(experiment, name) for name in ("task", "imagery", "chips", "labels")}
    options = scene_options(StageSettings(**sections), [])
    cut_chips(
        read_manifests(["results/scenes.json"]),
        "train",
        experiment.chips,
        options,
        ["null", *experiment.classes],
        Path("chips.zip"),
    )
    cut = {}
    with zipfile.ZipFile("chips.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".png"):
                _, kind, _ = name.split("/")
                pixels = rasterio.MemoryFile(archive.read(name)).open().read()
                cut[pixels.tobytes()] = kind
    expected = {
        values[:, row : row + SIZE, column : column + SIZE].tobytes(): kind
        for (column, row), kind in zip(places, kinds, strict=True)
    }
    assert cut == expected
