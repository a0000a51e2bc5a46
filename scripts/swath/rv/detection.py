"""Object detection: boxes around things."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from rastervision.core.box import Box
from rastervision.core.data import (
    ClassInferenceTransformerConfig,
    GeoJSONVectorSourceConfig,
    LabelSourceConfig,
    LabelStoreConfig,
    ObjectDetectionGeoJSONStoreConfig,
    ObjectDetectionLabelSourceConfig,
    Scene,
)
from rastervision.core.data.label import ObjectDetectionLabels
from rastervision.core.rv_pipeline import ChipOptions, PredictOptions
from rastervision.core.rv_pipeline.object_detection_config import (
    ObjectDetectionChipOptions,
    ObjectDetectionConfig,
    ObjectDetectionPredictOptions,
    ObjectDetectionWindowSamplingConfig,
)
from rastervision.pytorch_backend.pytorch_object_detection_config import PyTorchObjectDetectionConfig
from rastervision.pytorch_learner.learner_config import ModelConfig
from rastervision.pytorch_learner.object_detection_learner_config import (
    ObjectDetectionImageDataConfig,
    ObjectDetectionModelConfig,
)

from swath.files import write_json
from swath.metrics.average_precision import Boxes, average_precision
from swath.metrics.confusion import class_scores
from swath.products.boxes import PIXELS, box_table
from swath.rv.task import FOR_RASTER_VISION, Prediction, SceneOptions, Task, renamed, sampling_options
from swath.rv.upstream import set_box_overlap
from swath.scenes.manifest import SceneFacts

BOXES, GEOJSON, CANDIDATES = "boxes.parquet", "boxes.geojson", "candidates.parquet"
LOWEST_SCORE = 0.05
"""Boxes with a smaller score are not even candidates: torchvision's own limit."""


class ObjectDetection(Task):
    """Boxes around things."""

    pipeline = ObjectDetectionConfig
    backend = PyTorchObjectDetectionConfig
    data = ObjectDetectionImageDataConfig
    model = ObjectDetectionModelConfig
    ignores_null = False
    candidates = MappingProxyType({"score_threshold": LOWEST_SCORE})
    background = 1  # torchvision's detectors have theirs first

    def label_source(self, facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
        """Take the bounding boxes of the harmonised polygons."""
        vectors = GeoJSONVectorSourceConfig(uris=[facts["labels"]], transformers=[ClassInferenceTransformerConfig()])
        return ObjectDetectionLabelSourceConfig(vector_source=vectors)

    def label_store(self, folder: str, window: Mapping[str, Any] | None = None) -> LabelStoreConfig:
        """Keep boxes as GeoJSON in EPSG:4326, Raster Vision's way."""
        return ObjectDetectionGeoJSONStoreConfig(uri=f"{folder}/{FOR_RASTER_VISION}")

    def chip_options(self, chips: Mapping[str, Any], facts: SceneFacts, classes: Sequence[str]) -> ChipOptions:
        """Sample windows, boxes among them as often as `negative_ratio` says; a scene without boxes has no such."""
        has_boxes = any(list(facts["labelled_pixels"].values())[1:])
        sampling = ObjectDetectionWindowSamplingConfig(
            **sampling_options(chips),
            ioa_thresh=chips["min_box_overlap"],
            clip=True,
            neg_ratio=chips["negative_ratio"] if has_boxes else None,
            neg_ioa_thresh=chips["max_negative_overlap"],
        )
        return ObjectDetectionChipOptions(sampling=sampling, nodata_threshold=chips["max_nodata"])

    def prepare_scene(self, scene: Scene, chips: ChipOptions, options: SceneOptions) -> Sequence[Box] | None:
        """Cut boxes off at the edges of sliding windows, too."""
        set_box_overlap(scene.label_source, chips.sampling.ioa_thresh, chips.sampling.clip)
        return None

    def predict_options(self, window: Mapping[str, Any], batch_size: int) -> PredictOptions:
        """Slide a window, and merge what it sees twice."""
        return ObjectDetectionPredictOptions(
            chip_sz=window["chip_size"],
            stride=window["stride"],
            score_thresh=window["score_threshold"],
            merge_thresh=window["merge_threshold"],
            batch_sz=batch_size,
        )

    def model_config(self, model: Mapping[str, Any], bands: int, classes: int, definition: str) -> ModelConfig:
        """Describe torchvision's Faster R-CNN."""
        return ObjectDetectionModelConfig(backbone=model["encoder"], pretrained=False, extra_args=model["arguments"])

    def adopt_chips(self, cut: Path, scene: str, target: Path, classes: Sequence[str]) -> int:
        """Move images, and write the boxes on them as ``labels/<scene>.json``, in COCO's form."""
        names = renamed(list((cut / "img").glob("*")), scene, target / "img")
        coco = json.loads((cut / "labels.json").read_text()) if names else {"images": [], "annotations": []}
        name_of = {image["id"]: names[image["file_name"]] for image in coco["images"]}
        images = [
            {**image, "id": Path(name).stem, "file_name": name}
            for image in coco["images"]
            for name in [name_of[image["id"]]]
        ]
        boxes = [
            {**box, "image_id": Path(name_of[box["image_id"]]).stem}
            for box in coco["annotations"]
            if min(box["bbox"][2:]) >= 1
        ]
        (target / "labels").mkdir(parents=True, exist_ok=True)
        write_json(target / "labels" / f"{scene}.json", {"images": images, "annotations": boxes})
        return len(names)

    def join_chips(self, folder: Path) -> None:
        """Put the boxes of all scenes into one ``labels.json``."""
        parts = [json.loads(file.read_text()) for file in sorted((folder / "labels").glob("*.json"))]
        joined = {kind: [entry for part in parts for entry in part[kind]] for kind in ("images", "annotations")}
        for number, box in enumerate(joined["annotations"]):
            box["id"] = number
        write_json(folder / "labels.json", joined)

    def count_chips(self, folder: Path) -> int:
        """Count the images."""
        return len(list((folder / "img").glob("*")))

    def write_products(self, prediction: Prediction, folder: Path) -> None:
        """Write boxes as GeoParquet and GeoJSON in the scene's CRS, and for Raster Vision.

        ``boxes.parquet`` and ``boxes.geojson`` hold those with at least the threshold's score, ``candidates.parquet``
        all, for average precision.
        """
        facts, classes = prediction.facts, prediction.classes
        labels = within_scene(prediction.labels, facts)
        table = box_table(labels.get_npboxes(), labels.get_class_ids(), labels.get_scores(), facts, classes)
        table.to_parquet(folder / CANDIDATES)
        chosen = table[table["score"] >= prediction.window["score_threshold"]].reset_index(drop=True)
        chosen.to_parquet(folder / BOXES)
        chosen.to_file(folder / GEOJSON, driver="GeoJSON", engine="pyogrio")
        edges, ids, scores = (chosen[columns].to_numpy() for columns in (PIXELS, "class_id", "score"))
        prediction.save(ObjectDetectionLabels(edges, ids, scores), folder)

    def metrics(
        self, result: Mapping[str, Any], scenes: Sequence[Scene], maps: Mapping[str, Path], classes: Sequence[str]
    ) -> dict[str, Any]:
        """Compute average precision over all candidates, and F1 and counts of the boxes above the threshold."""
        found = [_boxes(scene, maps[scene.id]) for scene in scenes]
        by_scene = {}
        for scene, boxes in zip(scenes, found, strict=True):
            items = result["per_scene"][scene.id]
            by_scene[scene.id] = {**_scores(items, classes), **average_precision([boxes], classes)}
        overall = {**_scores(result["overall"], classes), **average_precision(found, classes)}
        errors = [abs(scores["count_error"]) for scores in by_scene.values()]
        overall["mean_count_error"] = float(np.mean(errors)) if errors else None
        return {"classes": list(classes), "overall": overall, "scenes": by_scene}


def within_scene(labels: ObjectDetectionLabels, facts: SceneFacts) -> ObjectDetectionLabels:
    """Cut boxes off at the scene's edge; those beyond it, where windows reach over, are no boxes."""
    limits = np.array([facts["height"], facts["width"], facts["height"], facts["width"]])
    boxes = np.clip(labels.get_npboxes(), 0, limits)
    real = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(axis=1)
    order = np.argsort(-labels.get_scores()[real], kind="stable")
    return ObjectDetectionLabels(
        boxes[real][order], labels.get_class_ids()[real][order].astype(int), labels.get_scores()[real][order]
    )


def _scores(items: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> dict[str, Any]:
    """Take what counts from Raster Vision's items by class."""
    by_class = {item["class_name"]: item for item in items if item["class_name"] in classes[1:]}
    hits, actual, predicted = (
        np.array([by_class[name][count] for name in classes[1:]]) for count in ("true_pos", "gt_count", "pred_count")
    )
    return {
        **class_scores(classes[1:], hits, actual, predicted),
        "labelled": int(actual.sum()),
        "predicted": int(predicted.sum()),
        "count_error": int(predicted.sum() - actual.sum()),
    }


def _boxes(scene: Scene, maps: Path) -> Boxes:
    """Read what is there and what was found in a scene, within its area of interest."""
    actual = scene.label_source.get_labels()
    table = pd.read_parquet(maps / CANDIDATES, columns=[*PIXELS, "class_id", "score"])
    found = ObjectDetectionLabels(table[PIXELS].to_numpy(), table["class_id"].to_numpy(), table["score"].to_numpy())
    if scene.aoi_polygons:
        actual, found = actual.filter_by_aoi(scene.aoi_polygons), found.filter_by_aoi(scene.aoi_polygons)
    return Boxes(
        actual.get_npboxes(), actual.get_class_ids(), found.get_npboxes(), found.get_class_ids(), found.get_scores()
    )
