"""What reports and maps are told of a plan: the names, values and folders of its runs, and the classes' colours."""

from __future__ import annotations

from swath.config.experiment import Experiment
from swath.plan.finished import FinishedRun
from swath.plan.plan import Plan
from swath.plan.trials import readable

NULL_COLOUR = "#000000"
STAGE_OF_RULE = {
    **{"scenes": "scenes", "analyze": "stats", "chip": "chips", "train": "models"},
    **{"predict": "predictions", "eval": "evals", "bundle": "bundles"},
}
"""Rule → the stage whose keys its results have."""


def colours_by_id(experiment: Experiment) -> list[str]:
    """List the classes' colours by id, the null class first."""
    return [NULL_COLOUR, *experiment.classes.values()]


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
            log=f"{results}/logs/train/{run.models}.log",
        )
        for run in plan.runs
    ]


def keys_by_run(plan: Plan) -> dict[str, dict[str, list[str]]]:
    """List the keys of every run's results: run → rule → keys."""
    return {run.name: {rule: run.keys_of(stage) for rule, stage in STAGE_OF_RULE.items()} for run in plan.runs}


def keys_by_rule(plan: Plan) -> dict[str, list[str]]:
    """List the keys of all runs' results: rule → keys, those that runs share as often as they are shared."""
    return {rule: [key for run in plan.runs for key in run.keys_of(stage)] for rule, stage in STAGE_OF_RULE.items()}
