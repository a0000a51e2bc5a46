"""Chip classification: a class for every cell of a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import torch
from rastervision.core.box import Box
from rastervision.core.data import (
    ChipClassificationGeoJSONStoreConfig,
    ChipClassificationLabelSourceConfig,
    ClassInferenceTransformerConfig,
    GeoJSONVectorSource,
    GeoJSONVectorSourceConfig,
    LabelSourceConfig,
    LabelStoreConfig,
    Scene,
)
from rastervision.core.data.label import ChipClassificationLabels
from rastervision.core.rv_pipeline import ChipClassificationConfig, ChipOptions, PredictOptions, WindowSamplingConfig
from rastervision.pytorch_backend.pytorch_chip_classification_config import PyTorchChipClassificationConfig
from rastervision.pytorch_learner.classification_learner_config import (
    ClassificationImageDataConfig,
    ClassificationModelConfig,
)
from rastervision.pytorch_learner.learner_config import ModelConfig

from swath.config.classes import NULL_CLASS, NULL_CLASS_ID
from swath.metrics.confusion import confusion_metrics
from swath.products.boxes import PIXELS, box_table
from swath.products.maps import without_data, write_label_raster
from swath.rv.task import FOR_RASTER_VISION, Prediction, SceneOptions, Task, external_model, renamed, sampling_options
from swath.rv.upstream import set_cells, with_exact_pixels
from swath.scenes.manifest import SceneFacts

CELLS, RASTER = "cells.parquet", "labels.tif"


def _in_exact_pixels(vectors: GeoJSONVectorSource) -> gpd.GeoDataFrame:
    """Take labels to pixel coordinates that are not rounded."""
    exact = with_exact_pixels(vectors.crs_transformer)
    return GeoJSONVectorSource(vectors.uris, exact, vectors.vector_transformers).get_dataframe()


class ChipClassification(Task):
    """A class for every cell of a grid."""

    pipeline = ChipClassificationConfig
    backend = PyTorchChipClassificationConfig
    data = ClassificationImageDataConfig
    model = ClassificationModelConfig

    def label_source(self, facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
        """Infer the cells' classes from the harmonised polygons."""
        vectors = GeoJSONVectorSourceConfig(uris=[facts["labels"]], transformers=[ClassInferenceTransformerConfig()])
        return ChipClassificationLabelSourceConfig(
            vector_source=vectors,
            ioa_thresh=options.labels["min_overlap"],
            use_intersection_over_cell=options.labels["overlap_of"] == "cell",
            pick_min_class_id=options.labels["pick"] == "first",
            background_class_id=options.unlabelled,
            infer_cells=True,
            cell_sz=options.cell,
        )

    def label_store(self, folder: str, window: Mapping[str, Any] | None = None) -> LabelStoreConfig:
        """Keep cells as GeoJSON in EPSG:4326, Raster Vision's way."""
        return ChipClassificationGeoJSONStoreConfig(uri=f"{folder}/{FOR_RASTER_VISION}")

    def chip_options(self, chips: Mapping[str, Any], facts: SceneFacts, classes: Sequence[str]) -> ChipOptions:
        """Take the grid's cells, or random windows."""
        return ChipOptions(
            sampling=WindowSamplingConfig(**sampling_options(chips)), nodata_threshold=chips["max_nodata"]
        )

    def prepare_scene(self, scene: Scene, chips: ChipOptions, options: SceneOptions) -> Sequence[Box] | None:
        """Take the given cells where they are, if labels are cells: around their centres, as large as a chip."""
        if options.labels["cells"] != "given":
            return None
        table, size = _in_exact_pixels(scene.label_source.vector_source), chips.get_chip_sz()
        left, top, right, bottom = table.geometry.bounds.to_numpy().T
        corners = np.column_stack([(top + bottom) / 2, (left + right) / 2]) - size / 2
        windows = [Box(y, x, y + size, x + size) for y, x in np.rint(corners.round(3)).astype(int).tolist()]
        cells = {window: (int(index), None) for window, index in zip(windows, table["class_id"], strict=True)}
        set_cells(scene.label_source, ChipClassificationLabels(cells))
        return windows

    def predict_options(self, window: Mapping[str, Any], batch_size: int) -> PredictOptions:
        """Take the grid's cells."""
        return PredictOptions(chip_sz=window["chip_size"], stride=window["stride"], batch_sz=batch_size)

    def model_config(self, model: Mapping[str, Any], bands: int, classes: int, definition: str) -> ModelConfig:
        """Describe a ResNet of torchvision, or a network of timm by its hubconf.py."""
        if not model["encoder"].startswith("tu-"):
            return ClassificationModelConfig(backbone=model["encoder"], pretrained=False, extra_args=model["arguments"])
        encoder = model["encoder"].removeprefix("tu-")
        arguments = {"encoder": encoder, "in_channels": bands, "classes": classes, **model["arguments"]}
        return ClassificationModelConfig(
            pretrained=False, external_def=external_model(definition, "classification_model", arguments)
        )

    def adopt_chips(self, cut: Path, scene: str, target: Path, classes: Sequence[str]) -> int:
        """Move the cells' images, by class; unlabelled cells teach nothing."""
        count = 0
        for name in classes:
            if name != NULL_CLASS and (cut / name).is_dir():
                count += len(renamed(list((cut / name).iterdir()), scene, target / name))
        return count

    def join_chips(self, folder: Path) -> None:
        """Leave them where they are: that is where Raster Vision reads them."""

    def count_chips(self, folder: Path) -> int:
        """Count the cells' images."""
        return len(list(folder.glob("*/*")))

    def write_products(self, prediction: Prediction, folder: Path) -> None:
        """Write cells.parquet (GeoParquet: class, and a score per class) and labels.tif (raster of class ids).

        Cells in which the image has no data are left out.
        """
        facts, classes, labels = prediction.facts, prediction.classes, prediction.labels
        no_data = without_data(facts["image"], prediction.bands)
        cells = [cell for cell in labels.get_cells() if not no_data[_within(cell, facts)].all()]
        logits = torch.tensor([labels.get_cell_scores(cell) for cell in cells]).reshape(-1, len(classes))
        logits[:, NULL_CLASS_ID] = -torch.inf
        scores = logits.softmax(dim=1).numpy()
        ids = scores.argmax(axis=1)
        table = box_table(np.array([list(cell) for cell in cells]), ids, scores.max(axis=1, initial=0), facts, classes)
        for index, name in enumerate(classes):
            if index != NULL_CLASS_ID:
                table[f"score.{name}"] = scores[:, index]
        table.drop(columns=PIXELS).to_parquet(folder / CELLS)
        raster = np.full((facts["height"], facts["width"]), NULL_CLASS_ID, np.uint8)
        for cell, index in zip(cells, ids, strict=True):
            raster[_within(cell, facts)] = index
        raster[no_data] = NULL_CLASS_ID
        write_label_raster(raster, facts["image"], classes, prediction.colours, folder / RASTER)
        found = {cell: (int(index), row.tolist()) for cell, index, row in zip(cells, ids, scores, strict=True)}
        prediction.save(ChipClassificationLabels(found), folder)

    def metrics(
        self, result: Mapping[str, Any], scenes: Sequence[Scene], maps: Mapping[str, Path], classes: Sequence[str]
    ) -> dict[str, Any]:
        """Compute accuracy and F1 over the labelled cells."""
        return confusion_metrics(result, classes)


def _within(cell: Box, facts: SceneFacts) -> tuple[slice, slice]:
    """Return the part of a cell that lies on the image."""
    return slice(max(cell.ymin, 0), min(cell.ymax, facts["height"])), slice(
        max(cell.xmin, 0), min(cell.xmax, facts["width"])
    )
