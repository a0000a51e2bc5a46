"""The functions of rules' files that hold no rules, as Snakemake would call them: of a plan, in a folder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from experiment import REPOSITORY

from swath.config.records import to_json
from swath.files import read_json
from swath.plan.describe import describe_runs, keys_by_run
from swath.plan.inputs import WEIGHTS, first_weights
from swath.plan.keys import Run
from swath.plan.plan import Plan

RESULTS = "results"


class Asked:
    """Stands for Snakemake's checkpoints: all of them have run, and it is known which were asked for.

    Attributes:
        asked: Names and wildcards.
    """

    def __init__(self, experiment: str) -> None:
        self._folder, self.asked = f"{RESULTS}/experiments/{experiment}", list[tuple[str, dict[str, Any]]]()

    def __getattr__(self, name: str) -> Any:
        files = {
            "winner": lambda wildcards: f"{self._folder}/winner.json",
            "table": lambda wildcards: f"{self._folder}/rungs/{wildcards['rung']}.csv",
        }

        def get(**wildcards: Any) -> Any:
            self.asked.append((name, wildcards))
            known = {kind: path(wildcards) for kind, path in files.items() if kind == "winner" or "rung" in wildcards}
            return SimpleNamespace(output=SimpleNamespace(**known))

        return SimpleNamespace(get=get)


def functions_of(plan: Plan, *files: str) -> dict[str, Any]:
    """Read rules' files that hold nothing but functions.

    Args:
        plan: The plan.
        files: Their names, in the order in which they are included.

    Returns:
        All that they define, and ``checkpoints``, an :class:`Asked`.
    """
    name = plan.experiment.experiment

    def maps_of(run: Run, split: str) -> list[str]:
        return [f"{RESULTS}/predictions/{run.predictions}/{split}.json"]

    known: dict[str, Any] = {
        **{"PLAN": plan, "NAME": name, "RESULTS": RESULTS, "EXPERIMENT": f"{RESULTS}/experiments/{name}"},
        **{"WEIGHTS": WEIGHTS, "LOGS": f"{RESULTS}/logs", "Path": Path, "maps_of": maps_of, "read_json": read_json},
        **{"keys_by_run": keys_by_run, "first_weights": first_weights, "to_json": to_json},
        **{"describe_runs": describe_runs, "checkpoints": Asked(name)},
    }
    for file in files:
        path = REPOSITORY / "rules" / file
        exec(compile(path.read_text(encoding="utf-8"), path, "exec"), known)
    return known
