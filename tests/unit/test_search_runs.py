"""Which runs a search has by now, which it will have, and what is made of the winner: what rules ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from experiment import SMALL
from rule_functions import functions_of

from swath.config.load import load_experiment
from swath.files import write_json
from swath.plan.plan import Plan, make_plan
from swath.plan.proposed import made_for, proposals_file
from swath.scenes.scene import Scene
from swath.search.rungs import decide

FILES = "search_inputs.smk", "search_outlook.smk", "targets.smk"
SCENES = [
    Scene(name, split, f"{name}.tif", f"{name}.geojson")
    for name, split in {"a": "train", "b": "train", "c": "validation", "d": "test"}.items()
]
RATES = [0.1, 0.01, 0.001, 0.0001]
HALVED = {"grid": {"train.learning_rate": RATES}, "halving": {"first": 1, "factor": 2}, "repeats": {"final": 3}}
SEARCHED = {
    "search": {"rounds": 3, "per_round": 4, "settings": {"train.learning_rate": {"min": 1e-4, "max": 0.1}}},
    "halving": {"first": 1, "factor": 2},
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plan_of(sweep: dict[str, Any], epochs: int = 4) -> Plan:
    config = {**deepcopy(SMALL), "scenes": {"table": "scenes.csv"}, "sweep": sweep}
    config["train"]["epochs"] = epochs
    return make_plan(load_experiment(config), SCENES, config)


def propose(plan: Plan, number: int, rates: Sequence[float]) -> None:
    assert plan.experiment.sweep.search
    points = [{"train.learning_rate": rate} for rate in rates]
    file = Path(proposals_file("small", number))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"made_for": made_for(plan.experiment.sweep.search), "points": points})


def decide_rung(rules: dict[str, Any], round_: int, number: int) -> None:
    """Let all trials of a rung be trained: those with the highest learning rates are the best."""
    histories = {}
    for name, run in rules["trials_at"](round_, number, False).items():
        histories[name] = Path(rules["metrics_at"](run, number))
        histories[name].parent.mkdir(parents=True, exist_ok=True)
        histories[name].write_text(f"epoch,macro_f1\n1,{run.trial.values['train.learning_rate']}\n")
    table = Path(rules["table_of_rung"](round_, number))
    table.parent.mkdir(parents=True, exist_ok=True)
    decide(histories, "macro_f1", 2, table)


def counted(jobs: Sequence[tuple[str, dict[str, str]]]) -> Counter[str]:
    return Counter(rule for rule, _ in jobs)


def test_a_winner_of_other_trials_counts_for_nothing() -> None:
    rules = functions_of(plan_of({"grid": {"train.learning_rate": RATES}}), *FILES)
    winner = Path("results/experiments/small/winner.json")
    winner.parent.mkdir(parents=True)
    write_json(winner, {"run": "learning_rate=7,seed=0"})
    assert rules["test_of_winner"](SimpleNamespace()) == []
    write_json(winner, {"run": "learning_rate=0.01,seed=0"})
    run = next(run for run in rules["PLAN"].runs if run.name == "learning_rate=0.01,seed=0")
    assert rules["test_of_winner"](SimpleNamespace()) == [
        f"results/predictions/{run.predictions}/test.json",
        f"results/evals/{run.evals['test']}/test.json",
    ]


def test_what_rungs_will_bring_is_counted_until_it_is_decided() -> None:
    rules = functions_of(plan_of(HALVED), *FILES)  # four trials for an epoch, two for two, one to the end, three times
    of_models = {"train": 3, "predict": 3, "eval": 3, "bundle": 3}
    assert counted(rules["jobs_of_search"]()) == {"train_rung": 2, **of_models}
    decide_rung(rules, 1, 1)
    assert counted(rules["jobs_of_search"]()) == of_models
    decide_rung(rules, 1, 2)
    assert rules["jobs_of_search"]() == []
    assert [run.name for run in rules["final_runs"](waits=False)] == [f"learning_rate=0.1,seed={n}" for n in range(3)]


def test_who_was_stopped_is_told_by_the_last_rung_that_it_got_to() -> None:
    rules = functions_of(plan_of(HALVED), *FILES)
    assert rules["left_out"]() == {}
    decide_rung(rules, 1, 1)
    decide_rung(rules, 1, 2)
    found = rules["left_out"]()
    assert {run: Path(file).name for run, file in found.items()} == {
        "learning_rate=0.01,seed=0": "rung-2.csv",
        "learning_rate=0.001,seed=0": "rung-1.csv",
        "learning_rate=0.0001,seed=0": "rung-1.csv",
    }


def test_what_rounds_will_bring_is_counted_until_they_are_proposed() -> None:
    plan = plan_of(SEARCHED)  # rounds of four, the config's own values in the first
    rules = functions_of(plan, *FILES)
    # a round is four trials (the first five) for an epoch, two (three) for two, one (two) to the end
    assert counted(rules["jobs_of_search"]()) == {
        **{"train_rung": 5 + 3 + 2 * (4 + 2), "train": 2 + 1 + 1},
        **{"predict": 4, "eval": 4, "bundle": 4},
    }
    propose(plan, 1, [*RATES[:3], 0.05])
    rules["runs_of_round"](1, waits=True)
    assert rules["checkpoints"].asked == [("propose", {"round": 1})]
    assert counted(rules["jobs_of_search"]())["train_rung"] == 2 + 2 * (4 + 2)  # one of them has the config's values


def test_what_is_to_come_begins_where_the_rung_before_ends() -> None:
    jobs = functions_of(plan_of(HALVED), *FILES)["jobs_of_search"]()
    trainings = [(wildcards.get("epochs"), wildcards["begun"]) for rule, wildcards in jobs if "train" in rule]
    assert trainings == [("2", "1"), ("2", "1"), (None, "2"), (None, "0"), (None, "0")]  # repeats from the beginning
