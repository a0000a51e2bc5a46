"""The stage `chip`: Raster Vision's chips of one shard of scenes."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rastervision.core.rv_pipeline import ChipOptions

from swath.config.chips import Chips
from swath.config.tasks import DETECTION
from swath.errors import Problem, UserError
from swath.files import file_name, short_hash, unzip, zip_directory
from swath.job.progress import Progress
from swath.rv.chip_files import CHIP_FILES, FOLDERS
from swath.rv.cutting import CUTTING, Cutting
from swath.rv.label_sources import label_source
from swath.rv.pipeline import SceneOptions, class_config, pipeline_config, scene_config
from swath.rv.seeds import seed_everything
from swath.rv.upstream import prepare_before_cutting, set_windows, write_exact_boxes
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import check_imagery

log = logging.getLogger("swath.chip")


def cut_chips(
    scenes: Sequence[SceneFacts],
    split: str,
    chips: Chips,
    options: SceneOptions,
    classes: Sequence[str],
    output: Path,
) -> None:
    """Cut the chips of some scenes of one split.

    The zip holds ``<train|valid>/…/<scene>-<number>``: images uint8 height × width × bands (PNG for three bands, else
    NPY; values as normalised) in ``img/``, or, for chip classification, in a folder per class; ``labels/`` has uint8
    height × width of class ids (PNG) for segmentation, and ``<scene>.json`` with boxes in COCO's form for detection.
    A scene's chips depend on its id and the settings alone, not on its shard.

    Args:
        scenes: Facts of the scenes.
        split: train or validation.
        chips: The `chips` settings.
        options: Imagery settings, statistics, unlabelled class.
        classes: Class names by id.
        output: The zip to write.

    Raises:
        UserError: For scenes smaller than a chip and imagery that does not fit the settings.
    """
    check_imagery(scenes, options.imagery)
    _check_sizes(scenes, chips)
    with tempfile.TemporaryDirectory() as temporary:
        samples = Path(temporary) / "samples"
        with Progress(log, f"{split} chips", len(scenes), "scenes") as progress:
            for facts in scenes:
                number = _cut_scene(facts, split, chips, options, classes, Path(temporary), samples)
                if number:
                    log.info("%s: %d chips", facts.id, number, extra=progress.of_a_part)
                else:
                    log.warning("%s: no chips", facts.id)
                progress.add()
        zip_directory(samples, output)


def _cut_scene(
    facts: SceneFacts,
    split: str,
    chips: Chips,
    options: SceneOptions,
    classes: Sequence[str],
    work: Path,
    samples: Path,
) -> int:
    """Let Raster Vision cut one scene's chips, then name them after the scene; return how many."""
    cutting, name = CUTTING[options.task], file_name(facts.id)
    work = work / name  # Raster Vision names chips after their scene
    named = replace(facts, id=name)
    scene = scene_config(named, options, labels=label_source(facts, options), aoi=facts.aoi)
    config = pipeline_config(
        options.task,
        classes=class_config(classes, ["black"] * len(classes)),
        **{split: [scene]},
        root_uri=str(work),
        chip_options=cutting.chip_options(chips, scene, classes),
    )
    work.mkdir()
    seed_everything(int(short_hash([chips.seed, facts.id], 8), 16))
    backend = config.backend.build(config, str(work))
    if options.task == DETECTION:
        write_exact_boxes(backend)
    prepare_before_cutting(backend, partial(_prepare, cutting, facts, config.chip_options, options))
    try:
        backend.chip_dataset(config.dataset, config.chip_options)
    except ValueError as error:  # such as a box that is larger than a chip
        raise UserError(
            Problem(
                "chips_not_cut",
                facts.image,
                "chips",
                str(error),
                "windows that can be cut",
                "change `chips`, or the labels",
            )
        ) from error
    for archive in (work / "chip").glob("*.zip"):
        unzip(archive, work / "unzipped")
    files = CHIP_FILES[options.task]
    return files.adopt(work / "unzipped" / FOLDERS[split], name, samples / FOLDERS[split], classes)


def _prepare(
    cutting: Cutting, facts: SceneFacts, chip_options: ChipOptions, options: SceneOptions, dataset: Any
) -> None:
    """Get a scene's dataset ready to be cut, with its own windows if it has some."""
    windows = cutting.prepare_scene(dataset.scene, facts, chip_options, options)
    if windows is not None:
        set_windows(dataset, windows)


def _check_sizes(scenes: Sequence[SceneFacts], chips: Chips) -> None:
    if chips.sampling != "random":
        return
    problems = [
        Problem(
            "scene_smaller_than_chip",
            facts.image,
            f"chips.size: {chips.size}",
            f"a scene of {facts.width} × {facts.height} pixels",
            f"scenes larger than a chip of {chips.size} × {chips.size} pixels",
            "choose smaller chips, or let them reach over the edge with `chips.padding`",
        )
        for facts in scenes
        if min(facts.width, facts.height) + 2 * chips.padding <= chips.size
    ]
    if problems:
        raise UserError(problems)
