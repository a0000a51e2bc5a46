"""Successive halving: rungs, and who goes on."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from random import Random

import pytest
from experiment import SMALL, with_setting
from hypothesis import given
from hypothesis import strategies as st

from swath.config.experiment import Experiment
from swath.config.load import load_experiment
from swath.config.sweep import Halving
from swath.errors import UserError
from swath.plan.plan import make_plan
from swath.search.rungs import (
    Standing,
    best_so_far,
    decide,
    epochs_spent,
    metric_of_rungs,
    number_promoted,
    promoted,
    ranked,
    rungs_of,
    who_went_on,
)

CONFIG = {**SMALL, "scenes": {"table": "scenes.csv"}}


def experiment(**settings: object) -> Experiment:
    config = CONFIG
    for field, value in settings.items():
        config = with_setting(config, field.replace("__", "."), value)
    return Experiment.model_validate(config)


@pytest.mark.parametrize(
    ("factor", "first", "epochs", "rungs"),
    [
        (3, 2, 18, [2, 6]),  # and 18, the last one
        (3, 2, 20, [2, 6]),  # not 18: two epochs more are no rung of their own
        (3, 2, 17, [2]),
        (2, 1, 8, [1, 2, 4]),
        (4, 5, 20, [5]),
    ],
)
def test_rungs_grow_by_the_factor_and_end_below_the_last_epoch(
    factor: int, first: int, epochs: int, rungs: list[int]
) -> None:
    assert rungs_of(Halving(factor=factor, first=first), epochs) == rungs


def test_without_halving_there_are_no_rungs() -> None:
    assert rungs_of(None, 20) == []


def test_a_search_spends_what_its_rungs_train() -> None:
    # 27 trials for 2 epochs, 9 of them for 4 more, 3 of them for 12 more
    assert epochs_spent(27, Halving(factor=3, first=2), 18) == 27 * 2 + 9 * 4 + 3 * 12


@given(st.integers(1, 500), st.integers(2, 7))
def test_somebody_always_goes_on_and_never_all_of_several(trials: int, factor: int) -> None:
    assert 1 <= number_promoted(trials, factor) <= max(1, trials - 1)


def history(folder: Path, trial: str, values: list[float], column: str = "macro_f1") -> Path:
    path = folder / f"{trial}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", column])
        writer.writerows([number, value] for number, value in enumerate(values, 1))
    return path


def test_the_best_go_on_and_equals_by_name(tmp_path: Path) -> None:
    histories = {
        "c": history(tmp_path, "c", [0.2, 0.5]),
        "b": history(tmp_path, "b", [0.5, 0.1]),
        "a": history(tmp_path, "a", [0.1, 0.4]),
        "lost": history(tmp_path, "lost", [math.nan, math.nan]),
    }
    table = tmp_path / "1.csv"
    decide(histories, "macro_f1", 2, table)
    assert promoted(table) == ["b", "c"]
    rows = list(csv.DictReader(table.open()))
    assert [row["trial"] for row in rows] == ["b", "c", "a", "lost"]
    assert rows[0]["reason"] == "among the best 2 of 4 by macro_f1"
    assert rows[-1] == {
        **rows[-1],
        "score": "nan",
        "epochs": "2",
        "decision": "stopped",
        "reason": "no macro_f1 in 2 epochs",
    }


def test_where_names_decide_it_is_told(tmp_path: Path) -> None:
    scores = {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.9}
    histories = {name: history(tmp_path, name, [score]) for name, score in scores.items()}
    table = tmp_path / "1.csv"
    decide(histories, "macro_f1", 2, table)
    reasons = {row["trial"]: row["reason"] for row in csv.DictReader(table.open())}
    assert promoted(table) == ["d", "a"] and "name" not in reasons["d"]
    assert all(reasons[name].endswith("equal to others, its name decided") for name in "abc")
    assert who_went_on([table])[1].strip().startswith("Names decided on 3 trials with equal scores")
    decide({name: histories[name] for name in "dab"}, "macro_f1", 2, table, over={"b": "9 parameters, 1 allowed"})
    assert "name" not in table.read_text() and len(who_went_on([table])) == 2
    decide({name: histories[name] for name in "ad"}, "macro_f1", 2, table)
    assert "its name decided" not in table.read_text()


def test_who_is_over_the_limits_never_goes_on(tmp_path: Path) -> None:
    histories = {name: history(tmp_path, name, [score]) for name, score in {"a": 0.9, "b": 0.5, "c": 0.4}.items()}
    decide(histories, "macro_f1", 2, tmp_path / "1.csv", over={"a": "9 parameters, 1 allowed"})
    assert promoted(tmp_path / "1.csv") == ["b", "c"]
    assert "stopped,over the limits" in (tmp_path / "1.csv").read_text().replace('"', "")
    with pytest.raises(UserError, match="none of 3 trials"):
        decide(histories, "macro_f1", 2, tmp_path / "2.csv", over=dict.fromkeys("abc", "9 parameters, 1 allowed"))


def test_a_class_and_a_loss_decide_by_their_columns(tmp_path: Path) -> None:
    of_class = {name: history(tmp_path, name, values, "water_f1") for name, values in {"a": [0.1], "b": [0.9]}.items()}
    decide(of_class, "f1.water", 2, tmp_path / "class.csv")
    assert promoted(tmp_path / "class.csv") == ["b"]
    of_loss = {name: history(tmp_path, name, values, "val_loss") for name, values in {"a": [0.1], "b": [0.9]}.items()}
    decide(of_loss, "val_loss", 2, tmp_path / "loss.csv")
    assert promoted(tmp_path / "loss.csv") == ["a"]


@given(st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=20), st.randoms())
def test_the_order_does_not_depend_on_that_of_the_trainings(scores: list[float], random: Random) -> None:
    standings = [Standing(f"t{number}", 2, score) for number, score in enumerate(scores)]
    shuffled = list(standings)
    random.shuffle(shuffled)
    assert [s.trial for s in ranked(standings, "macro_f1")] == [s.trial for s in ranked(shuffled, "macro_f1")]


def test_what_is_undefined_does_not_count() -> None:
    assert best_so_far([math.nan, 0.3], "kappa") == 0.3
    assert best_so_far([math.nan, 0.3, 0.2], "val_loss") == 0.2
    assert math.isnan(best_so_far([math.nan], "kappa"))


@pytest.mark.parametrize("content", [None, "", "rank,trial\n1,a\n", "rank,trial,epochs,score,decision,reason\n1,a,2\n"])
def test_a_table_that_cannot_be_read_says_nothing(content: str | None, tmp_path: Path) -> None:
    table = tmp_path / "1.csv"
    if content is not None:
        table.write_text(content)
    assert promoted(table) is None


def test_what_is_not_measured_after_every_epoch_cannot_decide() -> None:
    assert metric_of_rungs(experiment(sweep__select__metric="iou.water")) == "iou.water"
    boxes = {key: value for key, value in CONFIG.items() if key not in ("model", "predict")}
    found = {**boxes, "task": "object_detection", "sweep": {"select": {"metric": "macro_f1"}}}
    assert metric_of_rungs(Experiment.model_validate(found)) == "mAP50"


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"halving": {"first": 1}}, "sweep.halving.first"),  # two epochs, factor 3: nothing is saved
        ({"halving": {"first": 1, "factor": 1}}, "sweep.halving.factor"),
        ({"halving": {"first": 1, "factor": 2}, "repeats": 3}, "repeats: {final: 3}"),
        ({"repeats": {"final": 3}}, "a number without `halving`"),
        ({"halving": {"first": 1, "factor": 2}, "grid": {"train.epochs": [2, 4]}}, "train.epochs"),
    ],
)
def test_settings_that_contradict_each_other_are_told(sweep: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match="sweep") as told:
        load_experiment({**CONFIG, "sweep": sweep})
    assert words in str(told.value)


def test_finalists_alone_are_repeated_and_rungs_are_in_no_key() -> None:
    plain = {**CONFIG, "sweep": {"grid": {"train.learning_rate": [0.001, 0.003]}}}
    halved = with_setting(with_setting(plain, "sweep.halving", {"first": 1, "factor": 2}), "sweep.repeats.final", 2)
    one, other = (make_plan(Experiment.model_validate(config), [], config) for config in (plain, halved))
    assert len(one.runs) == 2 and len(other.runs) == 4
    assert {run.models for run in one.runs} <= {run.models for run in other.runs}
