"""An experiment by Raster Vision's own command line, and the same one by Swath: CPU seconds of whole process trees.

    python benchmarks/against_raster_vision.py FOLDER [--rates 1] [--epochs 2] [--halving]

Seven images of 1,024 × 1,024 pixels in three bands of 8 bits, made up, with buildings as labels; DeepLabV3 on a
ResNet-50 from random weights, 40 chips of 256 pixels of the four training scenes, batches of 8, two threads. Raster
Vision: `rastervision run local`, once per learning rate, as its users sweep, all stages each time. Swath: one config
with all rates, three times: as it stands, with every step started anew (SWATH_FORK_SERVER=0), and, where asked for,
with halving. What a run of either has computed is what the kernel counts of all its processes. Printed, and written to
FOLDER/against.md.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from training_jobs import REPOSITORY

SPLITS = {"train": 4, "validation": 1, "test": 2}
SIDE, SIZE, CHIPS = 1024, 256, 10
"""Pixels of an image and of a chip; chips per training scene."""
BIN = Path(sys.executable).parent
RATES = (1.0e-3, 3.0e-4, 3.0e-3, 1.0e-4, 1.0e-2, 3.0e-5, 3.0e-2, 1.0e-5)
THREADS = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}


@dataclass(frozen=True)
class Spent:
    """What something took: seconds on the wall, and of CPU time in all processes."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.cpu:.0f} | {self.wall:.0f}"


def spent(command: list[str], folder: Path, **environment: str) -> Spent:
    """Run a command to its end."""
    before, began = _children(), time.monotonic()
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
    return Spent(time.monotonic() - began, _children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_data(folder: Path) -> None:
    """Write the images, their labels, and the scene table."""
    folder.mkdir(parents=True, exist_ok=True)
    random, rows = np.random.default_rng(0), ["scene,image,labels,split"]
    names = [f"{split}_{number}" for split, count in SPLITS.items() for number in range(count)]
    for place, name in enumerate(names):
        transform = rasterio.transform.from_origin(600_000 + 2 * place * SIDE, 4_000_000, 0.5, 0.5)
        pixels = random.integers(20, 120, (3, SIDE, SIDE), np.uint8)
        features = []
        for row, column in random.integers(8, SIDE - 72, (60, 2)):
            height, width = random.integers(16, 64, 2)
            pixels[:, row : row + height, column : column + width] += 90
            corners = [(0, 0), (0, width), (height, width), (height, 0), (0, 0)]
            ring = [list(transform * (int(column) + int(x), int(row) + int(y))) for y, x in corners]
            features.append(
                {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
            )
        profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint8", "count": 3, "width": SIDE, "height": SIDE}
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


def by_raster_vision(data: Path, folder: Path, rate: float, epochs: int) -> Spent:
    """Train with one learning rate, all stages, as its users do."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    values = {"data": data, "root_uri": folder / "out", "epochs": epochs, "size": SIZE, "chips": CHIPS}
    arguments = [
        word
        for name, value in {**values, "learning_rate": rate, "seed": 0}.items()
        for word in ("-a", name, str(value))
    ]
    module = Path(__file__).with_name("raster_vision_config.py")
    return spent([str(BIN / "rastervision"), "run", "local", str(module), *arguments, "--splits", "1"], folder)


def config_of(data: Path, rates: list[float], epochs: int, halving: bool) -> dict[str, Any]:
    """Write the same down for Swath."""
    sweep: dict[str, Any] = {"grid": {"train.learning_rate": rates}}
    return {
        "experiment": "against",
        "classes": {"building": "orange", "background": "gray"},
        "scenes": {"table": str(data / "scenes.csv")},
        "labels": {"default_class": "building", "unlabelled": "background"},
        "chips": {"size": SIZE, "per_scene": CHIPS},
        "model": {"architecture": "deeplabv3", "encoder": "resnet50"},
        "train": {"epochs": epochs, "batch_size": 8, "threads": 2},
        "predict": {"stride": SIZE},
        "sweep": {**sweep, **({"halving": {"first": 1, "factor": 2}} if halving else {})},
        "checks": {"allow": ["too_few_chips"]},
    }


def by_swath(folder: Path, config: dict[str, Any], **environment: str) -> Spent:
    """Run the experiment with all its rates, tables and reports."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = [str(BIN / "snakemake"), "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "2"]
    return spent([*command, "--configfile", "config.yaml"], folder, **environment)


def by_rule(folder: Path) -> str:
    """Add up what Snakemake has measured of every rule's jobs."""
    seconds: dict[str, float] = {}
    for path in (folder / "results" / "benchmarks").rglob("*.tsv"):
        head, row = path.read_text().splitlines()[:2]
        rule = path.relative_to(folder / "results" / "benchmarks").parts[0]
        cpu = dict(zip(head.split("\t"), row.split("\t"), strict=True))["cpu_time"]
        seconds[rule] = seconds.get(rule, 0.0) + (0.0 if cpu == "NA" else float(cpu))
    return ", ".join(f"{rule} {value:.0f}" for rule, value in sorted(seconds.items(), key=lambda item: -item[1]))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rates", type=int, default=1, choices=range(1, len(RATES) + 1))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--halving", action="store_true")
    arguments = parser.parse_args()
    folder, rates = arguments.folder.resolve(), list(RATES[: arguments.rates])
    data = folder / "data"
    write_data(data)
    of_raster_vision = [by_raster_vision(data, folder / "raster-vision", rate, arguments.epochs) for rate in rates]
    total = Spent(sum(one.wall for one in of_raster_vision), sum(one.cpu for one in of_raster_vision))
    plain = config_of(data, rates, arguments.epochs, halving=False)
    rows = {"Raster Vision": total, "Swath": by_swath(folder / "swath", plain)}
    rows["Swath, every step started"] = by_swath(folder / "started", plain, SWATH_FORK_SERVER="0")
    if arguments.halving:
        halved = config_of(data, rates, arguments.epochs, halving=True)
        rows["Swath, halving"] = by_swath(folder / "halved", halved)
    lines = [
        f"{len(rates)} learning rates, {arguments.epochs} epochs",
        "",
        "| | CPU seconds | seconds |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    lines += ["", f"CPU seconds of Swath's jobs by rule: {by_rule(folder / 'swath')}"]
    (folder / "against.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
