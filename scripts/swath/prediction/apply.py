"""New images: a part of one, or several whole ones, as what is put together to a map later."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from swath.config.apply import Apply
from swath.config.classes import NULL_CLASS_ID
from swath.config.predict import Window
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION
from swath.files import publish_directory, published, read_state, sha256, write_json
from swath.job.gpus import warn_of_unseen_gpus
from swath.job.progress import Progress
from swath.metrics.boxes import EDGES
from swath.prediction.ahead import ahead
from swath.prediction.bundles import NewImagery, load_models
from swath.prediction.engine import predict_pixels, predict_windows, windows_of_pixels
from swath.prediction.grid import Grid, Lattice, Span
from swath.prediction.model import Predictor
from swath.prediction.pixels import PixelRows, uncertainty_of
from swath.prediction.products import boxes_of, cache_options
from swath.prediction.strips import Layer, Strips
from swath.products.maps import BLOCK, NO_SHARE, Place, as_bytes, plain_raster_writer
from swath.rv.stores import STORES
from swath.scenes.areas import area_on_image, outside_of
from swath.scenes.facts import SceneFacts
from swath.scenes.neighbours import Placed, Surroundings, surroundings
from swath.scenes.new_images import describe_images, with_checksums
from swath.scenes.no_data import NoData
from swath.scenes.paths import paths_of
from swath.scenes.scene import Scene
from swath.scenes.states import Files
from swath.scenes.trained_on import BundledModel, read_bundle, resolved_window
from swath.versions import EXPERIMENT as VERSIONS

PREDICTION, CONFIDENCE, SCORES, UNCERTAINTY = "prediction.tif", "confidence.tif", "scores.tif", "uncertainty.tif"
BOXES, CELLS = "boxes.parquet", "cells.parquet"
MADE_FROM = "made-from.json"
"""Lies beside what was predicted of a part: of what it was made."""

log = logging.getLogger("swath.apply")


@dataclass(frozen=True)
class PartOfImage:
    """What one job predicts of one image.

    Attributes:
        facts: The image.
        part, parts: Which part of its rows, from 1, and how many there are.
        around: The image with what lies around it, if it does not lie alone.
    """

    facts: SceneFacts
    part: int
    parts: int
    around: Surroundings | None = None

    @property
    def rows(self) -> Span:
        """The rows: whole blocks of a file, as evenly as that goes."""
        return rows_of_part(self.facts.height, self.part, self.parts)

    @property
    def seen(self) -> SceneFacts:
        """The raster that windows see."""
        return self.around.frame if self.around else self.facts

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of that raster at which the image begins."""
        return (self.around.row, self.around.column) if self.around else (0, 0)

    @property
    def layers(self) -> Sequence[Placed]:
        """The image, and those around it that windows see."""
        return self.around.layers if self.around else [Placed(self.facts, 0, 0)]

    @property
    def made_of(self) -> list[JsonValue]:
        """What windows see: the images with their files' checksums and their places, and where windows stand."""
        seen: list[JsonValue] = [[one.row, one.column, dict(one.facts.inputs["image"])] for one in self.layers]
        return [seen, [*self.around.anchor, self.seen.height, self.seen.width] if self.around else []]

    @property
    def folder(self) -> Path:
        """Where it goes, within the map's folder of parts."""
        return Path(self.facts.maps, f"{self.part}-of-{self.parts}")


def rows_of_part(height: int, part: int, parts: int) -> Span:
    """Return the rows of one of so many parts of an image, which may be none."""
    blocks = -(-height // BLOCK)
    first, last = ((number * blocks // parts) * BLOCK for number in (part - 1, part))
    return min(first, height), min(last, height)


def apply_to_images(
    images: Sequence[Scene],
    wanted: Collection[str],
    part: tuple[int, int],
    settings: Apply,
    bundles: Sequence[str],
    folder: Path,
    manifest: Path,
) -> None:
    """Predict a part of new images.

    Every image gets a folder ``<folder>/<the image's maps>/<part>-of-<parts>/``, published whole: rasters of class ids
    and of the mean score of each pixel's class, and where they are asked for of all scores and of uncertainty; boxes
    with any score; or cells. What was made from the same models, images and settings is passed over.

    Args:
        images: The images, and those of a mosaic that may lie around them, in the order given.
        wanted: Ids of those that are predicted.
        part: Which part of their rows, from 1, and how many there are.
        settings: The section `apply`.
        bundles: The models.
        folder: Where the parts go.
        manifest: JSON to write: the parts' folders.
    """
    warn_of_unseen_gpus(torch.cuda.device_count())
    model = read_bundle(bundles[0])
    window = resolved_window(model, settings.predict)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        facts = describe_images(images, settings, work)
        around = surroundings(facts, wanted, margin_of(model, settings, window))
        needed = {*wanted, *(layer.facts.id for one in around.values() for layer in one.layers)}
        known = {one.id: one for one in with_checksums([one for one in facts if one.id in needed], images)}
        parts = [PartOfImage(known[one], *part, _with(around.get(one), known)) for one in known if one in wanted]
        written = list(_predicted(parts, settings, window, bundles, folder, work))
    write_json(manifest, {"parts": written})


def _predicted(
    parts: Sequence[PartOfImage],
    settings: Apply,
    window: Window,
    bundles: Sequence[str],
    folder: Path,
    work: Path,
) -> Iterator[dict[str, Any]]:
    """Predict parts that are not there already; the models are loaded for the first of them."""
    area, models = paths_of(settings.aoi), None
    made_from: dict[str, JsonValue] = {
        "version": VERSIONS["apply_part"],
        "models": [sha256(bundle) for bundle in bundles],
        "window": window.model_dump(mode="json", exclude_none=True),
        "read": settings.model_dump(mode="json", include={"files", "bands", "nodata"}),
        "aoi": dict(Files().checksums(settings.aoi)),
    }
    for part in parts:
        target = folder / part.folder
        of_part = {**made_from, "images": part.made_of}
        is_known = all(one.facts.inputs["image"] for one in part.layers)  # nothing is of files on another machine
        if is_known and is_made_from(target, of_part):
            log.info("%s: part %d of %d is there already", part.facts.id, part.part, part.parts)
            published.append(target)
        else:
            models = models or load_models(bundles, window, settings.predict.batch_size, settings.bands, work)
            with publish_directory(target) as unfinished:
                applied = Applied(part, models[0], models[1], window, outside_for(area, part.facts, part.seen))
                _WRITERS[models[1].model.task](applied, unfinished)
                files = {file.name: sha256(file) for file in sorted(unfinished.iterdir())}
                write_json(unfinished / MADE_FROM, {**of_part, "files": files})
            log.info("%s: part %d of %d predicted", part.facts.id, part.part, part.parts)
        yield {"image": part.facts.id, "rows": list(part.rows), "folder": str(part.folder)}


def is_made_from(folder: Path, made_from: dict[str, Any]) -> bool:
    """Tell whether a part was made from the very same models, image and settings, and is all there."""
    before = read_state(folder / MADE_FROM, files=dict)
    if before is None or {**made_from, "files": before["files"]} != before:
        return False
    there = {file.name: sha256(file) for file in sorted(folder.iterdir()) if file.name != MADE_FROM}
    return bool(there == before["files"])


def outside_for(area: Sequence[str], facts: SceneFacts, seen: SceneFacts) -> NoData | None:
    """Say which pixels lie outside the area of interest; None where there is no area, but everything.

    Args:
        area: Files of the area.
        facts: The image.
        seen: The image with what lies around it.
    """
    return outside_of(area_on_image(area, facts), seen) if area else None


def margin_of(model: BundledModel, settings: Apply, window: Window) -> int:
    """Return how far around an image others matter, in pixels: cells are looked at one by one."""
    return window.chip_size if settings.mosaic and model.task != CLASSIFICATION else -1


def _with(around: Surroundings | None, known: Mapping[str, SceneFacts]) -> Surroundings | None:
    """Put what is known of images, with their checksums, into what lies around one."""
    if around is None:
        return None
    return replace(around, layers=tuple(replace(one, facts=known[one.facts.id]) for one in around.layers))


@dataclass(frozen=True)
class Applied:
    """A part of an image that is about to be predicted.

    Attributes:
        part: The part.
        model: What predicts.
        imagery: How the image is read.
        window: The prediction window.
        outside: Says which pixels lie outside the area of interest, if there is one.
    """

    part: PartOfImage
    model: Predictor
    imagery: NewImagery
    window: Window
    outside: NoData | None

    @property
    def grid(self) -> Grid:
        """The places of the window."""
        seen, window, around = self.part.seen, self.window, self.part.around
        if around is None:
            return Grid(seen.height, seen.width, window.chip_size, window.stride, window.crop or None)
        facts = self.part.facts
        return Lattice(
            seen.height,
            seen.width,
            window.chip_size,
            window.stride,
            window.crop or None,
            around.anchor,
            (around.row, around.row + facts.height),
            (around.column, around.column + facts.width),
        )

    @property
    def rows(self) -> Span:
        """The part's rows, of the raster that windows see."""
        first, last = self.part.rows
        return first + self.part.corner[0], last + self.part.corner[0]

    @property
    def columns(self) -> Span:
        """The image's columns, of the raster that windows see."""
        column = self.part.corner[1]
        return column, column + self.part.facts.width

    @property
    def place(self) -> Place:
        """Where the part lies."""
        facts = self.part.facts
        return Place(facts.crs, facts.transform, facts.height, facts.width).rows(*self.part.rows)

    @contextmanager
    def begin(self, windows: int) -> Iterator[tuple[Strips, Progress]]:
        """Open the image, and show how far its prediction is.

        Args:
            windows: How many there are.
        """
        source = self.imagery.source(self.part.facts)
        layers = [Layer.of(self.imagery.source(one.facts), one.row, one.column) for one in self.part.layers[1:]]
        if layers:
            layers.insert(0, Layer.of(source, *self.part.corner))
        strips = Strips(source, self.outside, layers, (self.part.seen.height, self.part.seen.width))
        name = f"{self.part.facts.id}, part {self.part.part} of {self.part.parts}"
        with (
            rasterio.Env(**cache_options(strips.cache)),
            Progress(log, name, windows, "windows") as progress,
        ):
            yield strips, progress

    def windows(self) -> Iterator[tuple[Any, Any]]:
        """Predict windows that are results of their own: those that begin in the part."""
        first, last = self.rows
        if first == last:
            return
        if self.part.rows[0] == 0:  # with those that begin above the image
            first = 0
        tops = [top for top in self.grid.tops if first <= max(top, 0) < last]
        with self.begin(len(tops) * len(self.grid.lefts)) as (strips, progress):
            yield from predict_windows(self.model, strips, self.grid, (first, last), progress)


def _write_pixels(applied: Applied, folder: Path) -> None:
    """Write rasters of a part's rows."""
    first, last = applied.rows
    if first == last:
        return
    classes = len(applied.imagery.model.classes)
    names = list(applied.imagery.model.classes[1:])
    window = applied.window
    with ExitStack() as stack:

        def raster(name: str, bands: Sequence[str], nodata: int) -> Any:
            return stack.enter_context(plain_raster_writer(applied.place, bands, nodata, folder / name))

        write_labels = raster(PREDICTION, ["class"], NULL_CLASS_ID)
        write_confidence = raster(CONFIDENCE, ["score"], NO_SHARE)
        write_scores = raster(SCORES, names, NO_SHARE) if window.scores else None
        write_uncertainty = raster(UNCERTAINTY, [window.uncertainty], NO_SHARE) if window.uncertainty else None
        strips, progress = stack.enter_context(
            applied.begin(windows_of_pixels(applied.grid, applied.rows, applied.columns))
        )
        predicted = predict_pixels(
            applied.model,
            strips,
            applied.grid,
            classes,
            window.smooth or False,
            (first, last),
            applied.columns,
            progress,
            with_scores=True,
        )
        for rows in ahead(predicted):
            assert rows.scores is not None
            row, column = rows.row - first, rows.column - applied.columns[0]
            write_labels(row, rows.labels, column)
            write_confidence(row, _known(rows, _of_winner(rows)), column)
            if write_scores:
                write_scores(row, _known(rows, np.delete(rows.scores, NULL_CLASS_ID, 0)), column)
            if write_uncertainty and window.uncertainty:
                write_uncertainty(row, _known(rows, uncertainty_of(rows.scores, window.uncertainty)), column)


def _of_winner(rows: PixelRows) -> NDArray[np.float32]:
    """Return the score of each pixel's class."""
    assert rows.scores is not None
    winners: NDArray[np.float32] = np.take_along_axis(rows.scores, rows.labels[None].astype(np.intp), 0)[0]
    return winners


def _known(rows: PixelRows, shares: NDArray[Any]) -> NDArray[np.uint8]:
    """Write shares in 8 bits; there are none where there is no class."""
    return as_bytes(np.where(rows.labels == NULL_CLASS_ID, np.nan, shares.clip(0, 1)))


def _write_boxes(applied: Applied, folder: Path) -> None:
    """Write the boxes that the part's windows see, each as often as they do."""
    least = STORES[DETECTION].candidates(applied.window).score_threshold
    found = boxes_of(applied.windows())
    kept = found.get_scores() >= least
    table = pd.DataFrame(found.get_npboxes()[kept], columns=EDGES)
    table["class_id"], table["score"] = found.get_class_ids()[kept].astype(int), found.get_scores()[kept]
    table.to_parquet(folder / BOXES)


def _write_cells(applied: Applied, folder: Path) -> None:
    """Write the part's cells: edges in pixels, and a score per class."""
    classes = applied.imagery.model.classes
    found = list(applied.windows())
    logits = torch.tensor(np.array([output for _, output in found], np.float32)).reshape(-1, len(classes))
    logits[:, NULL_CLASS_ID] = -torch.inf
    table = pd.DataFrame(np.array([list(cell) for cell, _ in found], float).reshape(-1, 4), columns=EDGES)
    scores = logits.softmax(dim=1).numpy()
    for index in range(1, len(classes)):
        table[f"score {index}"] = scores[:, index]
    table.to_parquet(folder / CELLS)


_WRITERS = {SEGMENTATION: _write_pixels, DETECTION: _write_boxes, CLASSIFICATION: _write_cells}
