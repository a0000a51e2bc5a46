"""Checks of chips and the network: do windows fit, are there enough of them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from swath.checks.context import LEARNED, Survey
from swath.checks.readings import Reading
from swath.config.chips import Chips
from swath.config.tasks import SEGMENTATION
from swath.errors import Problem

WITH_DECODER_CHANNELS = ("unet", "unetplusplus", "manet")
"""Networks of segmentation-models-pytorch that take one number of channels per step of the encoder."""


def sizes(survey: Survey) -> Iterator[Problem]:
    """Find scenes that are smaller than a chip or a prediction window."""
    for settings in survey.settings("chips", "predict"):
        chips = settings.chips
        window = settings.predict.chip_size or chips.size
        for reading, header in survey.with_header():
            side, found = min(header.width, header.height), f"{header.width} × {header.height} pixels"
            if reading.split in LEARNED and chips.sampling == "random" and side + 2 * chips.padding <= chips.size:
                yield Problem(
                    "scene_smaller_than_chip",
                    reading.image,
                    "chips.size",
                    f"a scene of {found}",
                    f"scenes larger than a chip of {chips.size} × {chips.size} pixels",
                    "choose smaller chips, or let them reach over the edge with `chips.padding`",
                )
            elif reading.split != "train" and side < window:
                expected = f"scenes of {window} × {window} pixels or more"
                yield Problem("scene_smaller_than_window", reading.image, "predict.chip_size", found, expected, "")


def number_of_chips(survey: Survey, chips: Chips) -> dict[str, int]:
    """Count the training and validation chips: at most so many, as chips without labels or data can be dropped.

    Where scenes take turns, of the folds that have the fewest.
    """
    counts = dict.fromkeys([*LEARNED, *(reading.part for reading in survey.of(*LEARNED))], 0)
    for reading, header in survey.with_header(*LEARNED):
        if not has_room(reading, chips) or lacks_labels(survey, reading, chips):
            continue
        step = chips.stride or chips.size
        sides = (header.width, header.height)
        sliding = math.prod(math.ceil(max(side - chips.size, 0) / step) + 1 for side in sides)
        counts[reading.part] += sliding if chips.sampling == "sliding" else chips.per_scene
    train, validation = (counts.pop(split) for split in LEARNED)
    folds = counts.values() or [0]
    return {"train": train + sum(folds) - max(folds), "validation": validation + min(folds)}


def has_room(reading: Reading, chips: Chips) -> bool:
    """Tell whether a chip fits into a scene's area of interest, if it has one."""
    return not (reading.aoi and chips.within_aoi) or max(map(min, reading.aoi.sides)) >= chips.size


def lacks_labels(survey: Survey, reading: Reading, chips: Chips) -> bool:
    """Tell whether a scene's labels, all together, are too few for a single chip."""
    specs = survey.request.labels
    if any(spec.task != SEGMENTATION or spec.labels.unlabelled != "ignore" for spec in specs.values()):
        return False
    held = [reading.labels.get(key) for key in specs]
    most = max((sum(labels.pixels.values()) for labels in held if labels), default=None)
    return most is not None and most < chips.min_labelled * chips.size**2


def batches(survey: Survey) -> Iterator[Problem]:
    """Find numbers of chips that do not make batches, and scenes that no chip comes from."""
    if survey.pending:
        return
    for settings in survey.settings("chips", "train"):
        chips, size = settings.chips, settings.train.batch_size
        for reading in survey.of(*LEARNED):
            if lacks_labels(survey, reading, chips):
                needed = math.ceil(chips.min_labelled * chips.size**2)
                labelled = max(sum(labels.pixels.values()) for labels in reading.labels.values() if labels)
                yield Problem(
                    "scene_without_chips",
                    reading.image,
                    f"chips.min_labelled: {chips.min_labelled:g}",
                    f"{labelled:,} labelled pixels in scene {reading.id}",
                    f"{needed:,} on one chip at least: no chip comes from this scene",
                    "lower `chips.min_labelled`, choose smaller chips, or leave the scene out",
                )
        numbers = number_of_chips(survey, chips)
        few = [split for split, least in (("train", 2), ("validation", 1)) if numbers[split] < least]
        if few and not any(reading.header is None for reading in survey.of(*LEARNED)):
            yield Problem(
                "chips_missing",
                survey.place("chips"),
                "chips",
                f"{numbers[few[0]]} {few[0]} chips",
                "at least 2 train chips and 1 validation chip",
                "cut more or smaller chips, lower `chips.min_labelled`, or widen the areas of interest",
            )
            continue
        number = numbers["train"]
        whole = chips.min_labelled == 0 and chips.max_nodata == 1
        if 0 < number < size:
            yield Problem(
                "too_few_chips",
                survey.place("train", "batch_size"),
                "train.batch_size",
                f"{number} training chips, batches of {size}",
                "at least one full batch",
                "cut more chips per scene, or make batches smaller",
            )
        elif whole and number > 1 and number % size == 1:
            yield Problem(
                "last_batch_of_one",
                survey.place("train", "batch_size"),
                "train.batch_size",
                f"{number} training chips, batches of {size}",
                "",
                "",
            )


def boxes(survey: Survey) -> Iterator[Problem]:
    """Find boxes that no chip can hold, where chips are drawn around boxes."""
    for settings in survey.settings("chips"):
        chips = settings.chips
        if chips.sampling != "random" or chips.negative_ratio is None:
            continue
        for reading in survey.of(*LEARNED):
            largest = max((labels.largest_box for labels in reading.labels.values() if labels), default=0.0)
            if largest > chips.size + 1e-3:
                yield Problem(
                    "box_larger_than_chip",
                    reading.labels_entry,
                    "chips.size",
                    f"a box of {largest:.4g} pixels, chips of {chips.size}",
                    "chips that hold the largest box",
                    "choose larger chips, or take `chips.negative_ratio` out: chips then are drawn anywhere",
                )


def arguments(survey: Survey) -> Iterator[Problem]:
    """Find arguments of the network that contradict each other."""
    for settings in survey.settings("model"):
        model = settings.model
        depth, channels = model.arguments.get("encoder_depth", 5), model.arguments.get("decoder_channels")
        if depth not in (3, 4, 5) and not (model.encoder.startswith("tu-") and depth in (1, 2)):
            yield Problem(
                "model_arguments",
                survey.place("model", "arguments"),
                "model.arguments.encoder_depth",
                repr(depth),
                "3, 4 or 5 (with `tu-` encoders 1 to 5)",
                "change it",
            )
        elif model.architecture in WITH_DECODER_CHANNELS and (channels or depth != 5):
            number = len(channels) if isinstance(channels, list) else 5
            if number != depth:
                yield Problem(
                    "model_arguments",
                    survey.place("model", "arguments"),
                    "model.arguments.decoder_channels",
                    f"{number} numbers{'' if channels else ' by default'}, encoder_depth {depth}",
                    "one number per step of the encoder",
                    f"give {depth} numbers, such as {[256, 128, 64, 32, 16][-depth:]}",
                )


CHECKS = (sizes, batches, boxes, arguments)
