"""How much of a difference is chance: intervals over repeats and scenes, and what is said of the winner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from swath.config.tasks import BY_CLASS, OVERALL
from swath.files import read_json, write_json
from swath.metrics.intervals import FEWEST_SCENES, Numbers, counts_of, of_mean, over_scenes, score_of
from swath.metrics.scores import confusion_metrics, confusion_scores, f1, kappa
from swath.plan.finished import FinishedRun
from swath.report.comparison import Comparison, compare_with_winner, interval_of, scene_counts
from swath.report.leaderboard import rank

CLASSES = ["null", "a", "b"]


def test_the_interval_of_a_mean_is_students() -> None:
    one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]  # Student's sleep data, as in R's `sleep`
    other = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    interval = of_mean([a - b for a, b in zip(one, other, strict=True)])
    assert interval is not None  # R: t.test(sleep$extra[1:10] - sleep$extra[11:20])$conf.int
    assert (interval.low, interval.high) == (pytest.approx(-2.4598858, abs=1e-7), pytest.approx(-0.7001142, abs=1e-7))
    narrow = of_mean([1.0, 2.0], confidence=0.5)  # t with one degree of freedom: its quartile is 1
    assert narrow is not None and (narrow.low, narrow.high) == (pytest.approx(1.0), pytest.approx(2.0))
    assert of_mean([0.7]) is None and of_mean([0.7, float("nan")]) is None


matrices = arrays(np.int64, (3, 3), elements=st.integers(0, 40)).map(lambda matrix: np.vstack([[0, 0, 0], matrix[1:]]))


@given(st.lists(matrices, min_size=1, max_size=4))
def test_scores_of_many_draws_at_once_are_those_of_one(found: list[Any]) -> None:
    counts = np.array([counts_of(matrix[1:]) for matrix in found])
    for matrix, one in zip(found, counts, strict=True):
        scores = confusion_scores(matrix, CLASSES)
        expected = {name: getattr(scores, name) for name in OVERALL}
        expected |= {f"{kind}.{name}": getattr(scores, kind)[name] for kind in BY_CLASS for name in CLASSES[1:]}
        for metric, value in expected.items():
            alone, among = score_of(metric, CLASSES)(one[None])[0], score_of(metric, CLASSES)(counts)
            assert alone == pytest.approx(np.nan if value is None else value, nan_ok=True), metric
            assert len(among) == len(found)


def test_kappa_is_cohens() -> None:
    assert kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)  # Cohen's textbook example
    assert kappa(np.zeros((2, 2), np.int64)) is None and kappa(np.array([[9, 0], [0, 0]])) is None


def scenes_like(random: np.random.Generator, number: int) -> Numbers:
    """Scenes of different sizes and difficulties, of two classes."""
    right, size = random.beta(6, 2, (number, 2)), random.lognormal(4, 0.5, (number, 2)).astype(int) + 1
    hits = random.binomial(size, right)
    matrix = np.zeros((number, 2, 3))
    matrix[:, 0, 1], matrix[:, 1, 2] = hits.T
    matrix[:, 0, 2], matrix[:, 1, 1] = (size - hits).T
    return np.array([counts_of(one) for one in matrix])


@pytest.mark.parametrize("metric", ["macro_f1", "kappa"])
def test_intervals_over_scenes_hold_the_truth_19_times_out_of_20(metric: str) -> None:
    random, score = np.random.default_rng(5), score_of(metric, CLASSES)
    truth = score(scenes_like(random, 100_000).sum(axis=0)[None])[0]
    found = [over_scenes(scenes_like(random, 40), score) for _ in range(400)]
    held = [interval.holds(truth) for interval in found if interval]
    assert len(held) == 400 and 0.93 <= np.mean(held) <= 0.97


def test_intervals_of_few_repeats_hold_the_truth_19_times_out_of_20() -> None:
    random = np.random.default_rng(1)
    held = [interval.holds(0.8) for _ in range(4000) if (interval := of_mean(random.normal(0.8, 0.05, 3).tolist()))]
    assert 0.94 <= np.mean(held) <= 0.96


def test_of_too_few_scenes_and_of_scenes_that_say_the_same_nothing_is_said() -> None:
    counts, score = scenes_like(np.random.default_rng(0), FEWEST_SCENES), score_of("accuracy", CLASSES)
    assert over_scenes(counts, score) and over_scenes(counts[1:], score) is None
    assert over_scenes(np.repeat(counts[:1], 9, axis=0), score) is None
    assert over_scenes(counts, score) == over_scenes(counts, score), "the same draws every time"
    alone = np.zeros((8, 3, 2))
    alone[:, :, 0], alone[0, :, 1] = counts[0, :, 0], 5  # one scene alone has the second class
    assert over_scenes(alone, score_of("f1.b", CLASSES)) is None


# --- the winner against the others ------------------------------------------------------------------


def compared(folder: Path, scores: dict[str, list[float]], scenes: int) -> list[Comparison]:
    """Compare trials whose repeats have some accuracies, the same in every scene but for noise."""
    random, runs, rows = np.random.default_rng(0), [], []
    for trial, values in scores.items():
        for seed, value in enumerate(values):
            place = folder / f"{trial}-{seed}"
            place.mkdir()
            shares = np.clip(value + random.normal(0, 0.01, scenes), 0, 1)
            hits = (1000 * shares).astype(int)
            confusions = {
                f"s{number}": np.array([[0, 0, 0], [0, hit, 1000 - hit], [0, 1000 - hit, hit]])
                for number, hit in enumerate(hits)
            }
            metrics = confusion_metrics(confusions, CLASSES)
            by_scene = {name: {"confusion": one[1:].tolist()} for name, one in confusions.items()}
            write_json(place / "validation.json", {"classes": CLASSES, "scenes": by_scene})
            evals = {"validation": str(place)}
            runs.append(FinishedRun(str(place), trial, {}, None, seed, "", "", "", evals, ""))
            taken = {"epochs": 1, "seconds": 1, "gpu_hours": 0}
            rows.append({"trial": trial, "seed": seed, "macro_f1": metrics.overall.macro_f1, **taken})
    table = pd.DataFrame(rows)
    return compare_with_winner(runs, table, rank(table, runs, "macro_f1"), "macro_f1")


def test_a_winner_beyond_luck_and_scenes_is_better(tmp_path: Path) -> None:
    first, second = compared(tmp_path, {"a": [0.9, 0.91, 0.9], "b": [0.7, 0.71, 0.69], "c": [0.6, 0.61, 0.6]}, 12)
    assert (first.trial, first.verdict, second.verdict) == ("b", "better", "better")
    assert first.over_repeats and first.over_scenes and first.over_repeats.holds(first.difference)
    assert first.why == "beyond the luck of 3 repeats and of 12 scenes"


@pytest.mark.parametrize(
    ("scores", "scenes", "why"),
    [
        ({"a": [0.9], "b": [0.5]}, 12, "one repeat: how much luck in training makes is not known"),
        ({"a": [0.9, 0.6, 0.9], "b": [0.7, 0.8, 0.7]}, 12, "within the luck of 3 repeats"),
    ],
)
def test_what_cannot_be_told_apart_is_said_to_be_so(
    tmp_path: Path, scores: dict[str, list[float]], scenes: int, why: str
) -> None:
    (only,) = compared(tmp_path, scores, scenes)
    assert (only.verdict, only.why) == ("cannot tell", why)


def test_of_too_few_scenes_it_is_said(tmp_path: Path) -> None:
    (only,) = compared(tmp_path, {"a": [0.9, 0.91, 0.9], "b": [0.7, 0.71, 0.69]}, 3)
    assert only.verdict == "better" and "3 validation scenes are too few" in only.why and only.over_scenes is None


def test_the_more_trials_the_wider_the_intervals(tmp_path: Path) -> None:
    scores = {"a": [0.9, 0.92, 0.91], "b": [0.8, 0.84, 0.83]}
    (alone,) = compared(tmp_path, scores, 8)
    (tmp_path / "more").mkdir()
    more = compared(tmp_path / "more", {**scores, **{f"c{n}": [0.5, 0.5, 0.51] for n in range(30)}}, 8)
    assert len(more) == 19 and alone.over_repeats and more[0].over_repeats
    assert more[0].over_repeats.low < alone.over_repeats.low


def test_without_a_difference_folds_seldom_show_one() -> None:
    random = np.random.default_rng(0)
    for folds, seeds in ((5, 1), (5, 5), (3, 2)):
        drawn = [random.normal(0, 0.02, (folds, 1)) + random.normal(0, 0.01, (folds, seeds)) for _ in range(1000)]
        found = [of_mean(values.ravel().tolist(), folds=folds) for values in drawn]
        assert np.mean([interval is not None and not interval.holds(0) for interval in found]) <= 0.06


def test_repeats_that_do_not_differ_say_nothing() -> None:
    assert of_mean([0.05, 0.05 + 1e-16]) is None


def test_boxes_are_counted_in_the_order_of_the_classes(tmp_path: Path) -> None:
    counts = {"tree": [9, 10, 10], "building": [1, 10, 12]}
    scenes = {
        f"s{n}": {"counts": {name: [hit + n % 2, *rest] for name, (hit, *rest) in counts.items()}} for n in range(8)
    }
    write_json(tmp_path / "test.json", {"classes": ["null", "tree", "building"], "scenes": scenes})  # sorts its keys
    evaluation = read_json(tmp_path / "test.json")
    tree, building = (interval_of(evaluation, f"f1.{name}")[0] for name in ("tree", "building"))
    assert tree and building and tree.low > 0.9 and building.high < 0.2
    assert scene_counts({"classes": ["a", "null"], "overall": {}}) == {}, "a module of the user's own"
    evaluation["scenes"] = {name: {"counts": {"tree": [0, 0, 0], "building": [1, 2, 3]}} for name in scenes}
    assert "undefined" in interval_of(evaluation, "f1.tree")[1]


def test_f1_over_thresholds_counts_the_boxes_above_each() -> None:
    from swath.metrics.average_precision import average_precision
    from swath.metrics.boxes import Boxes

    actual = np.array([[0, 0, 10, 10], [20, 20, 40, 40], [60, 60, 80, 80]])
    found = np.array([[1, 0, 10, 10], [21, 20, 40, 40], [90, 90, 99, 99]])
    boxes = Boxes(actual, np.array([1, 1, 1]), found, np.array([1, 1, 1]), np.array([0.9, 0.4, 0.6]))
    by_threshold = average_precision([boxes], ["null", "tree"]).f1_by_threshold
    assert by_threshold["0.05"] == f1(2, 3, 3) and by_threshold["0.50"] == f1(1, 3, 2)
    assert by_threshold["0.80"] == f1(1, 3, 1) and by_threshold["0.95"] == 0
