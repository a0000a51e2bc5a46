"""The winner against the other trials: what of a difference is more than luck, in training or in choosing scenes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from swath.files import read_json
from swath.metrics.box_draws import MatchedBoxes, matched_boxes, precision_of_draws
from swath.metrics.intervals import (
    CONFIDENCE,
    FEWEST_SCENES,
    Interval,
    Numbers,
    ScoreOf,
    counts_of,
    of_mean,
    over_scenes,
    score_of,
)
from swath.plan.finished import FinishedRun

Verdict = Literal["better", "cannot tell"]
BY_SEED = ["fold", "seed"]
MOST = 19
"""Of so many trials at most the winner is told apart: the more there are, the wider is every interval."""


@dataclass(frozen=True)
class Drawable:
    """A score that can be computed of any draw of whole scenes.

    Attributes:
        names: The scenes.
        of: From some of them, in an order, to what computes the score: of how often each is drawn, draws × scenes.
    """

    names: frozenset[str]
    of: Callable[[Sequence[str]], ScoreOf]


@dataclass(frozen=True)
class Comparison:
    """The winner against another trial.

    Attributes:
        trial: The other one.
        difference: By how much the winner's mean is higher.
        over_repeats: Interval of the difference between runs with the same seed and fold; None with one, and where
            all differences are the same.
        over_scenes: Interval of the difference on the same scenes; None where there are too few.
        verdict: Whether the winner is better, as far as can be told.
        why: What that rests on.
    """

    trial: str
    difference: float
    over_repeats: Interval | None
    over_scenes: Interval | None
    verdict: Verdict
    why: str

    def row(self) -> dict[str, Any]:
        """Return a row of comparison.csv."""
        repeats, scenes = self.over_repeats, self.over_scenes
        return {
            "trial": self.trial,
            "difference": self.difference,
            "repeats_low": repeats.low if repeats else np.nan,
            "repeats_high": repeats.high if repeats else np.nan,
            "scenes_low": scenes.low if scenes else np.nan,
            "scenes_high": scenes.high if scenes else np.nan,
            "winner_is": self.verdict,
            "why": self.why,
        }


def compare_with_winner(
    runs: Sequence[FinishedRun], table: pd.DataFrame, ranked: pd.DataFrame, metric: str
) -> list[Comparison]:
    """Compare the winner with the trials that come next, the best first.

    Intervals are widened for the number of trials (Bonferroni): of many trials, some look worse by chance. That the
    winner was chosen by the same scores is not made up for: see docs/report.md for how often that misleads.

    Args:
        runs: The runs.
        table: A row per run.
        ranked: A row per trial, the winner first.
        metric: The metric that decides.
    """
    folds = table["fold"].nunique() if "fold" in table else 1
    winner, *others = ranked["trial"].head(MOST + 1)
    confidence = 1 - (1 - CONFIDENCE) / max(len(others), 1)
    drawn = {trial: _drawable([run for run in runs if run.trial == trial], metric) for trial in (winner, *others)}
    return [
        _compared(trial, _differences(table, winner, trial, metric), drawn[winner], drawn[trial], confidence, folds)
        for trial in others
    ]


def write_comparisons(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write comparison.csv, a row per trial."""
    columns = ["trial", "difference", "repeats_low", "repeats_high", "scenes_low", "scenes_high", "winner_is", "why"]
    pd.DataFrame([comparison.row() for comparison in comparisons], columns=columns).to_csv(path, index=False)


def _compared(
    trial: str,
    differences: Sequence[float],
    ours: Drawable | None,
    theirs: Drawable | None,
    confidence: float,
    folds: int,
) -> Comparison:
    repeats = of_mean(differences, confidence, folds)
    shared = sorted(ours.names & theirs.names) if ours and theirs else []
    scenes = difference_over_scenes(ours, theirs, shared, confidence) if ours and theirs and shared else None
    runs = f"{len(differences)} {'repeats' if folds == 1 else 'runs in folds'}"
    verdict, why = _verdict(repeats, scenes, runs, differences, len(shared), bool(shared))
    known = [value for value in differences if np.isfinite(value)]
    return Comparison(trial, float(np.mean(known)) if known else np.nan, repeats, scenes, verdict, why)


def difference_over_scenes(
    ours: Drawable, theirs: Drawable, shared: Sequence[str], confidence: float = CONFIDENCE
) -> Interval | None:
    """Return the interval of a difference of scores on the same scenes, by draws of whole ones."""
    one, other = ours.of(shared), theirs.of(shared)
    return over_scenes(np.eye(len(shared)), lambda times: one(times) - other(times), confidence)


def _verdict(
    repeats: Interval | None,
    scenes: Interval | None,
    runs: str,
    differences: Sequence[float],
    shared: int,
    by_scene: bool,
) -> tuple[Verdict, str]:
    """Say whether the winner is better, and what that rests on."""
    if repeats is None:
        few = "one repeat"
        if len(differences) > 1:
            few = "no two that differ" if np.isfinite(differences).sum() > 1 else "fewer than two with a score"
        return "cannot tell", f"{few}: how much luck in training makes is not known"
    if repeats.low <= 0:
        return "cannot tell", f"within the luck of {runs}"
    if scenes is not None and scenes.low <= 0:
        return "cannot tell", f"other scenes than these {shared} could turn it round"
    if scenes is not None:
        return "better", f"beyond the luck of {runs} and of {shared} scenes"
    if not by_scene:
        missing = "of scenes nothing is known: they were not counted one by one, or these trials share none"
    elif shared < FEWEST_SCENES:
        missing = f"{shared} validation scenes are too few to say it of others"
    else:
        missing = "on these scenes, whose draws say nothing"
    return "better", f"beyond the luck of {runs}; {missing}"


def _differences(table: pd.DataFrame, winner: str, other: str, metric: str) -> list[float]:
    """Return the differences between runs of two trials with the same seed, and in the same fold."""
    keys = [column for column in BY_SEED if column in table]
    both = [table[table["trial"] == trial].set_index(keys)[metric].astype(float) for trial in (winner, other)]
    shared = both[0].index.intersection(both[1].index)
    return (both[0][shared] - both[1][shared]).tolist()


def _drawable(runs: Sequence[FinishedRun], metric: str) -> Drawable | None:
    """Say how a trial's score follows from its validation scenes; folds of one seed are taken together."""
    evaluations: dict[int, list[Mapping[str, Any]]] = {}
    for run in runs:
        evaluations.setdefault(run.seed, []).append(_validation(run))
    return drawable(list(evaluations.values()), metric)


def drawable(repeats: Sequence[Sequence[Mapping[str, Any]]], metric: str) -> Drawable | None:
    """Say how a score follows from scenes; None where they were not counted one by one.

    Args:
        repeats: Of each repeat its evaluations, whose scenes are different ones: one, or one of every fold.
        metric: Such as macro_f1 or mAP50.
    """
    scenes = [{name: scores for one in folds for name, scores in one.get("scenes", {}).items()} for folds in repeats]
    names = frozenset.intersection(*(frozenset(of_repeat) for of_repeat in scenes)) if scenes else frozenset()
    if not names:
        return None
    classes = repeats[0][0]["classes"]
    if not metric.startswith("mAP"):
        counts = [scene_counts({"classes": classes, "scenes": of_repeat}) for of_repeat in scenes]
        return Drawable(names, lambda chosen: _of_counts(counts, chosen, score_of(metric, classes)))
    if any("matches" not in of_repeat[name] for of_repeat in scenes for name in names):
        return None
    return Drawable(names, lambda chosen: _of_boxes(scenes, chosen, metric, classes[1:]))


def _of_counts(counts: Sequence[Mapping[str, Numbers]], chosen: Sequence[str], score: ScoreOf) -> ScoreOf:
    """Add up what was counted, over repeats and scenes: the score of all of it."""
    of_scenes = np.sum([[of_repeat[name] for name in chosen] for of_repeat in counts], axis=0)
    return lambda times: score(np.tensordot(times, of_scenes, axes=1))


def _of_boxes(
    scenes: Sequence[Mapping[str, Any]], chosen: Sequence[str], metric: str, classes: Sequence[str]
) -> ScoreOf:
    """Rank the boxes of all scenes together, repeat by repeat: the mean of the repeats' average precision."""

    def of_class(of_repeat: Mapping[str, Any], one: str) -> MatchedBoxes:
        scores = [of_repeat[name] for name in chosen]
        return matched_boxes([(of_scene["matches"][one], of_scene["counts"][one][1]) for of_scene in scores])

    repeats = [{one: of_class(of_repeat, one) for one in classes} for of_repeat in scenes]
    return lambda times: np.mean([precision_of_draws(metric, boxes, times) for boxes in repeats], axis=0)


def scene_counts(evaluation: Mapping[str, Any]) -> dict[str, Numbers]:
    """Return what an evaluation has counted: scene → (hits, actual, predicted) × classes, in their order.

    Empty of a module of the user's own, whose scenes are not counted one by one.
    """
    classes = evaluation["classes"][1:]
    return {
        name: counts_of(scores["confusion"])
        if "confusion" in scores
        else np.array([scores["counts"][one] for one in classes], float).T
        for name, scores in evaluation.get("scenes", {}).items()
    }


def interval_of(evaluation: Mapping[str, Any], metric: str) -> tuple[Interval | None, str]:
    """Return the interval of an evaluation's score for other scenes of the same kind; None, and why there is none."""
    found = drawable([[evaluation]], metric)
    if found is None:
        return None, "its scenes were not counted one by one"
    if len(found.names) < FEWEST_SCENES:
        return None, f"{len(found.names)} scenes are too few"
    score = found.of(sorted(found.names))
    if not np.isfinite(score(np.ones((1, len(found.names))))[0]):
        return None, "it is undefined: the labels have nothing to find, or nothing was predicted"
    interval = over_scenes(np.eye(len(found.names)), score)
    return interval, "" if interval else "a scene alone has what it is about, or all scenes have the same score"


def _validation(run: FinishedRun) -> dict[str, Any]:
    content: dict[str, Any] = read_json(Path(run.evals["validation"]) / "validation.json")
    return content
