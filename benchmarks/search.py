"""What proposals are worth: TPE against random ones at equal budget, on the demo's data, with several seeds.

    python benchmarks/search.py FOLDER [--seeds 5] [--rounds 4] [--per-round 4] [--epochs 6]

A small U-Net; learning rate, batch size and loss are looked for, and the learning rate's range is wide. For every
sampler and seed a real run of Snakemake makes the proposals round by round and trains them; all runs share a folder, so
that equal trials are trained once. What is compared is the best validation score on chips after so many trials: median,
and from the smallest to the largest over the seeds. Printed, and written to FOLDER/search.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import yaml
from halving import METRIC, RANDOM
from training_jobs import REPOSITORY, demo_config

SAMPLERS = ("random", "tpe")


def config_of(sampler: str, seed: int, rounds: int, per_round: int, epochs: int) -> dict[str, Any]:
    """Write one of the searches down."""
    config = demo_config(
        chips={"size": 64, "per_scene": 40},
        model={"encoder": "tu-resnet10t", "arguments": {"encoder_depth": 3, "decoder_channels": [32, 16, 8]}},
        train={"epochs": epochs, "batch_size": 8, "learning_rate": 1.0e-5, "threads": 1},
        predict={"stride": None},
    )
    search = {"rounds": rounds, "per_round": per_round, "sampler": sampler, "seed": seed, "settings": RANDOM}
    name = f"{sampler}-{seed}"
    return {**config, "experiment": name, "sweep": {"search": search, "select": {"metric": METRIC}}}


def best_after_rounds(folder: Path, config: dict[str, Any]) -> list[float]:
    """Run a search's trainings; return the best validation score after every round."""
    from swath.config.load import load_experiment, read_yaml
    from swath.plan.plan import make_plan
    from swath.scenes.table import read_scenes

    path = folder / f"{config['experiment']}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    snakemake = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(REPOSITORY / "Snakefile")]
    command = [*snakemake, "--configfile", str(path), "--cores", "2"]
    search = config["sweep"]["search"]
    proposals = [
        f"results/experiments/{config['experiment']}/search/round-{number}.json"
        for number in range(1, search["rounds"] + 1)
    ]
    with (folder / "output.txt").open("a") as output:
        subprocess.run([*command, proposals[-1]], cwd=folder, stdout=output, stderr=output, check=True)
        content = read_yaml(path)
        experiment = load_experiment(content)
        runs = make_plan(experiment, read_scenes(experiment.scenes), content).runs
        metrics = [f"results/models/{run.models}/metrics.csv" for run in runs]
        subprocess.run([*command, *metrics], cwd=folder, stdout=output, stderr=output, check=True)
    scores = [pd.read_csv(file)[METRIC].max() for file in metrics]
    sizes = [search["per_round"] * number + 1 for number in range(1, search["rounds"] + 1)]  # and the config's own
    return [max(scores[:size]) for size in sizes]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--per-round", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    found: dict[str, list[list[float]]] = {sampler: [] for sampler in SAMPLERS}
    for seed in range(arguments.seeds):
        for sampler in SAMPLERS:
            config = config_of(sampler, seed, arguments.rounds, arguments.per_round, arguments.epochs)
            found[sampler].append(best_after_rounds(folder, config))
            print(sampler, seed, [round(float(score), 3) for score in found[sampler][-1]], flush=True)
    lines = ["| trials | " + " | ".join(SAMPLERS) + " |", "|---|" + "---|" * len(SAMPLERS)]
    for number in range(arguments.rounds):
        after = [[scores[number] for scores in found[sampler]] for sampler in SAMPLERS]
        cells = [f"{median(scores):.3f} ({min(scores):.3f} to {max(scores):.3f})" for scores in after]
        lines.append(f"| {arguments.per_round * (number + 1) + 1} | " + " | ".join(cells) + " |")
    (folder / "search.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY / "scripts"))
    main()
