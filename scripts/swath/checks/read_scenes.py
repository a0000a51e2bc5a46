"""What the preflight reads: headers, a bounded sample of pixels, labels. Runs as a process of its own.

``python -m swath.checks.read_scenes`` takes a request as JSON on its input and writes one reading per scene as JSON: so
that Snakemake's process imports neither rasterio nor geopandas, and a scene that is read in another process cannot
disturb it. Neither torch nor Raster Vision is imported.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from swath.checks.label_stats import read_area, survey_labels
from swath.checks.pixels import footprint, metres_per_pixel, sample_pixels
from swath.errors import Problem, UserError
from swath.scenes.images import read_image

FEW = 4
"""So few scenes are read faster by one process than by several."""

Found = list[dict[str, str]]


def read_scenes(scenes: Sequence[Mapping[str, Any]], specs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read all scenes, in parallel, with a progress bar where somebody watches.

    Args:
        scenes: Rows: id, split, image, labels, aoi.
        specs: Key → spec of the stage `scenes`: class names, label settings.
    """
    read = partial(read_scene, specs=specs)
    workers = min(len(os.sched_getaffinity(0)), 8, len(scenes) // FEW + 1)
    progress = partial(tqdm, total=len(scenes), desc="Checking scenes", unit=" scenes", disable=None, leave=False)
    if workers == 1:
        return list(progress(map(read, scenes)))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        return list(progress(pool.map(read, scenes, chunksize=4)))


def read_scene(row: Mapping[str, Any], specs: Mapping[str, Any]) -> dict[str, Any]:
    """Read one scene; what goes wrong is a problem of the reading, never an exception.

    Args:
        row: id, split, image, labels, aoi, common_labels.
        specs: Key → spec of the stage `scenes`. The image is read as the first one says.

    Returns:
        The fields of :class:`swath.checks.context.Reading`.
    """
    found: Found = []
    reading: dict[str, Any] = {"row": dict(row), "header": None, "sample": None, "labels": {}, "aoi": None}
    with TemporaryDirectory() as folder:
        image = partial(_header, row["image"], next(iter(specs.values()))["imagery"], Path(folder))
        header = _told(found, "image_unreadable", row["image"], "image", image)
        if header:
            sample = partial(sample_pixels, header["image"], header["alpha"])
            reading["sample"] = _told(found, "image_unreadable", row["image"], "image", sample)
            reading["header"] = {**header, "image": row["image"]}
    if header:
        for key, spec in specs.items() if row["labels"] else ():
            survey = partial(survey_labels, row, spec, header)
            reading["labels"][key] = _told(found, "labels_unreadable", row["labels"], "labels", survey)
        if row["aoi"]:
            reading["aoi"] = _told(found, "aoi_unreadable", row["aoi"], "aoi", partial(read_area, row["aoi"], header))
    return {**reading, "problems": found}


def _header(cell: str, imagery: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    header = read_image(cell, imagery, folder, folder)
    return {**header, "metres": metres_per_pixel(header), "footprint": footprint(header)}


def _told(found: Found, code: str, file: str, field: str, function: Callable[[], Any]) -> Any:
    """Call a function; keep the problems that it raises, and make one of what a library stumbles over."""
    try:
        return function()
    except UserError as error:
        found += [asdict(problem) for problem in error.problems]
    except Exception as error:  # one file that a library stumbles over must not hide what the others have
        said = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        problem = Problem(code, file, field, said, "a file that can be read", "check the file, copy it again")
        found.append(asdict(problem))
    return None


def main() -> None:
    """Answer a request from the input on the output."""
    warnings.simplefilter("ignore")
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)  # what GDAL says comes with the exception
    logging.getLogger("pyogrio").setLevel(logging.CRITICAL)
    request = json.load(sys.stdin)
    json.dump(read_scenes(request["scenes"], request["labels"]), sys.stdout)


if __name__ == "__main__":
    main()
