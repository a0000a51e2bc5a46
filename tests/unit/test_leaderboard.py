"""Trials compared over folds and repeats."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from swath.config.records import of_json
from swath.config.sweep import Limits
from swath.errors import UserError
from swath.files import read_json
from swath.plan.finished import FinishedRun, Winner
from swath.report.leaderboard import on_front, rank, select_winner, within_limits

TRAINED = [
    ("epochs=3", 3, 0, 0, 0.9, None),
    ("epochs=3", 3, 0, 1, 0.7, None),
    ("epochs=3", 3, 1, 0, 0.5, 0.2),
    ("epochs=3", 3, 1, 1, 0.5, 0.4),
    ("epochs=5", 5, 0, 0, 0.7, None),
    ("epochs=5", 5, 0, 1, 0.7, None),
    ("epochs=5", 5, 1, 0, 0.8, 0.0),
    ("epochs=5", 5, 1, 1, 0.6, 0.0),
]
"""Trial, epochs, fold, seed, macro-F1, F1 of water."""
RUNS = [
    FinishedRun(
        name=f"{trial},fold={fold},seed={seed}",
        trial=trial,
        values={"train.epochs": epochs},
        fold=fold,
        seed=seed,
        model="",
        bundle="",
        maps="",
        evals={},
        log="",
    )
    for trial, epochs, fold, seed, *_ in TRAINED
]


HOURS = {"gpu_hours": 1.5}


def table(*leave_out: str) -> pd.DataFrame:
    scores = [dict(zip(("macro_f1", "f1.water"), trained[-2:], strict=True)) for trained in TRAINED]
    rows = [
        {
            "run": run.name,
            "trial": run.trial,
            "fold": run.fold,
            "seed": run.seed,
            **score,
            "epochs": 3,
            "seconds": 2.0,
            **HOURS,
        }
        for run, score in zip(RUNS, scores, strict=True)
    ]
    return pd.DataFrame(rows).drop(columns=list(leave_out))


def test_folds_and_repeats_are_averaged_together() -> None:
    first, second = rank(table(), RUNS, "macro_f1").to_dict("records")
    assert (first["trial"], first["folds"], first["repeats"]) == ("epochs=5", 2, 2)
    assert first["macro_f1_mean"] == pytest.approx(0.7)
    assert second["macro_f1_mean"] == pytest.approx(0.65)


def test_a_class_that_a_fold_does_not_have_is_left_out_of_the_mean() -> None:
    _, second = rank(table(), RUNS, "macro_f1").to_dict("records")
    assert second["f1.water_mean"] == pytest.approx(0.3)


def test_a_class_that_no_fold_has_stays_without_score() -> None:
    never = table()
    never["f1.water"] = None
    assert rank(never, RUNS, "macro_f1")["f1.water_mean"].isna().all()


def test_without_folds_there_is_no_such_column() -> None:
    assert "folds" not in rank(table("fold"), RUNS, "macro_f1")


def test_the_best_mean_wins_with_the_run_that_is_best_in_its_fold(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "trials.csv", index=False)
    rank(table(), RUNS, "macro_f1").to_csv(tmp_path / "leaderboard.csv", index=False)
    select_winner(tmp_path / "trials.csv", tmp_path / "leaderboard.csv", "macro_f1", tmp_path / "winner.json")
    winner = read_json(tmp_path / "winner.json")
    assert (winner["trial"], winner["run"]) == ("epochs=5", "epochs=5,fold=1,seed=0")
    assert (winner["mean"], winner["score"]) == (pytest.approx(0.7), 0.8)
    assert winner["std"] == pytest.approx(0.0816, abs=1e-4)  # of a sample: divided by n - 1


def test_a_single_run_has_no_standard_deviation_nor_has_a_class_that_one_fold_alone_has(tmp_path: Path) -> None:
    one = table()[4:5]
    one.to_csv(tmp_path / "trials.csv", index=False)
    rank(one, RUNS, "macro_f1").to_csv(tmp_path / "leaderboard.csv", index=False)
    written = pd.read_csv(tmp_path / "leaderboard.csv", dtype=str, keep_default_na=False)
    assert written["macro_f1_std"][0] == "" and float(written["macro_f1_mean"][0]) > 0
    select_winner(tmp_path / "trials.csv", tmp_path / "leaderboard.csv", "macro_f1", tmp_path / "winner.json")
    assert of_json(Winner, read_json(tmp_path / "winner.json")).std is None
    rare = table()
    rare["f1.water"] = [0.3 if index == 0 else None for index in range(len(rare))]
    ranked = rank(rare, RUNS, "macro_f1").set_index("trial").loc[rare["trial"][0]]
    assert ranked["f1.water_mean"] == 0.3 and pd.isna(ranked["f1.water_std"])


def test_trials_are_marked_that_no_other_beats_in_score_or_cost() -> None:
    assert on_front([0.9, 0.8, 0.7, 0.8, 0.6], [100, 20, 20, 30, 10]) == [True, True, False, False, True]
    assert on_front([0.9, 0.9, 0.9], [10, 10, 20]) == [True, True, False]  # equals are in it together
    assert on_front([float("nan"), 0.1], [1, 2]) == [False, True]
    assert rank(table(), RUNS, "macro_f1")["pareto"].tolist() == [True, False]  # as many seconds, another score


def test_a_trial_over_the_limits_comes_last_and_never_wins(tmp_path: Path) -> None:
    limits, over = Limits(parameters=1000, gpu_hours=1.0), {"epochs=5": "2,000 parameters, 1,000 allowed"}
    trials, board = tmp_path / "trials.csv", tmp_path / "leaderboard.csv"
    hours = table().assign(gpu_hours=0.5)
    hours.to_csv(trials, index=False)
    ranked = rank(hours, RUNS, "macro_f1", limits, over)
    assert ranked["trial"].tolist() == ["epochs=3", "epochs=5"] and ranked["rank"].tolist() == [1, 2]
    assert ranked["over_limits"].tolist() == ["", over["epochs=5"]] and ranked.columns[-1] == "over_limits"
    assert ranked["pareto"].tolist() == [True, False]  # what cannot win beats nobody
    assert within_limits(ranked)["trial"].tolist() == ["epochs=3"]  # whom the winner is compared with
    ranked.to_csv(board, index=False)
    select_winner(trials, board, "macro_f1", tmp_path / "winner.json")
    assert of_json(Winner, read_json(tmp_path / "winner.json")).trial == "epochs=3"
    rank(table(), RUNS, "macro_f1", limits, over).to_csv(board, index=False)
    with pytest.raises(UserError, match=r"limits_too_small[\s\S]*1\.5 GPU hours, 1 allowed"):
        select_winner(trials, board, "macro_f1", tmp_path / "winner.json")
