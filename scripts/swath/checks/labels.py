"""Checks of labels and areas of interest, and of how classes are spread over splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from swath.checks.findings import Finding
from swath.checks.survey import Reading, Survey, finding

MANY_INVALID = 0.1
MANY_OUTSIDE = 0.5
RARE = 0.001
"""Share of a class among the labelled training pixels that is next to nothing."""


def by_scene(survey: Survey) -> Iterator[Finding]:
    """Find labels that lie outside, are invalid, or cover no pixel."""
    for reading in survey.readings:
        for labels in reading.labels.values():
            if labels and labels["features"]:
                yield from _outside(reading, labels)
                yield from _invalid(reading, labels)
                yield from _too_small(reading, labels)


def _outside(reading: Reading, labels: Mapping[str, Any]) -> Iterator[Finding]:
    share = labels["outside"] / labels["features"]
    found = f"{labels['outside']} of {labels['features']} labels outside the image"
    if share > MANY_OUTSIDE:
        yield finding(
            "labels_partly_outside",
            str(reading.row["labels"]),
            "labels",
            found,
            f"labels of {reading.image}",
            "check that image and labels belong together, and their CRS",
        )
    elif share:
        yield finding("some_labels_outside", str(reading.row["labels"]), "labels", found, "", "")


def _invalid(reading: Reading, labels: Mapping[str, Any]) -> Iterator[Finding]:
    share = labels["invalid"] / labels["features"]
    found = f"{labels['invalid']} of {labels['features']} geometries invalid"
    if share > MANY_INVALID:
        yield finding(
            "invalid_geometries",
            str(reading.row["labels"]),
            "geometry",
            found,
            "polygons that do not cross themselves",
            "repair them, and look whether the shapes are still right",
        )
    elif share:
        yield finding("some_invalid_geometries", str(reading.row["labels"]), "geometry", found, "", "")


def _too_small(reading: Reading, labels: Mapping[str, Any]) -> Iterator[Finding]:
    held = [count for count in labels["classes"].values() if count["features"]]
    if labels["exact"] and held and not any(count["pixels"] for count in held):
        number = sum(count["features"] for count in held)
        yield finding(
            "no_labelled_pixels",
            str(reading.row["labels"]),
            "geometry",
            f"{number} labels that cover the middle of no pixel",
            "labels larger than a pixel",
            "check the CRS, or widen them",
        )


def areas_of_interest(survey: Survey) -> Iterator[Finding]:
    """Find areas of interest that no chip fits into."""
    for trial in survey.trials:
        size = trial["chips"]["size"]
        for reading in survey.of("train", "validation"):
            if reading.aoi and trial["chips"]["within_aoi"]:
                largest = max(reading.aoi["sides"], key=min)
                if min(largest) < size:
                    yield finding(
                        "aoi_smaller_than_chip",
                        str(reading.row["aoi"]),
                        "aoi",
                        f"its largest part is {largest[0]:.0f} × {largest[1]:.0f} pixels",
                        f"room for a chip of {size} × {size} pixels",
                        "choose smaller chips, or let them reach over its edge with `chips.within_aoi: false`",
                    )


def class_pixels(survey: Survey, key: str) -> dict[str, Counter[str]]:
    """Count labelled pixels by split and class.

    Args:
        survey: The survey.
        key: Which label settings.
    """
    counts: dict[str, Counter[str]] = {}
    for reading in survey.readings:
        split = counts.setdefault(reading.split, Counter())
        for name, count in ((reading.labels.get(key) or {}).get("classes") or {}).items():
            split[name] += max(count["pixels"], count["features"])
    return counts


def classes(survey: Survey) -> Iterator[Finding]:
    """Find classes that a split does not have, or hardly has."""
    if survey.pending:
        return  # what is not there yet cannot be counted
    for key, spec in survey.request["labels"].items():
        elsewhere = spec["labels"]["unlabelled"]  # what has no label is of this class
        for split, counts in class_pixels(survey, key).items():
            for name in (name for name in survey.classes if name != elsewhere and not counts[name]):
                yield _absent(survey, name, split)
        counts = class_pixels(survey, key).get("train", Counter())
        for name, number in counts.items():
            share = number / max(counts.total(), 1)
            if 0 < share < RARE and name != elsewhere:
                yield finding(
                    "class_rare",
                    survey.place("classes", name),
                    f"classes.{name}",
                    f"{number:,} of {counts.total():,} labelled training pixels ({share:.3%})",
                    f"at least {RARE:.1%}",
                    "label more of it, or join it with another class in `labels.mapping`",
                )


def _absent(survey: Survey, name: str, split: str) -> Finding:
    return finding(
        "class_absent_from_test" if split == "test" else "class_absent",
        survey.place("classes", name),
        f"classes.{name}",
        f"no labels in the {split} scenes",
        "some in every split",
        "check spelling and `labels.mapping`, label some, or deal the scenes out differently",
    )


def mapping(survey: Survey) -> Iterator[Finding]:
    """Find values of the mapping that occur nowhere: most often a typing error."""
    for key, spec in survey.request["labels"].items():
        read = [reading.labels[key] for reading in survey.readings if reading.labels.get(key)]
        seen = {value for labels in read if labels for value in labels["values"]}
        if len(read) < len(survey.readings) or survey.pending:
            continue
        for value in spec["labels"]["mapping"]:
            if value not in seen and f"{value}.0" not in seen:
                yield finding(
                    "unused_mapping",
                    survey.place("labels", "mapping", value),
                    f"labels.mapping.{value}",
                    "a value that occurs in no file",
                    "",
                    "",
                )


CHECKS = (by_scene, areas_of_interest, classes, mapping)
