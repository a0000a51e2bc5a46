"""From a config with `pipeline` to trials and runs: before anything is imported, so without stage keys.

Those follow from what `get_config` returns, and stand in the table that the first stage, `configure`, writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from swath.config.experiment import Experiment
from swath.config.load import Config, Location, problems_of, where, without_empty_sections
from swath.config.pipeline import PipelineExperiment
from swath.config.plain_yaml import problems_in
from swath.errors import Problem, UserError, did_you_mean, ending_the_program
from swath.files import sha256, short_hash
from swath.own_module.signature import Signature, modules_behind, read_signature
from swath.own_module.table import Table, folders_of
from swath.plan.finished import FinishedRun
from swath.plan.trials import readable, sweep_points, trial_name
from swath.versions import OWN_MODULE

ARGUMENTS = "arguments"


@dataclass(frozen=True)
class PipelineTrial:
    """One point of the sweep.

    Attributes:
        name: Its values, readable: ``learning_rate=0.001``.
        values: Dotted argument → value, as swept.
        arguments: All that `get_config` gets besides the runner and `root_uri`.
    """

    name: str
    values: dict[str, JsonValue]
    arguments: dict[str, JsonValue]


@dataclass(frozen=True)
class PipelinePlan:
    """Everything that is known of an experiment before `get_config` has been called.

    Attributes:
        experiment: The checked config.
        signature: What `get_config` takes.
        modules: The module, and those of the user's own that it imports.
        trials: The sweep's points, in the order given.
    """

    experiment: PipelineExperiment
    signature: Signature
    modules: list[Path]
    trials: list[PipelineTrial]

    @property
    def runs(self) -> dict[str, tuple[PipelineTrial, int]]:
        """Readable name → trial and seed."""
        first = self.experiment.seed
        seeds = range(first, first + self.experiment.sweep.most_repeats)
        return {f"{trial.name},seed={seed}": (trial, seed) for trial in self.trials for seed in seeds}

    @property
    def key(self) -> str:
        """Name the configuration: the modules' content, the trials' arguments, the seeds."""
        runs = {name: [trial.name, trial.arguments, seed] for name, (trial, seed) in self.runs.items()}
        return short_hash([OWN_MODULE["configure"], {str(path): sha256(path) for path in self.modules}, runs])


def plan_pipeline_or_exit(config: Config, files: Sequence[str | Path]) -> PipelinePlan:
    """Make the plan; a user's mistakes end the program."""
    with ending_the_program():
        return make_pipeline_plan(config, files)


def make_pipeline_plan(config: Config, files: Sequence[str | Path] = ()) -> PipelinePlan:
    """Plan an experiment with a module of the user's.

    Args:
        config: The config as read from YAML.
        files: The file or files it came from; used to say where a mistake stands.

    Raises:
        UserError: For mistakes in the config, in the module, and arguments that `get_config` does not take.
    """
    experiment = load_pipeline_experiment(config, files)
    signature = read_signature(experiment.pipeline)
    trials = list(_trials(experiment, signature, config, files))
    return PipelinePlan(experiment, signature, modules_behind(experiment.pipeline), trials)


def load_pipeline_experiment(config: Config, files: Sequence[str | Path] = ()) -> PipelineExperiment:
    """Check a config with `pipeline` whole.

    Raises:
        UserError: With one problem per mistake.
    """
    if misread := problems_in(files):
        raise UserError(misread)
    config = without_empty_sections(config)
    known = PipelineExperiment.model_fields
    foreign = [_foreign_key(key, files) for key in config if key not in known]
    try:
        experiment = PipelineExperiment.model_validate({key: config[key] for key in config if key in known})
    except ValidationError as error:
        raise UserError([*foreign, *problems_of(error, config, files)]) from None
    if foreign:
        raise UserError(foreign)
    return experiment


def _foreign_key(key: str, files: Sequence[str | Path]) -> Problem:
    known = PipelineExperiment.model_fields
    if key in Experiment.model_fields:
        return Problem(
            "key_beside_pipeline",
            where(files, (key,)),
            key,
            f"`{key}` beside `pipeline`",
            f"nothing but {', '.join(known)}: the module says the rest",
            f"remove `{key}`, or remove `pipeline`",
        )
    return Problem("unknown_key", where(files, (key,)), key, f"unknown key {key!r}", "", did_you_mean(key, known))


# --- trials ---------------------------------------------------------------------------------------


def _trials(
    experiment: PipelineExperiment, signature: Signature, config: Config, files: Sequence[str | Path]
) -> Iterator[PipelineTrial]:
    points = list(sweep_points(experiment.sweep))
    problems = [
        *_unknown_arguments((ARGUMENTS,), list(experiment.arguments), experiment.pipeline, signature, files),
        *(problem for place, values in points for problem in _unknown_settings(place, values, files)),
    ]
    for place, values in {str(place): (place, values) for place, values in points}.values():
        names = [setting.partition(".")[2].partition(".")[0] for setting in values if setting.startswith("arguments.")]
        problems += _unknown_arguments(place, names, experiment.pipeline, signature, files)
    if problems:
        raise UserError(problems)
    swept = sorted({setting for _, values in points for setting in values})
    trials: dict[str, PipelineTrial] = {}
    for place, values in points:
        arguments = _with_values(config, files, place, values)
        missing = [name for name in signature.required if name not in arguments]
        if missing:
            raise UserError([_missing_argument(name, experiment.pipeline, signature, files) for name in missing])
        trial = PipelineTrial(trial_name(values, swept), values, arguments)
        trials.setdefault(trial.name, trial)
    yield from trials.values()


def _unknown_settings(
    place: Location, values: Mapping[str, JsonValue], files: Sequence[str | Path]
) -> Iterator[Problem]:
    for setting in values:
        head, _, name = setting.partition(".")
        if head != ARGUMENTS or not name:
            yield Problem(
                "unknown_setting",
                where(files, (*place, setting)),
                f"{'.'.join(str(part) for part in place)}: {setting}",
                f"unknown setting {setting!r}",
                "with `pipeline`, an argument of get_config: `arguments.<name>`",
                f"write `arguments.{setting}`" if not name else "sweep over arguments, and use them in the module",
            )


def _unknown_arguments(
    place: Location, names: Sequence[str], module: str, signature: Signature, files: Sequence[str | Path]
) -> Iterator[Problem]:
    for name in names:
        if name not in signature.arguments and not signature.takes_any:
            inner = name if place == (ARGUMENTS,) else f"{ARGUMENTS}.{name}"
            yield Problem(
                "unknown_argument",
                where(files, (*place, inner)),
                f"{'.'.join(str(part) for part in place)}: {inner}",
                f"unknown argument {name!r}",
                f"an argument of get_config ({module}:{signature.line})",
                did_you_mean(name, signature.arguments) or "get_config takes none: add it there",
            )


def _missing_argument(name: str, module: str, signature: Signature, files: Sequence[str | Path]) -> Problem:
    return Problem(
        "argument_missing",
        where(files, (ARGUMENTS,)),
        f"{ARGUMENTS}.{name}",
        "nothing",
        f"a value: get_config has no default for it ({module}:{signature.line})",
        f"add `{name}:` to `arguments`",
    )


def _with_values(
    config: Config, files: Sequence[str | Path], place: Location, values: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Put swept values into the arguments; a further dot reaches into an argument that is a mapping."""
    changed: dict[str, Any] = {ARGUMENTS: dict(config.get(ARGUMENTS) or {})}
    for setting, value in values.items():
        *parents, last = setting.split(".")
        target = changed
        for parent in parents:
            inner = target.get(parent)
            target[parent] = dict(inner) if isinstance(inner, Mapping) else {}
            target = target[parent]
        target[last] = value
    try:
        checked = PipelineExperiment.model_validate({"experiment": "trial", "pipeline": "trial.py", **changed})
    except ValidationError as error:
        raise UserError(problems_of(error, changed, files)) from None
    return dict(checked.arguments)


# --- after `configure` ----------------------------------------------------------------------------


def describe_pipeline_runs(plan: PipelinePlan, table: Table, results: str) -> list[FinishedRun]:
    """List every run's readable name, values, seed, and the folders its results lie in."""
    described = []
    for name, (trial, seed) in plan.runs.items():
        run = table.runs[name]
        folders = folders_of(run, results)
        described.append(
            FinishedRun(
                name=name,
                trial=trial.name,
                values={
                    setting: readable(value) if isinstance(value, list | dict) else value
                    for setting, value in trial.values.items()
                },
                fold=None,
                seed=seed,
                model=folders["train"],
                bundle=folders["bundle"],
                maps=f"{folders['predict']}/files",
                evals=dict.fromkeys(run.splits, folders["eval"]),
                log=f"{results}/logs/pipelines/train/{Path(folders['train']).name}.log",
            )
        )
    return described
