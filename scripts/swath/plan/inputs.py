"""What a plan reads that no stage makes, besides scenes: first weights, and networks of the user's own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import JsonValue

from swath.config.library_names import weights_name
from swath.config.load import where
from swath.config.model import NAMED_WEIGHTS
from swath.errors import Problem, UserError
from swath.networks.definition import problems_of_definition
from swath.plan.plan import Plan
from swath.scenes.paths import local_paths_of
from swath.scenes.states import Files

WEIGHTS = "resources/weights"
"""Folder of fetched weights."""


def first_weights(model: JsonValue, results: str, weights: str) -> list[str]:
    """List the files of a model's first weights: nothing, one file, or fetched weights with their record.

    Args:
        model: The `model` settings of a model's spec.
        results: Folder of the results.
        weights: Folder of fetched weights.
    """
    assert isinstance(model, dict)
    start = model["weights"]
    if start == "none":
        return []
    if start in NAMED_WEIGHTS:
        name = weights_name(str(model["architecture"]), str(model["encoder"])) if start == "imagenet" else start
        return [f"{weights}/{name}.safetensors", f"{weights}/{name}.json"]
    if isinstance(start, str):
        return [start]
    assert isinstance(start, dict)
    if "model" in start:
        return [f"{results}/models/{start['model']}/model-bundle.zip"]
    run = f"{start['trial']},seed={start['seed']}"
    return [f"{results}/experiments/{start['experiment']}/trials/{run}/model-bundle.zip"]


def files_behind(paths: Sequence[str]) -> list[str]:
    """Follow links: a trial of another experiment can come to be another model under the same name."""
    return [os.path.relpath(os.path.realpath(path)) for path in paths]


def places_of(plan: Plan, results: str, files: Sequence[str | Path]) -> Iterator[str]:
    """Go through what stages read besides what other stages make: scenes' files, weights, networks, config files.

    Args:
        plan: The plan.
        results: Folder of the results, which can be a link to a larger disk.
        files: The config files.
    """
    scenes = Files()
    yield from (results, *map(str, files))
    for entry in {entry for scene in plan.scenes for entry in (scene.image, scene.labels, scene.aoi)}:
        yield from (*local_paths_of(entry), *scenes.of(entry))
    for spec in plan.specs["models"].values():
        yield from first_weights(spec["model"], results, WEIGHTS)
    yield from (folder for trial in plan.trials if (folder := trial.settings.model.definition))


def check_paths(plan: Plan, files: Sequence[str | Path]) -> None:
    """Make sure that Snakemake can be told where first weights and networks of the user's own are.

    Raises:
        UserError: For braces, which it takes for wildcards.
    """
    models = [trial.settings.model for trial in plan.trials]
    named = {("weights", model.weights) for model in models} | {("definition", model.definition) for model in models}
    problems = [
        Problem(
            "not_file_safe",
            where(files, ("model", setting)),
            f"model.{setting}",
            path,
            "a path without braces, which Snakemake takes for wildcards",
            "rename the folder or file",
        )
        for setting, path in sorted(named, key=str)
        if isinstance(path, str) and set(path) & set("{}")
    ]
    if problems:
        raise UserError(problems)


def check_weights(plan: Plan, files: Sequence[str | Path]) -> None:
    """Make sure that first weights which no rule makes are there.

    Raises:
        UserError: If some are not.
    """
    problems = []
    for spec in plan.specs["models"].values():
        model = spec["model"]
        assert isinstance(model, dict)
        start = model["weights"]
        if start in NAMED_WEIGHTS or (isinstance(start, dict) and "model" in start):
            continue  # a rule makes them
        path = Path(first_weights(model, "results", "")[0])
        if not path.exists():
            other = start if isinstance(start, dict) else None
            problems.append(
                Problem(
                    "trial_not_trained" if other else "file_missing",
                    where(files, ("model", "weights")),
                    "model.weights",
                    f"no file {path}",
                    "a trial that has been trained" if other else "a file of weights, or a Raster Vision bundle",
                    f"run {other['experiment']} first, or name another repeat with `seed:`"
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
    models = [trial.settings.model for trial in plan.trials]
    named = {(model.definition, model.entrypoint) for model in models if model.definition and model.entrypoint}
    problems = [
        problem
        for definition, entrypoint in sorted(named)
        for problem in problems_of_definition(definition, entrypoint, where(files, ("model", "definition")))
    ]
    if problems:
        raise UserError(problems)
