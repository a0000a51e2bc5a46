"""What a search proposes: from a table of results alone, and the same every time."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from experiment import REPOSITORY, SMALL, with_setting

from swath.config.experiment import Experiment
from swath.config.load import load_experiment
from swath.config.pipeline import PipelineExperiment
from swath.config.sweep import Search
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


def test_modules_of_ones_own_are_not_searched(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="take `random`"):
        PipelineExperiment.model_validate({"experiment": "own", "pipeline": "own.py", "sweep": config()["sweep"]})
