"""A picture of a prediction beside imagery and labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import matplotlib
import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import ImageColor
from rasterio.windows import Window

from swath.scenes.facts import SceneFacts

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch

matplotlib.rcParams["text.parse_math"] = False  # a $ in a name is a dollar
TRUE_COLOUR = (("B04", "B03", "B02"), ("red", "green", "blue"))
RASTER, BOXES = "prediction.tif", "boxes.parquet"
UNLABELLED = (0.92, 0.92, 0.92)
SIDE = 1000
"""Most pixels of a panel's side: no more can be seen in a picture of this size, and a scene can have any number."""


def draw_prediction(
    facts: SceneFacts, prediction: Path, classes: Sequence[str], colours: Sequence[str], title: str, path: Path
) -> None:
    """Draw imagery, labels and prediction of a scene side by side.

    Args:
        facts: The scene's facts.
        prediction: Folder of the scene's prediction: a raster of class ids, or boxes.
        classes, colours: By class id.
        title: Stands above.
        path: PNG to write.
    """
    figure, axes = plt.subplots(1, 3, figsize=(13, 5), constrained_layout=True)
    legend = draw_scene(axes, facts, prediction, classes, colours)
    figure.legend(handles=legend, loc="outside lower center", ncols=min(len(legend), 8), frameon=False)
    figure.suptitle(title)
    figure.savefig(path, dpi=110, metadata={"Software": None}, format="png")
    plt.close(figure)


def draw_scene(
    axes: Sequence[Axes], facts: SceneFacts, prediction: Path, classes: Sequence[str], colours: Sequence[str]
) -> list[Patch]:
    """Draw imagery, labels and prediction of a scene into three axes.

    Args:
        axes: Where.
        facts, prediction, classes, colours: As in :func:`draw_prediction`.

    Returns:
        What a legend says.
    """
    imagery = true_colour(facts, SIDE)
    legend = [Patch(color=colour, label=name) for name, colour in zip(classes[1:], colours[1:], strict=True)]
    if (prediction / RASTER).exists():
        shape = imagery.shape[:2]
        predicted = read_ids(prediction / RASTER, shape)
        panels = {"Labels": _coloured(label_raster(facts, shape), colours), "Prediction": _coloured(predicted, colours)}
        legend.append(Patch(color=UNLABELLED, label="unlabelled"))
    else:
        panels = dict.fromkeys(("Labels", "Prediction"), imagery)
        scale = imagery.shape[0] / facts.height
        if facts.labels is not None:
            _outline(axes[1], gpd.read_file(facts.labels, engine="pyogrio"), facts, colours, scale)
        _outline(axes[2], gpd.read_parquet(prediction / BOXES), facts, colours, scale)
    for axis, (name, panel) in zip(axes, {"Imagery": imagery, **panels}.items(), strict=True):
        axis.imshow(panel, interpolation="nearest")
        axis.set_title(name)
        axis.set_axis_off()
    return legend


def _outline(
    axis: Axes, boxes: gpd.GeoDataFrame, facts: SceneFacts, colours: Sequence[str], scale: float = 1.0
) -> None:
    """Draw boxes over an image whose axes are pixels, ``scale`` times as many as the scene has."""
    if boxes.empty:  # such a file has no columns, either
        return
    inverse = ~rasterio.Affine(*facts.transform)
    for (west, south, east, north), index in zip(
        boxes.to_crs(facts.crs).bounds.to_numpy(), boxes["class_id"], strict=True
    ):
        corners = np.array([[west, east, east, west, west], [south, south, north, north, south]])
        columns, rows = inverse * (corners[0], corners[1])
        axis.plot(scale * columns - 0.5, scale * rows - 0.5, color=colours[index], linewidth=1)


def true_colour(
    facts: SceneFacts, most: int, window: Window | None = None, by_itself: bool = False
) -> NDArray[np.float32]:
    """Read an image as red, green and blue in 0..1, each band stretched from the image's 2nd to its 98th percentile.

    Args:
        facts: The scene's facts.
        most: Read it smaller where a side has more pixels than that.
        window: A part of the image, that is returned in full.
        by_itself: Stretch that part by its own percentiles, so that something is seen in a shadow.

    Returns:
        Height × width × 3; 0 without data. Red, green and blue are found by band names, else the first three bands are
        taken.
    """
    stretched = np.nan_to_num(_stretched(facts, most, window, by_itself))
    return np.asarray(np.moveaxis(stretched, 0, -1))


def brightness(facts: SceneFacts, most: int, window: Window | None = None) -> NDArray[np.float32]:
    """Return how bright an image is, height × width, in 0..1 from its 2nd to its 98th percentile.

    Args:
        facts, most, window: As of :func:`true_colour`.

    Returns:
        The mean of what is shown as red, green and blue; not-a-number without data.
    """
    found: NDArray[np.float32] = _stretched(facts, most, window, by_itself=False).mean(axis=0)
    return found


def _stretched(facts: SceneFacts, most: int, window: Window | None, by_itself: bool) -> NDArray[np.float32]:
    bands = [index + 1 for index in shown_bands(facts.bands)]
    whole = image = _read_small(facts.image, tuple(bands), most, _changed(facts.image))
    if window is not None:
        with rasterio.open(facts.image) as dataset:
            image = _finite(dataset.read(bands, masked=True, window=window))
    known = image if by_itself and np.isfinite(image).any(axis=(1, 2)).all() else whole
    low, high = np.nan_to_num(np.nanpercentile(known, [2, 98], axis=(1, 2), keepdims=True))
    stretched: NDArray[np.float32] = np.clip((image - low) / np.maximum(high - low, 1e-9), 0, 1)
    return stretched


@lru_cache(maxsize=4)
def _read_small(image: str, bands: Sequence[int], most: int, changed: float | None) -> NDArray[np.float32]:
    """Read bands of an image, smaller where a side has more pixels; what is without data is not-a-number.

    Many windows of one image are drawn, one after the other: it is read once, unless it has changed.
    """
    with rasterio.open(image) as dataset:
        factor = max(1.0, max(dataset.shape) / most)
        shape = (len(bands), max(1, round(dataset.height / factor)), max(1, round(dataset.width / factor)))
        return _finite(dataset.read(list(bands), masked=True, out_shape=shape))


def _finite(values: Any) -> NDArray[np.float32]:
    """Have not-a-number for what is without data, in a masked array."""
    filled = values.astype(np.float32).filled(np.nan)
    return np.where(np.isfinite(filled), filled, np.float32(np.nan))


def _changed(image: str) -> float | None:
    """Say when a file was written last; None of one that is gone, or cannot be looked at."""
    try:
        return Path(image).stat().st_mtime
    except OSError:
        return None


def shown_bands(names: Sequence[str | None]) -> list[int]:
    """Choose the bands shown as red, green and blue, 0-based: by name, else the first three, or the first alone."""
    known = [(name or "").lower() for name in names]
    wanted = next((w for w in TRUE_COLOUR if all(band.lower() in known for band in w)), None)
    if wanted:
        return [known.index(band.lower()) for band in wanted]
    return [0, 1, 2] if len(names) >= 3 else [0, 0, 0]


def label_raster(facts: SceneFacts, shape: Sequence[int]) -> NDArray[np.uint8]:
    """Read a scene's class ids, height × width as asked for; all unlabelled for a scene without labels."""
    if facts.label_raster is None:
        return np.zeros(shape, np.uint8)
    return read_ids(facts.label_raster, shape)


def read_ids(path: str | Path, shape: Sequence[int]) -> NDArray[np.uint8]:
    """Read a raster of class ids in another size, height × width: every pixel is one of the raster's, none a mixture.

    Overviews are used where the file has them; no more than what is shown is in memory.
    """
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(1, out_shape=tuple(shape)))


def _coloured(raster: NDArray[np.uint8], colours: Sequence[str]) -> NDArray[Any]:
    table = np.array([UNLABELLED, *(np.array(ImageColor.getrgb(c)[:3]) / 255 for c in colours[1:])])
    return np.asarray(table[raster])
