"""What the Snakefile asks for while it is parsed: the plan or a clear word, memory and time."""

from __future__ import annotations

import ast
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from snakemake.iocontainers import InputFiles, Wildcards

from swath.checks.context import Request
from swath.config.classes import NULL_CLASS
from swath.config.experiment import Experiment
from swath.config.library_names import weights_name
from swath.config.load import Config, load_experiment, where
from swath.errors import Problem, UserError, ending_the_program
from swath.job.container import check_image, mount
from swath.networks.definition import problems_of_definition
from swath.plan.plan import Plan, make_plan
from swath.plan.trials import readable
from swath.report.runs import FinishedRun
from swath.scenes.paths import local_paths_of
from swath.scenes.table import read_scenes

# Snakemake asks for the sizes of inputs once too early, drops the question, and asks again
warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)

WEIGHTS = "resources/weights"
"""Folder of fetched weights."""
MOST_TIMES = 3
"""Memory and time grow with the first attempts; a training that only goes on in the next job needs no more."""
NULL_COLOUR = "#000000"


def plan_or_exit(config: Config, files: Sequence[str | Path]) -> Plan:
    """Make the plan; a user's mistakes end the program."""
    with ending_the_program():
        experiment = load_experiment(config, files)
        plan = make_plan(experiment, read_scenes(experiment.scenes), config, files)
        _check_weights(plan, files)
        _check_definitions(plan, files)
    return plan


def check_or_exit(request: Request, report: str) -> None:
    """Run the preflight; what stops the run ends the program."""
    if find_spec("rasterio") is None:
        print("No rasterio here: `snakemake validate` checks the scenes in the container.", file=sys.stderr)
        return
    from swath.checks.preflight import preflight  # not while parsing: it takes its time

    with ending_the_program():
        print(f"{preflight(request, Path(report)).summary}\n", file=sys.stderr)


def rules_to_run(workflow: Any) -> set[str]:
    """Name the rules whose jobs are about to run."""
    return {job.rule.name for job in workflow.dag.needrun_jobs()}


def runs_in_container(workflow: Any) -> bool:
    """Tell whether stages run in a container."""
    return "apptainer" in {str(method) for method in workflow.deployment_settings.deployment_method}


def scratch_of(workflow: Any) -> list[str]:
    """Name the folder for temporary files that the profile's ``tmpdir`` says, if it says one."""
    resource = (workflow.resource_settings.default_resources or {}).get("tmpdir")
    said = os.path.expandvars(str(resource.raw if resource else ""))
    if not said.startswith("/"):  # quoted, as Snakemake asks for, or an expression: then wherever the node says
        try:
            said = ast.literal_eval(said)
        except (SyntaxError, ValueError):
            said = ""
    return [said] if said else []


def mount_or_exit(workflow: Any, repository: Path, places: Iterable[str | Path]) -> None:
    """Where stages run in a container: make sure that it sees what they read.

    Args:
        workflow: Snakemake's.
        repository: Where the program is.
        places: Files and folders that stages read or write.
    """
    if runs_in_container(workflow):
        with ending_the_program():
            mount(repository, [*places, *scratch_of(workflow)])


def check_container_or_exit(workflow: Any, image: str) -> None:
    """Where stages run in a container: make sure that it is there before any does."""
    if runs_in_container(workflow) and rules_to_run(workflow) - {"doctor"}:
        with ending_the_program():
            check_image(Path(image))


def describe_run(workflow: Any, rules: Mapping[str, Any], image: str) -> dict[str, Any]:
    """Tell the doctor how jobs are going to run.

    Args:
        workflow: Snakemake's.
        rules: Rule → wildcards of one of its jobs; what training asks for must be among them.
        image: The container.

    Returns:
        Whether SLURM is used, what rules ask for, the container or None, its arguments, the shell command before a job,
        folders for temporary files, quality of service and reservation.
    """
    return {
        "slurm": workflow.executor_plugin.name == "slurm",
        "resources": {name: _asked(workflow.get_rule(name), Wildcards(fromdict=of)) for name, of in rules.items()},
        "image": image if runs_in_container(workflow) else None,
        "container_arguments": workflow.deployment_settings.apptainer_args,
        "before": workflow.remote_execution_settings.precommand or "",
        "scratch": scratch_of(workflow),
        "submission": {name: getattr(workflow.executor_settings, name, None) for name in ("qos", "reservation")},
    }


def time_limit_in(workflow: Any) -> Callable[..., int | None]:
    """Make the function of a job's time limit: minutes after which a cluster ends it; nobody ends it elsewhere."""

    def minutes_of_job(wildcards: Any, input: Any, resources: Any) -> int | None:
        return resources.get("runtime") if workflow.remote_exec else None

    return minutes_of_job


def _asked(rule: Any, wildcards: Any) -> dict[str, Any]:
    """Evaluate what a rule's first attempt asks for, before its input."""
    resources = rule.expand_resources(wildcards, InputFiles(), attempt=1)
    return {name: value for name, value in resources.items() if isinstance(value, int | str)}


def first_weights(model: JsonValue, results: str, weights: str) -> list[str]:
    """List the files of a model's first weights: nothing, one file, or fetched weights with their record.

    Args:
        model: The `model` settings of the model's spec.
        results: Folder of the results.
        weights: Folder of fetched weights.
    """
    assert isinstance(model, dict)
    start = model["weights"]
    if start == "none":
        return []
    if start == "imagenet":
        name = weights_name(str(model["architecture"]), str(model["encoder"]))
        return [f"{weights}/{name}.pth", f"{weights}/{name}.json"]
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


def places_of(plan: Plan, results: str, files: Sequence[str | Path]) -> list[str]:
    """List what stages read besides what other stages make: scenes' files, first weights, networks, config files.

    Args:
        plan: The plan.
        results: Folder of the results, which can be a link to a larger disk.
        files: The config files.
    """
    entries = [entry for scene in plan.scenes for entry in (scene.image, scene.labels, scene.aoi)]
    return [
        results,
        *map(str, files),
        *(path for entry in entries for path in local_paths_of(entry)),
        *(path for spec in plan.specs["models"].values() for path in first_weights(spec["model"], results, WEIGHTS)),
        *(folder for trial in plan.trials if (folder := trial.settings.model.definition)),
    ]


def _check_weights(plan: Plan, files: Sequence[str | Path]) -> None:
    """Make sure that first weights which no rule makes are there."""
    problems = []
    for spec in plan.specs["models"].values():
        model = spec["model"]
        assert isinstance(model, dict)
        start = model["weights"]
        if start in ("none", "imagenet") or (isinstance(start, dict) and "model" in start):
            continue  # a rule makes them
        path = Path(first_weights(model, "results", "")[0])
        if not path.exists():
            other = start if isinstance(start, dict) else None
            problems.append(
                Problem(
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


def _check_definitions(plan: Plan, files: Sequence[str | Path]) -> None:
    """Make sure that networks of the user's own are there."""
    models = [trial.settings.model for trial in plan.trials]
    named = {(model.definition, model.entrypoint) for model in models if model.definition and model.entrypoint}
    problems = [
        problem
        for definition, entrypoint in sorted(named)
        for problem in problems_of_definition(definition, entrypoint, where(files, ("model", "definition")))
    ]
    if problems:
        raise UserError(problems)


def colours_by_id(experiment: Experiment) -> list[str]:
    """List the classes' colours by id, the null class first."""
    assert NULL_CLASS not in experiment.classes
    return [NULL_COLOUR, *experiment.classes.values()]


Resource = Callable[[Any, Any, int], int]


def memory(base: int, per_input: float = 0.0) -> Resource:
    """Ask for memory that grows with the input and with every attempt.

    Args:
        base: MB that the process needs by itself.
        per_input: MB per MB of input files.
    """

    def mem_mb(wildcards: Any, input: Any, attempt: int) -> int:
        size = input.size_mb if per_input else 0.0  # asked for where it counts: before a checkpoint it is unknown
        return int((base + per_input * size) * min(attempt, MOST_TIMES))

    return mem_mb


def minutes(base: int, per_input: float = 0.0) -> Resource:
    """Ask for time that grows with the input and with every attempt.

    Args:
        base: Minutes without input.
        per_input: Minutes per MB of input files.
    """

    def runtime(wildcards: Any, input: Any, attempt: int) -> int:
        size = input.size_mb if per_input else 0.0  # asked for where it counts: before a checkpoint it is unknown
        return int((base + per_input * size) * min(attempt, MOST_TIMES))

    return runtime


def print_summary(experiment: str) -> None:
    """Say on the terminal what won and where everything lies."""
    summary = Path(experiment) / "summary.txt"
    if summary.exists():
        print(f"\n{summary.read_text()}", file=sys.stderr)


def describe_runs(plan: Plan, results: str) -> list[FinishedRun]:
    """List every run's readable name, values, fold, seed, and the folders its results lie in."""
    return [
        FinishedRun(
            name=run.name,
            trial=run.trial.name,
            values={
                setting: readable(value) if isinstance(value, list | dict) else value
                for setting, value in run.trial.values.items()
            },
            fold=run.fold,
            seed=run.seed,
            model=f"{results}/models/{run.models}",
            bundle=f"{results}/bundles/{run.bundles}",
            maps=f"{results}/predictions/{run.predictions}",
            evals={split: f"{results}/evals/{key}" for split, key in run.evals.items()},
        )
        for run in plan.runs
    ]
