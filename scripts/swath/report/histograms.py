"""How often which values occur in images, by band and split: of a bounded sample, as shapes for a page."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from swath.checks.pixels import sample_windows
from swath.files import read_json
from swath.scenes.analyze import STANDARD_DEVIATIONS
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import channel_order

MOST_BINS = 48
KERNEL = np.array([1, 2, 3, 2, 1]) / 9
"""Smooths counts: values that were compressed, or stretched before, come in uneven steps."""
MOST_SCENES = 24
"""Of a split that are read, evenly chosen."""
MOST_VALUES = 20_000
"""Of a band of a scene."""
SHOWN = (0.1, 99.9)
"""Percentiles between which values are shown; what lies outside is counted at the ends."""
WIDTH, HEIGHT = 240.0, 90.0

log = logging.getLogger("swath.preview")
Values = NDArray[np.float64]


@dataclass(frozen=True)
class BandHistogram:
    """How often which values of a band occur.

    Attributes:
        name: Of the band.
        low, high: The values at the ends of the axis.
        lines: Split → the points of a line, as SVG takes them, in a picture of 240 × 90.
        median: Split → the value in the middle.
        stretched: Left end and width, in the same picture, of what normalisation makes 0 to 1; None without it.
        limits: The values there.
    """

    name: str
    low: float
    high: float
    lines: Mapping[str, str]
    median: Mapping[str, float]
    stretched: tuple[float, float] | None
    limits: tuple[float, float] | None


def band_histograms(
    scenes: Mapping[str, Sequence[SceneFacts]],
    wanted: Sequence[str | int] | None,
    names: Sequence[str],
    stats: str | None,
) -> list[BandHistogram]:
    """Count the raw values of the bands that a model sees.

    Args:
        scenes: Split → its scenes.
        wanted: `imagery.bands`.
        names: Of these bands.
        stats: What normalises the imagery (stats.json), if it is normalised.
    """
    samples = {split: [_sample(facts, wanted) for facts in evenly(held, MOST_SCENES)] for split, held in scenes.items()}
    limits = _limits(stats, len(names))
    return [
        _histogram(name, {split: _values(of_split, index) for split, of_split in samples.items()}, limits[index])
        for index, name in enumerate(names)
    ]


def evenly(scenes: Sequence[SceneFacts], most: int) -> list[SceneFacts]:
    """Choose at most so many scenes, evenly."""
    if len(scenes) <= most:
        return list(scenes)
    return [scenes[round(index)] for index in np.linspace(0, len(scenes) - 1, most)]


def _sample(facts: SceneFacts, wanted: Sequence[str | int] | None) -> list[Values]:
    """Read some values with data of every band; none of an image that cannot be read any more."""
    bands = [band + 1 for band in channel_order(facts, wanted)]
    try:
        with rasterio.open(facts.image) as dataset:
            windows = sample_windows(dataset.width, dataset.height, len(bands), dataset.block_shapes[0])
            parts = [dataset.read(bands, window=window, masked=True) for window in windows]
    except RasterioIOError as error:
        log.warning("%s: its image cannot be read: %s", facts.id, error)
        return []
    return [_thinned([part[index].compressed() for part in parts]) for index in range(len(bands))]


def _thinned(parts: Sequence[NDArray[Any]]) -> Values:
    values = np.concatenate(parts).astype(np.float64)
    values = values[np.isfinite(values)]
    return values[:: max(1, -(-len(values) // MOST_VALUES))]


def _values(samples: Sequence[Sequence[Values]], index: int) -> Values:
    there = [sample[index] for sample in samples if sample]
    return np.concatenate(there) if there else np.empty(0)


def _limits(stats: str | None, bands: int) -> list[tuple[float, float] | None]:
    """Return the values that normalisation makes 0 and 1, of each band."""
    if stats is None:
        return [None] * bands
    content = read_json(Path(stats))
    means, stds = (np.broadcast_to(np.asarray(content[key], float), bands) for key in ("means", "stds"))
    reach = STANDARD_DEVIATIONS * stds
    return [(float(low), float(high)) for low, high in zip(means - reach, means + reach, strict=True)]


def _histogram(name: str, values: Mapping[str, Values], limits: tuple[float, float] | None) -> BandHistogram:
    values = {split: of_split for split, of_split in values.items() if of_split.size}
    every = np.concatenate(list(values.values())) if values else np.zeros(1)
    low, high = (float(value) for value in np.percentile(every, SHOWN))
    high = high if high > low else low + 1.0
    edges = _edges(every, low, high)
    shares = {split: _shares(of_split, edges) for split, of_split in values.items()}
    largest = max((float(of_split.max()) for of_split in shares.values()), default=1.0)
    medians = {split: float(np.median(of_split)) for split, of_split in values.items()}
    lines = {split: _line(of_split / largest) for split, of_split in shares.items()}
    ends = float(edges[0]), float(edges[-1])
    return BandHistogram(name, *ends, lines, medians, _place(limits, *ends), limits)


def _shares(values: Values, edges: Values) -> Values:
    """Count values in bins, those beside them in the first and the last one, as smoothed shares of all."""
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / values.size
    smoothed: Values = np.convolve(np.pad(counts, 2, mode="edge"), KERNEL, mode="valid")
    return smoothed


def _edges(values: Values, low: float, high: float) -> Values:
    """Return the edges of bins; of values that come in steps, each holds as many steps, or counts would be a comb."""
    if not (values == values.round()).all():
        return np.linspace(low, high, MOST_BINS + 1).astype(np.float64)
    step = max(int(np.gcd.reduce(np.diff(np.unique(values)).astype(np.int64), initial=0)), 1)
    width = step * max(1, math.ceil((high - low + step) / step / MOST_BINS))
    first = low - 0.5 * step
    return np.asarray(first + width * np.arange(max(2, math.ceil((high + 0.5 * step - first) / width) + 1)), float)


def _line(heights: Values) -> str:
    """Return the points of a line over bins, from 0 to 1 high."""
    places = (np.arange(len(heights)) + 0.5) / len(heights) * WIDTH
    return " ".join(f"{x:.1f},{HEIGHT * (1 - 0.95 * y):.1f}" for x, y in zip(places, heights, strict=True))


def _place(limits: tuple[float, float] | None, low: float, high: float) -> tuple[float, float] | None:
    if limits is None:
        return None
    left, right = (min(max((edge - low) / (high - low), 0.0), 1.0) * WIDTH for edge in limits)
    return left, right - left
