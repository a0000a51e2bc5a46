"""Semantic segmentation: a class for every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rasterio
from rastervision.core.data import (
    LabelSourceConfig,
    LabelStoreConfig,
    RasterioSourceConfig,
    Scene,
    SemanticSegmentationLabelSourceConfig,
    SemanticSegmentationLabelStoreConfig,
)
from rastervision.core.rv_pipeline import (
    ChipOptions,
    PredictOptions,
    SemanticSegmentationChipOptions,
    SemanticSegmentationConfig,
    SemanticSegmentationPredictOptions,
)
from rastervision.pytorch_backend import PyTorchSemanticSegmentationConfig
from rastervision.pytorch_learner import SemanticSegmentationImageDataConfig, SemanticSegmentationModelConfig
from rastervision.pytorch_learner.learner_config import ModelConfig

from swath.config.classes import NULL_CLASS_ID
from swath.metrics.confusion import confusion_metrics
from swath.products.maps import label_polygons, without_data, write_label_raster
from swath.rv.task import Prediction, SceneOptions, Task, external_model, renamed, sampling_options
from swath.scenes.manifest import SceneFacts

RASTER, POLYGONS = "labels.tif", "polygons.parquet"


class SemanticSegmentation(Task):
    """A class for every pixel."""

    pipeline = SemanticSegmentationConfig
    backend = PyTorchSemanticSegmentationConfig
    data = SemanticSegmentationImageDataConfig
    model = SemanticSegmentationModelConfig

    def label_source(self, facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
        """Read class ids burned on the image's grid: Raster Vision's rasteriser rounds every corner down to a pixel."""
        return SemanticSegmentationLabelSourceConfig(
            raster_source=RasterioSourceConfig(uris=[facts["label_raster"]], channel_order=[0])
        )

    def label_store(self, folder: str, window: Mapping[str, Any] | None = None) -> LabelStoreConfig:
        """Keep a raster of class ids."""
        return SemanticSegmentationLabelStoreConfig(uri=folder, smooth_output=bool(window and window["smooth"]))

    def chip_options(self, chips: Mapping[str, Any], facts: SceneFacts, classes: Sequence[str]) -> ChipOptions:
        """Sample windows; leave out those with too few labelled pixels."""
        filters: dict[str, Any] = {"nodata_threshold": chips["max_nodata"]}
        if chips["min_labelled"] > 0:
            filters |= {
                "target_class_ids": [index for index in range(len(classes)) if index != NULL_CLASS_ID],
                "target_count_threshold": max(1, round(chips["min_labelled"] * chips["size"] ** 2)),
                "negative_survival_prob": 0.0,
            }
        return SemanticSegmentationChipOptions(sampling=sampling_options(chips), **filters)

    def predict_options(self, window: Mapping[str, Any], batch_size: int) -> PredictOptions:
        """Slide a window, and cut its edges off."""
        return SemanticSegmentationPredictOptions(
            chip_sz=window["chip_size"], stride=window["stride"], crop_sz=window["crop"] or None, batch_sz=batch_size
        )

    def model_config(self, model: Mapping[str, Any], bands: int, classes: int, definition: str) -> ModelConfig:
        """Describe torchvision's DeepLabV3, or a network of segmentation-models-pytorch by its hubconf.py."""
        if model["architecture"] == "deeplabv3":
            return SemanticSegmentationModelConfig(
                backbone=model["encoder"], pretrained=False, extra_args=model["arguments"]
            )
        arguments = {
            "architecture": model["architecture"].removeprefix("smp-"),
            "encoder": model["encoder"],
            "in_channels": bands,
            "classes": classes,
            **model["arguments"],
        }
        return SemanticSegmentationModelConfig(
            pretrained=False, external_def=external_model(definition, "segmentation_model", arguments)
        )

    def adopt_chips(self, cut: Path, scene: str, target: Path, classes: Sequence[str]) -> int:
        """Move images and label rasters."""
        names = renamed(list((cut / "img").glob("*")), scene, target / "img")
        renamed(list((cut / "labels").glob("*")), scene, target / "labels")
        return len(names)

    def join_chips(self, folder: Path) -> None:
        """Leave them where they are: that is where Raster Vision reads them."""

    def count_chips(self, folder: Path) -> int:
        """Count the images."""
        return len(list((folder / "img").glob("*")))

    def write_products(self, prediction: Prediction, folder: Path) -> None:
        """Write labels.tif (Cloud Optimized GeoTIFF of class ids) and polygons.parquet (GeoParquet)."""
        facts, classes, store = prediction.facts, prediction.classes, prediction.scene.label_store
        store.save(prediction.labels)
        with rasterio.open(Path(store.root_uri) / RASTER) as dataset:
            labels = dataset.read(1)
        labels[without_data(facts["image"], prediction.bands)] = NULL_CLASS_ID
        write_label_raster(labels, facts["image"], classes, prediction.colours, folder / RASTER)
        label_polygons(labels, facts["image"], classes, facts["id"]).to_parquet(folder / POLYGONS)

    def metrics(
        self, result: Mapping[str, Any], scenes: Sequence[Scene], maps: Mapping[str, Path], classes: Sequence[str]
    ) -> dict[str, Any]:
        """Compute accuracy and F1 over the labelled pixels."""
        return confusion_metrics(result, classes)
