"""Checks of what the machine has: room for chips, files of weights."""

from __future__ import annotations

import math
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from swath.checks.chips import number_of_chips
from swath.checks.context import Survey
from swath.config.model import NAMED_WEIGHTS
from swath.errors import Problem
from swath.plan.inputs import first_weights

RESULTS, WEIGHTS = Path("results"), Path("resources/weights")
PICKLE, ONE_MORE_COPY = b"\x80", 2
"""Chips are unpacked for training: zips and files lie on the disk at the same time."""


def disk_space(survey: Survey) -> Iterator[Problem]:
    """Find too little room for chips."""
    needed = chip_bytes(survey)
    free = shutil.disk_usage(RESULTS if RESULTS.exists() else Path()).free
    if needed > free:
        yield Problem(
            "disk_space",
            str(RESULTS),
            "disk",
            f"{_gigabytes(free)} free",
            f"up to {_gigabytes(needed)} for chips",
            "cut fewer or smaller chips, or run in a folder with more room (--directory)",
        )


def chip_bytes(survey: Survey) -> int:
    """Estimate the room that chips need, uncompressed: 8-bit values of every band, and labels."""
    most = max((header.count for _, header in survey.with_header()), default=0)
    total = 0
    for settings in survey.settings("chips", "imagery"):
        bands = len(settings.imagery.bands or []) or most
        number = sum(number_of_chips(survey, settings.chips).values())
        total += number * settings.chips.size**2 * (bands + 1) * ONE_MORE_COPY
    return total


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:.3g} GB" if number >= 1e9 else f"{math.ceil(number / 1e6)} MB"


def weights(survey: Survey) -> Iterator[Problem]:
    """Find files that are no weights, and weights that have to be fetched."""
    for settings in survey.settings("model"):
        start, model = settings.model.weights, settings.model
        if start == "none":
            continue
        if start in NAMED_WEIGHTS:
            file = Path(first_weights(model.model_dump(mode="json"), str(RESULTS), str(WEIGHTS))[0])
            if not file.exists():
                yield Problem(
                    "weights_to_fetch",
                    survey.place("model", "weights"),
                    "model.weights",
                    f"{file} is not there yet",
                    "",
                    "where there is no network, run `snakemake --cores 1 weights` on a node that has one, before",
                )
        elif isinstance(start, str) and not looks_like_weights(Path(start)):
            yield Problem(
                "weights_unreadable",
                start,
                "model.weights",
                f"{Path(start).stat().st_size} bytes that are no weights",
                "a file that torch.save, safetensors or Raster Vision wrote",
                "copy it again",
            )


def looks_like_weights(file: Path) -> bool:
    """Tell whether a file is a zip (torch, bundles), a pickle (old torch), or safetensors."""
    if file.suffix == ".safetensors":
        with file.open("rb") as content:
            length = int.from_bytes(content.read(8), "little")
            return 0 < length <= file.stat().st_size - 8 and content.read(1) == b"{"
    with file.open("rb") as content:
        return zipfile.is_zipfile(file) or content.read(1) == PICKLE


CHECKS = (disk_space, weights)
