"""Accuracy and F1 from confusion matrices; leaderboard and winner from those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swath.config.imagery import Imagery, Range
from swath.files import read_json, write_json
from swath.metrics.scores import accuracy, confusion_metrics, f1, iou, mean_of_defined, precision, recall
from swath.plan.finished import FinishedRun
from swath.report.leaderboard import compare, select_winner

CLASSES = ["null", "field", "forest", "water"]


def scores(*confusions: list[list[int]]) -> Any:
    """The metrics of scenes with these confusion matrices."""
    return confusion_metrics({f"s{number}": np.array(matrix) for number, matrix in enumerate(confusions)}, CLASSES)


def test_unlabelled_pixels_do_not_count() -> None:
    metrics = scores([[500, 90, 10, 0], [0, 6, 2, 0], [0, 2, 10, 0], [0, 0, 0, 0]]).overall
    assert metrics.labelled == 20
    assert metrics.accuracy == pytest.approx(16 / 20)
    assert metrics.f1["field"] == pytest.approx(2 * 6 / (8 + 8))
    assert metrics.f1["forest"] == pytest.approx(2 * 10 / (12 + 12))
    assert metrics.f1["water"] is None
    assert metrics.macro_f1 == pytest.approx((0.75 + 10 / 12) / 2)
    assert metrics.confusion == [[0, 6, 2, 0], [0, 2, 10, 0], [0, 0, 0, 0]]


def test_a_class_never_predicted_scores_zero() -> None:
    metrics = scores([[0, 0, 0, 0], [0, 5, 0, 0], [0, 5, 0, 0], [0, 0, 0, 0]]).overall
    assert metrics.f1["forest"] == 0.0
    assert metrics.precision["forest"] is None


def test_scenes_add_up() -> None:
    one, two = [[0] * 4, [0, 3, 1, 0], [0] * 4, [0] * 4], [[0] * 4, [0, 1, 3, 0], [0] * 4, [0] * 4]
    metrics = scores(one, two)
    assert metrics.overall.accuracy == 0.5
    assert metrics.scenes["s0"].accuracy == 0.75


def test_a_score_is_undefined_where_there_is_nothing_to_divide_by() -> None:
    assert precision(3, 4) == 0.75 and precision(0, 0) is None
    assert recall(3, 6) == 0.5 and recall(0, 0) is None
    assert f1(3, 6, 4) == 0.6 and f1(0, 6, 0) == 0 and f1(0, 0, 4) is None
    assert iou(3, 6, 4) == 3 / 7 and iou(0, 6, 0) == 0 and iou(0, 0, 4) is None
    assert accuracy(3, 4) == 0.75 and accuracy(0, 0) is None
    assert mean_of_defined([0.5, None, 1.0]) == 0.75 and mean_of_defined([None]) is None


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_f1_is_the_harmonic_mean_and_follows_from_iou(hits: int, missed: int, wrong: int) -> None:
    actual, predicted = hits + missed, hits + wrong
    one, other, both = precision(hits, predicted), recall(hits, actual), f1(hits, actual, predicted)
    overlap = iou(hits, actual, predicted)
    assert (both is None) == (overlap is None) == (actual == 0)
    if both is not None and overlap is not None:
        assert both == pytest.approx(2 * overlap / (1 + overlap))
    if one and other:
        assert both == pytest.approx(2 * one * other / (one + other))


@pytest.fixture
def runs(tmp_path: Path) -> list[FinishedRun]:
    """Two trials with two repeats; the second is better on average, the first has the best single run."""
    scores = {("a", 0): 0.9, ("a", 1): 0.1, ("b", 0): 0.6, ("b", 1): 0.7}
    made = []
    for (trial, seed), score in scores.items():
        folder = tmp_path / f"{trial}{seed}"
        folder.mkdir()
        metrics = {"macro_f1": score, "accuracy": score / 2, "f1": {"field": score, "forest": None}}
        write_json(folder / "validation.json", {"overall": metrics, "scenes": {}, "classes": CLASSES})
        (folder / "timing.csv").write_text("epoch,seconds\n1,2.0\n2,3.0\n")
        made.append(
            FinishedRun(
                name=f"{trial},seed={seed}",
                trial=trial,
                values={"train.learning_rate": {"a": 0.1, "b": 0.2}[trial]},
                fold=None,
                seed=seed,
                model=str(folder),
                bundle=str(folder),
                maps=str(folder),
                evals={"validation": str(folder)},
                log="",
            )
        )
    return made


def test_the_winner_has_the_best_mean_over_repeats(tmp_path: Path, runs: list[FinishedRun]) -> None:
    trials, board, winner = (tmp_path / name for name in ("trials.csv", "leaderboard.csv", "winner.json"))
    compare(runs, "macro_f1", trials, board, tmp_path / "comparison.csv")
    table = pd.read_csv(board)
    assert list(table["trial"]) == ["b", "a"]
    assert table["macro_f1_mean"].tolist() == pytest.approx([0.65, 0.5])
    assert table["macro_f1_std"].tolist() == pytest.approx([0.1 / 2**0.5, 0.8 / 2**0.5])
    assert table["seconds"].tolist() == [5.0, 5.0]
    assert table["epochs"].tolist() == [2, 2]
    half = 0.05 * 12.706205  # Student's t with one degree of freedom: 12.7 standard errors
    assert table["macro_f1_low"][0] == pytest.approx(0.65 - half, abs=1e-6)
    (other,) = pd.read_csv(tmp_path / "comparison.csv").to_dict("records")
    assert (other["trial"], other["winner_is"]) == ("a", "cannot tell")
    select_winner(trials, board, "macro_f1", winner)
    assert read_json(winner) == {
        "trial": "b",
        "run": "b,seed=1",
        "metric": "macro_f1",
        "mean": pytest.approx(0.65),
        "std": pytest.approx(0.1 / 2**0.5),
        "score": 0.7,
    }


def test_a_fixed_range_becomes_0_to_255_for_any_number_of_bands(tmp_path: Path) -> None:
    from rastervision.core.data import StatsTransformer

    from swath.scenes.analyze import analyze

    analyze([], Imagery(normalize=Range(min=1000.0, max=3000.0)), tmp_path / "stats.json")
    transformer = StatsTransformer.from_stats_json(str(tmp_path / "stats.json"))
    chip = np.array([[[500, 1000, 2000], [3000, 4000, 1500]]], np.uint16)
    assert transformer.transform(chip).tolist() == [[[0, 0, 127], [255, 255, 63]]]
