"""The stage `predict`: Raster Vision's predictions for one shard of scenes, as maps."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rasterio

from swath.config.classes import NULL_CLASS_ID
from swath.files import publish_directory, sha256, write_json
from swath.products.maps import label_polygons, without_data, write_label_raster
from swath.rv.pipeline import SceneOptions, predict_options, read_config, scene_config
from swath.scenes.manifest import Facts, channel_order, check_imagery

RASTER, POLYGONS = "labels.tif", "polygons.parquet"
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

    Every scene gets a folder ``<folder>/<scene>/`` with ``labels.tif`` (Cloud Optimized GeoTIFF of class ids) and
    ``polygons.parquet`` (GeoParquet), published whole. Where the image has no data, neither has the map.

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
    check_imagery(scenes, options.imagery)
    config = read_config(model / "pipeline-config.json")
    config.predict_options = predict_options(window, batch_size)
    config.backend.data.num_workers = 0
    published = {}
    with tempfile.TemporaryDirectory() as temporary:
        pipeline = config.build(temporary)
        pipeline.build_backend(str(model / "model-bundle.zip"))
        # windows are read at their own size: Raster Vision would resize them to the training chips'
        pipeline.backend.learner.cfg.data.img_sz = window["chip_size"]
        pipeline.backend.learner.cfg.data.num_workers = 0
        for facts in scenes:
            raw = Path(temporary) / "predictions" / facts["id"]
            scene = scene_config(facts, options, labels=False, predictions=str(raw))
            scene.label_store.smooth_output = window["smooth"]
            built = scene.build(config.dataset.class_config, temporary)
            built.label_store.save(pipeline.predict_scene(built))
            with publish_directory(folder / facts["id"]) as target:
                _write_maps(raw / RASTER, facts, options, config.dataset.class_config.names, colours, target)
            published[facts["id"]] = {
                name: sha256(folder / facts["id"] / name) for name in (RASTER, f"{RASTER}.aux.xml", POLYGONS)
            }
            log.info("%s: predicted", facts["id"])
    write_json(manifest, {"scenes": published})


def _write_maps(
    raw: Path, facts: Facts, options: SceneOptions, classes: Sequence[str], colours: Sequence[str], target: Path
) -> None:
    with rasterio.open(raw) as dataset:
        labels = dataset.read(1)
    labels[without_data(facts["image"], channel_order(facts, options.imagery["bands"]))] = NULL_CLASS_ID
    write_label_raster(labels, facts["image"], classes, colours, target / RASTER)
    label_polygons(labels, facts["image"], classes, facts["id"]).to_parquet(target / POLYGONS)
