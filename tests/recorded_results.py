"""What the deterministic stages make of tiny inputs, as checksums: `make record` writes them down, a test compares."""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import chdir
from pathlib import Path

import numpy as np
from pyogrio import set_gdal_config_options
from tiny import PLACES, SIDE, TINY, write_tiny

from swath.config.chips import Chips
from swath.config.imagery import Imagery
from swath.config.labels import Labels
from swath.config.records import to_json
from swath.config.stage import StageSettings
from swath.files import content_of_zips, sha256
from swath.metrics.average_precision import average_precision
from swath.metrics.boxes import Boxes
from swath.metrics.scores import confusion_metrics
from swath.products.boxes import box_table
from swath.products.maps import write_label_raster
from swath.products.polygons import label_polygons
from swath.rv.chip import cut_chips
from swath.rv.pipeline import scene_options
from swath.scenes.analyze import analyze
from swath.scenes.facts import SceneFacts, ScenesSpec
from swath.scenes.manifest import read_manifests
from swath.scenes.no_data import without_data
from swath.scenes.prepare import prepare_scenes
from swath.scenes.scene import Scene

RECORD = Path(__file__).parent / "recorded" / "results.json"
CLASSES = ["null", *TINY["classes"]]
COLOURS = ["#000000", *TINY["classes"].values()]
LABELS = Labels(**TINY["labels"])
TASK = "semantic_segmentation"

Checksums = dict[str, dict[str, str]]
"""Stage → what it made → SHA-256."""


def checksums_of_results() -> Checksums:
    """Run the deterministic stages on tiny inputs, in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        set_gdal_config_options({"OGR_CURRENT_DATE": "2026-01-01T00:00:00Z"})  # GeoPackages carry their date
        try:
            write_tiny(Path("data"))
        finally:
            set_gdal_config_options({"OGR_CURRENT_DATE": None})
        facts = _scenes()
        training = [scene for scene in facts if scene.split == "train"]
        return {
            "scenes": {
                str(path): sha256(path)
                for path in sorted(Path("scenes").rglob("*"))
                if path.suffix in (".json", ".tif")
            },
            "stats": _stats(training),
            "chips": _chips(training),
            "products": _products(facts[-1]),
            "metrics": _metrics(),
        }


def _scenes() -> list[SceneFacts]:
    scenes = [Scene(name, split, f"data/{name}.tif", f"data/{name}.gpkg") for name, (split, _) in PLACES.items()]
    prepare_scenes(scenes, ScenesSpec(TASK, CLASSES, Imagery(), LABELS), Path("scenes/all"), Path("scenes/all.json"))
    return list(read_manifests(["scenes/all.json"]))


def _stats(training: list[SceneFacts]) -> dict[str, str]:
    ways = {"statistics": "statistics", "min_max": "min_max", "range": {"min": 0, "max": 3000}}
    for name, way in ways.items():
        analyze(training, Imagery.model_validate({"normalize": way}), Path(f"{name}.json"))
    return {name: sha256(f"{name}.json") for name in ways}


def _chips(training: list[SceneFacts]) -> dict[str, str]:
    found = {}
    for sampling in ("random", "sliding"):
        chips = Chips(size=32, sampling=sampling, per_scene=4)
        settings = StageSettings(task=TASK, imagery=Imagery(), labels=LABELS, chips=chips)
        options = scene_options(settings, "statistics.json", CLASSES)
        cut_chips(training, "train", chips, options, CLASSES, Path(f"{sampling}.zip"))
        found[sampling] = content_of_zips([f"{sampling}.zip"])
    return found


def _products(facts: SceneFacts) -> dict[str, str]:
    rows, columns = np.indices((SIDE, SIDE))
    ids = ((rows // 20 + columns // 20) % 3).astype(np.uint8)
    ids[without_data(facts.image, [0, 1, 2])] = 0
    write_label_raster(ids, facts.image, CLASSES, COLOURS, Path("map.tif"))
    boxes = box_table(
        np.array([[2, 3, 20, 30], [40, 41, 60, 66]]), np.array([1, 2]), np.array([0.9, 0.4]), facts, CLASSES
    )
    tables = {"polygons": next(label_polygons(Path("map.tif"), CLASSES, facts.id)), "boxes": boxes}
    return {"map": sha256("map.tif"), **{name: _checksum(table.to_json()) for name, table in tables.items()}}


def _metrics() -> dict[str, str]:
    confusions = {"a": np.array([[0, 0, 0], [1, 8, 2], [0, 3, 9]]), "b": np.array([[5, 0, 0], [0, 0, 0], [2, 1, 7]])}
    confusion = confusion_metrics({name: matrix.astype(np.int64) for name, matrix in confusions.items()}, CLASSES)
    actual, found = np.array([[0, 0, 10, 10], [20, 20, 40, 40]]), np.array([[1, 0, 10, 10], [21, 24, 40, 44]])
    boxes = Boxes(actual, np.array([1, 2]), found, np.array([1, 2]), np.array([0.8, 0.6]))
    precision = average_precision([boxes], CLASSES)
    values = {"confusion": to_json(confusion), "average_precision": to_json(precision)}
    return {name: _checksum(json.dumps(value, sort_keys=True)) for name, value in values.items()}


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    RECORD.write_text(json.dumps(checksums_of_results(), indent=1, sort_keys=True) + "\n")
