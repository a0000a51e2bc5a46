"""Patches of Raster Vision, and where Swath reaches into its objects; written for 0.31.1.

tests/unit/test_rv_upstream.py says when each can go. With a Raster Vision that has changed, a patch that only helps is
left out; what results depend on fails, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED

import numpy as np
from rasterio.features import geometry_mask
from rasterio.transform import Affine

from swath.errors import Problem, UserError
from swath.files import zip_directory
from swath.patches import WRITTEN_FOR, replace
from swath.rv.datasets import parts_of

LIBRARY = "rastervision-core"
PLACES = 4
"""Decimal places of pixels to which boxes are exact."""
COUNTED_SIDE = 1024
"""Pixels of a side of a window in which maps are compared with labels."""


def apply() -> None:
    """Apply the patches, once."""
    _restore_int0()
    _read_windows_plainly()
    _count_pixels_in_windows()
    _zip_plainly()


def _restore_int0() -> None:
    """Give back to numpy 2 the ``int0`` that it dropped.

    Raster Vision's BuildingVectorOutput uses it, and fails.
    """
    if not hasattr(np, "int0"):
        np.int0 = np.intp  # type: ignore[attr-defined]


def _read_windows_plainly() -> None:
    """Read windows inside the image without a virtual raster.

    Raster Vision builds one, and another for the mask, for every window that it reads: nine times as slow.
    """
    from rastervision.core.data.raster_source import rasterio_source

    from swath.rv.windows import read_window

    replace(rasterio_source, "read_window", read_window)


def _count_pixels_in_windows() -> None:
    """Compare maps with labels, and blank what lies outside an area of interest, window by window.

    Raster Vision does so with whole scenes, at 50 bytes a pixel: six gigabytes for a Sentinel-2 tile.
    """
    from rastervision.core.data.label import SemanticSegmentationLabels
    from rastervision.core.evaluation import SemanticSegmentationEvaluation

    whole = SemanticSegmentationEvaluation.compute

    def compute(self: Any, gt_labels: Any, pred_labels: Any) -> None:
        windows = pred_labels.get_windows(size=COUNTED_SIDE)
        pred_labels.get_windows = lambda **options: windows
        whole(self, gt_labels, pred_labels)

    def filter_by_aoi(self: Any, aoi_polygons: Any, null_class_id: int, **kwargs: Any) -> Any:
        if aoi_polygons:
            extent = self.extent
            offset = Affine.translation(extent.xmin, extent.ymin)
            outside = geometry_mask(aoi_polygons, (extent.height, extent.width), offset)
            for window in self.get_windows(size=COUNTED_SIDE):
                rows, columns = window.to_local_coords(extent).to_slices()
                self.mask_fill(window, outside[rows, columns], null_class_id)
        return self

    replace(SemanticSegmentationEvaluation, "compute", compute)
    replace(SemanticSegmentationLabels, "filter_by_aoi", filter_by_aoi)


def _zip_plainly() -> None:
    """Zip folders as they are: every zip that Raster Vision writes here is unpacked at once, and packed anew.

    Raster Vision deflates them thoroughly: of a network of 40 million parameters, that is eight seconds.
    """
    from rastervision.core.rv_pipeline import rv_pipeline
    from rastervision.pytorch_backend import pytorch_learner_backend
    from rastervision.pytorch_learner import learner

    def zipdir(dir: str, zip_path: str) -> None:
        Path(zip_path).parent.mkdir(parents=True, exist_ok=True)
        zip_directory(dir, zip_path, ZIP_STORED)

    for module in (learner, pytorch_learner_backend, rv_pipeline):
        replace(module, "zipdir", zipdir)


def prepare_before_cutting(backend: Any, prepare: Callable[[Any], None]) -> None:
    """Have a backend get the dataset of every scene ready before it cuts the scene's chips.

    Raster Vision builds scenes and cuts them in one call, ``chip_dataset``, with nothing in between.

    Args:
        backend: Raster Vision's.
        prepare: Takes a dataset of one scene.
    """
    cut = _get(backend, "chip_pytorch_dataset")

    def chip_pytorch_dataset(dataset: Any, **options: Any) -> None:
        for part in parts_of(dataset):
            prepare(part)
            cut(part, **options)

    backend.chip_pytorch_dataset = chip_pytorch_dataset


def set_windows(dataset: Any, windows: Sequence[Any]) -> None:
    """Have a dataset of sliding windows cut other ones: Raster Vision's are on a grid from the upper left corner.

    A dataset of random windows has no list of them and stays as it is.
    """
    if hasattr(dataset, "init_windows"):
        _put(dataset, "windows", windows)


def set_box_overlap(source: Any, ioa_thresh: float, clip: bool) -> None:
    """Say which boxes belong to a window, and whether they are cut off at its edge.

    Raster Vision hands these options on for random windows alone; for sliding ones, boxes reach over the edge.
    """
    _put(source, "ioa_thresh", ioa_thresh)
    _put(source, "clip", clip)


def write_exact_boxes(backend: Any) -> None:
    """Have a backend write boxes on chips with the edges they have: Raster Vision cuts fractions of pixels off."""
    make = _get(backend, "get_sample_writer")

    def get_sample_writer() -> Any:
        writer = make()
        update = _get(writer, "update_coco_data")

        def update_coco_data(sample: Any, path: str) -> None:
            annotations = writer.splits[sample.split or "default"]["annotations"]
            known = len(annotations)
            update(sample, path)
            for entry, box in zip(annotations[known:], sample.label.convert_boxes("xywh"), strict=True):
                entry["bbox"] = [round(float(value), PLACES) for value in box]

        writer.update_coco_data = update_coco_data
        return writer

    backend.get_sample_writer = get_sample_writer


def set_labels(source: Any, labels: Any) -> None:
    """Have a label source know these labels: Raster Vision rounds boxes, and infers the cells of its own grid."""
    _put(source, "labels", labels)


def with_exact_pixels(crs_transformer: Any) -> Any:
    """Copy a CRS transformer, without rounding: Raster Vision's rounds down, which can be off by a whole pixel."""
    exact = copy(crs_transformer)
    _put(exact, "round_pixels", False)
    return exact


def wrap_chips(dataset: Any, wrap: Callable[[Any], Any]) -> None:
    """Put something between a dataset of chips and what reads their files: Raster Vision decodes a chip every time.

    Args:
        dataset: Raster Vision's dataset of chips.
        wrap: Takes what reads and decodes a chip by its index, and returns what takes its place.
    """
    _put(dataset, "orig_dataset", wrap(_get(dataset, "orig_dataset")))


def set_transform(dataset: Any, transform: Any) -> None:
    """Give a dataset an albumentations transform whose random state can be reached.

    Raster Vision hides its own in a function.
    """
    from rastervision.pytorch_learner.dataset.transform import TF_TYPE_TO_TF_FUNC

    function = TF_TYPE_TO_TF_FUNC[_get(dataset, "transform_type")]
    _put(dataset, "transform", partial(_apply, function, transform))


def _apply(function: Any, transform: Any, sample: Any) -> Any:
    return function(sample, transform)


def _put(owner: Any, name: str, value: Any) -> None:
    """Set what one of Raster Vision's objects reads; where it has nothing of that name, that would be to no effect."""
    _get(owner, name)
    setattr(owner, name, value)


def _get(owner: Any, name: str) -> Any:
    if not hasattr(owner, name):
        tried = WRITTEN_FOR[LIBRARY]
        raise UserError(
            Problem(
                "library_changed",
                f"{LIBRARY} {version(LIBRARY)}",
                f"{type(owner).__name__}.{name}",
                "nothing of that name",
                f"what {tried} has, on which results depend",
                f"install {LIBRARY} {tried}, as envs/requirements.lock says",
            )
        )
    return getattr(owner, name)


@dataclass(frozen=True)
class Raster:
    """What one of Raster Vision's raster sources reads, and what it does with it.

    Attributes:
        dataset: Rasterio's.
        bands: Numbers of the bands, from 1.
        is_masked: Whether masked pixels become 0.
        transformers: Raster Vision's, to be applied one after the other.
    """

    dataset: Any
    bands: Sequence[int]
    is_masked: bool
    transformers: Sequence[Any]


def raster_of(source: Any) -> Raster:
    """Look into a RasterioSource: it reads windows alone, and a prediction reads every row once."""
    names = ("image_dataset", "bands_to_read", "is_masked", "raster_transformers")
    return Raster(*(_get(source, name) for name in names))
