"""A picture of a prediction beside imagery and labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import ImageColor

from swath.scenes.manifest import Facts

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Patch

TRUE_COLOUR = (("B04", "B03", "B02"), ("red", "green", "blue"))
UNLABELLED = (0.92, 0.92, 0.92)


def draw_prediction(
    facts: Facts, prediction: Path, classes: Sequence[str], colours: Sequence[str], title: str, path: Path
) -> None:
    """Draw imagery, labels and prediction of a scene side by side.

    Args:
        facts: The scene's facts.
        prediction: Raster of class ids.
        classes, colours: By class id.
        title: Stands above.
        path: PNG to write.
    """
    with rasterio.open(prediction) as dataset:
        predicted = dataset.read(1)
    panels = {
        "Imagery": true_colour(facts),
        "Labels": _coloured(label_raster(facts), colours),
        "Prediction": _coloured(predicted, colours),
    }
    figure, axes = plt.subplots(1, 3, figsize=(13, 5), constrained_layout=True)
    for axis, (name, panel) in zip(axes, panels.items(), strict=True):
        axis.imshow(panel, interpolation="nearest")
        axis.set_title(name)
        axis.set_axis_off()
    legend = [Patch(color=colour, label=name) for name, colour in zip(classes[1:], colours[1:], strict=True)]
    legend.append(Patch(color=UNLABELLED, label="unlabelled"))
    figure.legend(handles=legend, loc="outside lower center", ncols=min(len(legend), 8), frameon=False)
    figure.suptitle(title)
    figure.savefig(path, dpi=110, metadata={"Software": None}, format="png")
    plt.close(figure)


def true_colour(facts: Facts) -> NDArray[np.float64]:
    """Read an image as red, green and blue in 0..1, each band stretched from its 2nd to its 98th percentile.

    Returns:
        Height × width × 3. Red, green and blue are found by band names, else the first three bands are taken.
    """
    names = [(name or "").lower() for name in facts["bands"]]
    wanted = next((w for w in TRUE_COLOUR if all(band.lower() in names for band in w)), None)
    if wanted:
        bands = [names.index(band.lower()) + 1 for band in wanted]
    else:
        bands = [1, 2, 3] if facts["count"] >= 3 else [1, 1, 1]
    with rasterio.open(facts["image"]) as dataset:
        image = dataset.read(bands, masked=True).astype(float)
    image = np.where(np.isfinite(image.filled(np.nan)), image.data, np.nan)
    low, high = np.nan_to_num(np.nanpercentile(image, [2, 98], axis=(1, 2), keepdims=True))
    stretched = np.nan_to_num(np.clip((image - low) / np.maximum(high - low, 1e-9), 0, 1))
    return np.asarray(np.moveaxis(stretched, 0, -1))


def label_raster(facts: Facts) -> NDArray[np.uint8]:
    """Read a scene's class ids, height × width; all unlabelled for a scene without labels."""
    if facts["label_raster"] is None:
        return np.zeros((facts["height"], facts["width"]), np.uint8)
    with rasterio.open(facts["label_raster"]) as dataset:
        return np.asarray(dataset.read(1))


def _coloured(raster: NDArray[np.uint8], colours: Sequence[str]) -> NDArray[Any]:
    table = np.array([UNLABELLED, *(np.array(ImageColor.getrgb(c)[:3]) / 255 for c in colours[1:])])
    return np.asarray(table[raster])
