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
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from swath.checks.label_stats import read_area, survey_labels
from swath.checks.pixels import footprint, metres_per_pixel, sample_pixels
from swath.checks.readings import Area, LabelStats, Reading, Sample, SurveyedImage
from swath.config.imagery import Imagery
from swath.config.records import of_json, to_json
from swath.errors import Problem, UserError
from swath.scenes.facts import ScenesSpec
from swath.scenes.images import read_image
from swath.scenes.scene import Scene

FEW = 4
"""So few scenes are read faster by one process than by several."""

Found = list[Problem]


def read_scenes(scenes: Sequence[Scene], specs: Mapping[str, ScenesSpec]) -> list[Reading]:
    """Read all scenes, in parallel, with a progress bar where somebody watches.

    Args:
        scenes: The scenes.
        specs: Key → spec of the stage `scenes`: class names, label settings.
    """
    read = partial(read_scene, specs=specs)
    workers = min(len(os.sched_getaffinity(0)), 8, len(scenes) // FEW + 1)
    progress = partial(tqdm, total=len(scenes), desc="Checking scenes", unit=" scenes", disable=None, leave=False)
    if workers == 1:
        return list(progress(map(read, scenes)))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        return list(progress(pool.map(read, scenes, chunksize=4)))


def read_scene(scene: Scene, specs: Mapping[str, ScenesSpec]) -> Reading:
    """Read one scene; what goes wrong is a problem of the reading, never an exception.

    Args:
        scene: The scene.
        specs: Key → spec of the stage `scenes`. The image is read as the first one says.
    """
    found: Found = []
    sample: Sample | None = None
    labels: dict[str, LabelStats | None] = {}
    aoi: Area | None = None
    with TemporaryDirectory() as folder:
        reader = partial(_header, scene.image, next(iter(specs.values())).imagery, Path(folder))
        header: SurveyedImage | None = _told(found, "image_unreadable", scene.image, "image", reader)
        if header:
            sampler = partial(sample_pixels, header.image, header.alpha)
            sample = _told(found, "image_unreadable", scene.image, "image", sampler)
        if header and sample and scene.labels:
            for key, spec in specs.items():
                survey = partial(survey_labels, scene, spec, header, sample)
                labels[key] = _told(found, "labels_unreadable", scene.labels, "labels", survey)
    header = replace(header, image=scene.image) if header else None
    if header and scene.aoi:
        aoi = _told(found, "aoi_unreadable", scene.aoi, "aoi", partial(read_area, scene.aoi, header))
    return Reading(scene, header, sample, labels, aoi, tuple(found))


def _header(entry: str, imagery: Imagery, folder: Path) -> SurveyedImage:
    image = read_image(entry, imagery, folder, folder)
    return SurveyedImage(**vars(image), metres=metres_per_pixel(image), footprint=footprint(image))


def _told(found: Found, code: str, file: str, field: str, function: Callable[[], Any]) -> Any:
    """Call a function; keep the problems that it raises, and make one of what a library stumbles over."""
    try:
        return function()
    except UserError as error:
        found += error.problems
    except Exception as error:  # one file that a library stumbles over must not hide what the others have
        said = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        found.append(Problem(code, file, field, said, "a file that can be read", "check the file, copy it again"))
    return None


def main() -> None:
    """Answer a request from the input on the output."""
    warnings.simplefilter("ignore")
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)  # what GDAL says comes with the exception
    logging.getLogger("pyogrio").setLevel(logging.CRITICAL)
    request = json.load(sys.stdin)
    scenes = [of_json(Scene, scene) for scene in request["scenes"]]
    specs = {key: of_json(ScenesSpec, spec) for key, spec in request["labels"].items()}
    json.dump([to_json(reading) for reading in read_scenes(scenes, specs)], sys.stdout)


if __name__ == "__main__":
    main()
