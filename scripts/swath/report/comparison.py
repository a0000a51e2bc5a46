"""The winner against the other trials: what of a difference is more than luck, in training or in choosing scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from swath.files import read_json
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
class Comparison:
    """The winner against another trial.

    Attributes:
        trial: The other one.
        difference: By how much the winner's mean is higher.
        over_repeats: Interval of the difference between runs with the same seed and fold; None with one, and where
            all differences are the same.
        over_scenes: Interval of the difference on the same scenes; None where there are too few, and of mAP.
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
    counted = {trial: _counts([run for run in runs if run.trial == trial]) for trial in (winner, *others)}
    score = None if metric.startswith("mAP") or not counted[winner] else score_of(metric, _classes(runs))
    return [
        _compared(
            trial, _differences(table, winner, trial, metric), counted[winner], counted[trial], score, confidence, folds
        )
        for trial in others
    ]


def write_comparisons(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write comparison.csv, a row per trial."""
    columns = ["trial", "difference", "repeats_low", "repeats_high", "scenes_low", "scenes_high", "winner_is", "why"]
    pd.DataFrame([comparison.row() for comparison in comparisons], columns=columns).to_csv(path, index=False)


def _compared(
    trial: str,
    differences: Sequence[float],
    ours: Mapping[str, Numbers],
    theirs: Mapping[str, Numbers],
    score: ScoreOf | None,
    confidence: float,
    folds: int,
) -> Comparison:
    repeats = of_mean(differences, confidence, folds)
    shared = sorted(ours.keys() & theirs.keys())
    scenes = None
    if score and shared:
        counts = np.array([[ours[name], theirs[name]] for name in shared])
        scenes = over_scenes(counts, lambda both: score(both[:, 0]) - score(both[:, 1]), confidence)
    runs = f"{len(differences)} {'repeats' if folds == 1 else 'runs in folds'}"
    verdict, why = _verdict(repeats, scenes, runs, differences, len(shared), score is not None)
    known = [value for value in differences if np.isfinite(value)]
    return Comparison(trial, float(np.mean(known)) if known else np.nan, repeats, scenes, verdict, why)


def _verdict(
    repeats: Interval | None,
    scenes: Interval | None,
    runs: str,
    differences: Sequence[float],
    shared: int,
    from_counts: bool,
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
    if not from_counts:
        missing = "of scenes nothing is known: they were not counted one by one, or the metric is average precision"
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


def _counts(runs: Sequence[FinishedRun]) -> dict[str, Numbers]:
    """Add up what was counted in each validation scene, over repeats: scene → (hits, actual, predicted) × classes."""
    found: dict[str, Numbers] = {}
    for run in runs:
        for name, counts in scene_counts(_validation(run)).items():
            found[name] = found.get(name, np.zeros_like(counts)) + counts
    return found


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
    counts = scene_counts(evaluation)
    if metric.startswith("mAP"):
        return None, "average precision does not follow from counts"
    if len(counts) < FEWEST_SCENES:
        return None, f"{len(counts)} scenes are too few"
    all_scenes, score = np.array(list(counts.values())), score_of(metric, evaluation["classes"])
    if not np.isfinite(score(all_scenes.sum(axis=0)[None])[0]):
        return None, "it is undefined: the labels have nothing to find, or nothing was predicted"
    interval = over_scenes(all_scenes, score)
    return interval, "" if interval else "a scene alone has what it is about, or all scenes have the same score"


def _classes(runs: Sequence[FinishedRun]) -> list[str]:
    classes: list[str] = _validation(runs[0])["classes"]
    return classes


def _validation(run: FinishedRun) -> dict[str, Any]:
    content: dict[str, Any] = read_json(Path(run.evals["validation"]) / "validation.json")
    return content
