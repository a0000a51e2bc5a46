"""What reports and maps are told of a plan: the names, values and folders of its runs, and the classes' colours."""

from __future__ import annotations

from collections.abc import Sequence

from swath.config.experiment import Experiment
from swath.plan.finished import FinishedRun
from swath.plan.keys import Run
from swath.plan.trials import readable

NULL_COLOUR = "#000000"
STAGE_OF_RULE = {
    **{"scenes": "scenes", "analyze": "stats", "chip": "chips", "train_rung": "models", "train": "models"},
    **{"predict": "predictions", "eval": "evals", "bundle": "bundles"},
}
"""Rule → the stage whose keys its results have."""


def colours_by_id(experiment: Experiment) -> list[str]:
    """List the classes' colours by id, the null class first."""
    return [NULL_COLOUR, *experiment.classes.values()]


def describe_runs(runs: Sequence[Run], results: str) -> list[FinishedRun]:
    """List runs' readable names, values, folds, seeds, and the folders their results lie in."""
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
            log=f"{results}/logs/train/{run.models}.log",
            gpus=run.trial.settings.train.gpus,
        )
        for run in runs
    ]


def keys_by_run(runs: Sequence[Run]) -> dict[str, dict[str, list[str]]]:
    """List the keys of every run's results: run → rule → keys."""
    return {run.name: {rule: run.keys_of(stage) for rule, stage in STAGE_OF_RULE.items()} for run in runs}


def keys_by_rule(runs: Sequence[Run]) -> dict[str, list[str]]:
    """List the keys of all runs' results: rule → keys, those that runs share as often as they are shared."""
    return {rule: [key for run in runs for key in run.keys_of(stage)] for rule, stage in STAGE_OF_RULE.items()}
