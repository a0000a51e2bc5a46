"""Maps of classes as anybody may have made them: their classes, how much of each there is, points within them.

Read block by block: a map may be larger than memory.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.windows import Window

from swath.config.classes import NULL_CLASS
from swath.errors import Problem, UserError
from swath.products.areas import PixelAreas
from swath.products.maps import Place

ROWS = 256
"""Rows that are read at once."""
NO_DATA, OUTSIDE = -1, -2
"""Stand for a class id where there is none."""
MOST_CLASSES = 65_535
"""The largest id: that of 16 bits."""
GREY = "#8a8a8a"


@dataclass(frozen=True)
class ClassMaps:
    """One map, or several with the same classes.

    Attributes:
        paths: Files of class ids.
        places: Where they lie.
        names: Class names by id, as far as the files or the config say them; without the null class.
        colours: Colours by id (#rrggbb), as far as the files say them.
    """

    paths: tuple[str, ...]
    places: tuple[Place, ...]
    names: Mapping[int, str]
    colours: Mapping[int, str]

    @property
    def crs(self) -> CRS:
        """The CRS that all maps have, or else EPSG:4326."""
        found = {crs_of(place).to_wkt(): crs_of(place) for place in self.places}
        return next(iter(found.values())) if len(found) == 1 else CRS("EPSG:4326")


@dataclass(frozen=True)
class ClassTotals:
    """How much there is of a class.

    Attributes:
        id: Its id.
        name: Its name.
        pixels: How many.
        area: What they take on the ground, m².
        largest: Area of the largest pixel, or a little more, m².
        blocks: Number of its pixels by block: number of the map, first row.
    """

    id: int
    name: str
    pixels: int
    area: float
    largest: float
    blocks: Mapping[tuple[int, int], int]


def crs_of(place: Place) -> CRS:
    """Return the CRS of a place in the words of pyproj."""
    return CRS.from_user_input(rasterio.CRS.from_user_input(place.crs).to_wkt())


def open_maps(paths: Sequence[str], classes: Mapping[int, str] | None = None) -> ClassMaps:
    """Read the headers of maps.

    Args:
        paths: GeoTIFFs, or what else GDAL reads, of class ids in their first band.
        classes: Class names by id, instead of what the files say.

    Raises:
        UserError: For files that cannot be read, have no place, hold no whole numbers, or have other classes.
    """
    headers = [_read_header(path) for path in paths]
    first = headers[0][1]
    for path, (_, names, _) in zip(paths, headers, strict=True):
        if classes is None and names != first:
            found, expected = _listed(names), f"{_listed(first)}, as in {paths[0]}"
            cure = "name maps of the same classes"
            raise UserError(Problem("maps_differ", path, "accuracy.map", found, expected, cure))
    colours = {id_: colour for _, _, said in headers for id_, colour in said.items()}
    return ClassMaps(tuple(paths), tuple(place for place, _, _ in headers), dict(classes or first), colours)


def _read_header(path: str) -> tuple[Place, dict[int, str], dict[int, str]]:
    """Read where a map lies, its class names and its colours."""
    try:
        with rasterio.open(path) as dataset:
            if dataset.crs is None or dataset.transform.is_identity:
                expected, cure = "a CRS and a geotransform", "add them, for instance with `rio edit-info`"
                raise UserError(Problem("no_georeference", path, "CRS", "none", expected, cure))
            if np.dtype(dataset.dtypes[0]).kind not in "ui":
                expected, cure = "whole numbers: ids of classes", "write the map as 8 bits"
                raise UserError(Problem("unusable_pixel_type", path, "pixel type", dataset.dtypes[0], expected, cure))
            place = Place(dataset.crs.to_wkt(), tuple(dataset.transform)[:6], dataset.height, dataset.width)
            tags = {int(key[6:]): name for key, name in dataset.tags(1).items() if re.fullmatch(r"class_\d+", key)}
            return place, {id_: name for id_, name in sorted(tags.items()) if name != NULL_CLASS}, _colours(dataset)
    except rasterio.RasterioIOError as error:
        said, cure = " ".join(str(error).split()), "check the file"
        raise UserError(Problem("image_unreadable", path, "accuracy.map", said, "a GeoTIFF", cure)) from None


def _colours(dataset: Any) -> dict[int, str]:
    try:
        table = dataset.colormap(1)
    except ValueError:  # it has none
        return {}
    return {id_: "#{:02x}{:02x}{:02x}".format(*colour[:3]) for id_, colour in table.items()}


def _listed(names: Mapping[int, str]) -> str:
    said = ", ".join(f"{id_}: {name}" for id_, name in names.items())
    return (said if len(said) < 100 else said[:99] + "…") or "no class names"


def _read_ids(dataset: Any, window: Window) -> NDArray[np.int32]:
    """Read class ids; -1 where there is no data."""
    values = dataset.read(1, window=window, masked=True)
    said = values.filled(0)  # before it is cast: 4294967298 would become 2
    if said.size and (said.min() < 0 or said.max() > MOST_CLASSES):
        found, expected = f"values from {values.min()} to {values.max()}", f"ids of classes, 0 to {MOST_CLASSES}"
        cure = "declare the value that stands for no data as nodata, or name a map of classes"
        raise UserError(Problem("unusable_pixel_type", dataset.name, "values", found, expected, cure))
    ids: NDArray[np.int32] = said.astype(np.int32)
    ids[np.ma.getmaskarray(values)] = NO_DATA
    return ids


def _blocks(maps: ClassMaps) -> Iterator[tuple[int, int, NDArray[np.int32], NDArray[np.float64]]]:
    """Go through maps from top to bottom: number of the map, first row, class ids, areas of pixels in m²."""
    for number, (path, place) in enumerate(zip(maps.paths, maps.places, strict=True)):
        pixel_areas = PixelAreas(place)
        with rasterio.open(path) as dataset:
            for first in range(0, place.height, ROWS):
                last = min(first + ROWS, place.height)
                ids = _read_ids(dataset, Window(0, first, place.width, last - first))
                yield number, first, ids, pixel_areas.of_rows(first, last)


def measure_classes(maps: ClassMaps) -> list[ClassTotals]:
    """Find how much there is of each class, by id; of one that is named and does not occur, nothing."""
    areas: dict[int, float] = defaultdict(float)
    largest: dict[int, float] = defaultdict(float)
    blocks: dict[int, dict[tuple[int, int], int]] = defaultdict(dict)
    for number, first, ids, of_pixels in _blocks(maps):
        counts = np.bincount((ids + 1).ravel())[1:]
        taken = np.bincount((ids + 1).ravel(), of_pixels.ravel())[1:]
        for id_ in map(int, np.flatnonzero(counts)):
            blocks[id_][number, first] = int(counts[id_])
            areas[id_] += float(taken[id_])
            largest[id_] = max(largest[id_], float(of_pixels.max()))
    return [
        ClassTotals(
            id_,
            maps.names.get(id_, str(id_)),
            sum(blocks[id_].values()),
            areas[id_],
            largest[id_],
            blocks[id_],
        )
        for id_ in sorted({*maps.names, *blocks})
    ]


# --- points -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pixel:
    """A pixel that was drawn.

    Attributes:
        id: Its class.
        map: Number of the map it lies in.
        row, column: Where it lies there.
    """

    id: int
    map: int
    row: int
    column: int


def draw_pixels(maps: ClassMaps, totals: Sequence[ClassTotals], numbers: Sequence[int], seed: int) -> list[Pixel]:
    """Draw pixels of each class at random, none twice.

    Every bit of ground of a class has the same chance: pixels are drawn with one chance, and kept in proportion to
    their area, which differs where the map's CRS counts in degrees.

    Args:
        maps: The maps.
        totals: Their classes.
        numbers: How many pixels of each; of a class that has fewer, all of them.
        seed: The same one draws the same pixels.

    Returns:
        The pixels in a random order, in which every beginning holds about the same share of each class's points.
    """
    random = np.random.default_rng(seed)
    chosen: dict[int, NDArray[np.int64]] = {}  # ranks among the pixels of the class, in the order they were drawn
    chances: dict[int, NDArray[np.float64]] = {}
    for total, number in zip(totals, numbers, strict=True):
        if number and total.pixels:
            kept = total.area / (total.pixels * total.largest)  # share of candidates that are going to be kept
            candidates = min(total.pixels, int(np.ceil(1.2 * number / kept)) + 30)
            chosen[total.id] = random.choice(total.pixels, candidates, replace=False)
            chances[total.id] = random.random(candidates) * total.largest
    found = _find_pixels(maps, totals, chosen)
    drawn: list[tuple[float, Pixel]] = []
    for total, number in zip(totals, numbers, strict=True):
        candidates_of = found.get(total.id, [])
        is_kept = [area >= chance for (_, area), chance in zip(candidates_of, chances.get(total.id, []), strict=True)]
        order = np.argsort(~np.array(is_kept, bool), kind="stable")[: min(number, total.pixels)]
        places = (np.arange(len(order)) + random.random(len(order))) / max(len(order), 1)
        drawn += [(float(place), candidates_of[index][0]) for place, index in zip(places, order, strict=True)]
    return [pixel for _, pixel in sorted(drawn, key=lambda entry: entry[0])]


def _find_pixels(
    maps: ClassMaps, totals: Sequence[ClassTotals], ranks: Mapping[int, NDArray[np.int64]]
) -> dict[int, list[tuple[Pixel, float]]]:
    """Find pixels by their rank among those of their class, each with its area in m²; blocks without any are not read.

    Args:
        maps: The maps.
        totals: Their classes.
        ranks: Class id → ranks.
    """
    wanted: dict[tuple[int, int], list[tuple[int, NDArray[np.int64], NDArray[np.int64]]]] = defaultdict(list)
    for total in totals:
        start, of_class = 0, ranks.get(total.id, np.empty(0, np.int64))
        for block, count in total.blocks.items():
            here = np.flatnonzero((of_class >= start) & (of_class < start + count))
            if len(here):
                wanted[block].append((total.id, here, of_class[here] - start))
            start += count
    found: dict[int, dict[int, tuple[Pixel, float]]] = defaultdict(dict)
    for (number, first), of_block in sorted(wanted.items()):
        place = maps.places[number]
        last = min(first + ROWS, place.height)
        with rasterio.open(maps.paths[number]) as dataset:
            ids = _read_ids(dataset, Window(0, first, place.width, last - first)).ravel()
        areas = PixelAreas(place).of_rows(first, last).ravel()
        for id_, entries, offsets in of_block:
            for entry, pixel in zip(entries, np.flatnonzero(ids == id_)[offsets], strict=True):
                row, column = divmod(int(pixel), place.width)
                found[id_][int(entry)] = Pixel(id_, number, first + row, column), float(areas[pixel])
    return {id_: [of_class[entry] for entry in sorted(of_class)] for id_, of_class in found.items()}


def centres(maps: ClassMaps, pixels: Sequence[Pixel], crs: CRS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the centres of pixels lie: x and y, longitude and latitude, in a CRS."""
    x, y = np.zeros(len(pixels)), np.zeros(len(pixels))
    for number, place in enumerate(maps.places):
        here = [index for index, pixel in enumerate(pixels) if pixel.map == number]
        if here:
            columns = np.array([pixels[index].column + 0.5 for index in here])
            rows = np.array([pixels[index].row + 0.5 for index in here])
            across, along = rasterio.Affine(*place.transform) * (columns, rows)
            x[here], y[here] = Transformer.from_crs(crs_of(place), crs, always_xy=True).transform(across, along)
    return x, y


def classes_at(
    maps: ClassMaps, x: NDArray[np.float64], y: NDArray[np.float64], crs: Any
) -> tuple[NDArray[np.int64], list[tuple[int, float, float]]]:
    """Look up the classes of points.

    Args:
        maps: The maps; where several have data, the first of them counts.
        x, y: Where the points lie.
        crs: Their CRS.

    Returns:
        Class ids, with :data:`NO_DATA` where no map has data, and :data:`OUTSIDE` outside of all; and of each point the
        number of its map, and where it lies there in pixels: across and down.
    """
    ids = np.full(len(x), OUTSIDE, np.int64)
    spots = [(-1, float(across), float(along)) for across, along in zip(x, y, strict=True)]
    for number, (path, place) in enumerate(zip(maps.paths, maps.places, strict=True)):
        across, along = Transformer.from_crs(crs, crs_of(place), always_xy=True).transform(x, y)
        columns, rows = ~rasterio.Affine(*place.transform) * (np.asarray(across), np.asarray(along))
        inside = (columns >= 0) & (columns < place.width) & (rows >= 0) & (rows < place.height) & (ids < 0)
        with rasterio.open(path) as dataset:
            for index in np.flatnonzero(inside):
                window = Window(int(columns[index]), int(rows[index]), 1, 1)
                ids[index] = _read_ids(dataset, window)[0, 0]
                spots[index] = (number, float(columns[index]), float(rows[index]))
    return ids, spots
