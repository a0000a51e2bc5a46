"""Pictures for a page: imagery, labels, predictions and errors of a scene, small enough to travel in it."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from swath.config.classes import NULL_CLASS_ID
from swath.metrics.boxes import ious
from swath.report.figure import brightness, read_ids, true_colour
from swath.scenes.areas import area_on_image, outside_of
from swath.scenes.facts import SceneFacts
from swath.scenes.no_data import NoData

RASTER, BOXES = "prediction.tif", "boxes.parquet"
RIGHT, WRONG = "#9ba3ab", "#d6008f"
"""Colours of errors: such as classes seldom have."""
HIT, MISSED, FALSE = "found", "missed", "false"
log = logging.getLogger("swath.report")
Box = tuple[float, float, float, float, str, float, str]
"""Left, top, right, bottom (pixels of the scene), class, score (1 of labels), and found, missed or false."""


@dataclass(frozen=True)
class MapPictures:
    """What a run's map of a scene looks like.

    Attributes:
        prediction, errors: Pictures as data URIs, transparent where there is nothing; None of boxes.
        found: The boxes that were found; empty of rasters.
        missed: The labels that no box found.
    """

    prediction: str | None
    errors: str | None
    found: Sequence[Box] = ()
    missed: Sequence[Box] = ()

    @property
    def size(self) -> int:
        """Bytes, about."""
        return sum(len(uri or "") for uri in (self.prediction, self.errors)) + 60 * (len(self.found) + len(self.missed))


def imagery_picture(facts: SceneFacts, side: int) -> str | None:
    """Draw a scene's image in red, green and blue, as a data URI; no side has more pixels than that.

    None of an image that cannot be read any more: a report is made of what is there.
    """
    try:
        return as_webp((255 * true_colour(facts, side)).round().astype(np.uint8))
    except RasterioIOError as error:
        log.warning("%s: its image cannot be read: %s", facts.id, error)
        return None


def window_of_imagery(facts: SceneFacts, window: Window, step: int, outline: Sequence[int] | None = None) -> str | None:
    """Draw a window of a scene's image, stretched by itself, every so many pixels; None where it cannot be read.

    Args:
        facts: The scene.
        window: Of its image.
        step: Every so many pixels are drawn.
        outline: A frame: its top, left, bottom and right, pixels of the picture.
    """
    try:
        pixels = (255 * true_colour(facts, 1000, window, by_itself=True)).round().astype(np.uint8)[::step, ::step]
    except RasterioIOError:
        return None
    picture = Image.fromarray(pixels)
    if outline is not None:
        top, left, bottom, right = outline
        ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), outline=WRONG)
    return as_webp(np.asarray(picture))


def brightness_among(facts: SceneFacts, window: Window, pixels: NDArray[np.bool_]) -> float | None:
    """Say which share of a scene's image is darker than the median of some pixels of a window; equals count half.

    None where the image cannot be read, or has no data there.
    """
    try:
        whole, part = brightness(facts, 1000), brightness(facts, 1000, window)[pixels]
    except RasterioIOError:
        return None
    whole, part = whole[np.isfinite(whole)], part[np.isfinite(part)]
    if not whole.size or not part.size:
        return None
    middle = np.median(part)
    return float(((whole < middle).mean() + (whole <= middle).mean()) / 2)


def outside_of_evaluation(facts: SceneFacts) -> NoData | None:
    """Say which pixels of a scene lie outside its area of interest; None where there is no area, but everything."""
    return outside_of(area_on_image([facts.aoi], facts), facts) if facts.aoi else None


def evaluated_labels(labels: Any, window: Window, outside: NoData | None) -> NDArray[np.uint8]:
    """Read labels as they are evaluated: nothing outside the area of interest.

    Args:
        labels: A scene's raster of class ids, opened.
        window: Of the scene.
        outside: What :func:`outside_of_evaluation` says.
    """
    ids: NDArray[np.uint8] = labels.read(1, window=window)
    if outside is not None:
        ids[outside(window)] = NULL_CLASS_ID
    return ids


def label_picture(facts: SceneFacts, side: int, colours: Sequence[str]) -> str | None:
    """Draw a scene's labels, transparent where there are none; None of a scene without."""
    if facts.label_raster is None:
        return None
    return as_webp(coloured(_small_labels(facts, side), colours))


def _small_labels(facts: SceneFacts, side: int) -> NDArray[np.uint8]:
    """Read labels as they are evaluated, in the size of a picture."""
    assert facts.label_raster is not None
    shape = shape_of(facts, side)
    ids = read_ids(facts.label_raster, shape)
    if facts.aoi:
        scale = rasterio.Affine.scale(facts.width / shape[1], facts.height / shape[0])
        a, b, c, d, e, f = tuple(rasterio.Affine(*facts.transform) @ scale)[:6]
        outside = outside_of_evaluation(replace(facts, transform=(a, b, c, d, e, f), width=shape[1], height=shape[0]))
        assert outside
        ids[outside(Window(0, 0, shape[1], shape[0]))] = NULL_CLASS_ID
    return ids


def shape_of(facts: SceneFacts, side: int) -> tuple[int, int]:
    """Return height and width of a picture of a scene."""
    factor = max(1.0, max(facts.height, facts.width) / side)
    return max(1, round(facts.height / factor)), max(1, round(facts.width / factor))


def map_pictures(
    facts: SceneFacts,
    folder: Path,
    side: int,
    classes: Sequence[str],
    colours: Sequence[str],
    cells: NDArray[np.int64] | None = None,
) -> MapPictures:
    """Draw a run's map of a scene.

    Args:
        facts: The scene.
        folder: The run's maps of it.
        side: Most pixels of a side.
        classes, colours: By class id.
        cells: Of chip classification, what was evaluated (see :func:`swath.metrics.cells.cells_of_text`): a cell is
            right or wrong as a whole. None of pixels, which are compared one by one.
    """
    if not (folder / RASTER).exists():
        return found_boxes(facts, folder, classes)
    shape = shape_of(facts, side)
    predicted, judged = read_ids(folder / RASTER, shape), None
    if cells is not None:
        judged = _judged_cells(cells, facts, shape)
    elif facts.label_raster:
        labels = _small_labels(facts, side)
        judged = ((labels != NULL_CLASS_ID) * (1 + (labels != predicted))).astype(np.uint8)
    errors = None if judged is None else as_webp(coloured(judged, ["#000000", RIGHT, WRONG]))
    return MapPictures(as_webp(coloured(predicted, colours)), errors)


def _judged_cells(cells: NDArray[np.int64], facts: SceneFacts, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Paint labelled cells into a picture of a scene: 1 for right, 2 for wrong, which is on top."""
    judged = np.zeros(shape, np.uint8)
    scale = np.array([shape[0] / facts.height, shape[1] / facts.width] * 2)
    edges = (cells[:, :4] * scale).round().astype(int).clip(0)
    wrong = cells[:, 4] != cells[:, 5]
    for (top, left, bottom, right), is_wrong in sorted(zip(edges.tolist(), wrong.tolist(), strict=True), key=_by_error):
        judged[top : max(bottom, top + 1), left : max(right, left + 1)] = 1 + is_wrong
    return judged


def _by_error(cell: tuple[Sequence[int], bool]) -> bool:
    return cell[1]


def coloured(ids: NDArray[np.uint8], colours: Sequence[str]) -> NDArray[np.uint8]:
    """Paint class ids, height × width, as red, green, blue and alpha: the null class is transparent."""
    table = np.array([(*ImageColor.getrgb(colour)[:3], 255) for colour in colours], np.uint8)
    table[NULL_CLASS_ID] = 0
    return table[ids]


def as_webp(pixels: NDArray[np.uint8]) -> str:
    """Encode a picture, height × width × 3 (photographs) or 4 (flat colours, kept exactly), as a data URI."""
    file = io.BytesIO()
    exact = pixels.shape[2] == 4
    Image.fromarray(pixels).save(file, "WEBP", quality=80 if exact else 75, lossless=exact, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def found_boxes(facts: SceneFacts, folder: Path, classes: Sequence[str]) -> MapPictures:
    """Say which boxes found something, and which labels nobody found: at an IoU of 0.5, the best score first.

    Args:
        facts: The scene.
        folder: A run's maps of it.
        classes: By class id.
    """
    found = gpd.read_parquet(folder / BOXES).sort_values("score", ascending=False, kind="stable")
    edges, ids, scores = edges_in_pixels(found, facts), _ids(found), found["score"].to_numpy()
    if facts.labels is None:
        return MapPictures(None, None, _as_boxes(edges, ids, scores, [HIT] * len(ids), classes))
    labels = gpd.read_file(facts.labels, engine="pyogrio")
    actual, actual_ids = edges_in_pixels(labels, facts), _ids(labels)
    free, kinds, near = np.ones(len(actual), bool), [], _near(edges, actual)
    for box, of_class, others in zip(edges, ids, near, strict=True):
        fitting = [other for other in others if free[other] and actual_ids[other] == of_class]
        overlaps = ious(box[None], actual[fitting])[0]
        is_hit = bool(len(fitting)) and overlaps.max() >= 0.5
        kinds.append(HIT if is_hit else FALSE)
        if is_hit:
            free[fitting[int(overlaps.argmax())]] = False
    missed = _as_boxes(actual[free], actual_ids[free], np.ones(int(free.sum())), [MISSED] * int(free.sum()), classes)
    return MapPictures(None, None, _as_boxes(edges, ids, scores, kinds, classes), missed)


def _near(edges: NDArray[Any], others: NDArray[Any]) -> list[list[int]]:
    """List for every box the other ones that touch it."""
    near: list[list[int]] = [[] for _ in edges]
    tree = shapely.STRtree(shapely.box(*others.T))
    for one, other in zip(*tree.query(shapely.box(*edges.T)), strict=True):
        near[int(one)].append(int(other))
    return near


def label_boxes(facts: SceneFacts, classes: Sequence[str]) -> Sequence[Box]:
    """Return a scene's labels as boxes; empty of one without."""
    if facts.labels is None:
        return []
    labels = gpd.read_file(facts.labels, engine="pyogrio")
    ids = _ids(labels)
    return _as_boxes(edges_in_pixels(labels, facts), ids, np.ones(len(ids)), [HIT] * len(ids), classes)


def edges_in_pixels(table: gpd.GeoDataFrame, facts: SceneFacts) -> NDArray[np.float64]:
    """Return left, top, right and bottom of shapes in pixels of a scene, N × 4."""
    if table.empty:  # such a file has no columns, either
        return np.empty((0, 4))
    inverse = ~rasterio.Affine(*facts.transform)
    in_pixels = table.geometry.to_crs(facts.crs).affine_transform(inverse.to_shapely())
    edges: NDArray[np.float64] = in_pixels.bounds.to_numpy()
    return edges


def _ids(table: gpd.GeoDataFrame) -> NDArray[np.int64]:
    return np.array(table["class_id"] if len(table) else [], np.int64)


def _as_boxes(
    edges: NDArray[Any], ids: NDArray[Any], scores: NDArray[Any], kinds: Sequence[str], classes: Sequence[str]
) -> list[Box]:
    return [
        (*(round(float(edge), 1) for edge in box), classes[index], round(float(score), 3), kind)
        for box, index, score, kind in zip(edges, ids, scores, kinds, strict=True)
    ]
