"""The last step of an experiment with a module of the user's own: readable links, and a text that says what won."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from swath.config.records import of_json
from swath.files import publish_directory, read_json
from swath.plan.finished import FinishedRun, Winner
from swath.report.links import link_run, link_runs


def sum_up_pipelines(
    folder: Path, runs: Sequence[FinishedRun], winner: str, leaderboard: str, metric: str, output: Path
) -> None:
    """Sum up an experiment.

    Args:
        folder: The experiment's folder: gets ``trials/<values>/`` and ``winner/``, links into the results.
        runs: The runs.
        winner, leaderboard: What the stages `select` and `leaderboard` wrote.
        metric: The metric that decided.
        output: The text to write.
    """
    chosen = of_json(Winner, read_json(winner))
    run = next(run for run in runs if run.name == chosen.run)
    link_runs(folder, runs, lambda run, split: run.maps)
    with publish_directory(folder / "winner") as target:
        link_run(target, folder / "winner", run, dict.fromkeys(run.evals, run.maps))
    table = pd.read_csv(leaderboard)
    shown = [column for column in table.columns if not column.startswith("f1.")]
    lines = [
        f"{folder.name}: {len(table)} trials, {len(runs)} trainings",
        "",
        table[shown].to_string(index=False, float_format="{:.4g}".format),
        "",
        f"Winner by validation {metric}: {chosen.run} ({chosen.score:.3f})",
        *_test_lines(run),
        "",
        f"Predictions and bundle of the winner   {folder}/winner/",
        f"Every trial                            {folder}/trials/",
        f"Tables                                 {folder}/leaderboard.csv, {folder}/trials.csv",
    ]
    output.write_text("\n".join(lines) + "\n")


def _test_lines(run: FinishedRun) -> list[str]:
    if "test" not in run.evals:
        return []
    overall = read_json(Path(run.evals["test"]) / "test.json")["overall"]
    scores = {"accuracy": overall["accuracy"], "macro-F1": overall["macro_f1"]}
    told = ", ".join(f"{name} {value:.3f}" for name, value in scores.items() if value is not None)
    by_class = (f"{name} {value:.2f}" for name, value in overall["f1"].items() if value is not None)
    return [f"Test: {told or 'nothing labelled'}", "F1 by class: " + ", ".join(by_class)]
