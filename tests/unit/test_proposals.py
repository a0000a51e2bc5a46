"""What a search proposes: from a table of results alone, and the same every time."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from experiment import REPOSITORY, SMALL, with_setting

from swath.config.experiment import Experiment
from swath.config.load import load_experiment
from swath.config.pipeline import PipelineExperiment
from swath.config.sweep import Limits, Search
from swath.errors import UserError
from swath.files import write_json
from swath.plan.plan import make_plan
from swath.plan.proposed import made_for, proposals_file
from swath.search.proposals import Outcome, Point, described, propose

RATE = {"min": 1.0e-5, "max": 1.0e-1, "log": True}
SETTINGS = {
    "train.learning_rate": RATE,
    "train.batch_size": {"min": 4, "max": 32, "integer": True},
    "train.augmentations": {"choices": [[], ["HorizontalFlip"], "aerial"]},
}
CONFIG = {**SMALL, "scenes": {"table": "scenes.csv"}}


def search(**changes: object) -> Search:
    return Search.model_validate({"rounds": 4, "per_round": 8, "settings": SETTINGS, **changes})


def outcomes_of(points: list[Point], folder: Path, finished: bool = True) -> list[Outcome]:
    """Trainings whose score is the better, the nearer the learning rate is to 0.001."""
    found = []
    for point in points:
        path = folder / f"{len(list(folder.iterdir()))}.csv"
        rate = point["train.learning_rate"]
        assert isinstance(rate, float)
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["epoch", "macro_f1"], [1, -abs(math.log10(rate) + 3)]])
        found.append(Outcome(point, str(path), finished))
    return found


def rounds(wanted: Search, folder: Path, finished: bool = True) -> list[list[Point]]:
    """All rounds of a search, one after the other."""
    made: list[list[Point]] = []
    outcomes: list[Outcome] = []
    for number in range(1, wanted.rounds + 1):
        made.append(propose(wanted, number, outcomes, "macro_f1"))
        outcomes += outcomes_of(made[-1], folder, finished)
    return made


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "random"])
def test_proposals_lie_in_their_ranges_and_are_the_same_every_time(sampler: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    one, other = (rounds(search(sampler=sampler), folder) for folder in folders)
    assert one == other
    points = [point for round_ in one for point in round_]
    assert len(points) == 32 and len({json.dumps(point) for point in points}) == 32
    for point in points:
        rate, size = point["train.learning_rate"], point["train.batch_size"]
        assert isinstance(rate, float) and 1e-5 <= rate <= 1e-1
        assert isinstance(size, int) and 4 <= size <= 32
        assert point["train.augmentations"] in SETTINGS["train.augmentations"]["choices"]


def test_another_process_proposes_the_same(tmp_path: Path) -> None:
    wanted = search()
    outcomes = outcomes_of(propose(wanted, 1, [], "macro_f1"), tmp_path)
    code = (
        "import json, sys; from swath.config.sweep import Search; from swath.search.proposals import Outcome, propose\n"
        "wanted, outcomes = json.load(sys.stdin)\n"
        "print(json.dumps(propose(Search(**wanted), 2, [Outcome(*one) for one in outcomes], 'macro_f1')))"
    )
    told = [wanted.model_dump(mode="json"), [[one.values, one.metrics, one.finished] for one in outcomes]]
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(told),
        env={"PYTHONPATH": str(REPOSITORY / "scripts"), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == propose(wanted, 2, outcomes, "macro_f1")


@pytest.mark.parametrize("finished", [True, False])
def test_tpe_looks_where_the_best_have_been_also_of_stopped_trials(finished: bool, tmp_path: Path) -> None:
    made = rounds(search(), tmp_path, finished)

    def distance(round_: list[Point]) -> float:
        return sum(abs(math.log10(float(str(point["train.learning_rate"]))) + 3) for point in round_) / len(round_)

    assert distance(made[-1]) < 0.7 * distance(made[0])


def test_evenly_spread_means_half_of_them_in_each_half(tmp_path: Path) -> None:
    made = rounds(search(sampler="qmc"), tmp_path)
    for round_ in made:  # of eight points in a row
        low = [point for point in round_ if float(str(point["train.learning_rate"])) < 1e-3]
        assert len(low) == 4


def test_what_has_no_score_or_lies_outside_is_passed_over(tmp_path: Path) -> None:
    wanted = search()
    outcomes = outcomes_of(propose(wanted, 1, [], "macro_f1"), tmp_path)
    diverged = tmp_path / "diverged.csv"
    diverged.write_text("epoch,macro_f1\n1,nan\n")
    more = [
        Outcome(outcomes[0].values, str(diverged), True),
        Outcome({**outcomes[0].values, "train.learning_rate": 7.0}, outcomes[0].metrics, True),
        Outcome({"train.learning_rate": 0.001}, outcomes[0].metrics, True),
    ]
    assert propose(wanted, 2, [*outcomes, *more], "macro_f1") == propose(wanted, 2, outcomes, "macro_f1")
    assert described(more, "macro_f1")[0]["score"] is None


def config(**changes: object) -> dict[str, object]:
    sweep = {"search": {"rounds": 2, "per_round": 2, "settings": {"train.learning_rate": RATE}, **changes}}
    return {**CONFIG, "sweep": sweep}


def test_the_plan_takes_up_what_has_been_proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = Experiment.model_validate(config())
    own = make_plan(experiment, [], config())
    assert [trial.name for trial in own.trials] == ["learning_rate=0.001"]  # the config's own values
    assert experiment.sweep.search
    place = Path(proposals_file("small", 1))
    place.parent.mkdir(parents=True)
    points = [{"train.learning_rate": 0.01}, {"train.learning_rate": 0.02}]
    write_json(place, {"made_for": made_for(experiment.sweep.search), "points": points})
    plan = make_plan(experiment, [], config())
    assert [(trial.name, trial.round) for trial in plan.trials] == [
        ("learning_rate=0.001", 1),
        ("learning_rate=0.01", 1),
        ("learning_rate=0.02", 1),
    ]
    assert plan.runs[0].models == own.runs[0].models
    other = config(seed=1)  # another search, for which nothing has been proposed yet
    assert len(make_plan(Experiment.model_validate(other), [], other).trials) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"train.learning_rates": RATE}, "train.learning_rate"),  # no such setting
        ({"train.learning_rate": {"min": -1.0, "max": 1.0}}, "train.learning_rate"),
        ({"train.batch_size": {"min": 2.5, "max": 8.0}}, "train.batch_size"),  # no whole numbers
        ({"chips.size": {"choices": [128, 100]}}, "chips.size"),  # not divisible
        ({"train.epochs": {"min": 0, "max": 9, "integer": True}}, "train.epochs"),
    ],
)
def test_a_search_that_could_propose_what_the_config_forbids_is_refused(
    settings: dict[str, object], words: str
) -> None:
    wanted = with_setting(config(), "sweep.search.settings", settings)
    with pytest.raises(UserError, match=r"sweep\.search\.settings") as told:
        make_plan(load_experiment(wanted), [], wanted)
    assert words in str(told.value)


def test_a_proposed_mapping_is_named_as_it_stands_in_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    depths = [{"encoder_depth": 3, "decoder_channels": [8, 8, channels]} for channels in (8, 16)]
    wanted = config(settings={"model.arguments": {"choices": depths}})
    experiment = load_experiment(wanted)
    assert experiment.sweep.search
    place = Path(proposals_file("small", 1))
    place.parent.mkdir(parents=True)
    made = {"made_for": made_for(experiment.sweep.search), "points": [{"model.arguments": one} for one in depths]}
    write_json(place, made)  # which sorts keys
    names = [trial.name for trial in make_plan(experiment, [], wanted).trials][1:]
    assert names == [f"arguments=encoder_depth-3+decoder_channels-8+8+{channels}" for channels in (8, 16)]


@pytest.mark.parametrize(
    ("sweep", "words"), [(config()["sweep"], "take `random`"), ({"limits": {"parameters": 9}}, "is not known")]
)
def test_modules_of_ones_own_are_not_searched(sweep: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PipelineExperiment.model_validate({"experiment": "own", "pipeline": "own.py", "sweep": sweep})


# --- settings that hold for some trials alone ------------------------------------------------------------

BY_ENCODER = {
    "train.learning_rate": [
        {"min": 1.0e-3, "max": 1.0e-1, "log": True, "when": {"model.encoder": "resnet18"}},
        {"min": 1.0e-5, "max": 1.0e-3, "log": True, "when": {"model.encoder": ["resnet34", "resnet50"]}},
        {"min": 0.5, "max": 0.6},
    ],
    "model.encoder": {"choices": ["resnet18", "resnet34", "resnet50", "resnet101"]},
    "train.freeze_stages": {"choices": [0, 1, 2], "when": {"model.encoder": "resnet50"}},
}


def fits(point: Point) -> bool:
    """Whether a trial has the settings that its encoder asks for, in their ranges."""
    encoder, rate = point["model.encoder"], float(str(point["train.learning_rate"]))
    low, high = {"resnet18": (1e-3, 1e-1), "resnet101": (0.5, 0.6)}.get(str(encoder), (1e-5, 1e-3))
    return low <= rate <= high and ("train.freeze_stages" in point) == (encoder == "resnet50")


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "random"])
def test_a_range_can_depend_on_another_setting(sampler: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    one, other = (rounds(search(settings=BY_ENCODER, sampler=sampler), folder) for folder in folders)
    assert one == other
    points = [point for round_ in one for point in round_]
    assert all(fits(point) for point in points)
    assert {point["model.encoder"] for point in points} == set(BY_ENCODER["model.encoder"]["choices"])
    assert [name for name in points[0] if name != "train.freeze_stages"] == list(BY_ENCODER)[:2]


def test_tpe_learns_in_the_range_that_holds(tmp_path: Path) -> None:
    made = rounds(search(settings=BY_ENCODER, rounds=6), tmp_path)  # the best rate is 0.001, at the end of two ranges
    last = [point for round_ in made[-2:] for point in round_]
    assert sum(point["model.encoder"] == "resnet101" for point in last) <= 4
    near = [abs(math.log10(float(str(point["train.learning_rate"]))) + 3) for point in last]
    assert sorted(near)[len(near) // 2] < 0.7


def test_a_trial_without_a_setting_that_it_should_have_is_passed_over(tmp_path: Path) -> None:
    wanted = search(settings=BY_ENCODER)
    outcomes = outcomes_of(propose(wanted, 1, [], "macro_f1"), tmp_path)
    lacking = [
        Outcome({"model.encoder": "resnet50", "train.learning_rate": 0.0001}, outcomes[0].metrics, True),
        Outcome({"model.encoder": "resnet18", "train.learning_rate": 0.0001}, outcomes[0].metrics, True),
    ]
    assert propose(wanted, 2, [*outcomes, *lacking], "macro_f1") == propose(wanted, 2, outcomes, "macro_f1")


def test_the_plan_has_trials_with_the_settings_that_hold_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = {**config(settings=BY_ENCODER), "model": {"encoder": "resnet34", "weights": "imagenet"}}
    (own,) = make_plan(load_experiment(wanted), [], wanted).trials
    assert own.name == "learning_rate=0.001,encoder=resnet34"
    drawn = {**wanted, "sweep": {"random": {"samples": 12, "settings": BY_ENCODER}}}
    trials = make_plan(load_experiment(drawn), [], drawn).trials
    assert len(trials) == 12 and all(fits(trial.values) for trial in trials)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"when": {"model.encodr": "resnet18"}}, "did you mean 'model.encoder'?"),
        ({"when": {"train.batch_size": 8}}, "unknown setting 'train.batch_size'"),
        ({"when": {"model.encoder": "resnet19"}}, "did you mean 'resnet18'?"),
        ({"when": {"model.encoder": ["resnet18", "vgg"]}}, "one of the choices of model.encoder: resnet18"),
        ({"when": {"train.epochs": 3}}, "give `choices` to train.epochs"),
        ({"when": {"train.weight_decay": 0.1}}, "conditions that do not go in a circle"),
        ({"when": {"train.learning_rate": 0.1}}, "the setting itself"),
        ({"when": {}}, "1 or more entries"),
        ([{}, {"when": {"model.encoder": "resnet18"}}], "put it last"),
    ],
)
def test_a_condition_that_cannot_hold_is_told(settings: Any, words: str) -> None:
    ranges = [{**RATE, **one} for one in settings] if isinstance(settings, list) else {**RATE, **settings}
    others = {
        "model.encoder": BY_ENCODER["model.encoder"],
        "train.epochs": {"min": 1, "max": 9, "integer": True},
        "train.weight_decay": {"choices": [0.1, 0.2], "when": {"train.learning_rate": 0.1}},
    }
    if "circle" in words:
        ranges = {"choices": [0.1], **settings}
    else:
        del others["train.weight_decay"]
    for kind in ({"search": {"rounds": 2, "per_round": 2}}, {"random": {"samples": 2}}):
        ((name, values),) = kind.items()
        sweep = {name: {**values, "settings": {"train.learning_rate": ranges, **others}}}
        with pytest.raises(UserError, match=rf"sweep\.{name}\.settings\.train\.learning_rate") as told:
            load_experiment({**CONFIG, "sweep": sweep})
        assert words in str(told.value) and len(told.value.problems) == 1, told.value


def test_the_ends_of_a_range_are_checked_with_the_values_that_it_is_for() -> None:
    depth = {"choices": [1, 3], "when": {"model.encoder": "resnet18"}}
    stages = {"model.encoder": {"choices": ["resnet18", "vgg11"]}, "train.freeze_stages": depth}
    wanted = config(settings=stages)
    wanted["model"] = {"encoder": "vgg11", "weights": "imagenet"}
    make_plan(load_experiment(wanted), [], wanted)
    wrong = with_setting(wanted, "sweep.search.settings", {**stages, "train.freeze_stages": {**depth, "when": None}})
    with pytest.raises(UserError, match=r"train\.freeze_stages"):
        make_plan(load_experiment(wrong), [], wrong)


# --- limits -------------------------------------------------------------------------------------------------


def too_large(point: Point) -> str:
    """Says that batches of more than 16 are over the limits."""
    size = point["train.batch_size"]
    return f"{size} parameters, 16 allowed" if float(str(size)) > 16 else ""


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "random"])
def test_what_is_known_to_be_too_large_is_not_proposed(sampler: str, tmp_path: Path) -> None:
    wanted, limits = search(sampler=sampler), Limits(parameters=16)
    first = propose(wanted, 1, [], "macro_f1", limits, too_large)
    outcomes = outcomes_of(first, tmp_path)
    second = propose(wanted, 2, outcomes, "macro_f1", limits, too_large)
    assert len(first) == len(second) == 8 and not any(map(too_large, [*first, *second]))
    assert not {json.dumps(point) for point in first} & {json.dumps(point) for point in second}
    assert second == propose(wanted, 2, outcomes, "macro_f1", limits, too_large)


def test_limits_that_nothing_keeps_to_are_told() -> None:
    with pytest.raises(UserError, match=r"limits_too_small[\s\S]*none of 400 proposals[\s\S]*9 parameters"):
        propose(search(), 1, [], "macro_f1", Limits(parameters=1), lambda point: "9 parameters, 1 allowed")


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "random"])
def test_a_later_round_without_anything_within_limits_has_no_proposals(sampler: str, tmp_path: Path) -> None:
    outcomes = outcomes_of(propose(search(sampler=sampler), 1, [], "macro_f1"), tmp_path)
    assert not propose(search(sampler=sampler), 2, outcomes, "macro_f1", Limits(parameters=1), lambda point: "9")


def test_tpe_avoids_what_has_taken_too_long(tmp_path: Path) -> None:
    """The score is the best at 0.001, where trainings take two hours; others take half an hour."""
    wanted = search(rounds=5, settings={"train.learning_rate": RATE})

    def last_rates(limits: Limits) -> list[float]:
        outcomes: list[Outcome] = []
        for number in range(1, 6):
            points = propose(wanted, number, outcomes, "macro_f1", limits)
            for point in points:
                rate = float(str(point["train.learning_rate"]))
                folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
                folder.mkdir()
                (folder / "metrics.csv").write_text(f"epoch,macro_f1\n1,{-abs(math.log10(rate) + 3)}\n")
                seconds = 7200 if 3e-4 < rate < 3e-3 else 1800
                (folder / "timing.csv").write_text(f"epoch,seconds,peak_gpu_memory_mb\n1,{seconds},100\n")
                outcomes.append(Outcome(point, str(folder / "metrics.csv"), True))
        return [float(str(point["train.learning_rate"])) for point in points]

    free, limited = last_rates(Limits()), last_rates(Limits(gpu_hours=1.0))
    assert sum(3e-4 < rate < 3e-3 for rate in free) >= 6 > 3 >= sum(3e-4 < rate < 3e-3 for rate in limited)
