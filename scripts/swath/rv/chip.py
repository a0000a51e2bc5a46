"""The stage `chip`: Raster Vision's chips of one shard of scenes."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from swath.errors import Problem, UserError
from swath.files import short_hash, unzip, zip_directory
from swath.rv.pipeline import SceneOptions, chip_options, class_config, pipeline_config, scene_config
from swath.scenes.manifest import Facts, check_imagery

FOLDERS = {"train": "train", "validation": "valid"}
"""Split → its folder in Raster Vision's chip zips."""

log = logging.getLogger("swath.chip")


def cut_chips(
    scenes: Sequence[Facts],
    split: str,
    chips: Mapping[str, Any],
    options: SceneOptions,
    classes: Sequence[str],
    output: Path,
) -> None:
    """Cut the chips of some scenes of one split.

    The zip holds ``<train|valid>/img/<scene>-<number>`` and ``…/labels/<scene>-<number>``: images uint8
    height × width × bands (PNG for three bands, else NPY; values as normalised), labels uint8 height × width of
    class ids (PNG). A scene's chips depend on its id and the settings alone, not on its shard.

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
        for facts in scenes:
            number = _cut_scene(facts, split, chips, options, classes, Path(temporary) / facts["id"], samples)
            log.info("%s: %d chips", facts["id"], number)
        zip_directory(samples, output)


def _cut_scene(
    facts: Facts,
    split: str,
    chips: Mapping[str, Any],
    options: SceneOptions,
    classes: Sequence[str],
    work: Path,
    samples: Path,
) -> int:
    """Let Raster Vision cut one scene's chips, then name them after the scene; return how many."""
    config = pipeline_config(
        classes=class_config(classes, ["black"] * len(classes)),
        **{split: [scene_config(facts, options, aoi=facts["aoi"])]},
        root_uri=str(work),
        chip_options=chip_options(chips, classes),
    )
    work.mkdir()
    seed = int(short_hash([chips["seed"], facts["id"]], 8), 16)
    torch.manual_seed(seed)
    np.random.seed(seed)
    config.build(str(work)).chip()
    for archive in (work / "chip").glob("*.zip"):
        unzip(archive, work / "unzipped")
    count = 0
    for kind in ("img", "labels"):
        files = sorted((work / "unzipped" / FOLDERS[split] / kind).glob("*"), key=lambda file: int(file.stem))
        count = len(files)
        folder = samples / FOLDERS[split] / kind
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            file.rename(folder / f"{facts['id']}-{int(file.stem):05d}{file.suffix}")
    return count


def _check_sizes(scenes: Sequence[Facts], chips: Mapping[str, Any]) -> None:
    if chips["sampling"] != "random":
        return
    problems = [
        Problem(
            facts["image"],
            f"chips.size: {chips['size']}",
            f"a scene of {facts['width']} × {facts['height']} pixels",
            f"scenes larger than a chip of {chips['size']} × {chips['size']} pixels",
            "choose smaller chips, or let them reach over the edge with `chips.padding`",
        )
        for facts in scenes
        if min(facts["width"], facts["height"]) + 2 * chips["padding"] <= chips["size"]
    ]
    if problems:
        raise UserError(problems)
