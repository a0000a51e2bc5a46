"""A finished experiment, as far as a report reads it: made in seconds, of any number of runs and scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
from made_facts import facts_of

from swath.config.imagery import Imagery
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.files import write_json
from swath.metrics.box_draws import text_of_matches
from swath.metrics.boxes import EDGES
from swath.metrics.scores import confusion_metrics
from swath.plan.finished import FinishedRun, Winner
from swath.products.boxes import box_table
from swath.report.findings import Findings
from swath.report.leaderboard import compare, select_winner
from swath.scenes.facts import SceneFacts
from swath.scenes.images import read_image

CLASSES, COLOURS = ["null", "field", "<b>wood</b> & moor"], ["#000000", "#e3c567", "#2f6b3a"]
EPOCHS = 5


def write(path: Path, values: np.ndarray) -> None:
    transform = rasterio.transform.from_origin(330_000, 5_820_000, 10, 10)
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": values.dtype, "count": len(values), "tiled": True}
    profile |= {"height": values.shape[1], "width": values.shape[2], "crs": "EPSG:32633", "transform": transform}
    with rasterio.open(path, "w", compress="deflate", zlevel=1, **profile) as dataset:
        dataset.write(values)


def patches(random: np.random.Generator, side: int, size: int) -> np.ndarray:
    """Class ids 1 and 2 in patches."""
    small = random.integers(1, 3, (side // size + 1, side // size + 1), np.uint8)
    return np.kron(small, np.ones((size, size), np.uint8))[:side, :side]


def made_scene(folder: Path, task: Task, side: int) -> SceneFacts:
    """A scene, its labels, and in the folder ``map`` a prediction that is wrong in its lower right quarter."""
    random = np.random.default_rng(0)
    labels = patches(random, side, 16)
    image = 1000 * labels[None].astype(np.uint16) + random.integers(0, 300, (3, side, side), np.uint16)
    write(folder / "image.tif", image.astype(np.uint16))
    read = read_image(str(folder / "image.tif"), Imagery(), folder, folder)
    facts = facts_of(read, label_raster=str(folder / "truth.tif"), labels=str(folder / "labels.geojson"))
    labels[:8] = 0
    write(folder / "truth.tif", labels[None])
    (folder / "map").mkdir()
    if task == DETECTION:
        edges = np.array([[10 * n, 12 * n, 10 * n + 9, 12 * n + 9] for n in range(1, side // 12 - 1)])
        ids = np.ones(len(edges), int)
        box_table(edges, ids, np.ones(len(edges)), facts, CLASSES).to_file(folder / "labels.geojson", driver="GeoJSON")
        found = np.vstack([edges[1:], [[0, side // 2, 9, side // 2 + 9]]])
        scores = np.linspace(0.9, 0.3, len(found))
        box_table(found, np.ones(len(found), int), scores, facts, CLASSES).to_parquet(folder / "map" / "boxes.parquet")
        return facts
    predicted = labels.copy()
    predicted[side // 2 :, side // 2 :] = 3 - np.maximum(predicted[side // 2 :, side // 2 :], 1)
    predicted[:8] = 1
    write(folder / "map" / "prediction.tif", predicted[None])
    if task == CLASSIFICATION:  # what is evaluated of them stands in _evaluation
        edges = np.array([[0, 0, 48, 48], [0, 48, 48, 96], [48, 0, 96, 48]])
        cells = box_table(edges, np.array([1, 1, 2]), np.array([0.6, 0.75, 0.9]), facts, CLASSES)
        cells.drop(columns=EDGES).to_parquet(folder / "map" / "cells.parquet")
    shares = np.stack([np.where(predicted == index, 200, 54) for index in (1, 2)]).astype(np.uint8)
    write(folder / "map" / "scores.tif", shares)
    return facts


def made_experiment(
    folder: Path,
    task: Task = SEGMENTATION,
    trials: int = 2,
    repeats: int = 2,
    scenes: int = 3,
    side: int = 96,
    luck: int = 0,
) -> Findings:
    """Make the results of an experiment whose scenes all look the same."""
    (folder / "scene").mkdir(parents=True)
    facts = made_scene(folder / "scene", task, side)
    names = {"validation": [f"v{n:03}" for n in range(scenes)], "test": [f"t{n:03}" for n in range(scenes)]}
    names["test"][0] = "</script><script>alert(1)</script>"
    by_id = {name: replace(facts, id=name, split=split, maps="map") for split, held in names.items() for name in held}
    experiment = folder / "experiments" / "made"
    experiment.mkdir(parents=True)
    splits = [{"scene": name, "split": split, "fold": ""} for split, held in names.items() for name in held]
    pd.DataFrame(splits).to_csv(experiment / "splits.csv", index=False)
    runs = [_run(folder, task, trial, seed, names, luck) for trial in range(trials) for seed in range(repeats)]
    metric = "mAP50" if task == DETECTION else "macro_f1"
    tables = [experiment / f"{name}.csv" for name in ("trials", "leaderboard", "comparison")]
    compare(runs, metric, *tables)
    select_winner(tables[0], tables[1], metric, experiment / "winner.json")
    return Findings(experiment, task, metric, CLASSES, COLOURS, runs, by_id)


def _run(folder: Path, task: Task, trial: int, seed: int, names: dict[str, list[str]], luck: int) -> FinishedRun:
    name, place = f"rate={trial},seed={seed}", folder / f"run-{trial}-{seed}"
    place.mkdir()
    random = np.random.default_rng(1000 * luck + 100 * trial + seed)
    epochs = np.arange(1, EPOCHS + 1)
    history = pd.DataFrame({"epoch": epochs, "train_loss": 1 / epochs + trial, "val_loss": 1.2 / epochs + trial})
    history["mAP50" if task == DETECTION else "macro_f1"] = epochs / 10 + random.random(EPOCHS) / 50
    history.to_csv(place / "metrics.csv", index=False)
    pd.DataFrame({"epoch": epochs, "seconds": 1.5, "peak_gpu_memory_mb": 100}).to_csv(place / "timing.csv", index=False)
    for split, held in names.items():
        write_json(place / f"{split}.json", _evaluation(task, held, random, trial))
    values: dict[str, Any] = {"train.learning_rate": 10.0**-trial, "chips.size": 64 * (1 + trial % 2)}
    values["model.encoder"] = ["resnet18", "resnet34", "resnet50"][trial % 3]
    evals = {"validation": str(place), "test": str(place)}
    return FinishedRun(
        name, f"rate={trial}", values, None, seed, str(place), str(place), str(folder / "scene"), evals, ""
    )


def _evaluation(task: Task, scenes: Sequence[str], random: np.random.Generator, trial: int) -> dict[str, Any]:
    if task == DETECTION:
        scores = {name: 0.8 - 0.1 * trial + random.normal(0, 0.02) for name in scenes}
        of_scene = {
            name: {
                "mAP50": score,
                "f1": {"field": score},
                "counts": {"field": [3, 5, 4], CLASSES[2]: [0, 0, 0]},
                "matches": {"field": _matches(score, random), CLASSES[2]: ""},
            }
            for name, score in scores.items()
        }
        overall = {"mAP50": float(np.mean(list(scores.values()))), "mAP": 0.2, "macro_f1": 0.5, "labelled": 9}
        overall |= {"f1": {"field": 0.5}, "f1_by_threshold": {"0.30": 0.5, "0.60": 0.4}}
        return {"classes": CLASSES, "overall": overall, "scenes": of_scene}
    confusions, cells = {}, "0 0 48 48 1 1; 0 48 48 96 2 1"
    for name in scenes:
        hits = (1000 * np.clip(0.9 - 0.05 * trial + random.normal(0, 0.02, 2), 0, 1)).astype(int)
        confusions[name] = np.array([[0, 0, 0], [0, hits[0], 1000 - hits[0]], [0, 1000 - hits[1], hits[1]]])
    evaluation = asdict(confusion_metrics(confusions, CLASSES))
    if task == CLASSIFICATION:
        evaluation["scenes"] = {name: {**of_scene, "cells": cells} for name, of_scene in evaluation["scenes"].items()}
    return evaluation


def _matches(score: float, random: np.random.Generator) -> str:
    """Twelve boxes of which as many as a score says have found one of the five labels."""
    hits = np.zeros((10, 12), bool)
    hits[:5, : round(5 * min(score, 1))] = True
    return text_of_matches(random.random(12).round(3).tolist(), hits)


def winner_of(findings: Findings) -> Winner:
    """The winner, which every made experiment has."""
    assert findings.winner
    return findings.winner
