"""The stage `eval`: Raster Vision's evaluator over a split's predictions, and the metrics that matter from it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from swath.errors import Problem, UserError
from swath.files import read_json, write_json
from swath.rv.eval_json import evaluation_of
from swath.rv.label_sources import label_source
from swath.rv.measures import measure
from swath.rv.pipeline import SceneOptions, pipeline_config, read_config, scene_config, write_config
from swath.rv.stores import STORES
from swath.scenes.facts import SceneFacts


def evaluate(
    scenes: Sequence[SceneFacts],
    split: str,
    options: SceneOptions,
    model: Path,
    predictions: Path,
    folder: Path,
    outputs: Mapping[str, Path],
) -> None:
    """Evaluate a split's predictions against its labels.

    Args:
        scenes: Facts of the split's scenes; those without labels are left out.
        split: validation or test.
        options: Imagery settings, statistics, unlabelled class.
        model: The model's folder.
        predictions: Folder of the model's maps, with a folder per scene.
        folder: Where the evaluation is published, as the written pipeline config names it.
        outputs: Files to write: ``metrics`` (see :func:`swath.rv.measures.measure`), ``raster_vision`` (Raster
            Vision's own eval.json) and ``config`` (with which Raster Vision's command line evaluates again).
    """
    labelled = [facts for facts in scenes if facts.label_raster]
    if not labelled:
        cure = "leave the test scenes' labels empty, or give labels that reach them"
        raise UserError(
            Problem("no_labelled_scenes", "scenes", f"{split} scenes", "none with labels", "at least one", cure)
        )
    trained = read_config(model / "pipeline-config.json")
    store = STORES[options.task]
    evaluated = [
        scene_config(
            facts,
            options,
            labels=label_source(facts, options),
            aoi=facts.evaluated,
            store=store.label_store(str(predictions / facts.maps)),
        )
        for facts in labelled
    ]
    config = pipeline_config(
        options.task,
        classes=trained.dataset.class_config,
        **{split: evaluated},
        root_uri=str(folder),
        train_uri=str(model),
        predict_uri=str(predictions),
        eval_uri=str(folder / "raster-vision"),
        model=trained.backend.model,
        solver=trained.backend.solver,
        data=trained.backend.data,
    )
    write_config(config, outputs["config"])
    with tempfile.TemporaryDirectory() as temporary:
        for evaluator in config.evaluators:
            evaluator.output_uri = temporary
        config.build(temporary).eval()
        result = read_json(Path(temporary) / f"{split}_scenes" / "eval.json")
        classes = config.dataset.class_config
        built = [scene.build(classes, temporary) for scene in config.dataset.all_scenes]
        maps = {facts.id: predictions / facts.maps for facts in labelled}
        metrics = measure(options.task, evaluation_of(result), built, maps, classes.names)
    write_json(outputs["raster_vision"], result)
    write_json(outputs["metrics"], {"split": split, **asdict(metrics)})
