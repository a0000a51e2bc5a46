"""The stage `analyze`: what normalises the imagery, from every pixel of the training scenes.

Raster Vision's StatsAnalyzer gives the same means and deviations for ordinary imagery. It is not used, because one
window in which one band is empty makes everything not-a-number, as does one infinite value.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from swath.config.imagery import Imagery, Range
from swath.files import write_json
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import band_name, channel_order, check_imagery

STANDARD_DEVIATIONS = 3  # what Raster Vision's StatsTransformer clips at
WINDOW = 1024  # pixels, of a side
MANY_ZEROS = 0.01  # share of a band's pixels
DARK = 8 / 255  # of the range: a pixel of value 0 that should be no darker is told
log = logging.getLogger("swath.analyze")


def analyze(scenes: Sequence[SceneFacts], imagery: Imagery, output: Path) -> None:
    """Write the statistics that normalise the imagery.

    Raster Vision's StatsTransformer maps mean ± 3 standard deviations to 0..255; for ranges, means and deviations are
    chosen so that ``min`` becomes 0 and ``max`` becomes 255. Pixels of value 0 count as without data, as they do for
    the StatsTransformer, which leaves them 0.

    Args:
        scenes: The training scenes; none for a fixed range.
        imagery: The `imagery` settings, a range with the limits that the plan has resolved.
        output: stats.json with `means` and `stds` (one for all bands, or one per band in the order of the bands, in
            the images' unit), `counts` (pixels), and, where pixels were read, `minima`, `maxima` and `zeros` (the share
            of pixels that are 0 among those that have data).

    Raises:
        UserError: If a scene does not have the bands.
    """
    normalize = imagery.normalize
    if isinstance(normalize, Range):
        low, high = (np.atleast_1d(edge) for edge in (normalize.min, normalize.max))
        write_json(output, {**_from_range(low, high), "counts": None})
        return
    check_imagery(scenes, imagery)
    moments = [Moments() for _ in channel_order(scenes[0], imagery.bands)]
    for facts in scenes:
        for pixels in windows_with_data(facts.image, channel_order(facts, imagery.bands)):
            for band, values in zip(moments, pixels, strict=True):
                band.add(values.compressed())
    names = [band_name(scenes[0], index) for index in channel_order(scenes[0], imagery.bands)]
    _fill(moments, names)
    low, high = (np.array([getattr(band, edge) for band in moments]) for edge in ("low", "high"))
    if normalize == "min_max":
        statistics = _from_range(low, high)
    else:
        deviations = [math.sqrt(band.squares / max(band.count, 1)) for band in moments]
        statistics = {"means": [band.mean for band in moments], "stds": [value or 1.0 for value in deviations]}
    zeros = [band.zeros / max(band.zeros + band.count, 1) for band in moments]
    _tell_zeros(zeros, statistics, names, scenes[0].dtype)
    counts = [band.count for band in moments]
    extremes = {"minima": low.tolist(), "maxima": high.tolist()}
    write_json(output, {**statistics, **extremes, "counts": counts, "zeros": zeros})


@dataclass
class Moments:
    """Running statistics of a band, in double precision.

    Windows are joined as in Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance".
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    zeros: int = 0

    def add(self, values: NDArray[Any]) -> None:
        """Add a window's values that have data, zeros included, which are counted apart."""
        self.zeros += int(np.count_nonzero(values == 0))
        values = values[values != 0].astype(np.float64)
        if not values.size:
            return
        mean, count = float(values.mean()), self.count + values.size
        difference = mean - self.mean
        self.squares += float(np.square(values - mean).sum()) + difference**2 * self.count * values.size / count
        self.mean += difference * values.size / count
        self.count = count
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))


def windows_with_data(image: str, bands: Sequence[int]) -> Iterator[np.ma.MaskedArray[Any, Any]]:
    """Read an image window by window.

    Args:
        image: The image.
        bands: 0-based indices.

    Yields:
        Bands × height × width, of the image's type; masked is what the file declares as without data, what is not
        finite, and what is 0 in every one of several bands: an empty margin, whatever the file says.
    """
    with rasterio.open(image) as dataset:
        for row, column in product(range(0, dataset.height, WINDOW), range(0, dataset.width, WINDOW)):
            window = Window(column, row, min(WINDOW, dataset.width - column), min(WINDOW, dataset.height - row))
            pixels = dataset.read([band + 1 for band in bands], window=window, masked=True)
            hidden = np.ma.getmaskarray(pixels) | ~np.isfinite(pixels.data)
            if len(bands) > 1:
                hidden |= (pixels.data == 0).all(axis=0)
            yield np.ma.MaskedArray(pixels.data, hidden)


def _from_range(low: NDArray[Any], high: NDArray[Any]) -> dict[str, list[float]]:
    span = np.where(high > low, high - low, 1.0)  # a band of one value tells nothing, but must not divide by zero
    return {"means": ((low + high) / 2).tolist(), "stds": (span / (2 * STANDARD_DEVIATIONS)).tolist()}


def _fill(moments: Sequence[Moments], names: Sequence[str]) -> None:
    """Take a band without any data for one of zeros, which it stays: there is nothing to normalise."""
    for name, band in zip(names, moments, strict=True):
        if not band.count:
            log.warning("band %s: no pixel with data in the training scenes (not 0, finite, not nodata)", name)
            band.low = band.high = 0.0


def _tell_zeros(
    zeros: Sequence[float], statistics: Mapping[str, Sequence[float]], names: Sequence[str], dtype: str
) -> None:
    """Warn where many pixels are 0 and 0 is no dark value: they will be the darkest, as if without data."""
    if dtype == "uint8":
        return
    for name, share, mean, std in zip(names, zeros, statistics["means"], statistics["stds"], strict=True):
        brightness = 0.5 - mean / std / (2 * STANDARD_DEVIATIONS)
        if MANY_ZEROS < share < 1 and brightness > DARK:
            log.warning(
                "band %s: %.0f %% of the values are 0, which Raster Vision takes for pixels without data. If they are, "
                "say `imagery.nodata: 0`; if 0 is a value, `imagery.normalize` with a range that starts at 0 is exact.",
                name,
                100 * share,
            )
