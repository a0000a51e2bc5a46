"""Checks of what labels are taken for: what has no class, entries that match nothing, boxes that do not count."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator

from swath.checks.context import Survey
from swath.checks.readings import LabelStats, Reading
from swath.config.labels import Labels
from swath.config.tasks import DETECTION
from swath.errors import Problem
from swath.scenes.facts import ScenesSpec

MOST = 5
"""How many values a message lists."""


def by_scene(survey: Survey) -> Iterator[Problem]:
    """Find what is left out of a scene's labels, or counts otherwise than somebody may think."""
    for key, spec in survey.request.labels.items():
        for reading in survey.readings:
            labels = reading.labels.get(key)
            if labels:
                yield from _classless(reading, labels, spec.labels)
                yield from _left_out(reading, labels)
                yield from _without_data(reading, labels)


def _classless(reading: Reading, labels: LabelStats, options: Labels) -> Iterator[Problem]:
    counts = labels.counts
    if counts.classless:
        yield Problem(
            "classless_features",
            reading.labels_entry,
            f"attribute {options.attribute}",
            f"{counts.classless} of {counts.features} features without a class",
            "a class for every feature: where there is none, the ground counts as unlabelled",
            "fill them in, or name a `labels.default_class`",
        )


def _left_out(reading: Reading, labels: LabelStats) -> Iterator[Problem]:
    counts = labels.counts
    place = reading.labels_entry, "labels"
    if counts.loose_parts:
        found = f"{counts.loose_parts} lines or points beside polygons in one feature"
        yield Problem("loose_parts", *place, found, "", "")
    if counts.duplicates:
        found = f"{counts.duplicates} of {counts.features} boxes equal another one of their class"
        yield Problem("duplicate_boxes", *place, found, "", "")
    for path in counts.pages:
        cure = "write the page that holds the labels as a file, for instance with `gdal_translate GTIFF_DIR:2:…`"
        found, expected = "further pages, which are not read", "one raster in a file"
        yield Problem("further_pages", path, "pages", found, expected, cure)


def _without_data(reading: Reading, labels: LabelStats) -> Iterator[Problem]:
    counts = labels.counts
    if counts.empty_boxes:
        found = f"{counts.empty_boxes} of {counts.features} boxes lie wholly where {reading.image} has no data"
        yield Problem("boxes_without_data", reading.labels_entry, "labels", found, "", "")
    labelled = sum(labels.pixels.values()) + counts.hidden_pixels
    if counts.hidden_pixels:
        share = counts.hidden_pixels / labelled
        found = f"{share:.1%} of the labelled pixels lie where {reading.image} has no data"
        yield Problem("labels_over_nodata", reading.labels_entry, "labels", found, "", "")


def boxes_at_edges(survey: Survey) -> Iterator[Problem]:
    """Find boxes that reach so far over a scene's edge that they do not count."""
    for settings in survey.settings("chips"):
        least = settings.chips.min_box_overlap
        for key, spec in survey.request.labels.items():
            if spec.task != DETECTION:
                continue
            for reading in survey.readings:
                labels = reading.labels.get(key)
                few = sum(share < least for share in labels.counts.shares_inside) if labels else 0
                if few:
                    boxes = "box reaches" if few == 1 else "boxes reach"
                    yield Problem(
                        "boxes_over_edge",
                        reading.labels_entry,
                        "labels",
                        f"{few} {boxes} over the edge of {reading.image}, with less than {least:.0%} inside",
                        "",
                        "they count with a smaller `chips.min_box_overlap`",
                    )


def entries(survey: Survey) -> Iterator[Problem]:
    """Find entries of the mapping that match nothing in any scene, and what the default class swallows."""
    if survey.pending or any(reading.problems for reading in survey.readings):
        return  # what was not read may have them
    for key, spec in survey.request.labels.items():
        found = [labels for reading in survey.readings if (labels := reading.labels.get(key))]
        if found:
            yield from _entries(survey, spec, found)


def _entries(survey: Survey, spec: ScenesSpec, found: list[LabelStats]) -> Iterator[Problem]:
    name = "colours" if spec.labels.colours else "mapping"
    wanted = spec.labels.colours or spec.labels.mapping
    met = {entry for labels in found for entry in labels.counts.met}
    swallowed: Counter[str] = Counter()
    for labels in found:
        swallowed.update(labels.counts.defaulted)
    features = sum(labels.counts.features for labels in found)
    missing = [entry for entry in wanted if entry not in met]
    typos = {entry: close[0] for entry in missing if (close := difflib.get_close_matches(entry, swallowed, 1, 0.75))}
    for entry, other in typos.items():
        yield Problem(
            "mapping_typo",
            survey.place("labels", name),
            f"labels.{name}.{entry}",
            f"{entry!r} in no file, but {other!r}, which `labels.default_class` takes for {spec.labels.default_class}",
            "the value as the files have it",
            f"did you mean {other!r}?",
        )
    others = [entry for entry in missing if entry not in typos]
    if others:
        listed = ", ".join(map(repr, others[:MOST])) + (f" and {len(others) - MOST} more" if len(others) > MOST else "")
        yield Problem(
            "mapping_unmatched", survey.place("labels", name), f"labels.{name}", f"{listed} in no file", "", ""
        )
    if swallowed:
        total = swallowed.total()
        counted = f"{total} of {features} features" if features else f"{total:,} pixels"
        listed = ", ".join(f"{value!r} ({count:,})" for value, count in swallowed.most_common(MOST))
        more = f" and {len(swallowed) - MOST} other values" if len(swallowed) > MOST else ""
        yield Problem(
            "default_class_used",
            survey.place("labels", "default_class"),
            "labels.default_class",
            f"{spec.labels.default_class} is what {counted} are taken for: {listed}{more}",
            "",
            "",
        )


def common_files(survey: Survey) -> Iterator[Problem]:
    """Find files of labels for many scenes that reach none of them."""
    for key in survey.request.labels:
        groups: dict[str, list[Reading]] = {}
        for reading in survey.readings:
            if reading.scene.common_labels:
                groups.setdefault(reading.labels_entry, []).append(reading)
        for entry, readings in groups.items():
            found = [labels for reading in readings if (labels := reading.labels.get(key))]
            if len(found) == len(readings) and all(labels.place for labels in found):
                header = readings[0].header
                bounds = ", ".join(f"{value:.5f}" for value in header.bounds) if header else ""
                yield Problem(
                    "labels_outside",
                    entry,
                    "labels",
                    f"nothing in any of its {len(readings)} scenes: {found[0].place}",
                    f"some within the scenes' bounds, such as {bounds} (EPSG:4326)",
                    "check the file and its CRS",
                )


CHECKS = (by_scene, boxes_at_edges, entries, common_files)
