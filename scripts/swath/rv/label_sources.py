"""Where labels come from, by task: what the stage `scenes` has harmonised, as Raster Vision reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import PrivateAttr
from rasterio.windows import Window
from rastervision.core.box import Box
from rastervision.core.data import (
    ChipClassificationLabels,
    ChipClassificationLabelSource,
    ChipClassificationLabelSourceConfig,
    ClassConfig,
    ClassInferenceTransformerConfig,
    CRSTransformer,
    GeoJSONVectorSourceConfig,
    LabelSourceConfig,
    ObjectDetectionLabels,
    ObjectDetectionLabelSource,
    ObjectDetectionLabelSourceConfig,
    RasterioSourceConfig,
    SemanticSegmentationLabelSourceConfig,
)

from swath.config.classes import NULL_CLASS_ID
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.rv.pipeline import SceneOptions
from swath.rv.upstream import PLACES, set_labels, with_exact_pixels
from swath.scenes.boxes import SMALLEST
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import channel_order
from swath.scenes.no_data import is_mostly_hidden, no_data


def label_source(facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
    """Describe where a scene's labels come from."""
    return _LABEL_SOURCES[options.task](facts, options)


def _class_ids(facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
    """Read class ids burned on the image's grid: Raster Vision's rasteriser rounds every corner down to a pixel."""
    return SemanticSegmentationLabelSourceConfig(
        raster_source=RasterioSourceConfig(uris=[facts.label_raster], channel_order=[0])
    )


class ExactBoxesConfig(ObjectDetectionLabelSourceConfig):
    """Boxes with exact edges, as many as the settings say.

    Raster Vision rounds edges down to whole pixels, and drops boxes of which less than 80 % lie in the scene. As JSON,
    this is Raster Vision's own config.
    """

    _min_overlap: float = PrivateAttr(default=SMALLEST)

    def build(
        self, class_config: ClassConfig, crs_transformer: CRSTransformer, bbox: Box, tmp_dir: str | None = None
    ) -> ObjectDetectionLabelSource:
        """Build the source; boxes are cut off at the scene's edge."""
        source = super().build(class_config, crs_transformer, bbox, tmp_dir)
        vectors = self.vector_source.build(class_config, with_exact_pixels(crs_transformer))
        inside = {"ioa_thresh": max(self._min_overlap, SMALLEST), "clip": True}
        boxes = ObjectDetectionLabels.from_geojson(vectors.get_geojson(), bbox, **inside)
        edges = boxes.get_npboxes().round(PLACES)  # a box as large as a chip must not be larger
        set_labels(source, ObjectDetectionLabels(edges, boxes.get_class_ids(), boxes.get_scores()))
        return source


def _boxes(facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
    """Take the boxes of the stage `scenes`; at the scene's edge, those that a chip would count."""
    config = ExactBoxesConfig(vector_source=_polygons(facts))
    if options.min_box_overlap is not None:
        config._min_overlap = options.min_box_overlap
    return config


class ExactCells(ChipClassificationLabelSource):
    """Cells inferred from polygons with exact edges; one that is mostly without data has no class."""

    empty: Callable[[Box], bool] | None = None

    def _infer_cells(self, cells: Iterable[Box]) -> ChipClassificationLabels:
        labels = super()._infer_cells(cells)
        for cell in labels.get_cells() if self.empty else ():
            if self.empty and self.empty(cell):
                labels.set_cell(cell, NULL_CLASS_ID)
        return labels


class ExactCellsConfig(ChipClassificationLabelSourceConfig):
    """Cells as :class:`ExactCells` has them. Written as JSON, this is Raster Vision's own config."""

    _facts: SceneFacts = PrivateAttr()
    _bands: list[int] = PrivateAttr()

    def build(
        self,
        class_config: ClassConfig,
        crs_transformer: CRSTransformer,
        bbox: Box | None = None,
        tmp_dir: str | None = None,
    ) -> ExactCells:
        """Build the source."""
        exact = self.vector_source.build(class_config, with_exact_pixels(crs_transformer))
        source = ExactCells(self, self.vector_source.build(class_config, crs_transformer), bbox=bbox, lazy=True)
        source.labels_df = exact.get_dataframe()
        source.empty = emptiness(self._facts, self._bands)
        if not self.lazy:
            source.populate_labels()
        return source


def emptiness(facts: SceneFacts, bands: Sequence[int]) -> Callable[[Box], bool]:
    """Give what says of a cell whether its image is mostly without data there."""

    def is_empty(cell: Box) -> bool:
        rows, columns = (
            (max(cell.ymin, 0), min(cell.ymax, facts.height)),
            (max(cell.xmin, 0), min(cell.xmax, facts.width)),
        )
        if rows[0] >= rows[1] or columns[0] >= columns[1]:
            return False
        window = Window(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])
        with no_data(facts.image, bands) as hidden:
            return hidden is not None and is_mostly_hidden(hidden, window)

    return is_empty


def _cells(facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
    """Infer the cells' classes from the harmonised polygons."""
    labels = options.labels
    assert labels is not None
    config = ExactCellsConfig(
        vector_source=_polygons(facts),
        ioa_thresh=labels.min_overlap,
        use_intersection_over_cell=labels.overlap_of == "cell",
        pick_min_class_id=labels.pick == "first",
        background_class_id=options.unlabelled,
        infer_cells=True,
        cell_sz=options.cell,
    )
    config._facts, config._bands = facts, channel_order(facts, options.imagery.bands)
    return config


def _polygons(facts: SceneFacts) -> GeoJSONVectorSourceConfig:
    return GeoJSONVectorSourceConfig(uris=[facts.labels], transformers=[ClassInferenceTransformerConfig()])


_LABEL_SOURCES: Mapping[Task, Callable[[SceneFacts, SceneOptions], LabelSourceConfig]] = {
    SEGMENTATION: _class_ids,
    DETECTION: _boxes,
    CLASSIFICATION: _cells,
}
