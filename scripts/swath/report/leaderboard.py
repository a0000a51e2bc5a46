"""The stages `leaderboard` and `select`: trials compared by validation, mean over folds and repeats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from swath.config.records import to_json
from swath.config.sweep import Limits
from swath.errors import Problem, UserError
from swath.files import read_json, write_json
from swath.metrics.intervals import of_mean
from swath.plan.finished import FinishedRun, Winner
from swath.report.comparison import compare_with_winner, write_comparisons
from swath.search.limits import gpu_hours, nothing_within, over_limits

SCORES = ("macro_f1", "accuracy", "balanced_accuracy", "kappa", "mean_iou", "mAP50", "mAP")
"""Metrics, as far as the task has them."""
BY_CLASS = ("f1", "iou", "precision", "recall")
OVER = "over_limits"
"""Column of the limits that a trial is over; there is one where there are limits."""
OF_CLASS = tuple(f"{kind}." for kind in BY_CLASS)


def compare(
    runs: Sequence[FinishedRun],
    metric: str,
    trials: Path,
    leaderboard: Path,
    comparison: Path,
    limits: Limits | None = None,
    over: Mapping[str, str] | None = None,
) -> None:
    """Write the tables of runs, of trials, and of the winner against the others.

    Args:
        runs: The runs.
        metric: The metric that decides.
        trials: CSV to write, a row per run: trial, swept values, fold (if there are folds), seed, epochs, seconds,
            GPU hours of training, validation metrics, folders.
        leaderboard: CSV to write, a row per trial, the best first: rank, trial, swept values, folds (if there are
            any), repeats, mean and standard deviation over folds and repeats of every metric, the 95 % interval of the
            mean of the one that decides, epochs, mean seconds and GPU hours of training, whether no other trial is as
            good for less (``pareto``), and with limits, which the trial is over; those that are over some come last.
        comparison: CSV to write, a row per trial that is compared with the winner: see
            :class:`swath.report.comparison.Comparison`.
        limits: What a trial may need.
        over: Trial → which of them its network is over.
    """
    table = pd.DataFrame([_row(run) for run in runs])
    table.to_csv(trials, index=False)
    ranked = rank(table, runs, metric, limits, over)
    ranked.to_csv(leaderboard, index=False)
    write_comparisons(compare_with_winner(runs, table, within_limits(ranked), metric), comparison)


def _row(run: FinishedRun) -> dict[str, Any]:
    metrics = read_json(Path(run.evals["validation"]) / "validation.json")["overall"]
    timing = pd.read_csv(Path(run.model) / "timing.csv")
    return {
        "run": run.name,
        "trial": run.trial,
        **run.values,
        **({} if run.fold is None else {"fold": run.fold}),
        "seed": run.seed,
        "epochs": len(timing),
        "seconds": round(float(timing["seconds"].sum()), 1),
        "gpu_hours": round(gpu_hours(timing.to_dict("records"), run.gpus), 5),
        **{name: metrics[name] for name in SCORES if name in metrics},
        **{f"{kind}.{name}": value for kind in BY_CLASS for name, value in metrics.get(kind, {}).items()},
        "model": run.model,
        "bundle": f"{run.bundle}/model-bundle.zip",
    }


def rank(
    table: pd.DataFrame,
    runs: Sequence[FinishedRun],
    metric: str,
    limits: Limits | None = None,
    over: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Average over folds and repeats and sort, the best trial first; ties go to the trial listed first.

    A metric that is undefined in a fold, such as F1 of a class that does not occur in it, is left out of the mean; but
    where precision decides, nothing predicted of a class that is there counts as 0. The standard deviation is that of
    a sample (its squares are divided by n - 1), the interval is Student's: of a single run there is neither.
    """
    scores = [column for column in table.columns if column in SCORES or column.startswith(OF_CLASS)]
    rows = []
    for trial, group in table.groupby("trial", sort=False):
        values = next(run.values for run in runs if run.trial == trial)
        folds = {"folds": group["fold"].nunique()} if "fold" in group else {}
        row = {"trial": trial, **values, **folds, "repeats": group["seed"].nunique()}
        for score in scores:
            known = _with_zeros(group, score) if score == metric else group[score].astype(float)
            row[f"{score}_mean"], row[f"{score}_std"] = known.mean(), known.std(ddof=1)
            if score == metric:
                interval = of_mean(known.tolist(), folds=folds.get("folds", 1))
                row |= {f"{score}_low": interval.low if interval else math.nan}
                row |= {f"{score}_high": interval.high if interval else math.nan}
        taken = {name: group[name].mean() for name in ("seconds", "gpu_hours")}
        rows.append({**row, "epochs": group["epochs"].max(), **{name: round(one, 5) for name, one in taken.items()}})
        if limits and limits.are_set:
            said = (over or {}).get(str(trial)), over_limits(limits, {"gpu_hours": taken["gpu_hours"]})
            rows[-1][OVER] = "; ".join(filter(None, said))
    ranked = pd.DataFrame(rows).sort_values(f"{metric}_mean", ascending=False, kind="stable")
    if OVER in ranked:
        ranked = ranked.sort_values(OVER, key=lambda column: column != "", kind="stable")
    ranked.insert(0, "rank", range(1, len(ranked) + 1))
    can_win = within_limits(ranked)
    cost = "gpu_hours" if (can_win["gpu_hours"] > 0).all() else "seconds"
    front = dict(zip(can_win["trial"], on_front(can_win[f"{metric}_mean"], can_win[cost]), strict=True))
    marks = [front.get(trial, False) for trial in ranked["trial"]]
    ranked.insert(len(ranked.columns) - (OVER in ranked), "pareto", marks)
    return ranked


def within_limits(ranked: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that can win; all, if none can."""
    held = ranked[ranked[OVER] == ""] if OVER in ranked else ranked
    return held if len(held) else ranked


def on_front(scores: Iterable[float], costs: Iterable[float]) -> list[bool]:
    """Mark the Pareto set: trials that no other one beats in score or cost without being behind in the other.

    Args:
        scores: The larger, the better; a trial without one (NaN) is not in it.
        costs: The smaller, the better.
    """
    pairs = list(zip(scores, costs, strict=True))
    return [
        not math.isnan(score)
        and not any(other >= score and less <= cost and (other > score or less < cost) for other, less in pairs)
        for score, cost in pairs
    ]


def _with_zeros(group: pd.DataFrame, score: str) -> Any:
    """Return a trial's scores, with 0 for a precision that is undefined because the class was never predicted."""
    known, kind = group[score].astype(float), score.partition(".")[0]
    there = group.get(score.replace("precision.", "recall.", 1))
    if kind != "precision" or there is None:
        return known
    return known.where(known.notna() | there.astype(float).isna(), 0.0)


def select_winner(trials: str | Path, leaderboard: str | Path, metric: str, winner: Path) -> None:
    """Name the winner: the trial with the best mean, and of its folds and repeats the run with the best score.

    Args:
        trials, leaderboard: The tables that :func:`compare` wrote.
        metric: The metric that decides.
        winner: JSON to write: the fields of :class:`swath.plan.finished.Winner`.

    Raises:
        UserError: If the metric is undefined in every run, or every trial is over the limits.
    """
    best = pd.read_csv(leaderboard).iloc[0]
    if isinstance(said := best.get(OVER), str):
        raise nothing_within("no trial", [f"{best['trial']}, {said}"])
    runs = pd.read_csv(trials)
    runs = runs[runs["trial"] == best["trial"]]
    known = runs[metric].astype(float)
    if known.isna().all():
        expected = "a metric that the validation labels define"
        cure = "choose another `sweep.select.metric`, or add validation scenes that have the class"
        found = f"{metric}, which is undefined in every run{' that keeps to the limits' if OVER in best else ''}"
        raise UserError(Problem("metric_undefined", str(trials), "sweep.select.metric", found, expected, cure))
    run = runs.loc[known.idxmax()]
    mean, deviation = float(best[f"{metric}_mean"]), float(best[f"{metric}_std"])
    std = None if math.isnan(deviation) else deviation
    write_json(winner, to_json(Winner(best["trial"], run["run"], metric, mean, std, float(run[metric]))))
