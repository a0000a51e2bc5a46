"""The stage `predict`: one shard of scenes, as maps."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from swath.config.predict import Window
from swath.files import publish_directory, published, read_state, sha256, write_json
from swath.job.gpus import warn_of_unseen_gpus
from swath.prediction.model import Computing, Model
from swath.prediction.products import Prediction, write_products
from swath.rv.bundle import bundle_for_window
from swath.rv.pipeline import SceneOptions, read_config, scene_config
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import channel_order, check_imagery

MADE_FROM = "made-from.json"
"""Lies beside a scene's maps: checksums of the model, of the image's files, and of the maps."""
BUNDLE = "model-bundle.zip"

log = logging.getLogger("swath.predict")


def predict_scenes(
    scenes: Sequence[SceneFacts],
    options: SceneOptions,
    model: Path,
    window: Window,
    computing: Computing,
    colours: Sequence[str],
    folder: Path,
    manifest: Path,
    name: str = "",
) -> None:
    """Predict whole scenes.

    Every scene gets a folder ``<folder>/<its facts' maps>/`` with the task's products, published whole. A scene whose
    maps were made from the same model and image already is passed over: shards are made anew when they get one more.

    Args:
        scenes: Facts of the scenes.
        options: Imagery settings, statistics and unlabelled class.
        model: The model's folder: train bundle and pipeline config.
        window: The resolved prediction window.
        computing: How the model computes, beside what the window says of it.
        colours: Colours by class id.
        folder: Where the scenes' folders go.
        manifest: JSON to write: scene id → folder, and files with their SHA-256.
        name: The run's readable name, for messages.
    """
    warn_of_unseen_gpus(torch.cuda.device_count())
    check_imagery(scenes, options.imagery)
    config = read_config(model / "pipeline-config.json")
    computing = replace(computing, flips=bool(window.flips), mixed_precision=window.mixed_precision)
    with tempfile.TemporaryDirectory() as temporary:
        config.backend.data.num_workers = 0
        pipeline = config.build(temporary)
        pipeline.build_backend(str(bundle_for_window(model, window, Path(temporary) / "bundle")))
        network = Model(pipeline.backend.learner, options.task, window.chip_size, computing)
        written = {}
        for facts in scenes:
            words = f"{name}: {facts.id}" if name else facts.id
            target = folder / facts.maps
            made_from = {"model": sha256(model / BUNDLE), "image": sorted(facts.inputs["image"].values())}
            if is_made_from(target, made_from):
                log.info("%s: its maps are there already", words)
                published.append(target)  # they are this job's, too
            else:
                prediction = Prediction(
                    facts=facts,
                    scene=scene_config(facts, options).build(config.dataset.class_config, temporary),
                    model=network,
                    class_config=config.dataset.class_config,
                    colours=colours,
                    bands=channel_order(facts, options.imagery.bands),
                    window=window,
                    background=options.unlabelled,
                    name=words,
                )
                with publish_directory(target) as unfinished:
                    write_products(options.task, prediction, unfinished)
                    write_json(unfinished / MADE_FROM, {**made_from, "maps": checksums_of_maps(unfinished)})
                log.info("%s: predicted", words)
            files = {file.name: sha256(file) for file in sorted(target.iterdir()) if file.is_file()}
            written[facts.id] = {"folder": target.name, "files": files}
    write_json(manifest, {"scenes": written})


def checksums_of_maps(folder: Path) -> dict[str, str]:
    """Return the checksums of a scene's maps by name."""
    return {file.name: sha256(file) for file in sorted(folder.iterdir()) if file.is_file() and file.name != MADE_FROM}


def is_made_from(folder: Path, made_from: Mapping[str, Any]) -> bool:
    """Tell whether a scene's maps were made from the very same model and image, and are all there.

    Args:
        folder: The scene's folder of maps.
        made_from: Checksums of what they would be made from now.
    """
    if not made_from["image"]:  # nothing is known of an image on another machine
        return False
    before = read_state(folder / MADE_FROM, maps=dict)
    if before is None or {**made_from, "maps": before["maps"]} != before:
        return False
    return bool(before["maps"].items() <= checksums_of_maps(folder).items())
