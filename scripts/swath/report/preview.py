"""What a model is going to see: scenes with their labels, chips as training gets them, the classes' balance."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray

from swath.config.classes import NULL_CLASS
from swath.config.tasks import DETECTION
from swath.files import publish
from swath.report.figure import draw_labels, lay_over, shown_bands, true_colour
from swath.scenes.facts import SceneFacts
from swath.training.job import TrainingJob

TEMPLATE = "preview.html.jinja"
MOST_SCENES = 12
"""Scenes shown per split; more are left out evenly."""


@dataclass(frozen=True)
class PreviewChip:
    """A chip as a model gets it.

    Attributes:
        image: float (bands, height, width) in 0..1.
        target: Class ids (height, width), one class id, or boxes (N, 5): top, left, bottom, right, class id.
    """

    image: NDArray[Any]
    target: Any


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
    classes, colours = training.classes, training.colours
    loader = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(TEMPLATE)
    outlines = training.options.task == DETECTION
    parts = {split: [s for s in scenes if s.split == split] for split in ("train", "validation", "test")}
    parts = {split: held for split, held in parts.items() if held}
    page = template.render(
        name=training.name,
        colours={name: colour for name, colour in zip(classes, colours, strict=True) if name != NULL_CLASS},
        balance={split: _balance(held, classes) for split, held in parts.items()},
        counts=counts,
        scenes={split: _scene_pictures(held, colours, outlines) for split, held in parts.items()},
        numbers={split: len(held) for split, held in parts.items()},
        chips=[_chip_picture(chip, shown_bands(bands), classes, colours) for chip in chips],
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


def _evenly(scenes: Sequence[SceneFacts]) -> list[SceneFacts]:
    """Choose at most ``MOST_SCENES``, evenly."""
    if len(scenes) <= MOST_SCENES:
        return list(scenes)
    return [scenes[round(index)] for index in np.linspace(0, len(scenes) - 1, MOST_SCENES)]


def _scene_pictures(scenes: Sequence[SceneFacts], colours: Sequence[str], outlines: bool) -> list[dict[str, str]]:
    pictures = []
    for facts in _evenly(scenes):
        figure, axes = plt.subplots(1, 2, figsize=(7, 3.6), constrained_layout=True)
        image = true_colour(facts, most=600)
        for axis in axes:
            axis.imshow(image, interpolation="nearest")
            axis.set_axis_off()
        draw_labels(axes[1], facts, image.shape[:2], colours, outlines)
        pictures.append({"id": facts.id, "picture": _embedded(figure)})
    return pictures


def _chip_picture(chip: PreviewChip, shown: Sequence[int], classes: Sequence[str], colours: Sequence[str]) -> str:
    """Draw a chip, with its class above, or beside itself with labels on top."""
    target = np.asarray(chip.target)
    panels = 1 if target.ndim == 0 else 2
    figure, axes = plt.subplots(1, panels, figsize=(2 * panels, 2.2), constrained_layout=True, squeeze=False)
    for axis in axes[0]:
        axis.imshow(np.moveaxis(chip.image[list(shown)], 0, -1), interpolation="nearest", vmin=0, vmax=1)
        axis.set_axis_off()
    if target.ndim == 0:
        axes[0, 0].set_title(classes[int(target)], fontsize=9)
    elif target.shape == chip.image.shape[1:]:
        lay_over(axes[0, 1], target.astype(int), colours)
    else:
        _draw_boxes(axes[0, 1], target.reshape(-1, 5), colours)
    return _embedded(figure)


def _draw_boxes(axis: Axes, boxes: NDArray[Any], colours: Sequence[str]) -> None:
    limits = axis.get_xlim(), axis.get_ylim()
    for top, left, bottom, right, index in boxes:
        across, down = np.array([left, right, right, left, left]), np.array([top, top, bottom, bottom, top])
        axis.plot(across - 0.5, down - 0.5, color=colours[int(index)], linewidth=1)
    axis.set_xlim(limits[0])
    axis.set_ylim(limits[1])


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


def _embedded(figure: Any) -> str:
    """Turn a figure into what an HTML image takes for its source."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=90, format="png", metadata={"Software": None})
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
