"""Which runs a search has by now, which it will have, and what is made of the winner: what rules ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from experiment import SMALL
from made_records import record
from rule_functions import functions_of

from swath.config.budget import Budget
from swath.config.load import load_experiment
from swath.config.records import to_json
from swath.cost.estimate import _with_later
from swath.cost.outlook import Outlook, Size
from swath.cost.schedule import PlannedJob
from swath.errors import UserError
from swath.files import write_json
from swath.job.attempts import ENDING
from swath.plan.describe import keys_by_run
from swath.plan.keys import Run
from swath.plan.plan import Plan, make_plan
from swath.plan.proposed import made_for, proposals_file
from swath.scenes.scene import Scene
from swath.search.room import Room, check_room
from swath.search.rungs import decide, how_the_budget_ended_it, who_went_on
from swath.smk import costs, hooks
from swath.smk.costs import Costs

FILES = "search_inputs.smk", "search_params.smk", "search_outlook.smk", "search_room.smk", "targets.smk"
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
REPEATED = {**SEARCHED, "repeats": {"final": 3}}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plan_of(sweep: dict[str, Any], budget: Mapping[str, float] | None = None, scenes: Sequence[Scene] = SCENES) -> Plan:
    config = {**deepcopy(SMALL), "scenes": {"table": "scenes.csv"}, "sweep": sweep, "budget": budget or {}}
    config["train"]["epochs"] = 4
    return make_plan(load_experiment(config), scenes, config)


def propose(plan: Plan, number: int, rates: Sequence[float]) -> None:
    assert plan.experiment.sweep.search
    points = [{"train.learning_rate": rate} for rate in rates]
    file = Path(proposals_file("small", number))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"made_for": made_for(plan.experiment.sweep.search), "points": points})


def decide_rung(rules: dict[str, Any], round_: int, number: int, room: Room | None = None) -> None:
    """Let all trials of a rung be trained: those with the highest learning rates are the best."""
    decide_among(rules, rules["trials_at"](round_, number, False), number, rules["table_of_rung"](round_, number), room)


def decide_finally(rules: dict[str, Any], room: Room | None = None) -> None:
    """Let all trials that get to their end be trained, and the best of them be chosen."""
    decide_among(rules, rules["trials_at_end"](False), rules["END"], rules["TABLE_OF_FINAL"], room)


def decide_among(
    rules: dict[str, Any], trials: Mapping[str, Run], number: int, file: str, room: Room | None = None
) -> None:
    histories = {}
    for name, run in trials.items():
        histories[name] = Path(rules["metrics_at"](run, number))
        histories[name].parent.mkdir(parents=True, exist_ok=True)
        histories[name].write_text(f"epoch,macro_f1\n1,{run.trial.values['train.learning_rate']}\n")
    table = Path(file)
    table.parent.mkdir(parents=True, exist_ok=True)
    decide(histories, "macro_f1", 2, table, room)


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


def searched_twice(rules: dict[str, Any]) -> None:
    """Bring two rounds to their ends: two trials and one."""
    plan = rules["PLAN"]
    for number, rates in ((1, [0.1, 0.09, 0.08, 0.07]), (2, [0.02, 0.03, 0.04, 0.05])):
        propose(plan, number, rates)
        rules["runs_of_round"](number, waits=True)
        for rung in (1, 2):
            decide_rung(rules, number, rung)


def test_of_a_search_the_best_of_all_rounds_are_repeated() -> None:
    plan = plan_of({**REPEATED, "search": {**REPEATED["search"], "rounds": 2}})
    rules = functions_of(plan, *FILES)
    # two trials get to the end of the first round, of which there are five, and one to that of the second; two of these
    # three are trained twice more, and of all six models come maps, metrics and bundles
    of_models = {"train": 2 + 1 + 2 * 2, "predict": 6, "eval": 6, "bundle": 6}
    assert counted(rules["jobs_of_search"]()) == {"train_rung": 5 + 3 + 4 + 2, **of_models}
    assert rules["last_decision"]() == {"rung": "results/experiments/small/rungs/final.csv"}
    searched_twice(rules)
    assert rules["final_runs"](waits=False) == [] and len(rules["left_out"]()) == 3 + 3
    assert counted(rules["jobs_of_search"]()) == {**of_models, "train": 4}
    assert counted(rules["least_of_search"]()) == {"train": 2, "predict": 3, "eval": 3, "bundle": 3}
    final = SimpleNamespace(rung="final")
    assert rules["metrics_of_rung"](final) == [
        f"results/models/{run.models}/metrics.csv" for run in rules["trials_at_end"](False).values()
    ]
    decide_finally(rules)
    assert rules["jobs_of_search"]() == []
    assert {run.name for run in rules["final_runs"]()} == {
        f"learning_rate={rate},seed={seed}" for rate in (0.1, 0.09) for seed in range(3)
    }
    assert rules["checkpoints"].asked[-1] == ("rung", {"rung": "final"})
    stopped = rules["left_out"]()
    assert Path(stopped["learning_rate=0.05,seed=0"]).name == "metrics.csv" and len(stopped) == 3 + 3 + 1
    told = who_went_on([Path(table) for table in rules["tables_of_all_rungs"](None)])
    assert told[1:3] == [
        "Round 2: 4 for 1 epoch, 2 for 1 epoch, 1 to the end",
        "In the end: 3 for 1 epoch, 2 compared",
    ]


def test_whatever_depends_on_a_decision_reads_its_file() -> None:
    plan = plan_of({**REPEATED, "search": {**REPEATED["search"], "rounds": 2}})
    rules = functions_of(plan, *FILES)
    searched_twice(rules)
    proposals = [proposals_file("small", number) for number in (1, 2)]
    tables = [[rules["table_of_rung"](number, rung) for rung in (1, 2)] for number in (1, 2)]
    assert rules["decisions_before_round"](SimpleNamespace(round=1)) == []
    assert rules["decisions_before_round"](SimpleNamespace(round=2)) == [proposals[0], *tables[0]]
    assert rules["decisions_before_rung"](SimpleNamespace(rung="1-1")) == [proposals[0]]
    assert rules["decisions_before_rung"](SimpleNamespace(rung="2-2")) == [proposals[1], tables[1][0]]
    everything = [proposals[0], *tables[0], proposals[1], *tables[1]]
    assert rules["decisions_before_rung"](SimpleNamespace(rung="final")) == everything
    assert [rules["is_first_round"](SimpleNamespace(rung=rung), None) for rung in ("1-2", "2-1", "final")] == [
        *(True, False, False)
    ]


def test_more_rounds_decide_anew_who_is_repeated() -> None:
    search = {**REPEATED["search"], "rounds": 2}
    rules = functions_of(plan_of({**REPEATED, "search": search}), *FILES)
    searched_twice(rules)
    decide_finally(rules)
    more = functions_of(plan_of({**REPEATED, "search": {**search, "rounds": 3}}), *FILES)
    more["runs_of_round"](2, waits=True)
    assert counted(more["jobs_of_search"]())["bundle"] == 6  # as before: two of four, three times
    propose(more["PLAN"], 3, [0.2, 0.3, 0.4, 0.5])
    more["runs_of_round"](3, waits=True)
    for rung in (1, 2):
        decide_rung(more, 3, rung)
    assert not more["final_is_decided"]() and counted(more["jobs_of_search"]())["bundle"] == 6
    assert "learning_rate=0.5,seed=0" not in more["left_out"]()  # it stands in no table yet
    decide_finally(more)
    assert more["finalists"](waits=False) == {"learning_rate=0.5", "learning_rate=0.1"}
    before = {f"learning_rate=0.09,seed={seed}" for seed in range(3)}  # what its repeats have taken still counts
    assert before <= more["keys_by_run_by_now"]().keys()


def test_before_anything_is_decided_what_a_search_brings_is_counted_behind_its_first_round() -> None:
    for sweep in (REPEATED, {**SEARCHED, "halving": None}):
        rules = functions_of(plan_of(sweep), *FILES)
        first = PlannedJob(0, "propose", {"round": "1"})
        for least in (False, True):
            known = _with_later([first], rules["jobs_known_later"](least=least))
            assert {"train", "predict", "eval", "bundle"} <= {job.rule for job in known}
    assert counted(rules["least_of_search"]())["train"] == 5  # without rungs a whole round
    of_all = {"train": 5 + 4 + 4, "predict": 13, "eval": 13, "bundle": 13}
    assert counted(rules["jobs_of_search"]()) == of_all
    propose(rules["PLAN"], 1, [*RATES[:2], 0.02, 0.05])
    rules["runs_of_round"](1, waits=True)
    # the first round's trainings are planned by now, and what is made of its models is not, while a round is open
    assert counted(rules["jobs_of_search"]()) == {**of_all, "train": 4 + 4}


def test_with_folds_the_best_of_all_rounds_alone_are_trained_in_the_others() -> None:
    assert not functions_of(plan_of(SEARCHED), *FILES)["HAS_FINAL"]
    folds = [Scene(name, "train", f"{name}.tif", f"{name}.geojson", fold=fold) for fold, name in enumerate("abc")]
    rules = functions_of(plan_of(SEARCHED, scenes=folds), *FILES)
    assert rules["HAS_FINAL"]
    # 2 + 1 + 1 trials get to the end, in one fold; 2 of these 4 are trained in the other two folds
    assert counted(rules["jobs_of_search"]())["train"] == 4 + 2 * 2


def test_from_the_final_rung_one_goes_on_whatever_the_budget() -> None:
    plan = plan_of({**REPEATED, "search": {**REPEATED["search"], "rounds": 2}}, budget={"cpu_hours": 0.5})
    rules = functions_of(plan, *FILES)
    searched_twice(rules)
    decide_finally(rules)  # writes metrics
    Path(rules["TABLE_OF_FINAL"]).unlink()
    for run in rules["trials_at_end"](False).values():
        record(Path("results/logs/train") / f"{run.models}{ENDING}", seconds=1000, cpu=0.3 * 3600)
    rules["CONTEXT"], rules["workflow"] = SimpleNamespace(costs=costs_of(plan)), None
    rules["forks_here"] = lambda _: True
    room = rules["room_for_trials"](SimpleNamespace(rung="final"), None)
    assert room["number"] == 1 and room["limits"] == {"cpu_hours": 0.5}
    decide_finally(rules, Room(**room))
    assert len(rules["final_runs"](waits=False)) == 3
    larger = functions_of(plan_of(REPEATED, budget={"cpu_hours": 5}), *FILES)
    assert larger["decided_by_less"]() == [rules["TABLE_OF_FINAL"]]


def test_what_is_to_come_begins_where_the_rung_before_ends() -> None:
    jobs = functions_of(plan_of(HALVED), *FILES)["jobs_of_search"]()
    trainings = [(wildcards.get("epochs"), wildcards["begun"]) for rule, wildcards in jobs if "train" in rule]
    assert trainings == [("2", "1"), ("2", "1"), (None, "2"), (None, "0"), (None, "0")]  # repeats from the beginning


# --- a budget that ends a search ------------------------------------------------------------------


def costs_of(plan: Plan) -> Costs:
    """What experiments whose scenes have 192 × 192 pixels take."""
    outlook = Outlook(
        plan,
        Path("results"),
        Path("results/logs"),
        scenes_behind=lambda stage, wildcards: plan.scenes_of("validation"),
        chips_of=lambda wildcards: ["not-there.zip"],
        later=lambda least=False: {},
        sizes={scene.id: Size(192, 192) for scene in plan.scenes},
    )
    return Costs(outlook, lambda: keys_by_run(plan.runs), [], plan.experiment.budget, [], Path("cost.csv"), lambda _: 1)


def end_before(plan: Plan, number: int, limits: dict[str, float]) -> Path:
    """Let a round be one that the budget has ended the search before."""
    assert plan.experiment.sweep.search
    file = Path(proposals_file("small", number))
    ended = to_json(Room(0, "39 GPU hours spent, about 3 to come, 40 allowed", limits))
    write_json(file, {"made_for": made_for(plan.experiment.sweep.search), "points": [], "ended": ended})
    return file


def test_after_a_round_that_the_budget_ends_nothing_is_asked_for() -> None:
    plan = plan_of({**SEARCHED, "halving": None})
    propose(plan, 1, RATES)
    file = end_before(plan, 2, {"gpu_hours": 40.0})
    rules = functions_of(plan, *FILES)
    assert len(rules["final_runs"]()) == 4
    assert [wildcards["round"] for _, wildcards in rules["checkpoints"].asked] == [1, 2]
    assert rules["proposals_of_all_rounds"](None) == [proposals_file("small", 1), str(file)]
    assert rules["jobs_of_search"]() == [] and rules["last_decision"]() == {"propose": str(file)}
    told = how_the_budget_ended_it([], map(Path, rules["proposals_of_rounds"](waits=False)))
    assert told == [
        "The budget ended the search: round 2 was not begun (39 GPU hours spent, about 3 to come, 40 allowed)"
    ]


def test_what_ends_a_search_without_a_budget_is_told_and_no_budget_decides_it_anew() -> None:
    plan = plan_of({**SEARCHED, "halving": None}, budget={"gpu_hours": 1000})
    propose(plan, 1, RATES)
    file = end_before(plan, 2, {})
    rules = functions_of(plan, *FILES)
    assert len(rules["final_runs"]()) == 4 and rules["decided_by_less"]() == []
    (told,) = how_the_budget_ended_it([], [file])
    assert told.startswith("The setting sweep.limits ended the search: round 2 was not begun")


def test_a_larger_budget_decides_anew() -> None:
    for limit, again in ((30, False), (40, False), (41, True), (None, True)):
        plan = plan_of(SEARCHED, budget={"gpu_hours": limit} if limit else {})
        propose(plan, 1, RATES)
        file = end_before(plan, 2, {"gpu_hours": 40.0})
        assert functions_of(plan, *FILES)["decided_by_less"]() == [str(file)] * again


def test_a_rung_that_the_budget_cuts_short_ends_the_search() -> None:
    plan = plan_of({**SEARCHED, "halving": {"first": 2, "factor": 2}})
    propose(plan, 1, RATES)
    rules = functions_of(plan, *FILES)
    rules["runs_of_round"](1, waits=True)
    decide_rung(rules, 1, 1)
    propose(plan, 2, [0.2, 0.3, 0.4, 0.5])
    rules["runs_of_round"](2, waits=True)
    decide_rung(rules, 2, 1, Room(0, "39 GPU hours spent, about 3 to come, 40 allowed", {"gpu_hours": 40.0}))
    assert len(rules["final_runs"]()) == 2 and rules["jobs_of_search"]() == []
    assert len(rules["left_out"]()) == 6
    assert rules["tables_of_all_rungs"](None) == [rules["table_of_rung"](1, 1), rules["table_of_rung"](2, 1)]
    assert rules["last_decision"]() == {"rung": rules["table_of_rung"](2, 1)}


def test_the_least_that_a_search_can_be_is_its_first_round_with_one_trial_to_the_end() -> None:
    plan = plan_of(SEARCHED)
    rules = functions_of(plan, *FILES)
    of_model = {"train": 1, "predict": 1, "eval": 1, "bundle": 1}
    assert counted(rules["least_of_search"]()) == {"train_rung": 5 + 1, **of_model}
    propose(plan, 1, RATES)
    rules["runs_of_round"](1, waits=True)
    assert counted(rules["least_of_search"]()) == {"train_rung": 1, **of_model}  # the others are no longer in doubt
    decide_rung(rules, 1, 1)
    assert counted(rules["least_of_search"]()) == of_model
    decide_rung(rules, 1, 2)
    assert rules["least_of_search"]() == []


@pytest.mark.parametrize(("limit", "number"), [(100, 2), (1.0, 2), (0.8, 1), (0.5, 0)])
def test_as_many_go_on_as_the_budget_leaves_room_for(limit: float, number: int) -> None:
    """A training of two epochs has taken 0.3 hours, and so will the next two; metrics and a bundle take seconds."""
    plan = plan_of({**HALVED, "halving": {"first": 2, "factor": 2}, "repeats": 1}, budget={"cpu_hours": limit})
    rules = functions_of(plan, *FILES)
    decide_rung(rules, 1, 1)
    Path(rules["table_of_rung"](1, 1)).unlink()
    for run in plan.runs:
        checkpoints = Path("results/models", run.models, "checkpoints", "fingerprint")
        checkpoints.mkdir(parents=True)
        (checkpoints / "last-00002-0000000.ckpt").touch()
    record(Path("results/logs/train_rung") / f"{plan.runs[0].models}-2{ENDING}", seconds=1000, cpu=0.3 * 3600)
    rules["CONTEXT"], rules["workflow"] = SimpleNamespace(costs=costs_of(plan)), None
    to_come = []
    for forks in (False, True):
        rules["forks_here"] = lambda _, forks=forks: forks
        room = rules["room_for_trials"](SimpleNamespace(rung="1"), None)
        assert room["number"] == number
        if number < 2:
            spent, rest = room["reason"].split(", about ")
            assert spent == "0.3 CPU hours spent" and room["limits"] == {"cpu_hours": limit}
            to_come.append(float(rest.split()[0]))
    assert not to_come or to_come[0] > to_come[1] > 0.3, "of jobs that are forked none imports the libraries"


def test_a_budget_without_room_for_a_single_trial_is_told() -> None:
    room = Room(0, "39 GPU hours spent, about 3 to come, 40 allowed", {"gpu_hours": 40.0})
    with pytest.raises(UserError, match=r"over_budget[\s\S]*budget\.gpu_hours[\s\S]*not even the best trial"):
        check_room(room, [])
    check_room(Room(1, room.reason, room.limits), [])
    check_room(None, [])


def test_a_dry_run_leaves_a_decision_that_would_be_taken_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decision = tmp_path / "1.csv"
    decision.write_text("")
    hooks._forget_overtaken([str(decision)], dry_run=True)
    assert decision.is_file() and "a run decides it anew" in capsys.readouterr().err
    hooks._forget_overtaken([str(decision)], dry_run=False)
    assert not decision.exists()


def test_what_a_search_has_begun_is_brought_to_an_end_whatever_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    to_come = SimpleNamespace(unknown=[], gpu_unknown=False, notes=[], gpu_hours=3.0, cpu_hours=3.0)
    monkeypatch.setattr(costs, "expected_at_most", lambda *_, probes: (to_come, to_come))

    def check(spent: float, is_begun: bool) -> None:
        held: Any = SimpleNamespace(
            budget=Budget(gpu_hours=40.0),
            configs=[],
            is_begun=lambda: is_begun,
            spent=lambda: SimpleNamespace(gpu_hours=spent, cpu_hours=0.0),
        )
        costs.check_budget(None, held)

    with pytest.raises(UserError, match="over_budget"):
        check(39.0, is_begun=False)
    check(39.0, is_begun=True)
    assert "brought to an end" in capsys.readouterr().err
    to_come.gpu_hours = 0.0  # tables and reports alone
    check(41.0, is_begun=False)
