"""Checks for leakage: what a model has learned by heart must not be what it is measured by."""

from __future__ import annotations

import os
from collections.abc import Iterator

from shapely.affinity import translate
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from swath.checks.context import Survey
from swath.checks.readings import Reading, SurveyedImage
from swath.errors import Problem
from swath.scenes.blocks import Footprint
from swath.scenes.facts import Bounds
from swath.scenes.paths import paths_of

EDGE = 0.01
"""Share of the smaller scene that may lie in both: edges that touch."""


def same_image(survey: Survey) -> Iterator[Problem]:
    """Find images that stand in the table twice: by path, behind links, or as copies."""
    first: dict[str, Reading] = {}
    told: set[tuple[str, str]] = set()
    for reading in survey.readings:
        for identity in _identities(reading, _are_stacked(survey)):
            other = first.setdefault(identity, reading)
            pair = (other.id, reading.id)
            if other is not reading and pair not in told:
                told.add(pair)
                yield _twice(other, reading)


def _are_stacked(survey: Survey) -> bool:
    """Tell whether several files of a scene are its bands: then one of them alone, such as elevation, is no scene."""
    return any(spec.imagery.files == "bands" for spec in survey.request.labels.values())


def _identities(reading: Reading, stacked: bool) -> Iterator[str]:
    files = _files(reading)
    yield from [";".join(sorted(files))] if stacked else files
    if reading.header and reading.sample and reading.sample.checksum:
        size = (reading.header.width, reading.header.height, reading.header.dtype)
        yield f"{reading.sample.checksum} {size}"


def _files(reading: Reading) -> list[str]:
    """List the files that an image consists of, links followed."""
    return [os.path.realpath(path) for path in paths_of(reading.image)]


def _twice(one: Reading, other: Reading) -> Problem:
    same = bool(set(_files(one)) & set(_files(other)))
    return Problem(
        "image_twice" if one.part == other.part else "image_in_two_splits",
        other.image,
        f"image of scene {other.id}",
        f"{'the same file' if same else 'the same content'} as {one.image} of scene {one.id} ({one.part}), "
        f"here in {other.part}",
        "every image once",
        "take one of the two rows out",
    )


def overlaps(survey: Survey) -> Iterator[Problem]:
    """Find training scenes that overlap others on the ground, of another split or fold."""
    dealt = any(reading.scene.fold is not None for reading in survey.readings)
    training = sorted(
        ((place, reading, header) for reading, header in survey.with_header("train") for place in _places(header)),
        key=lambda entry: entry[0][0],
    )
    told: set[tuple[str, str]] = set()
    for reading, header in survey.with_header():
        for place in _places(header):
            for other_place, other, other_header in training:
                if other_place[0] > place[2]:
                    break  # all that follow begin farther east
                if other.part == reading.part or (reading.split == "train" and other.id > reading.id):
                    continue  # the same part; a pair of folds is told once
                if (reading.id, other.id) in told or not _bounds_meet(place, other_place):
                    continue
                told.add((reading.id, other.id))
                yield from _overlap(survey, (reading, header), (other, other_header), dealt)


def _overlap(
    survey: Survey, one: tuple[Reading, SurveyedImage], two: tuple[Reading, SurveyedImage], dealt: bool
) -> Iterator[Problem]:
    (reading, header), (other, other_header) = one, two
    stacked = _are_stacked(survey)
    twice = set(_identities(reading, stacked)) & set(_identities(other, stacked))
    share = 0.0 if twice else overlap(header, other_header)  # an image that stands there twice is told as such
    if share > EDGE:
        yield Problem(
            "spatial_overlap",
            reading.image,
            f"scene {reading.id} ({reading.part})",
            f"{share:.0%} of it, or of the other, lies in {other.image} of scene {other.id} ({other.part})",
            "scenes of different splits that do not overlap",
            "put both into one split, or cut one of them"
            + (", or deal scenes out by blocks on the ground, `scenes.split.block`" * dealt),
        )


def overlap(one: SurveyedImage, other: SurveyedImage) -> float:
    """Return which share of the smaller image's ground both images cover."""
    if not any(_bounds_meet(place, there) for place in _places(one) for there in _places(other)):
        return 0.0
    first, second = (_ground(header, one.crs == other.crs) for header in (one, other))
    return float(first.intersection(second).area / min(first.area, second.area))


def _places(header: SurveyedImage) -> list[Bounds]:
    """Return an image's bounds within ±180°: two boxes across the antimeridian."""
    west, south, east, north = header.bounds
    return [header.bounds] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def _bounds_meet(one: Bounds, other: Bounds) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _ground(header: SurveyedImage, same_crs: bool) -> BaseGeometry:
    """Return what an image covers: in its own CRS if the other has the same, else in EPSG:4326."""
    if not same_crs:
        return _within_180(header.footprint)
    a, b, x, d, e, y = header.transform
    width, height = header.width, header.height
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    return Polygon([(a * column + b * row + x, d * column + e * row + y) for column, row in corners])


def _within_180(footprint: Footprint) -> BaseGeometry:
    """Return a footprint in longitude and latitude; across the antimeridian, the parts on both its sides."""
    longitudes = [longitude for longitude, _ in footprint]
    if max(longitudes) - min(longitudes) <= 180:
        return Polygon(footprint)
    whole = Polygon([(longitude % 360, latitude) for longitude, latitude in footprint])
    east = translate(whole.intersection(box(180, -90, 360, 90)), -360)
    return whole.intersection(box(0, -90, 180, 90)).union(east)


CHECKS = (same_image, overlaps)
