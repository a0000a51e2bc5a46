"""The stage `eval`: Raster Vision's evaluator over a split's predictions, and the metrics that matter from it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swath.config.classes import NULL_CLASS_ID
from swath.errors import Problem, UserError
from swath.files import read_json, write_json
from swath.rv.pipeline import SceneOptions, pipeline_config, read_config, scene_config, write_config
from swath.scenes.manifest import Facts


def evaluate(
    scenes: Sequence[Facts],
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
        predictions: Folder with a folder per scene.
        folder: Where the evaluation is published, as the written pipeline config names it.
        outputs: Files to write: ``metrics`` (see :func:`metrics_of`), ``raster_vision`` (Raster Vision's own
            eval.json) and ``config`` (with which Raster Vision's command line evaluates again).
    """
    labelled = [facts for facts in scenes if facts["label_raster"]]
    if not labelled:
        cure = "leave the test scenes' labels empty, or give labels that reach them"
        raise UserError(Problem("scenes", f"{split} scenes", "none with labels", "at least one", cure))
    trained = read_config(model / "pipeline-config.json")
    config = pipeline_config(
        classes=trained.dataset.class_config,
        **{
            split: [
                scene_config(facts, options, aoi=facts["evaluated"], predictions=str(predictions / facts["id"]))
                for facts in labelled
            ]
        },
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
    write_json(outputs["raster_vision"], result)
    write_json(outputs["metrics"], {"split": split, **metrics_of(result, config.dataset.class_config.names)})


def metrics_of(result: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Compute accuracy and F1 over the labelled pixels from Raster Vision's confusion matrices.

    Args:
        result: The content of Raster Vision's eval.json.
        classes: Class names by id, the null class first.

    Returns:
        ``overall`` and, by scene id, ``scenes``; each with `accuracy`, `macro_f1` (mean over the classes that occur
        in the labels), `f1`, `precision`, `recall` by class (None where undefined), `labelled_pixels` and
        `confusion` (rows: labels, columns: predictions; the null class left out of the rows).
    """
    scenes = {name: _scores(_confusion(items), classes) for name, items in sorted(result["per_scene"].items())}
    overall = sum(_confusion(items) for items in result["per_scene"].values())
    return {"classes": list(classes), "overall": _scores(np.asarray(overall), classes), "scenes": scenes}


def _confusion(items: Sequence[Mapping[str, Any]]) -> np.ndarray[Any, Any]:
    return np.array(next(item["conf_mat"] for item in items if item["class_name"] == "average"))


def _scores(confusion: np.ndarray[Any, Any], classes: Sequence[str]) -> dict[str, Any]:
    labelled = np.delete(confusion, NULL_CLASS_ID, axis=0)
    hits = np.diag(confusion)
    actual, predicted = labelled.sum(axis=1), labelled.sum(axis=0)
    scores: dict[str, dict[str, float | None]] = {"f1": {}, "precision": {}, "recall": {}}
    for row, name in enumerate(classes[1:]):
        hit, there, said = hits[row + 1], actual[row], predicted[row + 1]
        scores["precision"][name] = float(hit / said) if said else None
        scores["recall"][name] = float(hit / there) if there else None
        scores["f1"][name] = float(2 * hit / (there + said)) if there else None
    occurring = [value for value in scores["f1"].values() if value is not None]
    total = int(actual.sum())
    return {
        "accuracy": float(hits[1:].sum() / total) if total else None,
        "macro_f1": float(np.mean(occurring)) if occurring else None,
        "labelled_pixels": total,
        **scores,
        "confusion": labelled.astype(int).tolist(),
    }
