"""The last step of an experiment: readable links, a picture and a text that says what won."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from swath.config.records import of_json
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION
from swath.files import publish_directory, read_json
from swath.plan.finished import FinishedRun, Winner
from swath.report.comparison import interval_of
from swath.report.figure import draw_prediction
from swath.report.leaderboard import OF_CLASS
from swath.report.links import link_run, link_runs, metrics_file
from swath.scenes.facts import SceneFacts
from swath.scenes.splits import read_split
from swath.search.rungs import how_the_budget_ended_it, who_went_on

THINGS = {SEGMENTATION: "pixels", DETECTION: "boxes", CLASSIFICATION: "cells"}


def sum_up(
    folder: Path,
    task: str,
    runs: Sequence[FinishedRun],
    winner: str | Path,
    leaderboard: str | Path,
    comparison: str | Path,
    splits: str | Path,
    metric: str,
    scenes: Sequence[SceneFacts],
    rungs: Sequence[Path],
    rounds: Sequence[Path],
    colours: Sequence[str],
    outputs: Mapping[str, Path],
) -> None:
    """Sum up an experiment.

    Args:
        folder: The experiment's folder: gets ``trials/<values>/`` and ``winner/``, links into the results.
        task: The experiment's task.
        runs: The runs.
        winner, leaderboard, comparison, splits: What the stages `select`, `leaderboard` and `splits` wrote.
        metric: The metric that decided.
        scenes: Facts of all scenes.
        rungs: Tables of who went on from each, in their order, if trials were stopped early.
        rounds: What a search has proposed, by round.
        colours: By class id.
        outputs: Files to write: ``summary`` (text) and ``picture`` (PNG).
    """
    chosen = of_json(Winner, read_json(winner))
    run = next(run for run in runs if run.name == chosen.run)
    by_id = {scene.id: scene for scene in scenes}
    maps = partial(maps_of, splits=splits, scenes=by_id)
    link_runs(folder, runs, maps)
    with publish_directory(folder / "winner") as target:
        link_run(target, folder / "winner", run, {split: maps(run, split) for split in ("validation", "test")})
    split = "test" if _metrics(run, "test") else "validation"
    metrics = _metrics(run, split)
    assert metrics
    predicted = maps(run, split)
    scene = max((by_id[name] for name in predicted), key=_labelled_pixels)
    prediction = Path(predicted[scene.id])
    title = f"{scene.id} ({split}), {chosen.run}"
    draw_prediction(scene, prediction, metrics["classes"], colours, title, outputs["picture"])
    unlabelled = sum(by_id[name].label_raster is None for name in maps(run, "test"))
    tables = pd.read_csv(leaderboard), pd.read_csv(comparison)
    early = who_went_on(rungs), how_the_budget_ended_it(rungs, rounds)
    text = _text(folder, task, runs, run, chosen, *tables, metric, unlabelled, *early)
    outputs["summary"].write_text(text)


def _labelled_pixels(scene: SceneFacts) -> int:
    return sum(list((scene.labelled_pixels or {}).values())[1:])


def maps_of(run: FinishedRun, split: str, splits: str | Path, scenes: Mapping[str, SceneFacts]) -> dict[str, str]:
    """Find the maps of a run: scene of a split → folder.

    Args:
        run: The run.
        split: validation or test.
        splits: What the stage `splits` wrote.
        scenes: Facts by id.
    """
    places = {name: f"{run.maps}/{scenes[name].maps}" for name in read_split(splits, split, run.fold)}
    return {name: place for name, place in places.items() if Path(place).is_dir()}


def _metrics(run: FinishedRun, split: str) -> dict[str, Any] | None:
    path = metrics_file(run, split)
    return read_json(path) if path else None


def _text(
    folder: Path,
    task: str,
    runs: Sequence[FinishedRun],
    run: FinishedRun,
    chosen: Winner,
    leaderboard: pd.DataFrame,
    comparison: pd.DataFrame,
    metric: str,
    unlabelled: int,
    rungs: Sequence[str],
    ended: Sequence[str],
) -> str:
    trials = leaderboard["trial"].nunique()
    compared = " compared" if rungs else ""
    what = f"{trials} trial{'s' * (trials != 1)}{compared}, {len(runs)} training{'s' * (len(runs) != 1)}"
    lines = [f"{folder.name}: {what}", *rungs, *ended, ""]
    shown = [
        column for column in leaderboard.columns if not column.startswith(OF_CLASS) or column.startswith(f"{metric}_")
    ]
    lines += [leaderboard[shown].to_string(index=False, float_format="{:.4g}".format, na_rep=""), ""]
    lines += _who_won(run, chosen, comparison)
    test = _metrics(run, "test")
    if test:
        overall = test["overall"]
        known = {"accuracy": "accuracy", "mAP50": "mAP50", "mAP": "mAP", "macro_f1": "macro-F1"}
        scores = (f"{word} {overall[name]:.3f}" for name, word in known.items() if overall.get(name) is not None)
        lines.append(f"Test, over {overall['labelled']:,.0f} labelled {THINGS[task]}: {', '.join(scores)}")
        by_class = (f"{name} {value:.2f}" for name, value in overall["f1"].items() if value is not None)
        lines.append("F1 by class: " + ", ".join(by_class))
        lines.append(_of_other_scenes(test, metric))
    if unlabelled:
        lines.append(f"Test scenes without labels, predicted but not evaluated: {unlabelled}")
    lines += [
        "",
        f"The report, with all maps       {folder}/report.html",
        f"Maps and bundle of the winner   {folder}/winner/",
        f"A picture                       {folder}/prediction.png",
        f"Every trial                     {folder}/trials/",
        f"Tables                          {folder}/leaderboard.csv, trials.csv, splits.csv",
    ]
    return "\n".join(lines) + "\n"


def _who_won(run: FinishedRun, chosen: Winner, comparison: pd.DataFrame) -> list[str]:
    """Say what won, what to expect of it, and if it is better than the next."""
    deviation = "" if chosen.std is None else f" ± {chosen.std:.3f}"
    over = "" if chosen.std is None else " over repeats" if run.fold is None else " over folds and repeats"
    lines = [f"Winner by validation {chosen.metric}: {chosen.trial} ({chosen.mean:.3f}{deviation}{over})"]
    if chosen.std is not None:
        best = "the best of its repeats" if run.fold is None else "the best in its own fold"
        lines.append(f"Its model, {best}: {chosen.run}")
    if len(comparison):
        following = comparison.iloc[0]
        verdict = "yes" if following["winner_is"] == "better" else following["winner_is"]
        lines.append(f"Better than the next, {following['trial']}: {verdict} ({following['why']})")
    return lines


def _of_other_scenes(test: Mapping[str, Any], metric: str) -> str:
    """Say what the test score would be on other scenes of the same kind."""
    interval, why = interval_of(test, metric)
    if interval is None:
        return f"No interval for other scenes: {why}"
    return f"On other such scenes {metric} should lie between {interval.low:.3f} and {interval.high:.3f} (95 %)"
