"""An experiment by Raster Vision's own command line, and the same one by Swath: CPU seconds of whole process trees.

    python benchmarks/against_raster_vision.py FOLDER [--runs 3]
    python benchmarks/against_raster_vision.py FOLDER --sweep [--runs 3]

Seven images of 1,024 × 1,024 pixels in three bands of 8 bits, made up, with buildings as labels; DeepLabV3 on a
ResNet-50 from random weights, two threads.

The first command trains one model for two epochs on 40 chips of 256 pixels, batches of 8, by turns: `rastervision run
local`, all stages, and Swath; once also Swath with every step started anew (SWATH_FORK_SERVER=0). The second one sweeps
eight learning rates with three seeds each, nine epochs of 48 chips of 64 pixels, batches of 4. Of Raster Vision, which
its users run once per trial, as many runs are made as `--runs` says, with one rate after the other; all 24 would take
as many times their median. Swath makes the grid of eight rates once, of which three seeds would take three times as
much; it makes halving (after 2 epochs one in four goes on), with three seeds of the two that get to the end, and
halving with a search, with three seeds of the best. What a run of either has computed is what the kernel counts of all
its processes. Printed, and written to FOLDER/against.md.

Raster Vision exports every model to ONNX as well, which Swath does not. For that, torch needs onnxscript, which is not
among Swath's packages: have it on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import yaml
from training_jobs import REPOSITORY

SPLITS = {"train": 4, "validation": 1, "test": 2}
SIDE = 1024
"""Pixels of an image."""
BIN = Path(sys.executable).parent
SNAKEMAKE = [str(BIN / "snakemake"), "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "2"]
RATES = (1.0e-3, 3.0e-4, 3.0e-3, 1.0e-4, 1.0e-2, 3.0e-5, 3.0e-2, 1.0e-5)
SEEDS = 3
THREADS = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}


@dataclass(frozen=True)
class Spent:
    """What something took: seconds on the wall, and of CPU time in all processes."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.cpu:.0f} | {self.wall:.0f}"


def output_of(command: list[str], folder: Path, **environment: str) -> str:
    """Run a command to its end, and return what it prints."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **THREADS, **environment, "PATH": f"{BIN}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout[-4000:])
    return done.stdout


def spent(command: list[str], folder: Path, **environment: str) -> Spent:
    """Run a command to its end, and say what it has taken."""
    before, began = _children(), time.monotonic()
    output_of(command, folder, **environment)
    return Spent(time.monotonic() - began, _children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Budget:
    """How long a model is trained, and on what.

    Attributes:
        epochs: Number of epochs.
        size: Of a chip, pixels.
        chips: Per training scene.
        batch_size: Chips per step.
    """

    epochs: int
    size: int
    chips: int = 10
    batch_size: int = 8


ONE, SWEPT = Budget(epochs=2, size=256), Budget(epochs=9, size=64, chips=12, batch_size=4)


def write_data(folder: Path, bands: int = 3, dtype: str = "uint8", brighter: int = 1) -> None:
    """Write the images, their labels, and the scene table.

    Args:
        folder: Where to.
        bands, dtype: Of the images.
        brighter: What values are multiplied by.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random, rows = np.random.default_rng(0), ["scene,image,labels,split"]
    names = [f"{split}_{number}" for split, count in SPLITS.items() for number in range(count)]
    for place, name in enumerate(names):
        transform = rasterio.transform.from_origin(600_000 + 2 * place * SIDE, 4_000_000, 0.5, 0.5)
        pixels = brighter * random.integers(20, 120, (bands, SIDE, SIDE)).astype(dtype)
        features = []
        for row, column in random.integers(8, SIDE - 72, (60, 2)):
            height, width = random.integers(16, 64, 2)
            building = np.s_[:, row : row + height, column : column + width]
            pixels[building] = brighter * (90 + random.integers(20, 120, pixels[building].shape))
            corners = [(0, 0), (0, width), (height, width), (height, 0), (0, 0)]
            ring = [list(transform * (int(column) + int(x), int(row) + int(y))) for y, x in corners]
            features.append(
                {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
            )
        profile: dict[str, Any] = {"driver": "GTiff", "dtype": dtype, "count": bands, "width": SIDE, "height": SIDE}
        with rasterio.open(folder / f"{name}.tif", "w", crs="EPSG:32616", transform=transform, **profile) as image:
            image.write(pixels)
        _write_labels(folder / f"{name}.geojson", features)
        rows.append(f"{name},{name}.tif,{name}.geojson,{name.split('_')[0]}")
    (folder / "scenes.csv").write_text("\n".join(rows) + "\n")


def _write_labels(path: Path, features: list[dict[str, Any]]) -> None:
    """Write labels in degrees, as Raster Vision takes them."""
    from rasterio.warp import transform_geom

    for feature in features:
        feature["geometry"] = transform_geom("EPSG:32616", "EPSG:4326", feature["geometry"])
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def by_raster_vision(
    data: Path, folder: Path, budget: Budget, rate: float = RATES[0], stages: Sequence[str] = ()
) -> Spent:
    """Train with one learning rate, all stages or some, as its users do."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    values = {"data": data, "root_uri": folder / "out", **vars(budget), "learning_rate": rate}
    arguments = [word for name, value in values.items() for word in ("-a", name, str(value))]
    module = Path(__file__).with_name("raster_vision_config.py")
    return spent([str(BIN / "rastervision"), "run", "local", str(module), *stages, *arguments, "--splits", "1"], folder)


def config_of(data: Path, budget: Budget, sweep: dict[str, Any]) -> dict[str, Any]:
    """Write the same down for Swath."""
    return {
        "experiment": "against",
        "classes": {"building": "orange", "background": "gray"},
        "scenes": {"table": str(data / "scenes.csv")},
        "labels": {"default_class": "building", "unlabelled": "background"},
        "chips": {"size": budget.size, "per_scene": budget.chips},
        "model": {"architecture": "deeplabv3", "encoder": "resnet50"},
        "train": {"epochs": budget.epochs, "batch_size": budget.batch_size, "threads": 2},
        "predict": {"stride": budget.size},
        "sweep": sweep,
        "checks": {"allow": ["too_few_chips"]},
    }


def by_swath(folder: Path, config: dict[str, Any], arguments: Sequence[str] = (), **environment: str) -> Spent:
    """Run the experiment with all its trials, tables and reports."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return spent([*SNAKEMAKE, "--configfile", "config.yaml", *arguments], folder, **environment)


def by_stage(folder: Path, whole: Spent) -> str:
    """Say what the stages have taken of a run, and what is no stage's."""
    costs = pd.read_csv(folder / "results/experiments/against/cost.csv")
    stages = costs.groupby("stage")["cpu_seconds"].sum().sort_values(ascending=False)
    rest = whole.cpu - stages.sum()
    words = [*(f"{stage} {seconds:.0f}" for stage, seconds in stages.items()), f"no stage's {rest:.0f}"]
    return f"{', '.join(words)} ({rest / whole.cpu:.0%})"


def winner_of(folder: Path) -> str:
    """Read the winner's score on the validation scenes: of its best seed, and the mean of all its seeds."""
    winner = json.loads((folder / "results/experiments/against/winner.json").read_text())
    return f"{winner['trial']} | {winner['score']:.4f} | {winner['mean']:.4f}"


def one_model(data: Path, folder: Path, runs: int) -> list[str]:
    """Measure a single trial, by turns."""
    config = config_of(data, ONE, {})
    measured: dict[str, list[Spent]] = {"Raster Vision": [], "Swath": []}
    for _ in range(runs):
        measured["Raster Vision"].append(by_raster_vision(data, folder / "raster-vision", ONE))
        measured["Swath"].append(by_swath(folder / "swath", config))
        print({name: [round(one.cpu) for one in held] for name, held in measured.items()}, flush=True)
    measured["Swath, every step started (once)"] = [by_swath(folder / "started", config, SWATH_FORK_SERVER="0")]
    rows = [f"| {name} | {middle(held)} |" for name, held in measured.items()]
    return [
        f"One model, {runs} runs of each, medians (and extremes)",
        "",
        "| | CPU seconds | seconds |",
        "|---|---|---|",
        *rows,
        "",
        f"CPU seconds of Swath's last run by stage: {by_stage(folder / 'swath', measured['Swath'][-1])}",
    ]


def middle(held: Sequence[Spent]) -> str:
    """Write the median of some runs, with the least and the most."""
    cpu, wall = sorted(one.cpu for one in held), sorted(one.wall for one in held)
    return f"{median(cpu):.0f} ({cpu[0]:.0f}–{cpu[-1]:.0f}) | {median(wall):.0f}"


def sweeps(data: Path, folder: Path, runs: int) -> list[str]:
    """Measure a sweep of eight learning rates with three seeds each."""
    trials = SEEDS * len(RATES)
    grid = by_swath(folder / "grid", config_of(data, SWEPT, {"grid": {"train.learning_rate": list(RATES)}}))
    print("grid of eight", grid, flush=True)
    final = {"halving": {"factor": 4, "first": 2}, "repeats": {"final": SEEDS}}
    halved = config_of(data, SWEPT, {"grid": {"train.learning_rate": list(RATES)}, **final})
    ways = {"halving": by_swath(folder / "halved", halved)}
    print("halving", ways["halving"], flush=True)
    ranges = {"train.learning_rate": {"min": min(RATES), "max": max(RATES), "log": True}}
    searched = {"search": {"rounds": 2, "per_round": 3, "settings": ranges}, **final}
    ways["halving and search"] = by_swath(folder / "searched", config_of(data, SWEPT, searched))
    print("halving and search", ways["halving and search"], flush=True)
    alone = [by_raster_vision(data, folder / "raster-vision", SWEPT, rate) for rate in RATES[:runs]]
    print("Raster Vision", [round(one.cpu) for one in alone], flush=True)
    by_hand, of_grid = trials * median(one.cpu for one in alone), SEEDS * grid.cpu
    rows = {f"Raster Vision by hand, {trials} × the median of {runs} runs": (by_hand, "| |")}
    rows[f"Swath, grid of {len(RATES)} rates with one seed, × {SEEDS}"] = (of_grid, winner_of(folder / "grid"))
    places = {"halving": ("halved", f"{len(RATES)} rates"), "halving and search": ("searched", "two rounds of three")}
    for name, (place, what) in places.items():
        rows[f"Swath, {name}: {what}, {SEEDS} seeds at the end"] = (ways[name].cpu, winner_of(folder / place))
    table = [f"| {name} | {cpu:.0f} | {by_hand / cpu:.1f} | {score} |" for name, (cpu, score) in rows.items()]
    return [
        f"{len(RATES)} learning rates, {SEEDS} seeds, {SWEPT}",
        "",
        "| | CPU seconds | times cheaper | winner | its validation score | mean of its seeds |",
        "|---|---|---|---|---|---|",
        *table,
    ]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sweep", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    write_data(folder / "data")
    measure = sweeps if arguments.sweep else one_model
    lines = measure(folder / "data", folder, arguments.runs)
    (folder / "against.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
