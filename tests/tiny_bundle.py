"""Bundles as far as their texts go, without a network: what new images are compared with."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from tiny import BANDS, METRES

CLASSES = ["null", "field", "forest"]
MEAN, DEVIATION = 1550.0, 837.0
"""Of the tiny scenes' values, 100 to 3,000."""


def texts(crs: str, **description: Any) -> dict[str, Any]:
    """What a bundle of the tiny scenes says; `description` changes what Swath adds, None leaves that out."""
    source = {"type_hint": "rasterio_source", "uris": ["a.tif"], "channel_order": [0, 1, 2], "transformers": []}
    model = {"external_def": {"entrypoint_kwargs": {"architecture": "unet", "encoder": "resnet18"}}}
    pipeline: dict[str, Any] = {
        "type_hint": "semantic_segmentation",
        "dataset": {
            "class_config": {"names": CLASSES, "colors": ["#000000", "#e3c567", "#2f6b3a"], "null_class": "null"},
            "validation_scenes": [{"raster_source": source, "label_store": {"smooth_output": False}}],
            "train_scenes": [],
        },
        "predict_options": {"chip_sz": 32, "stride": 16, "crop_sz": 8},
        "backend": {"data": {"img_channels": 3}, "model": model},
    }
    trained_on = {
        "bands": list(BANDS),
        "dtypes": ["uint16"],
        "metres": [METRES, METRES],
        "crs": [crs],
        "nodata": [],
        "scaling": [[1.0, 0.0]] * 3,
    }
    own = {
        "imagery": {},
        "window": {"chip_size": 32, "stride": 16, "crop": 8, "smooth": False},
        "background": 0,
        "channels_last": True,
        "deterministic": False,
        "trained_on": trained_on,
    }
    for name, value in description.items():
        (trained_on if name in trained_on else own)[name] = value
    statistics = {"means": [MEAN] * 3, "stds": [DEVIATION] * 3}
    return {"pipeline-config.json": pipeline, "swath.json": own, "analyze/stats/train_scenes/stats.json": statistics}


def write_bundle(path: Path, said: dict[str, Any]) -> Path:
    """Write a bundle of some texts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in said.items():
            archive.writestr(name, json.dumps(content))
    return path
