"""How scenes are cut into chips, by task, in Raster Vision's words."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from rastervision.core.box import Box
from rastervision.core.data import Scene, SceneConfig
from rastervision.core.data.label import ChipClassificationLabels
from rastervision.core.rv_pipeline import ChipOptions, SemanticSegmentationChipOptions, WindowSamplingConfig
from rastervision.core.rv_pipeline.object_detection_config import (
    ObjectDetectionChipOptions,
    ObjectDetectionWindowSamplingConfig,
)

from swath.config.chips import Chips
from swath.config.classes import NULL_CLASS_ID
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.rv.label_sources import emptiness
from swath.rv.pipeline import SceneOptions, class_config
from swath.rv.upstream import set_box_overlap, set_labels
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import channel_order


class Cutting(ABC):
    """How a task's scenes are cut."""

    @abstractmethod
    def chip_options(self, chips: Chips, scene: SceneConfig, classes: Sequence[str]) -> ChipOptions:
        """Turn the `chips` settings into Raster Vision's, for one scene."""

    def prepare_scene(
        self, scene: Scene, facts: SceneFacts, chips: ChipOptions, options: SceneOptions
    ) -> Sequence[Box] | None:
        """Get a scene ready to be cut.

        Returns:
            The windows to cut, where they are not to be sampled.
        """
        return None


class SegmentationCutting(Cutting):
    """Windows anywhere."""

    def chip_options(self, chips: Chips, scene: SceneConfig, classes: Sequence[str]) -> ChipOptions:
        """Sample windows; leave out those with too few labelled pixels."""
        sampling = _sampling_options(chips)
        if not chips.min_labelled:
            return SemanticSegmentationChipOptions(sampling=sampling, nodata_threshold=chips.max_nodata)
        return SemanticSegmentationChipOptions(
            sampling=sampling,
            nodata_threshold=chips.max_nodata,
            target_class_ids=[index for index in range(len(classes)) if index != NULL_CLASS_ID],
            target_count_threshold=max(1, round(chips.min_labelled * chips.size**2)),
            negative_survival_prob=0.0,
        )


class DetectionCutting(Cutting):
    """Windows anywhere, or around boxes."""

    def chip_options(self, chips: Chips, scene: SceneConfig, classes: Sequence[str]) -> ChipOptions:
        """Sample windows, boxes among them as often as `negative_ratio` says; a scene without boxes has no such."""
        has_boxes = chips.negative_ratio is not None and _has_boxes(scene, classes)
        sampling = ObjectDetectionWindowSamplingConfig(
            **_sampling_options(chips),
            ioa_thresh=chips.min_box_overlap,
            clip=True,
            neg_ratio=chips.negative_ratio if has_boxes else None,
            neg_ioa_thresh=chips.max_negative_overlap,
        )
        return ObjectDetectionChipOptions(sampling=sampling, nodata_threshold=chips.max_nodata)

    def prepare_scene(
        self, scene: Scene, facts: SceneFacts, chips: ChipOptions, options: SceneOptions
    ) -> Sequence[Box] | None:
        """Cut boxes off at the edges of sliding windows, too: Raster Vision does so for random ones only."""
        set_box_overlap(scene.label_source, chips.sampling.ioa_thresh, chips.sampling.clip)
        return None


class ClassificationCutting(Cutting):
    """The grid's cells, random windows, or cells that are given."""

    def chip_options(self, chips: Chips, scene: SceneConfig, classes: Sequence[str]) -> ChipOptions:
        """Take the grid's cells, or random windows."""
        return ChipOptions(sampling=WindowSamplingConfig(**_sampling_options(chips)), nodata_threshold=chips.max_nodata)

    def prepare_scene(
        self, scene: Scene, facts: SceneFacts, chips: ChipOptions, options: SceneOptions
    ) -> Sequence[Box] | None:
        """Take the given cells where they are, if labels are cells: around their centres, as large as a chip."""
        if options.labels is None or options.labels.cells != "given":
            return None
        table, size = scene.label_source.labels_df, chips.get_chip_sz()
        left, top, right, bottom = table.geometry.bounds.to_numpy().T
        corners = np.column_stack([(top + bottom) / 2, (left + right) / 2]) - size / 2
        windows = [Box(y, x, y + size, x + size) for y, x in np.rint(corners.round(3)).astype(int).tolist()]
        is_empty = emptiness(facts, channel_order(facts, options.imagery.bands))
        ids = [
            NULL_CLASS_ID if is_empty(window) else int(index)
            for window, index in zip(windows, table["class_id"], strict=True)
        ]
        cells = {window: (index, None) for window, index in zip(windows, ids, strict=True)}
        set_labels(scene.label_source, ChipClassificationLabels(cells))
        return list(cells)


CUTTING: Mapping[Task, Cutting] = {
    SEGMENTATION: SegmentationCutting(),
    DETECTION: DetectionCutting(),
    CLASSIFICATION: ClassificationCutting(),
}


def _sampling_options(chips: Chips) -> dict[str, str | int]:
    """Turn the `chips` settings into Raster Vision's options for sampling windows."""
    options: dict[str, str | int] = {"method": chips.sampling, "size": chips.size, "within_aoi": chips.within_aoi}
    if chips.sampling == "random":
        return options | {"max_windows": chips.per_scene, "padding": chips.padding}
    return options | {"stride": chips.stride or chips.size}


def _has_boxes(scene: SceneConfig, classes: Sequence[str]) -> bool:
    """Tell whether a scene has boxes to draw windows around: in its area of interest, if it has one."""
    with tempfile.TemporaryDirectory() as folder:
        built = scene.build(class_config(classes, ["black"] * len(classes)), folder)
    boxes = built.label_source.get_labels()
    return bool(len(boxes.filter_by_aoi(built.aoi_polygons) if built.aoi_polygons else boxes))
