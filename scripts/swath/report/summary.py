"""The last step of an experiment: readable links, a picture and a text that says what won."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION
from swath.files import publish_directory, read_json
from swath.report.figure import draw_prediction
from swath.scenes.manifest import Facts
from swath.scenes.splits import read_split

Run = Mapping[str, Any]
THINGS = {SEGMENTATION: "pixels", DETECTION: "boxes", CLASSIFICATION: "cells"}


def sum_up(
    folder: Path,
    task: str,
    runs: Sequence[Run],
    winner: str | Path,
    leaderboard: str | Path,
    splits: str | Path,
    metric: str,
    scenes: Sequence[Facts],
    colours: Sequence[str],
    outputs: Mapping[str, Path],
) -> None:
    """Sum up an experiment.

    Args:
        folder: The experiment's folder: gets ``trials/<values>/`` and ``winner/``, links into the results.
        task: The experiment's task.
        runs: What :func:`swath.workflow.describe_runs` lists.
        winner, leaderboard, splits: What the stages `select`, `leaderboard` and `splits` wrote.
        metric: The metric that decided.
        scenes: Facts of all scenes.
        colours: By class id.
        outputs: Files to write: ``summary`` (text) and ``picture`` (PNG).
    """
    chosen = read_json(winner)
    run = next(run for run in runs if run["run"] == chosen["run"])
    link_runs(folder, runs)
    with publish_directory(folder / "winner") as target:
        link_run(target, folder / "winner", run, test=True)
    split = "test" if _metrics(run, "test") else "validation"
    metrics = _metrics(run, split)
    assert metrics
    ids = read_split(splits, split, run["fold"])
    scene = max((scene for scene in scenes if scene["id"] in ids), key=_labelled_pixels)
    prediction = Path(run["predictions"][split]) / scene["id"]
    title = f"{scene['id']} ({split}), {chosen['run']}"
    draw_prediction(scene, prediction, metrics["classes"], colours, title, outputs["picture"])
    unlabelled = _unlabelled_tests(run, scenes)
    text = _text(folder, task, runs, run, chosen, pd.read_csv(leaderboard), metric, unlabelled)
    outputs["summary"].write_text(text)


def _labelled_pixels(scene: Facts) -> int:
    return sum(list((scene["labelled_pixels"] or {}).values())[1:])


def _unlabelled_tests(run: Run, scenes: Sequence[Facts]) -> int:
    """Count the test scenes that were predicted, but could not be evaluated."""
    maps = Path(run["predictions"].get("test", ""))
    without = [s["id"] for s in scenes if s["split"] == "test" and s["label_raster"] is None]
    return sum((maps / scene).is_dir() for scene in without) if "test" in run["predictions"] else 0


def _metrics(run: Run, split: str) -> dict[str, Any] | None:
    path = Path(run["evals"].get(split, "")) / f"{split}.json"
    return read_json(path) if split in run["evals"] and path.is_file() else None


def link_runs(folder: Path, runs: Sequence[Run]) -> None:
    """Link the results of all runs under readable names."""
    with publish_directory(folder / "trials") as target:
        for run in runs:
            (target / run["run"]).mkdir()
            link_run(target / run["run"], folder / "trials" / run["run"], run, test=False)


def link_run(target: Path, published: Path, run: Run, test: bool) -> None:
    """Link a run's results into ``target``, which will be renamed to ``published``."""
    links = {"model": run["model"], "model-bundle.zip": f"{run['bundle']}/model-bundle.zip"}
    for split in ("validation", "test") if test else ("validation",):
        if Path(run["predictions"].get(split, "nowhere")).is_dir():
            links[f"predictions-{split}"] = run["predictions"][split]
        if _metrics(run, split):
            links[f"metrics-{split}.json"] = f"{run['evals'][split]}/{split}.json"
    for name, place in links.items():
        (target / name).symlink_to(os.path.relpath(place, published))


def _text(
    folder: Path,
    task: str,
    runs: Sequence[Run],
    run: Run,
    chosen: Mapping[str, Any],
    leaderboard: pd.DataFrame,
    metric: str,
    unlabelled: int,
) -> str:
    trials = leaderboard["trial"].nunique()
    lines = [f"{folder.name}: {trials} trials, {len(runs)} trainings", ""]
    shown = [column for column in leaderboard.columns if not column.startswith("f1.")]
    lines += [leaderboard[shown].to_string(index=False, float_format="{:.4g}".format), ""]
    if run["fold"] is None:
        lines.append(f"Winner by validation {metric}: {chosen['run']} ({chosen['score']:.3f})")
    else:
        mean = f"{chosen['mean']:.3f} ± {chosen['std']:.3f} over all folds"
        lines.append(f"Winner by validation {metric}: {chosen['trial']} ({mean})")
        lines.append(f"Its model, the best in its own fold: {chosen['run']} ({chosen['score']:.3f})")
    test = _metrics(run, "test")
    if test:
        overall = test["overall"]
        known = {"accuracy": "accuracy", "mAP50": "mAP50", "mAP": "mAP", "macro_f1": "macro-F1"}
        scores = (f"{word} {overall[name]:.3f}" for name, word in known.items() if overall.get(name) is not None)
        lines.append(f"Test, over {overall['labelled']:,} labelled {THINGS[task]}: {', '.join(scores)}")
        by_class = (f"{name} {value:.2f}" for name, value in overall["f1"].items() if value is not None)
        lines.append("F1 by class: " + ", ".join(by_class))
    if unlabelled:
        lines.append(f"Test scenes without labels, predicted but not evaluated: {unlabelled}")
    lines += [
        "",
        f"Maps and bundle of the winner   {folder}/winner/",
        f"A picture                       {folder}/prediction.png",
        f"Every trial                     {folder}/trials/",
        f"Tables                          {folder}/leaderboard.csv, trials.csv, splits.csv",
    ]
    return "\n".join(lines) + "\n"
