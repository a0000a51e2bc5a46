"""How predictions are made and kept, by task, in Raster Vision's words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rastervision.core.box import Box
from rastervision.core.data import (
    ChipClassificationGeoJSONStoreConfig,
    ClassConfig,
    CRSTransformer,
    LabelStoreConfig,
    ObjectDetectionGeoJSONStore,
    ObjectDetectionGeoJSONStoreConfig,
    ObjectDetectionLabels,
    SemanticSegmentationLabelStoreConfig,
)
from rastervision.core.rv_pipeline import PredictOptions, SemanticSegmentationPredictOptions
from rastervision.core.rv_pipeline.object_detection_config import ObjectDetectionPredictOptions

from swath.config.predict import Window
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.metrics.boxes import EDGES

FOR_RASTER_VISION = "raster-vision.json"
"""Boxes or cells of a predicted scene, as Raster Vision reads them."""
BOXES = "boxes.parquet"
"""Boxes of a predicted scene with at least the threshold's score."""
RASTER, LINKS, LINK = "prediction.tif", "raster-vision", "labels.tif"
"""Class ids of a predicted scene; the folder beside them where Raster Vision finds them, and what it calls them."""
CANDIDATES = "candidates.parquet"
"""Boxes of a predicted scene with any score, in its folder."""
LOWEST_SCORE = 0.05
"""Boxes with a smaller score are not even candidates: torchvision's own limit."""


class Store(ABC):
    """How a task's scenes are predicted, and where what was predicted lies."""

    @abstractmethod
    def label_store(self, folder: str, window: Window | None = None) -> LabelStoreConfig:
        """Describe where a scene's predictions lie: a folder of the scene's own."""

    @abstractmethod
    def predict_options(self, window: Window, batch_size: int) -> PredictOptions:
        """Turn the resolved prediction window into Raster Vision's options."""

    def candidates(self, window: Window) -> Window:
        """Return the window that finds what an evaluation has to see, beside what the thresholds leave."""
        return window


class SegmentationStore(Store):
    """A raster of class ids."""

    def label_store(self, folder: str, window: Window | None = None) -> LabelStoreConfig:
        """Keep a raster of class ids; what Raster Vision finds there is a link to the map."""
        return SemanticSegmentationLabelStoreConfig(
            uri=f"{folder}/{LINKS}", smooth_output=bool(window and window.smooth)
        )

    def predict_options(self, window: Window, batch_size: int) -> PredictOptions:
        """Slide a window, and cut its edges off."""
        return SemanticSegmentationPredictOptions(
            chip_sz=window.chip_size, stride=window.stride, crop_sz=window.crop or None, batch_sz=batch_size
        )


class ExactBoxesStore(ObjectDetectionGeoJSONStore):
    """Boxes as they were found: in Raster Vision's own file, edges are whole pixels."""

    def get_labels(self) -> ObjectDetectionLabels:
        """Read the boxes from the table beside the file, if there is one."""
        table = Path(self.uri).with_name(BOXES)
        if not table.exists():
            return super().get_labels()
        boxes = pd.read_parquet(table, columns=[*EDGES, "class_id", "score"])
        edges, ids, scores = (boxes[columns].to_numpy() for columns in (EDGES, "class_id", "score"))
        return ObjectDetectionLabels(edges, ids, scores)


class ExactBoxesStoreConfig(ObjectDetectionGeoJSONStoreConfig):
    """Keeps boxes as :class:`ExactBoxesStore` does. Written as JSON, this is Raster Vision's own config."""

    def build(
        self, class_config: ClassConfig, crs_transformer: CRSTransformer, bbox: Box | None = None, **_: Any
    ) -> ExactBoxesStore:
        """Build the store."""
        return ExactBoxesStore(self.uri, class_config, crs_transformer, bbox)


class DetectionStore(Store):
    """Boxes with their scores."""

    def label_store(self, folder: str, window: Window | None = None) -> LabelStoreConfig:
        """Keep boxes as GeoJSON in EPSG:4326, Raster Vision's way, and read them with exact edges."""
        return ExactBoxesStoreConfig(uri=f"{folder}/{FOR_RASTER_VISION}")

    def predict_options(self, window: Window, batch_size: int) -> PredictOptions:
        """Slide a window, and merge what it sees twice."""
        return ObjectDetectionPredictOptions(
            chip_sz=window.chip_size,
            stride=window.stride,
            score_thresh=window.score_threshold,
            merge_thresh=window.merge_threshold,
            batch_sz=batch_size,
        )

    def candidates(self, window: Window) -> Window:
        """Find boxes with any score: average precision looks at all of them."""
        return window.model_copy(update={"score_threshold": LOWEST_SCORE})


class ClassificationStore(Store):
    """Cells with a score per class."""

    def label_store(self, folder: str, window: Window | None = None) -> LabelStoreConfig:
        """Keep cells as GeoJSON in EPSG:4326, Raster Vision's way."""
        return ChipClassificationGeoJSONStoreConfig(uri=f"{folder}/{FOR_RASTER_VISION}")

    def predict_options(self, window: Window, batch_size: int) -> PredictOptions:
        """Take the grid's cells."""
        return PredictOptions(chip_sz=window.chip_size, stride=window.stride, batch_sz=batch_size)


STORES: Mapping[Task, Store] = {
    SEGMENTATION: SegmentationStore(),
    DETECTION: DetectionStore(),
    CLASSIFICATION: ClassificationStore(),
}
