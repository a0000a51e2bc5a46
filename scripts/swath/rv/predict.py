"""The stage `predict`: Raster Vision's predictions for one shard of scenes, as maps."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from swath.files import publish_directory, sha256, write_json
from swath.gpus import warn_of_unseen_gpus
from swath.rv.bundle import bundle_for_window
from swath.rv.pipeline import read_config, scene_config
from swath.rv.task import Prediction, SceneOptions
from swath.rv.tasks import TASKS
from swath.scenes.manifest import Facts, channel_order, check_imagery

log = logging.getLogger("swath.predict")


def predict_scenes(
    scenes: Sequence[Facts],
    options: SceneOptions,
    model: Path,
    window: Mapping[str, Any],
    batch_size: int,
    colours: Sequence[str],
    folder: Path,
    manifest: Path,
) -> None:
    """Predict whole scenes.

    Every scene gets a folder ``<folder>/<scene>/`` with the task's products, published whole.

    Args:
        scenes: Facts of the scenes.
        options: Imagery settings and statistics.
        model: The model's folder: train bundle and pipeline config.
        window: The resolved prediction window.
        batch_size: Windows per step.
        colours: Colours by class id.
        folder: Where the scenes' folders go.
        manifest: JSON to write: scene id → files with their SHA-256.
    """
    warn_of_unseen_gpus(torch.cuda.device_count())
    check_imagery(scenes, options.imagery)
    config = read_config(model / "pipeline-config.json")
    task = TASKS[options.task]
    with tempfile.TemporaryDirectory() as temporary:
        config.predict_options = task.predict_options({**window, **task.candidates}, batch_size)
        config.backend.data.num_workers = 0
        pipeline = config.build(temporary)
        pipeline.build_backend(str(bundle_for_window(model, window, Path(temporary) / "bundle")))
        published = {}
        for facts in scenes:
            raw = str(Path(temporary) / "predictions" / facts["id"])
            scene = scene_config(facts, options, labels=False, predictions=raw, window=window)
            built = scene.build(config.dataset.class_config, temporary)
            prediction = Prediction(
                facts=facts,
                scene=built,
                labels=pipeline.predict_scene(built),
                class_config=config.dataset.class_config,
                colours=colours,
                bands=channel_order(facts, options.imagery["bands"]),
                window=window,
            )
            with publish_directory(folder / facts["id"]) as target:
                task.write_products(prediction, target)
            files = sorted((folder / facts["id"]).iterdir())
            published[facts["id"]] = {file.name: sha256(file) for file in files}
            log.info("%s: predicted", facts["id"])
    write_json(manifest, {"scenes": published})
