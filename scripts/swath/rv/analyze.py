"""The stage `analyze`: band statistics of the training scenes, by Raster Vision's StatsAnalyzer."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rastervision.core.analyzer import StatsAnalyzer

from swath.config.tasks import SEGMENTATION
from swath.files import write_json
from swath.rv.pipeline import class_config, scene_config
from swath.rv.task import SceneOptions
from swath.scenes.manifest import Facts, check_imagery

STANDARD_DEVIATIONS = 3  # what Raster Vision's StatsTransformer clips at


def analyze(scenes: Sequence[Facts], imagery: Mapping[str, Any], output: Path) -> None:
    """Write the statistics that normalise the imagery.

    Args:
        scenes: The training scenes; none for a fixed range.
        imagery: The `imagery` settings. With a fixed range no pixel is read: the statistics are chosen so that
            ``min`` becomes 0 and ``max`` becomes 255 (mean ± 3 standard deviations span the range), for all bands.
        output: stats.json with `means` and `stds` per band, in the images' unit, in the order of the bands.

    Raises:
        UserError: If a scene does not have the bands.
    """
    if isinstance(imagery["normalize"], Mapping):
        low, high = imagery["normalize"]["min"], imagery["normalize"]["max"]
        mean, std = (low + high) / 2, (high - low) / (2 * STANDARD_DEVIATIONS)
        write_json(output, {"means": [mean], "stds": [std], "counts": None})
        return
    check_imagery(scenes, imagery)
    classes = class_config(["null"], ["black"])
    options = SceneOptions(SEGMENTATION, imagery, stats=None, labels={})  # whatever the task: no labels are read
    with tempfile.TemporaryDirectory() as temporary:
        built = [
            scene_config(facts, options, labels=False).build(classes, temporary, use_transformers=False)
            for facts in scenes
        ]
        # sample_prob=None: every pixel, where Raster Vision's default draws windows at random
        StatsAnalyzer(str(output), sample_prob=None).process(built, temporary)
