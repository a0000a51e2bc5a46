"""Checks of labels and areas of interest, and of how classes are spread over splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from swath.checks.context import Survey
from swath.checks.readings import LabelStats, Reading
from swath.errors import Problem

MANY_INVALID = 0.1
MANY_OUTSIDE = 0.9
"""Labels of a larger region often come with a scene; nearly all of them outside is another region's."""
SOME_UNCOVERED = 0.005
RARE = 0.001
"""Share of a class among the labelled training pixels that is next to nothing."""


def by_scene(survey: Survey) -> Iterator[Problem]:
    """Find labels that lie outside, are invalid, cover no pixel, or leave a part of the image out."""
    for reading in survey.readings:
        for labels in reading.labels.values():
            if labels:
                yield from _outside(reading, labels)
                yield from _invalid(reading, labels)
                yield from _too_small(reading, labels)
                yield from _uncovered(reading, labels)


def _outside(reading: Reading, labels: LabelStats) -> Iterator[Problem]:
    share = labels.outside / max(labels.features, 1)
    place = reading.labels_entry, "labels"
    found = f"{labels.outside} of {labels.features} labels outside the image"
    if share > MANY_OUTSIDE:
        cure = "check that image and labels belong together, and their CRS"
        yield Problem("labels_partly_outside", *place, found, f"labels of {reading.image}", cure)
    elif share:
        yield Problem("some_labels_outside", *place, found, "", "")


def _invalid(reading: Reading, labels: LabelStats) -> Iterator[Problem]:
    share = labels.invalid / max(labels.features - labels.outside, 1)
    place = reading.labels_entry, "geometry"
    found = f"{labels.invalid} of {labels.features} geometries invalid"
    if share > MANY_INVALID:
        cure = "repair them, and look whether the shapes are still right"
        yield Problem("invalid_geometries", *place, found, "polygons that do not cross themselves", cure)
    elif share:
        yield Problem("some_invalid_geometries", *place, found, "", "")


def _too_small(reading: Reading, labels: LabelStats) -> Iterator[Problem]:
    if labels.exact and labels.features and not any(labels.pixels.values()):
        yield Problem(
            "no_labelled_pixels",
            reading.labels_entry,
            "geometry",
            f"{labels.features} labels that cover the middle of no pixel",
            "labels larger than a pixel",
            "check the CRS, or widen them",
        )


def _uncovered(reading: Reading, labels: LabelStats) -> Iterator[Problem]:
    if labels.uncovered > SOME_UNCOVERED:
        yield Problem(
            "labels_smaller_than_image",
            reading.labels_entry,
            "labels",
            f"{labels.uncovered:.0%} of {reading.image} is not covered",
            "a label raster that covers the image",
            "cut the image to where there are labels, or check that they belong together",
        )


def areas_of_interest(survey: Survey) -> Iterator[Problem]:
    """Find areas of interest that no chip fits into."""
    for settings in survey.settings("chips"):
        size = settings.chips.size
        for reading in survey.of("train", "validation"):
            if reading.aoi and settings.chips.within_aoi:
                largest = max(reading.aoi.sides, key=min)
                if min(largest) < size:
                    yield Problem(
                        "aoi_smaller_than_chip",
                        str(reading.scene.aoi),
                        "aoi",
                        f"its largest part is {largest[0]:.0f} × {largest[1]:.0f} pixels",
                        f"room for a chip of {size} × {size} pixels",
                        "choose smaller chips, or let them reach over its edge with `chips.within_aoi: false`",
                    )


def class_pixels(readings: Iterable[Reading], key: str) -> Counter[str]:
    """Count labelled pixels by class.

    Args:
        readings: The scenes.
        key: Which label settings.
    """
    counts: Counter[str] = Counter()
    for reading in readings:
        if labels := reading.labels.get(key):
            counts.update(labels.pixels)
    return counts


def classes(survey: Survey) -> Iterator[Problem]:
    """Find classes that a split does not have, or hardly has."""
    if survey.pending:
        return  # what is not there yet cannot be counted
    parts = {part: [r for r in survey.readings if r.part == part] for part in sorted({r.part for r in survey.readings})}
    for key, spec in survey.request.labels.items():
        elsewhere = spec.labels.unlabelled  # what has no label is of this class
        named = [name for name in survey.classes if name != elsewhere]
        training = survey.of("train")
        for part, held in {**parts, **({"train": training} if training else {})}.items():
            counts = class_pixels(held, key)
            unread = any(reading.problems for reading in held)
            if not unread and (counts or part != "test"):  # test scenes can do without labels
                is_fold = any(reading.part == part and reading.fold is not None for reading in held)
                yield from (_absent(survey, name, part, is_fold) for name in named if not counts[name])
        counts = class_pixels(training, key)
        for name, number in counts.items():
            share = number / max(counts.total(), 1)
            if 0 < share < RARE and name != elsewhere:
                yield Problem(
                    "class_rare",
                    survey.place("classes", name),
                    f"classes.{name}",
                    f"{number:,} of {counts.total():,} labelled training pixels ({share:.3%})",
                    f"at least {RARE:.1%}",
                    "label more of it, or join it with another class in `labels.mapping`",
                )


def _absent(survey: Survey, name: str, part: str, is_fold: bool) -> Problem:
    return Problem(
        "class_absent_from_test" if part == "test" else "class_absent_from_fold" if is_fold else "class_absent",
        survey.place("classes", name),
        f"classes.{name}",
        f"no labels in the {part} scenes",
        "some in every split",
        "check spelling and `labels.mapping`, label some, or deal the scenes out differently",
    )


CHECKS = (by_scene, areas_of_interest, classes)
