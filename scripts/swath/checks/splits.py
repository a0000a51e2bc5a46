"""Checks for leakage: what a model has learned by heart must not be what it is measured by."""

from __future__ import annotations

import os
from collections.abc import Iterator

from shapely.geometry import Polygon

from swath.checks.context import Survey
from swath.checks.readings import Reading, SurveyedImage
from swath.errors import Problem
from swath.scenes.facts import Bounds
from swath.scenes.paths import paths_of

EDGE = 0.01
"""Share of the smaller scene that may lie in both: edges that touch."""


def same_image(survey: Survey) -> Iterator[Problem]:
    """Find images that stand in the table twice: by path, behind links, or as copies."""
    first: dict[str, Reading] = {}
    told: set[tuple[str, str]] = set()
    for reading in survey.readings:
        for identity in _identities(reading):
            other = first.setdefault(identity, reading)
            pair = (other.id, reading.id)
            if other is not reading and pair not in told:
                told.add(pair)
                yield _twice(other, reading)


def _identities(reading: Reading) -> Iterator[str]:
    yield from _files(reading)
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
    training = sorted(survey.with_header("train"), key=lambda pair: float(pair[1].bounds[0]))
    for reading, header in survey.with_header():
        for other, other_header in training:
            if other_header.bounds[0] > header.bounds[2]:
                break  # all that follow begin farther east
            if other.part == reading.part or (reading.split == "train" and other.id > reading.id):
                continue  # the same part; a pair of folds is told once
            share = overlap(header, other_header)
            if share > EDGE and not set(_files(reading)) & set(_files(other)):
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
    if not _bounds_meet(one.bounds, other.bounds):
        return 0.0
    first, second = (_ground(header, one.crs == other.crs) for header in (one, other))
    return float(first.intersection(second).area / min(first.area, second.area))


def _bounds_meet(one: Bounds, other: Bounds) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _ground(header: SurveyedImage, same_crs: bool) -> Polygon:
    """Return what an image covers: in its own CRS if the other has the same, else in EPSG:4326."""
    if not same_crs:
        return Polygon(header.footprint)
    a, b, x, d, e, y = header.transform
    width, height = header.width, header.height
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    return Polygon([(a * column + b * row + x, d * column + e * row + y) for column, row in corners])


CHECKS = (same_image, overlaps)
