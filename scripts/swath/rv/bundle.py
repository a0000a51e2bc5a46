"""The stage `bundle`: Raster Vision's deployable bundle of a model with its prediction window."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from zipfile import ZIP_STORED

from swath.config.predict import Window
from swath.config.records import to_json
from swath.config.tasks import Task
from swath.files import unzip, write_json, zip_directory
from swath.rv.pipeline import STATS_IN_ANALYZE, read_config, write_config
from swath.rv.stores import STORES
from swath.scenes.trained_on import DESCRIPTION, ModelDescription


def bundle_model(task: Task, model: Path, description: ModelDescription, output: Path) -> None:
    """Write the bundle that Raster Vision's `predict` takes; ``swath.json`` in it says what the model was trained on.

    Args:
        task: The task.
        model: The model's folder.
        description: What goes into ``swath.json``.
        output: The zip to write.
    """
    window = description.window
    config = read_config(model / "pipeline-config.json")
    store = STORES[task]
    config.predict_options = store.predict_options(window, batch_size=8)
    config.backend.data.uri = None  # where the chips lay says nothing about the model
    for scene in config.dataset.all_scenes:
        scene.label_source, scene.aoi_uris = None, None  # predicting needs no labels
        scene.label_store = store.label_store(scene.label_store.uri, window)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_config(config, work / "pipeline-config.json")
        statistics = Path(config.analyze_uri or "") / STATS_IN_ANALYZE
        if statistics.exists():  # what else lies there says how it was made, not what it is
            config.analyze_uri = str(work / "analyze")
            (work / "analyze" / STATS_IN_ANALYZE).parent.mkdir(parents=True)
            shutil.copyfile(statistics, work / "analyze" / STATS_IN_ANALYZE)
        config.root_uri, config.bundle_uri = str(work), str(work / "bundle")
        config.train_uri = str(bundle_for_window(model, window, work / "train").parent)
        config.build(temporary).bundle()
        unzip(work / "bundle" / "model-bundle.zip", work / "deployable")
        write_json(work / "deployable" / DESCRIPTION, to_json(description))
        zip_directory(work / "deployable", output)


def bundle_for_window(model: Path, window: Window, folder: Path) -> Path:
    """Write a train bundle, uncompressed, that reads prediction windows at their size.

    Raster Vision would resize them to the training chips' size, and with them everything in them.

    Args:
        model: The model's folder.
        window: The resolved prediction window.
        folder: A new folder.

    Returns:
        The bundle's path.
    """
    content = folder / "content"
    unzip(model / "model-bundle.zip", content)
    learner_config = content / "learner-config.json"
    settings = json.loads(learner_config.read_text())
    settings["data"]["img_sz"] = window.chip_size
    learner_config.write_text(json.dumps(settings, indent=2, sort_keys=True))
    zip_directory(content, folder / "model-bundle.zip", ZIP_STORED)
    return folder / "model-bundle.zip"
