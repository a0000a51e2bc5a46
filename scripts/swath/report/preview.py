"""What a model is going to see: scenes with their labels, chips as training gets them, the classes' balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from swath.checks.pixels import footprint
from swath.config.classes import NULL_CLASS
from swath.config.tasks import DETECTION
from swath.files import publish
from swath.pages.locator import Footprint, locate
from swath.pages.template import template
from swath.report.figure import read_ids, shown_bands
from swath.report.histograms import band_histograms, evenly
from swath.report.outlines import outlines_of_areas, outlines_of_boxes
from swath.report.pictures import as_webp, edges_in_pixels, imagery_picture, shape_of
from swath.scenes.facts import SceneFacts
from swath.scenes.scene import SPLITS
from swath.training.job import TrainingJob

TEMPLATE = Path(__file__).with_name("preview.html.jinja")
MOST_SCENES = 12
"""Scenes shown per split; more are left out evenly."""
SIDE = 600
"""Most pixels of a scene's side."""
CHIP = 256
"""About so many pixels a chip's side has as it is shown."""


@dataclass(frozen=True)
class PreviewChip:
    """A chip as a model gets it.

    Attributes:
        image: float (bands, height, width) in 0..1.
        target: Class ids (height, width), one class id, or boxes (N, 5): top, left, bottom, right, class id.
    """

    image: NDArray[Any]
    target: Any


@dataclass(frozen=True)
class Picture:
    """Imagery, and what lies over it.

    Attributes:
        name: What stands below.
        image: A data URI; None of an image that cannot be read.
        outlines: The labels as a data URI, transparent where there are none; None without labels.
        width: Of the picture as it is shown, pixels.
    """

    name: str
    image: str | None
    outlines: str | None
    width: int


def write_preview(
    path: Path,
    training: TrainingJob,
    scenes: Sequence[SceneFacts],
    chips: Sequence[PreviewChip],
    counts: Mapping[str, int],
    bands: Sequence[str],
) -> None:
    """Write one self-contained HTML page.

    Args:
        path: The page.
        training: The training that is going to see it.
        scenes: Facts of all scenes.
        chips: Some training chips.
        counts: Split → number of chips.
        bands: Names of the bands the model sees.
    """
    classes, colours, options = training.classes, training.colours, training.options
    parts = {split: [s for s in scenes if s.split == split] for split in SPLITS}
    parts = {split: held for split, held in parts.items() if held}
    pictures = {
        split: [scene_picture(facts, colours, options.task == DETECTION) for facts in evenly(held, MOST_SCENES)]
        for split, held in parts.items()
    }
    page = template(TEMPLATE).render(
        name=training.name,
        colours={name: colour for name, colour in zip(classes, colours, strict=True) if name != NULL_CLASS},
        balance={split: _balance(held, classes) for split, held in parts.items()},
        counts=counts,
        map=locate([Footprint(facts.id, facts.split, footprint(facts)) for facts in scenes]),
        links={one.name: f"#{split}-{number}" for split, of in pictures.items() for number, one in enumerate(of)},
        scenes=pictures,
        numbers={split: len(held) for split, held in parts.items()},
        chips=[chip_picture(chip, shown_bands(bands), classes, colours) for chip in chips],
        histograms=band_histograms(parts, options.imagery.bands, bands, options.stats),
        bands=_band_table(chips, bands),
    )
    with publish(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _balance(scenes: Sequence[SceneFacts], classes: Sequence[str]) -> dict[str, float]:
    """Share of every class among a split's labelled pixels."""
    pixels = {
        name: sum((scene.labelled_pixels or {}).get(name, 0) for scene in scenes)
        for name in classes
        if name != NULL_CLASS
    }
    total = sum(pixels.values())
    return {name: number / total if total else 0.0 for name, number in pixels.items()}


def scene_picture(facts: SceneFacts, colours: Sequence[str], has_boxes: bool) -> Picture:
    """Draw a scene's image, and its labels as outlines.

    Args:
        facts: The scene.
        colours: By class id.
        has_boxes: Whether its labels are boxes, as object detection has them.
    """
    shape, outlines = shape_of(facts, SIDE), None
    if facts.label_raster is not None and has_boxes and facts.labels is not None:
        labels = gpd.read_file(facts.labels, engine="pyogrio")
        edges = edges_in_pixels(labels, facts) * (shape[0] / facts.height)
        outlines = outlines_of_boxes(edges, labels["class_id"].tolist() if len(labels) else [], shape, colours)
    elif facts.label_raster is not None:
        outlines = outlines_of_areas(read_ids(facts.label_raster, shape), colours)
    drawn = None if outlines is None else as_webp(outlines)
    return Picture(facts.id, imagery_picture(facts, SIDE), drawn, max(shape[1], 120))


def chip_picture(chip: PreviewChip, shown: Sequence[int], classes: Sequence[str], colours: Sequence[str]) -> Picture:
    """Draw a chip, with its class below, or its labels as outlines.

    Args:
        chip: The chip.
        shown: Which of its bands are red, green and blue.
        classes, colours: By class id.
    """
    target = np.asarray(chip.target)
    image = np.moveaxis(chip.image[list(shown)], 0, -1)
    times = max(1, round(CHIP / image.shape[1]))
    shape = (image.shape[0] * times, image.shape[1] * times)
    pixels = Image.fromarray((255 * image.clip(0, 1)).round().astype(np.uint8)).resize(
        shape[::-1], Image.Resampling.NEAREST
    )
    name, outlines = "", None
    if target.ndim == 0:
        name = classes[int(target)]
    elif target.shape == chip.image.shape[1:]:
        outlines = outlines_of_areas(np.kron(target, np.ones((times, times))).astype(np.uint8), colours)
    else:
        boxes = target.reshape(-1, 5)
        outlines = outlines_of_boxes(times * boxes[:, [1, 0, 3, 2]], boxes[:, 4].astype(int).tolist(), shape, colours)
    return Picture(
        name, as_webp(np.asarray(pixels)), None if outlines is None else as_webp(outlines), min(shape[1], CHIP)
    )


def _band_table(chips: Sequence[PreviewChip], bands: Sequence[str]) -> list[dict[str, str | float]]:
    """Say which values the model gets, by band, over the chips shown."""
    rows: list[dict[str, str | float]] = []
    for index, name in enumerate(bands):
        values = np.concatenate([chip.image[index].ravel() for chip in chips]) if chips else np.zeros(1)
        rows.append(
            {
                "name": name,
                "min": float(values.min()),
                "mean": float(values.mean()),
                "max": float(values.max()),
                "zero": float((values == 0).mean()),
                "full": float((values == 1).mean()),
            }
        )
    return rows
