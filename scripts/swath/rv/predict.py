"""The stage `predict`: Raster Vision's predictions for one shard of scenes, as maps."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from swath.config.predict import Window
from swath.files import publish_directory, published, read_state, sha256, write_json
from swath.job.gpus import warn_of_unseen_gpus
from swath.rv.bundle import bundle_for_window
from swath.rv.pipeline import SceneOptions, read_config, scene_config
from swath.rv.products import Prediction, write_products
from swath.rv.stores import STORES
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import channel_order, check_imagery

MADE_FROM = "made-from.json"
"""Lies beside a scene's maps: checksums of the model, of the image's files, and of the maps."""
BUNDLE = "model-bundle.zip"

log = logging.getLogger("swath.predict")


@dataclass(frozen=True)
class Computing:
    """How a model computes.

    Attributes:
        batch_size: Windows per step.
        channels_last: Keep bands innermost in memory, as the training did.
        deterministic: Whether the training asked for deterministic GPU kernels; otherwise the fastest ones are taken.
    """

    batch_size: int
    channels_last: bool
    deterministic: bool


def predict_scenes(
    scenes: Sequence[SceneFacts],
    options: SceneOptions,
    model: Path,
    window: Window,
    computing: Computing,
    colours: Sequence[str],
    folder: Path,
    manifest: Path,
) -> None:
    """Predict whole scenes.

    Every scene gets a folder ``<folder>/<its facts' maps>/`` with the task's products, published whole. A scene whose
    maps were made from the same model and image already is passed over: shards are made anew when they get one more.

    Args:
        scenes: Facts of the scenes.
        options: Imagery settings, statistics and unlabelled class.
        model: The model's folder: train bundle and pipeline config.
        window: The resolved prediction window.
        computing: How the model computes.
        colours: Colours by class id.
        folder: Where the scenes' folders go.
        manifest: JSON to write: scene id → folder, and files with their SHA-256.
    """
    warn_of_unseen_gpus(torch.cuda.device_count())
    check_imagery(scenes, options.imagery)
    config = read_config(model / "pipeline-config.json")
    store = STORES[options.task]
    with tempfile.TemporaryDirectory() as temporary:
        config.predict_options = store.predict_options(store.candidates(window), computing.batch_size)
        config.backend.data.num_workers = 0
        pipeline = config.build(temporary)
        pipeline.build_backend(str(bundle_for_window(model, window, Path(temporary) / "bundle")))
        _set_up(pipeline.backend.learner.model, computing)
        written = {}
        for facts in scenes:
            target = folder / facts.maps
            made_from = {"model": sha256(model / BUNDLE), "image": sorted(facts.inputs["image"].values())}
            if is_made_from(target, made_from):
                log.info("%s: its maps are there already", facts.id)
                published.append(target)  # they are this job's, too
            else:
                raw = str(Path(temporary) / "predictions" / facts.maps)
                scene = scene_config(facts, options, store=store.label_store(raw, window))
                built = scene.build(config.dataset.class_config, temporary)
                prediction = Prediction(
                    facts=facts,
                    scene=built,
                    labels=pipeline.predict_scene(built),
                    class_config=config.dataset.class_config,
                    colours=colours,
                    bands=channel_order(facts, options.imagery.bands),
                    window=window,
                    background=options.unlabelled,
                )
                with publish_directory(target) as unfinished:
                    write_products(options.task, prediction, unfinished)
                    write_json(unfinished / MADE_FROM, {**made_from, "maps": checksums_of_maps(unfinished)})
                log.info("%s: predicted", facts.id)
            files = {file.name: sha256(file) for file in sorted(target.iterdir()) if file.is_file()}
            written[facts.id] = {"folder": target.name, "files": files}
    write_json(manifest, {"scenes": written})


def _set_up(model: torch.nn.Module, computing: Computing) -> None:
    """Have a model compute as it is told to; what its convolutions get is laid out as their weights are."""
    if computing.channels_last:
        model.to(memory_format=torch.channels_last)
    torch.backends.cudnn.benchmark = not computing.deterministic  # windows are of one size
    torch.backends.cudnn.deterministic = computing.deterministic


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
