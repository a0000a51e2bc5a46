"""Do reference points fit a map? What does not is told; what does is counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.coords import disjoint_bounds
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds

from swath.config.accuracy import Accuracy
from swath.errors import Problem, UserError, did_you_mean
from swath.products.class_maps import NO_DATA, OUTSIDE, ClassMaps, ClassTotals, classes_at
from swath.scenes.reference_points import STRATUM, ReferencePoints

MOST_OFF = 0.5
"""Share of the points that may lie where there is no map."""
SAME = 1e-3
"""By how much areas of strata may differ from those of the map's classes: what rounding does to written numbers."""

THOUSANDS = re.compile(r"[1-9]\d{0,2},\d{3}")
"""Numbers that are a thousand times as large in English as elsewhere."""


@dataclass(frozen=True)
class Strata:
    """What points were drawn in.

    Attributes:
        names: Their names.
        areas: Their areas, in any unit.
        are_classes: Whether they are the classes of the map as it is.
    """

    names: Sequence[str]
    areas: Sequence[float]
    are_classes: bool


@dataclass(frozen=True)
class MatchedPoints:
    """Points that were compared with a map.

    Attributes:
        counts: Points by stratum, class of the map, class of the reference.
        strata: What they were drawn in.
        whole: Of each stratum, whether all its pixels are among the points, each of them once.
        notes: What is told of points that are left out, and of strata.
    """

    counts: NDArray[np.int64]
    strata: Strata
    whole: Sequence[bool]
    notes: Sequence[Problem]


@dataclass(frozen=True)
class _Points:
    """Points that are left, by their places in what was read.

    Attributes:
        chosen: Their numbers.
        mapped: Number of each one's class on the map, among all classes.
        true: Number of its class in the reference.
        pixels: Number of the map, column and row of the pixel that it lies in.
    """

    chosen: NDArray[np.int64]
    mapped: NDArray[np.int64]
    true: NDArray[np.int64]
    pixels: Sequence[tuple[int, int, int]]


def match_points(
    points: ReferencePoints, maps: ClassMaps, totals: Sequence[ClassTotals], settings: Accuracy
) -> MatchedPoints:
    """Compare reference points with a map.

    Args:
        points: The points.
        maps: The map.
        totals: Its classes.
        settings: The section `accuracy`.

    Raises:
        UserError: For points that nothing can be estimated from.
    """
    notes: list[Problem] = [*check_overlaps(maps)]
    found = _on_map(points, maps, totals, _true_classes(points, totals, settings, notes), notes)
    strata, of_points = _strata_of(points, found, totals, settings, notes)
    counts = np.zeros((len(strata.names), len(totals), len(totals)), np.int64)
    np.add.at(counts, (of_points, found.mapped, found.true), 1)
    drawn = counts.sum(axis=(1, 2))
    looked_at = Counter(stratum for stratum, _ in set(zip(of_points.tolist(), found.pixels, strict=True)))
    whole = [
        strata.are_classes and bool(0 < totals[index].pixels == looked_at[index] == number)
        for index, number in enumerate(drawn)
    ]
    few = [
        f"{name}: {number}"
        for name, area, number, is_whole in zip(strata.names, strata.areas, drawn, whole, strict=True)
        if area > 0 and number < 2 and not is_whole
    ]
    if few:
        cure = (
            "label more points there; or join classes or strata; or remove points of strata off the map from the file"
        )
        expected = "two points or more in every stratum that has an area"
        raise UserError(Problem("too_few_points", points.file, settings.class_, ", ".join(few), expected, cure))
    notes += _unseen(points, counts, totals, settings)
    return MatchedPoints(counts, strata, whole, notes)


def check_overlaps(maps: ClassMaps) -> Iterator[Problem]:
    """Find maps that overlap: ground that lies in both would count twice."""
    boxes = []
    for place in maps.places:
        bounds = array_bounds(place.height, place.width, Affine(*place.transform))
        margin = max(abs(value) for value in place.transform[:2])  # a pixel
        west, south, east, north = transform_bounds(place.crs, maps.crs.to_wkt(), *bounds)
        share = margin * (east - west) / max(bounds[2] - bounds[0], 1e-300)
        boxes.append((west + share, south + share, east - share, north - share))
    for number, box in enumerate(boxes):
        other = next((at for at in range(number) if not disjoint_bounds(boxes[at], box)), None)
        if other is not None:
            expected = "maps that lie side by side: what lies in both counts twice in the areas"
            found = f"overlaps {maps.paths[other]}"
            yield Problem("maps_overlap", maps.paths[number], "accuracy.map", found, expected, "")
            return


def _true_classes(
    points: ReferencePoints, totals: Sequence[ClassTotals], settings: Accuracy, notes: list[Problem]
) -> NDArray[np.int64]:
    """Return the number of each point's true class among all classes, -1 where it is not filled in."""
    by_name = {total.name: index for index, total in enumerate(totals)}
    by_id = {str(total.id): index for index, total in enumerate(totals)}
    said = Counter(points.classes)
    unknown = [name for name in said if name and name not in by_name and name not in by_id]
    if unknown:
        expected = "a class of the map: " + ", ".join(by_name)
        raise UserError(
            Problem(
                "unknown_class",
                points.file,
                settings.class_,
                f"unknown class {name!r}, of {said[name]} points",
                expected,
                did_you_mean(name, by_name, "rename it, or join it to one of these"),
            )
            for name in unknown[:5]
        )
    empty, number = said[""], len(points.classes)
    if empty == number:
        cure = "fill the column in, or name another one in `accuracy.class`"
        found = f"{number} points, and none with a class"
        raise UserError(Problem("reference_empty", points.file, settings.class_, found, "a class for each", cure))
    if empty:
        found = f"{empty} of {number} points without a class: left out"
        expected = "a class for each; those left out must not be the difficult ones"
        notes.append(Problem("reference_unlabelled", points.file, settings.class_, found, expected, ""))
    return np.array([by_name.get(name, by_id.get(name, -1)) for name in points.classes])


def _on_map(
    points: ReferencePoints,
    maps: ClassMaps,
    totals: Sequence[ClassTotals],
    true: NDArray[np.int64],
    notes: list[Problem],
) -> _Points:
    """Look the points up on the map; those that lie outside, where it has no data, or twice at a place go."""
    labelled = np.flatnonzero(true >= 0)
    ids, spots = classes_at(maps, points.x[labelled], points.y[labelled], points.crs)
    off = ids < 0
    if off.any():
        outside, without = int((ids == OUTSIDE).sum()), int((ids == NO_DATA).sum())
        found = f"{outside} of {len(ids)} points outside the map, {without} where it has no data"
        if off.mean() > MOST_OFF:
            cure = "check the file's CRS, the order of x and y, and the map"
            raise UserError(Problem("points_off_map", points.file, "geometry", found, "points on the map", cure))
        notes.append(Problem("points_left_out", points.file, "geometry", f"{found}: left out", "points on it", ""))
    first: dict[tuple[int, float, float], int] = {}  # points by where they lie, to a hundredth of a pixel
    kept, twice = [], 0
    for index in np.flatnonzero(~off):
        number, across, along = spots[index]
        before = first.setdefault((number, round(across, 2), round(along, 2)), int(index))
        if before == index:
            kept.append(index)
            continue
        twice += 1
        classes = [totals[true[labelled[one]]].name for one in (before, index)]
        if classes[0] != classes[1]:
            place = f"{points.x[labelled[index]]:.6f}, {points.y[labelled[index]]:.6f}"
            found, cure = f"{classes[0]} and {classes[1]} at {place}", "keep one of them"
            raise UserError(Problem("points_contradict", points.file, "class", found, "one class at a place", cure))
    if twice:
        found = f"{twice} points at the place of another one: they count once"
        notes.append(Problem("points_twice", points.file, "geometry", found, "every point once", ""))
    numbers = {total.id: index for index, total in enumerate(totals)}
    chosen = labelled[kept]
    mapped = np.array([numbers[int(ids[index])] for index in kept], np.int64)
    pixels = [(number, int(across), int(along)) for number, across, along in (spots[index] for index in kept)]
    return _Points(chosen, mapped, true[chosen], pixels)


# --- strata ------------------------------------------------------------------------------------------


def _strata_of(
    points: ReferencePoints,
    found: _Points,
    totals: Sequence[ClassTotals],
    settings: Accuracy,
    notes: list[Problem],
) -> tuple[Strata, NDArray[np.int64]]:
    """Return the strata, and the number of each point's."""
    names, mapped = [total.name for total in totals], [total.area for total in totals]
    if points.strata is None:
        return Strata(names, mapped, are_classes=True), found.mapped
    said = [points.strata[index] for index in found.chosen]
    if "" in said:
        where, number = f"{said.count('')} of {len(said)} points without a stratum", settings.stratum or STRATUM
        expected, cure = "a stratum for each", "fill the column in"
        raise UserError(Problem("stratum_missing", points.file, number, where, expected, cure))
    others = sum(name != names[index] for name, index in zip(said, found.mapped, strict=True))
    there = set(points.strata) - {""}  # also of points that are left out: their ground does not become that of others
    by_class = there <= set(names)
    if by_class and others:
        told = f"{others} of {len(said)} points: they count in the stratum that they were drawn in"
        expected = "points in the class of their stratum, if the map is the one they were drawn from"
        notes.append(Problem("strata_differ", points.file, settings.stratum or STRATUM, told, expected, ""))
    areas = _areas_of(points, there, settings)
    if areas is None and (others or not by_class):
        cure = "add a column with it (`accuracy.stratum_area`), or name them: `stratum_area: {wet: 1200, dry: 30500}`"
        if settings.stratum is None:
            cure += f"; if points were not drawn in them, rename the column `{STRATUM}`"
        without, expected = f"strata {', '.join(sorted(there))}, and no areas", "the area or share of each stratum"
        raise UserError(Problem("stratum_area_unknown", points.file, "accuracy.stratum_area", without, expected, cure))
    if areas is None or (by_class and _are_same(areas, dict(zip(names, mapped, strict=True)))):
        of_classes = {name: index for index, name in enumerate(names)}
        return Strata(names, mapped, are_classes=not others), np.array([of_classes[name] for name in said])
    if by_class:
        notes.append(_changed(points, areas))
    numbers = {name: index for index, name in enumerate(areas)}
    return Strata(list(areas), list(areas.values()), are_classes=False), np.array([numbers[name] for name in said])


def _changed(points: ReferencePoints, areas: Mapping[str, float]) -> Problem:
    found = "strata that have not the areas of the map's classes: " + ", ".join(areas)
    expected = "nothing: points drawn from an older map serve as well, with the areas that its classes had"
    return Problem("map_changed", points.file, "strata", found, expected, "")


def _are_same(areas: Mapping[str, float], mapped: Mapping[str, float]) -> bool:
    """Tell whether strata have the areas of the map's classes, in whatever unit."""
    ratios = [area / mapped[name] if mapped[name] else 0.0 for name, area in areas.items()]
    return max(ratios) - min(ratios) <= SAME * max(ratios)


def _areas_of(points: ReferencePoints, there: Collection[str], settings: Accuracy) -> dict[str, float] | None:
    """Return the area of each stratum, also of those of which no point is left; None where nothing says it."""
    field = "accuracy.stratum_area"
    if isinstance(settings.stratum_area, dict):
        for name in sorted(set(there) - set(settings.stratum_area)):
            cure = "add it, or remove its points if the map does not cover it"
            expected, cure = "its area or share", did_you_mean(name, settings.stratum_area, cure)
            raise UserError(
                Problem("stratum_area_unknown", points.file, field, f"nothing for stratum {name!r}", expected, cure)
            )
        return dict(settings.stratum_area)
    if points.areas is None or points.strata is None:
        return None
    areas: dict[str, float] = {}
    for name, text in zip(points.strata, points.areas, strict=True):
        if not name:
            continue
        if THOUSANDS.fullmatch(text):
            expected = "an area that can be read in one way"
            cure = f"write {text.replace(',', '')}, or {text.replace(',', '.')} if the comma is a decimal one"
            raise UserError(
                Problem("stratum_area_unknown", points.file, settings.stratum_area, repr(text), expected, cure)
            )
        area = _area(text)
        if not 0 < area < float("inf") or abs(areas.setdefault(name, area) - area) > SAME * area:
            what = f"{text!r} for stratum {name!r}" + (f", and {areas[name]:g}" if name in areas else "")
            cure = "give all points of a stratum the same area"
            raise UserError(
                Problem("stratum_area_unknown", points.file, settings.stratum_area, what, "one area above 0", cure)
            )
    return areas


def _area(text: str) -> float:
    """Read an area, also with a comma for the point; 0 for what is none."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return 0.0


def _unseen(
    points: ReferencePoints, counts: NDArray[np.int64], totals: Sequence[ClassTotals], settings: Accuracy
) -> Iterator[Problem]:
    """Find classes of the map that no reference point has."""
    seen = counts.sum(axis=(0, 1))
    for total, number in zip(totals, seen, strict=True):
        if total.pixels and not number:
            expected = "a point of each class; an area of 0 ± 0 says that the sample met none, not that there is none"
            yield Problem("class_unseen", points.file, settings.class_, f"no point of {total.name!r}", expected, "")
