"""The engine for predictions: Raster Vision's results, from a few rows in memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st
from rastervision.core.box import Box
from rastervision.core.data import ClassConfig, MinMaxTransformer, RasterioSource, Scene, StatsTransformer
from rastervision.core.data.label import ObjectDetectionLabels
from rastervision.core.data.label_store import SemanticSegmentationLabelStore
from rastervision.core.raster_stats import RasterStats
from rastervision.core.rv_pipeline import PredictOptions, SemanticSegmentationPredictOptions
from rastervision.core.rv_pipeline.object_detection_config import ObjectDetectionPredictOptions
from rastervision.pytorch_learner import (
    ClassificationLearner,
    ObjectDetectionLearner,
    SemanticSegmentationImageDataConfig,
    SemanticSegmentationLearner,
    SemanticSegmentationLearnerConfig,
    SolverConfig,
)
from rastervision.pytorch_learner.classification_learner_config import (
    ClassificationImageDataConfig,
    ClassificationLearnerConfig,
)
from rastervision.pytorch_learner.object_detection_learner_config import (
    ObjectDetectionImageDataConfig,
    ObjectDetectionLearnerConfig,
)
from rastervision.pytorch_learner.object_detection_utils import TorchVisionODAdapter
from rastervision.pytorch_learner.utils.prediction import predict_scene_cc, predict_scene_od, predict_scene_ss
from torch import Tensor, nn

from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.job.progress import Progress
from swath.prediction.ahead import ahead
from swath.prediction.engine import predict_pixels, predict_windows, windows_of_pixels
from swath.prediction.grid import Grid
from swath.prediction.model import Computing, Model
from swath.prediction.pixels import PixelRows, Smooth, taper, uncertainty_of
from swath.prediction.products import boxes_of, cache_options
from swath.prediction.strips import Strips, stripes
from swath.scenes.no_data import without_data

HEIGHT, WIDTH, BANDS, CLASSES = 230, 170, 3, 4
LOG = logging.getLogger("swath.predict")
NAMES = ClassConfig(names=["null", "a", "b", "c"], null_class="null")


class Boxes(nn.Module):
    """Finds a box or two in every window, which depend on what is seen there."""

    def forward(self, images: Tensor, _: Any = None) -> list[dict[str, Tensor]]:
        found = []
        for image in images:
            x, y = (image.mean(dim=(0, axis)).argmax().float() for axis in (1, 2))
            boxes = torch.stack([x, y, x + 9.5, y + 7.25]) + torch.tensor([[0.0], [4.0]])
            scores = image.mean().clamp(0, 1) * torch.tensor([1.0, 0.7])
            found.append({"boxes": boxes, "labels": torch.tensor([1, 2]), "scores": scores})
        return found


def network(task: Task) -> nn.Module:
    torch.manual_seed(3)
    if task == DETECTION:
        return TorchVisionODAdapter(Boxes())
    convolution = nn.Conv2d(BANDS, CLASSES, 5, padding=2)
    if task == SEGMENTATION:
        return convolution
    return nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten())


CONFIGS: dict[Task, tuple[Any, Any, Any]] = {
    SEGMENTATION: (
        SemanticSegmentationLearner,
        SemanticSegmentationLearnerConfig,
        SemanticSegmentationImageDataConfig,
    ),
    DETECTION: (ObjectDetectionLearner, ObjectDetectionLearnerConfig, ObjectDetectionImageDataConfig),
    CLASSIFICATION: (ClassificationLearner, ClassificationLearnerConfig, ClassificationImageDataConfig),
}


def learner_of(task: Task, size: int) -> Any:
    learner, config, data = CONFIGS[task]
    names = {"class_config": NAMES, "img_sz": size, "num_workers": 0}
    return learner(
        config(data=data(**names), model=None, solver=SolverConfig(batch_sz=5)), model=network(task), training=False
    )


@pytest.fixture
def image(tmp_path: Path) -> str:
    """Random values; a block that several windows lie in, and a strip, have no data."""
    pixels = random_pixels()
    pixels[:, 20:150, 30:140] = 0
    pixels[:, :, 90:97] = 0
    return write(pixels, tmp_path / "image.tif")


@pytest.fixture
def full_image(tmp_path: Path) -> str:
    return write(random_pixels(), tmp_path / "full.tif")


def random_pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(1, 4000, (BANDS, HEIGHT, WIDTH)).astype(np.uint16)


def write(pixels: np.ndarray, path: Path) -> str:
    profile = {"driver": "GTiff", "width": pixels.shape[2], "height": pixels.shape[1], "count": BANDS}
    profile |= {"dtype": "uint16", "nodata": 0}
    place = rasterio.transform.from_origin(330_000, 5_820_000, 10, 10)
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=place) as dataset:
        dataset.write(pixels)
    return str(path)


def scene_of(image: str, smooth: bool = False) -> Scene:
    stats = RasterStats(means=np.full(BANDS, 2000.0), stds=np.full(BANDS, 900.0), counts=np.full(BANDS, 99))
    source = RasterioSource(image, raster_transformers=[StatsTransformer.from_raster_stats(stats)])
    store = SemanticSegmentationLabelStore(
        "unused", class_config=NAMES, crs_transformer=source.crs_transformer, smooth_output=smooth
    )
    return Scene(id="s", raster_source=source, label_store=store)


def parts_of(
    image: str,
    grid: Grid,
    smooth: Smooth,
    rows: tuple[int, int],
    batch: int = 5,
    flips: bool = False,
    mixed_precision: str | None = None,
    with_scores: bool = False,
) -> list[PixelRows]:
    computing = Computing(batch, False, deterministic=True, flips=flips, mixed_precision=mixed_precision)
    model = Model(learner_of(SEGMENTATION, grid.size), SEGMENTATION, grid.size, computing)
    with Progress(LOG, "s", 1, "windows") as progress:
        strips = Strips(scene_of(image).raster_source)
        found = list(predict_pixels(model, strips, grid, CLASSES, smooth, rows, (0, grid.width), progress, with_scores))
    assert found[0].row == rows[0]
    for one, other in pairwise(found):
        assert one.column != other.column or one.row + len(one.labels) == other.row
    return found


def pixels_of(image: str, grid: Grid, smooth: Smooth, rows: tuple[int, int], **options: Any) -> np.ndarray:
    return np.concatenate([part.labels for part in parts_of(image, grid, smooth, rows, **options)])


WINDOWS = [(96, 24, 36), (64, 64, None), (64, 32, None), (64, 32, 16), (50, 20, 7), (64, 64, 0), (300, 300, None)]


@pytest.mark.parametrize("smooth", [False, True], ids=["votes", "smooth"])
@pytest.mark.parametrize(("size", "stride", "crop"), WINDOWS)
def test_pixels_are_raster_visions(image: str, size: int, stride: int, crop: int | None, smooth: bool) -> None:
    options = SemanticSegmentationPredictOptions(chip_sz=size, stride=stride, crop_sz=crop, batch_sz=5)
    scene = scene_of(image, smooth)
    theirs = predict_scene_ss(learner_of(SEGMENTATION, size), scene, options).get_label_arr(scene.extent)
    ours = pixels_of(image, Grid(HEIGHT, WIDTH, size, stride, crop), smooth, (0, HEIGHT))
    empty, there = without_data(image, range(BANDS)), theirs >= 0
    assert empty.any() and set(np.unique(ours[~empty])) == set(range(CLASSES))
    assert np.array_equal(ours[~empty & there], theirs[~empty & there])
    assert there.all() or (crop and crop < (size - stride) // 2), "Raster Vision leaves out lower and right edges then"
    assert not ours[empty].any()


def test_the_edges_that_raster_vision_leaves_out_are_those_of_a_larger_image(full_image: str, tmp_path: Path) -> None:
    """Zeros beyond the image are what windows see there."""
    larger = write(np.pad(random_pixels(), ((0, 0), (0, 60), (0, 60))), tmp_path / "larger.tif")
    size, stride, crop = 50, 20, 7
    labels = pixels_of(full_image, Grid(HEIGHT, WIDTH, size, stride, crop), True, (0, HEIGHT))
    places = (Grid(height, width, size, stride, crop) for height, width in ((HEIGHT, WIDTH), (HEIGHT + 60, WIDTH + 60)))
    ours, theirs = ((grid.tops, grid.lefts) for grid in places)
    assert [places[: len(own)] for places, own in zip(theirs, ours, strict=True)] == list(ours), "the same windows"
    beyond = pixels_of(larger, Grid(HEIGHT + 60, WIDTH + 60, size, stride, crop), True, (0, HEIGHT))[:, :WIDTH]
    assert (labels[-6:] > 0).all() and (labels[:, -6:] > 0).all()
    assert (labels == beyond).mean() > 0.999


@given(st.integers(1, 90), st.integers(2, 40), st.data())
def test_every_pixel_is_seen_by_a_window(length: int, size: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, size))
    crop = data.draw(st.none() | st.integers(0, (size - stride) // 2))
    grid = Grid(length, 7, size, stride, crop)
    kept = [grid.rows_kept(top) for top in grid.tops]
    assert all(start < stop for start, stop in kept)
    assert {row for span in kept for row in range(*span)} == set(range(length))
    turned = Grid(7, length, size, stride, crop)
    assert turned.lefts == grid.tops and [turned.columns_kept(left) for left in turned.lefts] == kept
    for row in range(length):
        assert grid.tops_for((row, row + 1)) == [
            top for top, (start, stop) in zip(grid.tops, kept, strict=True) if start <= row < stop
        ]


@pytest.mark.parametrize("smooth", [False, True, "tapered"], ids=["votes", "smooth", "tapered"])
@pytest.mark.parametrize(("size", "stride", "crop"), WINDOWS)
def test_pixels_do_not_depend_on_how_the_rows_are_split(
    image: str, size: int, stride: int, crop: int | None, smooth: Smooth
) -> None:
    grid = Grid(HEIGHT, WIDTH, size, stride, crop)
    whole = pixels_of(image, grid, smooth, (0, HEIGHT))
    for edges in ([0, 111, HEIGHT], [0, 1, 33, 64, 65, 150, 229, HEIGHT]):
        parts = [pixels_of(image, grid, smooth, rows) for rows in pairwise(edges)]
        assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("smooth", [False, True, "tapered"])
@pytest.mark.parametrize("widest", [16, 48, 100])
def test_a_wide_image_in_stripes_of_columns_is_the_same_map(
    image: str, smooth: Smooth, widest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = Grid(HEIGHT, WIDTH, 64, 20, 7)
    whole = parts_of(image, grid, smooth, (0, HEIGHT), with_scores=True)
    monkeypatch.setattr("swath.prediction.engine.stripes", partial(stripes, widest=widest))
    found = parts_of(image, grid, smooth, (0, HEIGHT), with_scores=True)
    assert {part.column for part in found} == set(range(0, WIDTH, widest))
    assert max(part.labels.shape[1] for part in found) == widest
    labels, scores = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((CLASSES, HEIGHT, WIDTH), np.float32)
    for part in found:
        assert part.scores is not None
        area = np.s_[part.row : part.row + len(part.labels), part.column : part.column + part.labels.shape[1]]
        labels[area], scores[:, *area] = part.labels, part.scores
    assert np.array_equal(labels, np.concatenate([part.labels for part in whole]))
    at_once = np.concatenate([part.scores for part in whole if part.scores is not None], axis=1)
    assert np.allclose(scores, at_once, atol=1e-6)
    assert windows_of_pixels(grid, (0, HEIGHT), (0, WIDTH)) >= len(grid.tops) * len(grid.lefts)


def test_more_windows_than_a_byte_counts_see_a_pixel(image: str) -> None:
    grid = Grid(HEIGHT, WIDTH, 34, 2)
    assert grid.most_overlaps == 17**2
    votes, smooth = (pixels_of(image, grid, smooth, (60, 62), batch=64) for smooth in (False, True))
    certain = pixels_of(image, Grid(HEIGHT, WIDTH, 34, 10), False, (60, 62))
    assert (votes == certain).mean() > 0.9 and (smooth == certain).mean() > 0.9


def turned(array: np.ndarray, turn: int, is_mirrored: bool) -> np.ndarray:
    return np.rot90(array[:, ::-1] if is_mirrored else array, turn)


@pytest.mark.parametrize("smooth", [False, "tapered"])
def test_flips_average_what_is_seen_in_every_orientation(tmp_path: Path, smooth: Smooth) -> None:
    """A map of a square image does not depend on how the image is turned, when every window is seen in all ways."""
    pixels = random_pixels()[:, :64, :64]
    maps = []
    for name, (turn, is_mirrored) in enumerate(product(range(4), (False, True))):
        image = write(np.stack([turned(band, turn, is_mirrored) for band in pixels]), tmp_path / f"{name}.tif")
        grid = Grid(64, 64, 32, 16, 8)
        labels = pixels_of(image, grid, smooth, (0, 64), batch=64, flips=True)
        back = np.rot90(labels, -turn)
        maps.append(back[:, ::-1] if is_mirrored else back)
    agreed = [float((other == maps[0]).mean()) for other in maps]
    assert min(agreed) > 0.999, agreed
    plain = pixels_of(str(tmp_path / "0.tif"), grid, smooth, (0, 64), batch=64)
    assert 0.2 < (plain == maps[0]).mean() < 0.99


def test_cells_can_be_seen_in_every_orientation(full_image: str) -> None:
    grid = Grid(HEIGHT, WIDTH, 64, 64)
    plain, flipped = (windows_of(full_image, CLASSIFICATION, grid, flips=flips) for flips in (False, True))
    assert len(plain) == len(flipped) == 4 * 3
    for (window, output), (same, mean) in zip(plain, flipped, strict=True):
        assert window == same
        assert torch.tensor(mean).exp().sum() == pytest.approx(1)
        assert np.abs(torch.tensor(mean).exp() - torch.tensor(output).softmax(dim=0)).max() < 0.2


def test_scores_count_less_towards_a_windows_edge() -> None:
    weights = taper(32)
    assert weights.min() > 0 and weights.max() > 0.99
    assert np.array_equal(weights, weights.T) and np.array_equal(weights, weights[::-1])
    doubled = weights[:, :16] + weights[:, 16:]  # half a window further
    assert np.allclose(doubled, doubled[:, :1], rtol=1e-5), "windows that overlap by half weigh the same everywhere"


@pytest.mark.parametrize("smooth", [False, True, "tapered"])
def test_scores_and_uncertainty_follow_from_the_windows(image: str, smooth: Smooth) -> None:
    grid = Grid(HEIGHT, WIDTH, 64, 32, 0)
    found = parts_of(image, grid, smooth, (0, HEIGHT), with_scores=True)
    labels = np.concatenate([part.labels for part in found])
    scores = np.concatenate([part.scores for part in found], axis=1)
    there = labels > 0
    assert np.allclose(scores.sum(axis=0)[there | (scores.sum(axis=0) > 0)], 1, atol=2e-3)
    if smooth:  # the class that most windows vote for need not have the highest mean
        assert np.array_equal(scores.argmax(axis=0)[there], labels[there])
    for measure in ("entropy", "margin"):
        uncertain = uncertainty_of(scores, measure)
        assert uncertain.min() >= 0 and uncertain.max() <= 1
        assert uncertain[there].std() > 0


def test_uncertainty_is_0_for_what_is_certain_and_1_for_what_is_open() -> None:
    scores = np.array([[0.5, 0, 0, 0], [0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25], [0, 0.5, 0.5, 0]], np.float32).T[:, None]
    three_alike = np.array([[0.1], [0.3], [0.3], [0.3]], np.float32)[:, None]
    for measure in ("entropy", "margin"):
        assert uncertainty_of(scores, measure)[0, 1] == pytest.approx(0, abs=1e-6)
        assert uncertainty_of(three_alike, measure)[0, 0] == pytest.approx(1, abs=1e-6)
    assert uncertainty_of(scores, "margin")[0, 3] == pytest.approx(1)
    assert uncertainty_of(scores, "entropy")[0, 3] == pytest.approx(np.log(2) / np.log(3))
    assert not uncertainty_of(scores[:2], "entropy").any(), "a single class"


def windows_of(image: str, task: Task, grid: Grid, flips: bool = False) -> list[tuple[Box, Any]]:
    model = Model(learner_of(task, grid.size), task, grid.size, Computing(5, False, True, flips))
    with Progress(LOG, "s", 1, "windows") as progress:
        return list(predict_windows(model, Strips(scene_of(image).raster_source), grid, (0, HEIGHT), progress))


def with_data(image: str, windows: list[Box]) -> list[bool]:
    empty = without_data(image, range(BANDS))
    return [bool(not empty[max(w.ymin, 0) : w.ymax, max(w.xmin, 0) : w.xmax].all()) for w in windows]


@pytest.mark.parametrize(("size", "stride"), [(64, 64), (64, 32), (50, 20)])
def test_boxes_are_raster_visions(full_image: str, size: int, stride: int) -> None:
    thresholds = {"score_thresh": 0.2, "merge_thresh": 0.9}
    options = ObjectDetectionPredictOptions(chip_sz=size, stride=stride, batch_sz=5, **thresholds)
    theirs = predict_scene_od(learner_of(DETECTION, size), scene_of(full_image), options)
    found = windows_of(full_image, DETECTION, Grid(HEIGHT, WIDTH, size, stride))
    ours = ObjectDetectionLabels.prune_duplicates(boxes_of(found), **thresholds)
    assert 10 < len(ours) < 2 * len(found)
    ours.assert_equal(theirs)


@pytest.mark.parametrize(("size", "stride"), [(64, 64), (50, 20)])
def test_cells_are_raster_visions(image: str, size: int, stride: int) -> None:
    options = PredictOptions(chip_sz=size, stride=stride, batch_sz=5)
    theirs = predict_scene_cc(learner_of(CLASSIFICATION, size), scene_of(image), options)
    ours = windows_of(image, CLASSIFICATION, Grid(HEIGHT, WIDTH, size, stride))
    cells = theirs.get_cells()
    assert [cell for cell, _ in ours] == [
        cell for cell, kept in zip(cells, with_data(image, cells), strict=True) if kept
    ]
    assert len(ours) < len(cells) or size == 64
    for cell, output in ours:
        assert np.array_equal(output, theirs.get_cell_scores(cell))


def test_the_file_is_read_once_and_in_order(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from swath.prediction import strips

    read = []
    plain = strips.read_window
    monkeypatch.setattr(strips, "read_window", lambda *arguments: read.append(arguments[2][0]) or plain(*arguments))
    pixels_of(image, Grid(HEIGHT, WIDTH, 64, 16, 16), False, (0, HEIGHT))
    assert read[0][0] == 0 and read[-1][1] == HEIGHT
    assert all(one[1] == other[0] for one, other in pairwise(read))


def test_windows_without_data_are_not_predicted(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    predict = Model.predict
    monkeypatch.setattr(
        Model, "predict", lambda self, batch, *rest: seen.extend(batch.windows) or predict(self, batch, *rest)
    )
    pixels_of(image, Grid(HEIGHT, WIDTH, 32, 32), False, (0, HEIGHT))
    empty = without_data(image, range(BANDS))
    assert all(not empty[w.ymin : w.ymax, w.xmin : w.xmax].all() for w in seen)
    assert len(seen) < 8 * 6


def test_16_bits_change_a_few_pixels(full_image: str) -> None:
    grid = Grid(HEIGHT, WIDTH, 64, 64)
    whole, half = (
        pixels_of(full_image, grid, True, (0, HEIGHT), mixed_precision=precision) for precision in (None, "bf16")
    )
    assert 0.9 < (whole == half).mean() < 1


def test_a_log_says_now_and_then_how_far_a_prediction_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    monkeypatch.setattr("swath.job.progress.time.monotonic", lambda: now[0])
    with caplog.at_level("INFO"), Progress(LOG, "scene a", 1000, "windows") as progress:
        for _ in range(10):
            now[0] += 4
            progress.add(100)
    assert caplog.messages == ["scene a: 80 % of 1000 windows, about 8 seconds to go"]


def test_pixels_are_read_through_transformers_that_look_around(full_image: str) -> None:
    """Raster Vision's MinMaxTransformer scales every window by its own extremes: rows must not be scaled at once."""
    source = RasterioSource(full_image, raster_transformers=[MinMaxTransformer()])
    strips = Strips(source)
    strips.load((10, 90))
    for window in (Box(10, 0, 60, 50), Box(40, 130, 90, 180)):
        assert np.array_equal(strips.chip(window), source.get_chip(window))
    assert np.array_equal(strips.chip(Box(10, 0, 60, 50)), source.get_chip(Box(10, 0, 60, 50))), "it stays as it is"


def test_the_cache_is_as_large_as_the_images_blocks_need_unless_the_user_has_said(
    full_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = Strips(RasterioSource(full_image)).cache
    assert 2**26 < needed < 2**27
    monkeypatch.delenv("GDAL_CACHEMAX", raising=False)
    assert cache_options(needed) == {"GDAL_CACHEMAX": needed}
    monkeypatch.setenv("GDAL_CACHEMAX", "512")  # what jobs have
    assert cache_options(needed) == {"GDAL_CACHEMAX": needed}
    monkeypatch.setenv("GDAL_CACHEMAX", "2000")
    assert not cache_options(needed)


def test_nothing_is_made_any_more_for_someone_who_has_left() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(100):
            time.sleep(0.05)
            made.append(number)
            yield number

    taken = ahead(items())
    next(taken)
    taken.close()
    assert len(made) <= 3


def test_what_goes_wrong_ahead_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("no more")

    made = ahead(items())
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no more"):
        next(made)
    assert list(ahead(range(100))) == list(range(100))
    assert next(iter(ahead(range(100)))) == 0  # the rest is left
