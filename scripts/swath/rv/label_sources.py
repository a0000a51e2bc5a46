"""Where labels come from, by task: what the stage `scenes` has harmonised, as Raster Vision reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rastervision.core.data import (
    ChipClassificationLabelSourceConfig,
    ClassInferenceTransformerConfig,
    GeoJSONVectorSourceConfig,
    LabelSourceConfig,
    ObjectDetectionLabelSourceConfig,
    RasterioSourceConfig,
    SemanticSegmentationLabelSourceConfig,
)

from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.rv.pipeline import SceneOptions
from swath.scenes.facts import SceneFacts


def label_source(facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
    """Describe where a scene's labels come from."""
    return _LABEL_SOURCES[options.task](facts, options)


def _class_ids(facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
    """Read class ids burned on the image's grid: Raster Vision's rasteriser rounds every corner down to a pixel."""
    return SemanticSegmentationLabelSourceConfig(
        raster_source=RasterioSourceConfig(uris=[facts.label_raster], channel_order=[0])
    )


def _boxes(facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
    """Take the bounding boxes of the harmonised polygons."""
    return ObjectDetectionLabelSourceConfig(vector_source=_polygons(facts))


def _cells(facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
    """Infer the cells' classes from the harmonised polygons."""
    labels = options.labels
    assert labels is not None
    return ChipClassificationLabelSourceConfig(
        vector_source=_polygons(facts),
        ioa_thresh=labels.min_overlap,
        use_intersection_over_cell=labels.overlap_of == "cell",
        pick_min_class_id=labels.pick == "first",
        background_class_id=options.unlabelled,
        infer_cells=True,
        cell_sz=options.cell,
    )


def _polygons(facts: SceneFacts) -> GeoJSONVectorSourceConfig:
    return GeoJSONVectorSourceConfig(uris=[facts.labels], transformers=[ClassInferenceTransformerConfig()])


_LABEL_SOURCES: Mapping[Task, Callable[[SceneFacts, SceneOptions], LabelSourceConfig]] = {
    SEGMENTATION: _class_ids,
    DETECTION: _boxes,
    CLASSIFICATION: _cells,
}
