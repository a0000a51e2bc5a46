"""What a plan reads that no stage makes, besides scenes: first weights, and networks of the user's own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swath.config.library_names import weights_name
from swath.config.load import where
from swath.errors import Problem, UserError
from swath.networks.definition import problems_of_definition
from swath.plan.plan import Plan
from swath.scenes.paths import local_paths_of

WEIGHTS = "resources/weights"
"""Folder of fetched weights."""


def first_weights(spec: Mapping[str, Any], results: str, weights: str) -> list[str]:
    """List the files of a model's first weights: nothing, one file, or fetched weights with their record.

    Args:
        spec: The model's `model` settings, resolved.
        results: Folder of the results.
        weights: Folder of fetched weights.
    """
    start = spec["weights"]
    if start == "none":
        return []
    if start == "imagenet":
        name = weights_name(spec["architecture"], spec["encoder"])
        return [f"{weights}/{name}.pth", f"{weights}/{name}.json"]
    if isinstance(start, str):
        return [start]
    if "model" in start:
        return [f"{results}/models/{start['model']}/model-bundle.zip"]
    run = f"{start['trial']},seed={start['seed']}"
    return [f"{results}/experiments/{start['experiment']}/trials/{run}/model-bundle.zip"]


def files_behind(paths: Sequence[str]) -> list[str]:
    """Follow links: a trial of another experiment can come to be another model under the same name."""
    return [os.path.relpath(os.path.realpath(path)) for path in paths]


def places_of(plan: Plan, results: str, files: Sequence[str | Path]) -> list[str]:
    """List what stages read besides what other stages make: scenes' files, first weights, networks, config files.

    Args:
        plan: The plan.
        results: Folder of the results, which can be a link to a larger disk.
        files: The config files.
    """
    entries = [entry for scene in plan.scenes for entry in (scene.image, scene.labels, scene.aoi)]
    models = [spec["model"] for spec in plan.specs["models"].values()]
    return [
        results,
        *map(str, files),
        *(path for entry in entries for path in local_paths_of(entry)),
        *(path for model in models for path in first_weights(model, results, WEIGHTS)),
        *(model["definition"] for model in models if model["definition"]),
    ]


def check_weights(plan: Plan, files: Sequence[str | Path]) -> None:
    """Make sure that first weights which no rule makes are there.

    Raises:
        UserError: If some are not.
    """
    problems = []
    for spec in plan.specs["models"].values():
        start = spec["model"]["weights"]
        if start in ("none", "imagenet") or (isinstance(start, dict) and "model" in start):
            continue  # a rule makes them
        path = Path(first_weights(spec["model"], "results", "")[0])
        if not path.exists():
            other = isinstance(start, dict)
            problems.append(
                Problem(
                    "trial_not_trained" if other else "file_missing",
                    where(files, ("model", "weights")),
                    "model.weights",
                    f"no file {path}",
                    "a trial that has been trained" if other else "a file of weights, or a Raster Vision bundle",
                    f"run {start['experiment']} first, or name another repeat with `seed:`"
                    if other
                    else "check the path",
                )
            )
    if problems:
        raise UserError(problems)


def check_definitions(plan: Plan, files: Sequence[str | Path]) -> None:
    """Make sure that networks of the user's own are there.

    Raises:
        UserError: If some are not.
    """
    named = {(spec["model"]["definition"], spec["model"]["entrypoint"]) for spec in plan.specs["models"].values()}
    problems = [
        problem
        for definition, entrypoint in sorted((one, other) for one, other in named if one)
        for problem in problems_of_definition(definition, entrypoint, where(files, ("model", "definition")))
    ]
    if problems:
        raise UserError(problems)
