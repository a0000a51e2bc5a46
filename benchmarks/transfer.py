"""What first weights are worth: from scratch against packaged weights, with 1, 2 and 4 training scenes.

    python benchmarks/transfer.py FOLDER [--sets havel trees] [--scenes 1 2 4] [--repeats 3]

Two sets: land use from Sentinel-2 (a U-Net with weights of `sentinel2-6b-l2a`), and trees in red-green-blue images from
an aeroplane (Faster R-CNN with those of ImageNet). Everything else is equal: scenes, chips, epochs, seeds. The training
scenes of the smaller number are among those of the larger. The last epoch's weights are taken, so that no scene chooses
an epoch; the test scenes, which nothing has been chosen on, are what is measured: mean ± standard deviation over the
repeats. The table is printed, and written to FOLDER/transfer.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pandas as pd
import yaml
from training_jobs import REPOSITORY

SCRATCH = "none"


@dataclass(frozen=True)
class Set:
    """A set of scenes to learn from.

    Attributes:
        example: Config that it is taken from, from the repository's folder.
        weights: First weights that are compared with none.
        changes: Dotted setting → value that differs from the example's.
        rule: Fetches the scenes.
        metric: What is measured.
    """

    example: str
    weights: str
    changes: Mapping[str, Any]
    rule: str
    metric: str


SETS = {
    "havel": Set(
        example="config/config.yaml",
        weights="sentinel2-6b-l2a",
        changes={
            "imagery.bands": ["B02", "B03", "B04", "B08", "B11", "B12"],
            "chips.per_scene": 80,
            "model": {"architecture": "unet", "encoder": "efficientnet-b4"},
            "train": {"epochs": 6, "batch_size": 8, "learning_rate": 1.0e-3, "threads": 1, "keep": "last"},
        },
        rule="havel",
        metric="macro_f1",
    ),
    "trees": Set(
        example="config/examples/neon-trees.yaml",
        weights="imagenet",
        changes={"train.epochs": 6, "train.threads": 1, "train.keep": "last", "chips.per_scene": 20},
        rule="neon_trees",
        metric="mAP50",
    ),
}


def snakemake(folder: Path, config: Path, *arguments: str) -> None:
    """Run Snakemake in a folder."""
    command = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(REPOSITORY / "Snakefile")]
    subprocess.run(
        [*command, "--directory", str(folder), "--cores", "2", *arguments, "--configfile", str(config)], check=True
    )


def config_of(one: Set, name: str, number: int, folder: Path, repeats: int) -> dict[str, Any]:
    """Write down an experiment with so many training scenes; its scene table has to be there."""
    config: dict[str, Any] = yaml.safe_load((REPOSITORY / one.example).read_text())
    table = pd.read_csv(folder / config["scenes"]["table"], dtype=str)
    training = sorted(table.loc[table["split"] == "train", "scene"])
    if len(training) < number:
        raise SystemExit(f"{one.example}: {len(training)} training scenes, {number} are needed")
    short = table[~table["scene"].isin(training[number:])]
    config["experiment"] = f"{name}-{number}"
    config["scenes"] = {"table": str(Path(config["scenes"]["table"]).with_name(f"scenes-{number}.csv"))}
    short.to_csv(folder / config["scenes"]["table"], index=False)
    for setting, value in one.changes.items():
        *sections, last = setting.split(".")
        target = config
        for section in sections:
            target = target[section]
        target[last] = value
    config["sweep"] = {"grid": {"model.weights": [SCRATCH, one.weights]}, "repeats": repeats}
    config["checks"] = {"allow": ["class_absent", "class_rare", "too_few_chips"]}
    return config


def measure(config: Path, folder: Path, metric: str) -> dict[str, list[float]]:
    """Train everything and evaluate every run on the test scenes; first weights → a score per repeat."""
    from swath.config.load import load_experiment, read_yaml
    from swath.plan.plan import make_plan
    from swath.scenes.table import read_scenes

    content = read_yaml(config)
    experiment = load_experiment(content)
    plan = make_plan(experiment, read_scenes(experiment.scenes), content)
    files = [f"results/evals/{run.evals['test']}/test.json" for run in plan.runs]
    snakemake(folder, config, *files)
    scores: dict[str, list[float]] = {}
    for run, file in zip(plan.runs, files, strict=True):
        overall = json.loads((folder / file).read_text())["overall"]
        scores.setdefault(str(run.trial.settings.model.weights), []).append(overall[metric])
    return scores


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--scenes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    lines = ["| | training scenes | from scratch | first weights |", "|---|---|---|---|"]
    for name in arguments.sets:
        one = SETS[name]
        snakemake(folder, REPOSITORY / one.example, one.rule)
        for number in arguments.scenes:
            path = folder / f"{name}-{number}.yaml"
            path.write_text(yaml.safe_dump(config_of(one, name, number, folder, arguments.repeats), sort_keys=False))
            scores = measure(path, folder, one.metric)
            shown = [
                f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")
                for values in (scores[SCRATCH], scores[one.weights])
            ]
            lines.append(f"| {name}, {one.metric} (`{one.weights}`) | {number} | {shown[0]} | {shown[1]} |")
            (folder / "transfer.md").write_text("\n".join(lines) + "\n")
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY / "scripts"))
    main()
