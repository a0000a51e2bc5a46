"""The stage `bundle`: Raster Vision's deployable bundle of a model with its prediction window."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swath.files import unzip, zip_directory
from swath.rv.pipeline import predict_options, read_config, write_config


def bundle_model(model: Path, window: Mapping[str, Any], output: Path) -> None:
    """Write the bundle that Raster Vision's `predict` takes.

    Args:
        model: The model's folder.
        window: The resolved prediction window.
        output: The zip to write.
    """
    config = read_config(model / "pipeline-config.json")
    config.predict_options = predict_options(window, batch_size=8)
    config.backend.data.uri = None  # where the chips lay says nothing about the model
    for scene in config.dataset.all_scenes:
        scene.label_store.smooth_output = window["smooth"]
        scene.label_source, scene.aoi_uris = None, None  # predicting needs no labels
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_config(config, work / "pipeline-config.json")
        train_bundle = work / "train"
        unzip(model / "model-bundle.zip", train_bundle / "content")
        _read_windows_at_their_size(train_bundle / "content" / "learner-config.json", window["chip_size"])
        zip_directory(train_bundle / "content", train_bundle / "model-bundle.zip")
        config.root_uri, config.train_uri, config.bundle_uri = str(work), str(train_bundle), str(work / "bundle")
        config.build(temporary).bundle()
        unzip(work / "bundle" / "model-bundle.zip", work / "deployable")
        zip_directory(work / "deployable", output)


def _read_windows_at_their_size(learner_config: Path, size: int) -> None:
    """Keep Raster Vision from resizing prediction windows to the size of the training chips."""
    content = json.loads(learner_config.read_text())
    content["data"]["img_sz"] = size
    learner_config.write_text(json.dumps(content, indent=2, sort_keys=True))
