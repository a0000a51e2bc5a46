"""What planning takes: against bare Snakemake with the same graph, and when there is nothing to do.

    python benchmarks/plan.py FOLDER [--trials 250 500 1000 2000 2500] [--idle 1000]

One small trial is made for real. Then its experiment is planned (`snakemake --dry-run`) with more and more trials, of
which that one is the first, beside a Snakefile of the same jobs and files that uses nothing but wildcards: CPU seconds
of both, in turns. For `--idle` trials the results of the first are copied to all others, with their records and
Snakemake's own (`--touch`), and a whole run finds nothing to be done: seconds on the clock. Printed, and written to
FOLDER/plan.md.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from training_jobs import REPOSITORY, demo_config

SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
PER_TRIAL = ("models", "bundles", "predictions", "evals")
BARE = """
KEYS = [f"{{number:012x}}" for number in range({trials})]
SCENES, STATS = expand("scenes/{{number}}.json", number=range(3)), "stats/stats.json"
NAMES = ("model-bundle.zip", "metrics.csv", "timing.csv", "pipeline-config.json")
MODEL = [f"models/{{{{key}}}}/{{name}}" for name in NAMES]
EVAL = [f"evals/{{{{key}}}}/{{name}}.json" for name in ("validation", "eval", "pipeline-config")]
MODELS, EVALS = expand(MODEL, key=KEYS), expand(EVAL[0], key=KEYS)
BUNDLES, MAPS = expand("bundles/{{key}}/model-bundle.zip", key=KEYS), expand("predictions/{{key}}/1.json", key=KEYS)
rule all:
    input: "report.html", "summary.txt", "leaderboard.csv", "winner.json", SCENES, STATS, MODELS, EVALS, BUNDLES, MAPS
rule scenes:
    output: "scenes/{{number}}.json"
rule analyze:
    input: SCENES
    output: STATS
rule chip:
    input: "scenes/{{number}}.json", STATS
    output: "chips/{{number}}/manifest.json"
rule train:
    input: expand("chips/{{number}}/manifest.json", number=range(3)), SCENES, STATS
    output: MODEL
    log: "logs/train/{{key}}.log"
    benchmark: "benchmarks/train/{{key}}.tsv"
    shell: "train {{input}} {{output}}"
rule bundle:
    input: MODEL[0], MODEL[3], SCENES, STATS
    output: "bundles/{{key}}/model-bundle.zip"
    log: "logs/bundle/{{key}}.log"
    benchmark: "benchmarks/bundle/{{key}}.tsv"
    shell: "bundle {{input}} {{output}}"
rule predict:
    input: MODEL[0], MODEL[3], SCENES[2], STATS
    output: "predictions/{{key}}/1.json"
    log: "logs/predict/{{key}}.log"
    benchmark: "benchmarks/predict/{{key}}.tsv"
    shell: "predict {{input}} {{output}}"
rule eval:
    input: "predictions/{{key}}/1.json", MODEL[3], SCENES[2], STATS
    output: EVAL
    log: "logs/eval/{{key}}.log"
    benchmark: "benchmarks/eval/{{key}}.tsv"
    shell: "eval {{input}} {{output}}"
rule leaderboard:
    input: EVALS, MODELS
    output: "leaderboard.csv"
    shell: "compare {{input}} {{output}}"
checkpoint select:
    input: "leaderboard.csv"
    output: "winner.json"
    shell: "select {{input}} {{output}}"
rule summary:
    input: lambda wildcards: checkpoints.select.get().output, EVALS
    output: "summary.txt"
    shell: "summarize {{input}} {{output}}"
rule report:
    input: lambda wildcards: checkpoints.select.get().output, "leaderboard.csv", MODELS, EVALS, MAPS
    output: "report.html"
    shell: "report {{input}} {{output}}"
"""


@dataclass(frozen=True)
class Spent:
    """What a command took: seconds of CPU time, and on the clock; and what it said."""

    cpu: float
    wall: float
    said: str


def run(folder: Path, *command: str) -> Spent:
    """Run a command to its end, in a folder."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout[-4000:])
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(used, time.monotonic() - began, done.stdout)


def config_of(trials: int) -> dict[str, Any]:
    """Write down an experiment with so many learning rates; the first is the same in all."""
    config = demo_config(
        chips={"size": 64, "per_scene": 20},
        model={"encoder": "tu-resnet10t", "arguments": {"encoder_depth": 3, "decoder_channels": [32, 16, 8]}},
        train={"epochs": 1, "batch_size": 8, "threads": 1},
        predict={"stride": None},
    )
    rates = [round(0.001 + number * 1e-6, 6) for number in range(trials)]
    return {**config, "experiment": "plan", "sweep": {"grid": {"train.learning_rate": rates}}}


def swath(folder: Path, trials: int, *arguments: str) -> Spent:
    """Run Swath with so many trials."""
    config = folder / f"{trials}.yaml"
    config.write_text(yaml.safe_dump(config_of(trials), sort_keys=False))
    snakefile = str(REPOSITORY / "Snakefile")
    return run(folder, SNAKEMAKE, "--snakefile", snakefile, "--cores", "2", "--configfile", str(config), *arguments)


def bare(folder: Path, trials: int, *arguments: str) -> Spent:
    """Run Snakemake with so many trials' jobs and nothing else."""
    folder.mkdir(exist_ok=True)
    (folder / "Snakefile").write_text(BARE.format(trials=trials))
    return run(folder, SNAKEMAKE, "--cores", "2", *arguments)


def copy_to_all(folder: Path, trials: int) -> None:
    """Give all trials the results of the first, with records of their own."""
    from swath.checksums import read_records, write_record
    from swath.config.load import load_experiment, read_yaml
    from swath.plan.plan import make_plan
    from swath.scenes.table import read_scenes

    os.chdir(folder)
    content = read_yaml(folder / f"{trials}.yaml")
    experiment = load_experiment(content)
    runs = make_plan(experiment, read_scenes(experiment.scenes), content).runs
    records = {stage: list(read_records(stage)) for stage in PER_TRIAL}
    for stage in PER_TRIAL:
        keys = [run.evals["validation"] if stage == "evals" else run.keys_of(stage)[0] for run in runs]
        for key in keys[1:]:
            if not Path(f"results/{stage}/{key}").exists():
                shutil.copytree(f"results/{stage}/{keys[0]}", f"results/{stage}/{key}", symlinks=True)
            for record in records[stage]:
                if keys[0] in record.outputs[0]:
                    outputs = {path.replace(keys[0], key): Path(path) for path in record.outputs}
                    beside = [Path(path.replace(keys[0], key)) for path in record.files if path not in record.outputs]
                    write_record(outputs, beside)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, nargs="+", default=[250, 500, 1000, 2000, 2500])
    parser.add_argument("--idle", type=int, default=1000)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    swath(folder, 1)
    lines = ["| trials | jobs | Swath, CPU s | bare Snakemake, CPU s | ratio |", "|---|---|---|---|---|"]
    for trials in arguments.trials:
        ours, theirs = swath(folder, trials, "--dry-run"), bare(folder / "bare", trials, "--dry-run", "--quiet", "all")
        row = (trials, 4 * trials, f"{ours.cpu:.1f}", f"{theirs.cpu:.1f}", f"{ours.cpu / theirs.cpu:.2f}")
        lines.append(f"| {' | '.join(map(str, row))} |")
        print(lines[-1], flush=True)
    swath(folder, arguments.idle, "--dry-run")
    copy_to_all(folder, arguments.idle)
    swath(folder, arguments.idle, "--touch")
    idle = swath(folder, arguments.idle)
    lines += [
        "",
        f"Nothing to do on {arguments.idle:,} trials: {idle.wall:.1f} s, {idle.cpu:.1f} CPU s:",
        "",
        idle.said,
    ]
    (folder / "plan.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
