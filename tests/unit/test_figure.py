"""The picture of an experiment's summary: as large as a picture, however large the scene."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from made_experiment import write
from made_facts import facts_of
from PIL import Image
from shapely.geometry import box

from swath.config.imagery import Imagery
from swath.products.boxes import box_table
from swath.report.figure import BOXES, RASTER, SIDE, draw_prediction, read_ids, true_colour
from swath.scenes.facts import SceneFacts
from swath.scenes.images import read_image

LARGE = 4000
CLASSES, COLOURS = ["null", "field", "forest"], ["#000000", "#ff0000", "#0000ff"]
RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> SceneFacts:
    """A scene whose upper half is labelled as field, and whose lower half as forest."""
    folder = tmp_path_factory.mktemp("large")
    halves = np.repeat(np.array([1, 2], np.uint8), LARGE // 2)[None, :, None]
    write(folder / "image.tif", np.broadcast_to(1000 * halves.astype(np.uint16), (3, LARGE, LARGE)))
    write(folder / "truth.tif", np.broadcast_to(halves, (1, LARGE, LARGE)))
    (folder / "scene").mkdir()
    image = read_image(str(folder / "image.tif"), Imagery(), folder / "scene", folder / "scene")
    return facts_of(image, label_raster=str(folder / "truth.tif"))


def test_a_large_scene_is_drawn_in_the_memory_of_a_picture(large: SceneFacts, tmp_path: Path) -> None:
    write(tmp_path / RASTER, np.broadcast_to(np.uint8(1), (1, LARGE, LARGE)))
    tracemalloc.start()
    draw_prediction(large, tmp_path, CLASSES, COLOURS, "large", tmp_path / "picture.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250e6  # the imagery alone would take 384 MB in double precision
    picture = np.asarray(Image.open(tmp_path / "picture.png").convert("RGB"))
    red, blue = ((picture == colour).all(axis=2).sum() for colour in (RED, BLUE))
    assert red / 3 == pytest.approx(blue, rel=0.1)  # half the labels, and all of the prediction


def test_imagery_and_ids_are_read_as_large_as_they_are_shown(large: SceneFacts) -> None:
    assert true_colour(large, SIDE).shape == (SIDE, SIDE, 3)
    ids = read_ids(str(large.label_raster), (SIDE, SIDE))
    assert (ids[: SIDE // 2] == 1).all() and (ids[SIDE // 2 :] == 2).all()
    assert read_ids(str(large.label_raster), (3, 3)).tolist() == [[1] * 3, [2] * 3, [2] * 3]


def test_boxes_lie_where_they_are_on_a_scene_that_is_shown_smaller(large: SceneFacts, tmp_path: Path) -> None:
    """The lower right quarter, in the labels and in the prediction."""
    half = LARGE / 2
    edges = np.array([[half, half, LARGE, LARGE]])
    box_table(edges, np.array([2]), np.array([0.9]), large, CLASSES).to_parquet(tmp_path / BOXES)
    transform = rasterio.Affine(*large.transform)
    (west, north), (east, south) = transform * (half, half), transform * (LARGE, LARGE)
    there = gpd.GeoDataFrame({"class_id": [2]}, geometry=[box(west, south, east, north)], crs=large.crs)
    there.to_file(tmp_path / "labels.geojson", driver="GeoJSON", engine="pyogrio")
    facts = facts_of(large, labels=str(tmp_path / "labels.geojson"))
    draw_prediction(facts, tmp_path, CLASSES, COLOURS, "boxes", tmp_path / "picture.png")
    picture = np.asarray(Image.open(tmp_path / "picture.png").convert("RGB")).astype(int)
    blue = (picture[..., 2] > 200) & (picture[..., :2] < 90).all(axis=2)
    blue[int(0.85 * len(blue)) :] = False  # the legend
    width = picture.shape[1]
    columns = np.nonzero(blue.any(axis=0))[0]
    assert columns.min() > 0.33 * width  # none on the imagery
    for left, right in ((0.33, 0.67), (0.67, 1)):  # half a panel wide, and at its right
        panel = columns[(columns > left * width) & (columns < right * width)]
        assert np.ptp(panel) == pytest.approx(width / 6, rel=0.1) and panel.max() > (right - 0.03) * width
