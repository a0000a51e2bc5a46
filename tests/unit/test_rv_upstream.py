"""The patches of Raster Vision, on its real objects. Where a test fails for a new version, what it names can go."""

from __future__ import annotations

import inspect
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import albumentations
import numpy as np
import pytest
from rasterio.features import geometry_mask
from rasterio.transform import Affine
from rastervision.core.box import Box
from rastervision.core.data import (
    ChipClassificationLabelSourceConfig,
    ClassConfig,
    GeoJSONVectorSourceConfig,
    IdentityCRSTransformer,
    ObjectDetectionLabelSourceConfig,
    RasterioCRSTransformer,
    RasterioSourceConfig,
    Scene,
)
from rastervision.core.data.label import ChipClassificationLabels, SemanticSegmentationLabels
from rastervision.core.data.label_source import ChipClassificationLabelSource, ObjectDetectionLabelSource
from rastervision.core.data.vector_source import GeoJSONVectorSource
from rastervision.core.evaluation import SemanticSegmentationEvaluation, SemanticSegmentationEvaluator
from rastervision.pytorch_backend.pytorch_learner_backend import PyTorchLearnerBackend
from rastervision.pytorch_backend.pytorch_object_detection import PyTorchObjectDetectionSampleWriter
from rastervision.pytorch_learner.dataset import ImageDataset, SlidingWindowGeoDataset
from rastervision.pytorch_learner.dataset.object_detection_dataset import ObjectDetectionSlidingWindowGeoDataset
from rastervision.pytorch_learner.dataset.transform import TransformType
from shapely.geometry import Polygon, box
from sklearn.metrics import confusion_matrix
from tiny import write_image

from swath.errors import UserError
from swath.files import write_json
from swath.rv import upstream

EXTENT = Box(0, 0, 16, 16)
CAN_GO = "can go: remove it from swath.rv.upstream, and this test"


def arguments(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_numpy_still_lacks_int0_and_raster_vision_still_uses_it() -> None:
    from rastervision.core.data.utils import vectorization

    assert "np.int0" in inspect.getsource(vectorization), f"_restore_int0 {CAN_GO}"
    mask = np.zeros((40, 40), np.uint8)
    mask[5:20, 5:30] = 1
    polygons = list(vectorization.mask_to_building_polygons(mask, min_area=10, width_factor=0.5, thickness=0.001))
    assert len(polygons) == 1


def test_raster_vision_still_reads_every_window_as_boundless() -> None:
    from rastervision.core.data.raster_source import rasterio_source
    from rastervision.core.data.utils import rasterio as utils

    from swath.rv import windows

    assert "boundless=True" in inspect.getsource(utils.read_window), f"_read_windows_plainly {CAN_GO}"
    assert windows.read_boundless is utils.read_window
    assert rasterio_source.read_window is windows.read_window
    ours, theirs = inspect.signature(windows.read_window), inspect.signature(utils.read_window)
    assert [(p.name, p.default) for p in ours.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize("area", [[], [box(8, 16, 40.5, 33)], [box(16, 0, 32, 16), box(48, 48, 60, 50)]])
def test_pixels_are_counted_in_windows_as_in_whole_scenes(area: list[Polygon], monkeypatch: pytest.MonkeyPatch) -> None:
    """Edges of areas lie on edges of windows, too: a line that they share with one is no part of it."""
    whole = inspect.getclosurevars(SemanticSegmentationEvaluation.compute).nonlocals["whole"]
    assert "pred_labels.get_windows()" in inspect.getsource(whole), f"_count_pixels_in_windows {CAN_GO}"
    classes = ClassConfig(names=["null", "field", "wood"], null_class="null")
    truth, found = (np.random.default_rng(seed).integers(0, 3, (50, 70), np.uint8) for seed in (1, 2))
    extent = Box(0, 0, *truth.shape)

    def labels(ids: Any) -> SemanticSegmentationLabels:
        made = SemanticSegmentationLabels.make_empty(extent, len(classes), smooth=False)
        made[extent] = ids
        return made

    scene: Any = SimpleNamespace(
        label_source=SimpleNamespace(get_labels=lambda: labels(truth)),
        label_store=SimpleNamespace(get_labels=lambda: labels(found)),
        aoi_polygons=area,
    )
    monkeypatch.setattr(upstream, "COUNTED_SIDE", 16)
    counted = SemanticSegmentationEvaluator(classes).evaluate_scene(scene).conf_mat
    inside = geometry_mask(area, truth.shape, Affine.identity(), invert=True) if area else np.True_
    assert np.array_equal(counted, confusion_matrix((truth * inside).ravel(), (found * inside).ravel()))


def test_what_is_unpacked_at_once_is_still_deflated(tmp_path: Path) -> None:
    from rastervision.core.rv_pipeline import rv_pipeline
    from rastervision.pipeline.file_system.utils import zipdir
    from rastervision.pytorch_backend import pytorch_learner_backend
    from rastervision.pytorch_learner import learner

    (tmp_path / "folder" / "part").mkdir(parents=True)
    (tmp_path / "folder" / "part" / "weights").write_bytes(bytes(1000))
    theirs, ours = tmp_path / "theirs.zip", tmp_path / "new" / "ours.zip"
    zipdir(str(tmp_path / "folder"), str(theirs))
    with zipfile.ZipFile(theirs) as archive:
        assert archive.infolist()[0].compress_type == zipfile.ZIP_DEFLATED, f"_zip_plainly {CAN_GO}"
        names = archive.namelist()
    for module in (rv_pipeline, pytorch_learner_backend, learner):
        module.zipdir(str(tmp_path / "folder"), str(ours))
        with zipfile.ZipFile(ours) as archive:
            assert archive.namelist() == names == ["part/weights"]
            assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED
            assert archive.read("part/weights") == bytes(1000)
        ours.unlink()


def test_a_reader_that_takes_something_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from rastervision.core.data.raster_source import rasterio_source

    def another(dataset: Any, window: Any) -> None:
        """Stand for the function of another version."""

    monkeypatch.setattr(rasterio_source, "read_window", another)
    upstream.apply()
    assert rasterio_source.read_window is another


# --- chipping -----------------------------------------------------------------------------------------------------


def test_nothing_stands_between_raster_visions_scenes_and_their_chips() -> None:
    assert arguments(PyTorchLearnerBackend.chip_dataset) == ["self", "dataset", "chip_options", "dataloader_kw"], (
        f"prepare_before_cutting {CAN_GO}"
    )
    assert "self.chip_pytorch_dataset(" in inspect.getsource(PyTorchLearnerBackend.chip_dataset)
    assert arguments(PyTorchLearnerBackend.chip_pytorch_dataset)[1] == "dataset"


def test_scenes_are_made_ready_before_they_are_cut() -> None:
    done: list[Any] = []
    backend = PyTorchLearnerBackend(SimpleNamespace(), SimpleNamespace(), "")
    backend.chip_pytorch_dataset = lambda dataset, split: done.append((dataset, split))
    upstream.prepare_before_cutting(backend, lambda dataset: done.append(f"ready: {dataset}"))
    backend.chip_pytorch_dataset("scene", split="train")
    assert done == ["ready: scene", ("scene", "train")]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A scene of 16 × 16 pixels."""
    write_image(tmp_path, "a", np.zeros((3, 16, 16), np.uint8))
    source = RasterioSourceConfig(uris=[str(tmp_path / "a.tif")]).build(str(tmp_path))
    return Scene(id="a", raster_source=source)


def test_a_datasets_windows_are_still_on_a_grid_alone(scene: Scene) -> None:
    assert "windows" not in arguments(SlidingWindowGeoDataset.__init__), f"set_windows {CAN_GO}"
    dataset = SlidingWindowGeoDataset(scene, 8, 8, transform_type=TransformType.noop, return_window=True)
    assert len(dataset) == 4
    window = Box(3, 5, 11, 13)
    upstream.set_windows(dataset, [window])
    assert [at for _, at in (dataset[index] for index in range(len(dataset)))] == [window]


@pytest.fixture
def box(tmp_path: Path) -> GeoJSONVectorSource:
    """One box, from (2, 2) to (8, 8)."""
    square = [[[2, 2], [8, 2], [8, 8], [2, 8], [2, 2]]]
    geometry = {"type": "Polygon", "coordinates": square}
    feature = {"type": "Feature", "properties": {"class_id": 1}, "geometry": geometry}
    write_json(tmp_path / "boxes.json", {"type": "FeatureCollection", "features": [feature]})
    return GeoJSONVectorSource(str(tmp_path / "boxes.json"), IdentityCRSTransformer())


def test_boxes_in_sliding_windows_still_reach_over_their_edges(box: GeoJSONVectorSource) -> None:
    assert not {"ioa_thresh", "clip"} & set(ObjectDetectionLabelSourceConfig.model_fields), f"set_box_overlap {CAN_GO}"
    assert "label_source" not in inspect.getsource(ObjectDetectionSlidingWindowGeoDataset)
    source, window = ObjectDetectionLabelSource(box, EXTENT), Box(0, 0, 6, 6)
    boxes, _, _ = source[window]
    assert boxes.tolist() == [[2, 2, 8, 8]], f"set_box_overlap {CAN_GO}"
    upstream.set_box_overlap(source, 0.1, True)
    boxes, _, _ = source[window]
    assert boxes.tolist() == [[2, 2, 6, 6]]
    upstream.set_box_overlap(source, 0.9, True)
    assert len(source[window][0]) == 0


def test_boxes_on_chips_are_still_cut_to_whole_pixels() -> None:
    source = inspect.getsource(PyTorchObjectDetectionSampleWriter.update_coco_data)
    assert "int(v) for v in bbox" in source, f"write_exact_boxes {CAN_GO}"
    assert arguments(PyTorchObjectDetectionSampleWriter.update_coco_data) == ["self", "sample", "img_path"]


def test_cells_are_still_inferred_on_a_grid_alone(box: GeoJSONVectorSource) -> None:
    assert not {"labels", "cells"} & set(arguments(ChipClassificationLabelSource.__init__)), f"set_labels {CAN_GO}"
    source = ChipClassificationLabelSource(ChipClassificationLabelSourceConfig(), box, EXTENT, lazy=True)
    upstream.set_labels(source, ChipClassificationLabels({Box(3, 5, 11, 13): (2, None)}))
    assert source[Box(3, 5, 11, 13)] == 2


def test_pixels_are_still_rounded_down(scene: Scene) -> None:
    assert not [name for name in GeoJSONVectorSourceConfig.model_fields if "round" in name], (
        f"with_exact_pixels {CAN_GO}"
    )
    transformer = scene.raster_source.crs_transformer
    assert isinstance(transformer, RasterioCRSTransformer)
    place = transformer.image2map(*(transformer.transform * (5.75, 3.25)))
    assert transformer.map_to_pixel(place) == (5, 3), f"with_exact_pixels {CAN_GO}"
    assert upstream.with_exact_pixels(transformer).map_to_pixel(place) == pytest.approx((5.75, 3.25), abs=1e-3)
    assert transformer.map_to_pixel(place) == (5, 3)


# --- training -----------------------------------------------------------------------------------------------------


class Counted:
    """One chip, which counts how often it is decoded."""

    def __init__(self) -> None:
        self.decoded = 0

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        self.decoded += 1
        return np.arange(192, dtype=np.uint8).reshape(8, 8, 3), np.zeros((8, 8), np.uint8)


def test_chips_are_still_decoded_every_time() -> None:
    counted = Counted()
    dataset = ImageDataset(counted, transform_type=TransformType.semantic_segmentation)
    first = dataset[0][0], dataset[0][0]
    assert counted.decoded == 2, f"wrap_chips {CAN_GO}"
    upstream.wrap_chips(dataset, lambda chips: [chips[0]])
    again = dataset[0][0], dataset[0][0]
    assert counted.decoded == 3
    assert all((image == first[0]).all() for image in (*first, *again))


def test_a_datasets_transform_is_still_out_of_reach() -> None:
    transform = albumentations.Compose([albumentations.GaussNoise(p=1.0)])
    dataset = ImageDataset(Counted(), transform, TransformType.semantic_segmentation)
    assert inspect.isfunction(dataset.transform), f"set_transform {CAN_GO}"
    another = albumentations.Compose([albumentations.InvertImg(p=1.0)])
    upstream.set_transform(dataset, another)
    expected = another(image=Counted()[0][0])["image"].transpose(2, 0, 1) / 255
    assert np.allclose(dataset[0][0].numpy(), expected)


def test_what_results_depend_on_is_not_left_out_in_silence() -> None:
    with pytest.raises(UserError) as caught:
        upstream.wrap_chips(SimpleNamespace(), list)
    (problem,) = caught.value.problems
    assert problem.field == "SimpleNamespace.orig_dataset"
    assert "0.31.1" in problem.cure
