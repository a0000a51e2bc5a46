"""What successive halving finds, and what it spends: against training every trial to its end.

    python benchmarks/halving.py FOLDER [--trials 27] [--epochs 18] [--first 4] [--kills 3]

Random trials (learning rate, batch size, loss) of a small U-Net on the demo's data, two whole Snakemake runs in two
folders: one with all trials to the end, one with `halving: {factor: 3, first: 4}`, which is killed (SIGKILL, with all
its jobs) at some moments and started again. Printed, and written to FOLDER/halving.md: CPU seconds of both, the winner
of each and its validation score, whether the models that got to the end are the same bytes, and how well the score at a
rung foretells the last one (Spearman's rank correlation, over all trials): by the best epoch so far, by the mean of the
last two, by the last.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd
import psutil
import yaml
from scipy.stats import spearmanr
from training_jobs import REPOSITORY, demo_config

METRIC = "macro_f1"
FACTOR = 3
RANDOM = {
    "train.learning_rate": {"min": 1.0e-5, "max": 1.0e-1, "log": True},
    "train.batch_size": {"choices": [4, 8, 16]},
    "train.loss": {"choices": ["cross_entropy", "focal", "dice"]},
}


def config_of(trials: int, epochs: int, first: int | None) -> dict[str, Any]:
    """Write down one of the two experiments."""
    config = demo_config(
        chips={"size": 64, "per_scene": 40},
        model={"encoder": "tu-resnet10t", "arguments": {"encoder_depth": 3, "decoder_channels": [32, 16, 8]}},
        train={"epochs": epochs, "batch_size": 8, "threads": 1},
        predict={"stride": None},
    )
    sweep: dict[str, Any] = {"random": {"samples": trials, "seed": 0, "settings": RANDOM}}
    sweep |= {"halving": {"factor": FACTOR, "first": first}} if first else {}
    return {**config, "experiment": "halving", "sweep": {**sweep, "select": {"metric": METRIC}}}


def run(folder: Path, config: dict[str, Any], kills: int) -> float:
    """Run an experiment to its end, killed now and then; return the CPU seconds of all its processes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    snakemake = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(REPOSITORY / "Snakefile")]
    command = [*snakemake, "--directory", str(folder), "--cores", "2", "--configfile", str(folder / "config.yaml")]
    before = _children()
    with (folder / "output.txt").open("a") as output:
        for number in range(kills):
            process = subprocess.Popen(command, stdout=output, stderr=output)
            time.sleep(60 + 45 * number)
            family = [process, *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
            for one in family:
                os.kill(one.pid, signal.SIGKILL)
            process.wait()
        subprocess.run(command, stdout=output, stderr=output, check=True)
    return _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def histories(folder: Path) -> dict[str, list[float]]:
    """Read trial → its validation metric after every epoch."""
    table = pd.read_csv(folder / "results/experiments/halving/trials.csv")
    return {row.trial: pd.read_csv(folder / row.model / "metrics.csv")[METRIC].tolist() for row in table.itertuples()}


def correlations(values: dict[str, list[float]], epochs: int) -> dict[str, float]:
    """Say how well scores after some epochs foretell the best of all."""
    last = [max(history) for history in values.values()]
    ways = {
        "best so far": lambda history: max(history[:epochs]),
        "mean of the last two": lambda history: mean(history[max(0, epochs - 2) : epochs]),
        "last": lambda history: history[epochs - 1],
    }
    return {
        name: float(spearmanr([score(history) for history in values.values()], last).statistic)
        for name, score in ways.items()
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=27)
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--first", type=int, default=4)
    parser.add_argument("--kills", type=int, default=3)
    arguments = parser.parse_args()
    whole, halved = arguments.folder.resolve() / "whole", arguments.folder.resolve() / "halved"
    spent = {
        folder: run(folder, config_of(arguments.trials, arguments.epochs, first), kills)
        for folder, first, kills in ((halved, arguments.first, arguments.kills), (whole, None, 0))
    }
    lines = ["| | CPU seconds | winner | validation score on chips | on scenes |", "|---|---|---|---|---|"]
    all_trials = histories(whole)
    for folder in (whole, halved):
        winner = json.loads((folder / "results/experiments/halving/winner.json").read_text())
        best = max(all_trials[winner["trial"]])
        lines.append(f"| {folder.name} | {spent[folder]:.0f} | {winner['trial']} | {best:.4f} | {winner['mean']:.4f} |")
    same = [
        (halved / f"results/models/{path.parent.name}/model-bundle.zip").read_bytes() == path.read_bytes()
        for path in whole.glob("results/models/*/model-bundle.zip")
        if (halved / f"results/models/{path.parent.name}/model-bundle.zip").exists()
    ]
    lines += ["", f"Models that got to the end: {len(same)}, of which {sum(same)} are the same bytes.", ""]
    lines += ["| epochs | best so far | mean of the last two | last |", "|---|---|---|---|"]
    for epochs in (1, 2, 4, 6, 9):
        if epochs < arguments.epochs:
            values = correlations(all_trials, epochs).values()
            lines.append(f"| {epochs} | " + " | ".join(f"{value:.2f}" for value in values) + " |")
    for table in sorted((halved / "results/experiments/halving/rungs").glob("*.csv")):
        with table.open() as file:
            gone = [row["trial"] for row in csv.DictReader(file) if row["decision"] == "goes on"]
        lines.append(f"\nRung {table.stem}: {len(gone)} went on.")
    text = "\n".join(lines)
    (arguments.folder / "halving.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
