"""How much memory every rule needs for scenes as large as a Sentinel-2 tile, in its own process.

    python benchmarks/memory.py FOLDER [--side 10980]

Three made-up scenes, 4 bands of 16 bits, train, validate and test a small network in FOLDER; the table printed at the
end has a line per rule: the largest resident set that the kernel has seen of one of its scripts, and how long it ran.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import psutil
import rasterio
import yaml
from rasterio.windows import Window
from shapely.geometry import box
from training_jobs import REPOSITORY

BLOCK, FIELD = 512, 60
"""Pixels of a side: of a block of the images, of a labelled field."""
SCENES = {"a": "train", "b": "validation", "c": "test"}
SCRIPT = re.compile(r"\.snakemake/scripts/\w+\.(\w+)\.py")


def write_scene(folder: Path, name: str, place: int, side: int) -> None:
    """Write an image of square fields of equal brightness and noise, and every fourth field as a label."""
    transform = rasterio.transform.from_origin(330_000 + place * side * 10, 5_820_000, 10, 10)
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint16", "count": 4, "width": side, "height": side}
    profile |= {"crs": "EPSG:32633", "transform": transform, "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
    random = np.random.default_rng(place)
    noise = random.integers(0, 200, (4, BLOCK, BLOCK), np.uint16)
    kinds = random.integers(0, 3, (side // FIELD + 1, side // FIELD + 1))
    with rasterio.open(folder / f"{name}.tif", "w", compress="deflate", zlevel=1, **profile) as image:
        for row in range(0, side, BLOCK):
            for column in range(0, side, BLOCK):
                height, width = min(BLOCK, side - row), min(BLOCK, side - column)
                rows, columns = (np.arange(row, row + height) // FIELD, np.arange(column, column + width) // FIELD)
                level = 500 + 800 * kinds[np.ix_(rows, columns)].astype(np.uint16)
                image.write(level + noise[:, :height, :width], window=Window(column, row, width, height))
    places = [(row, column) for row in range(0, side // FIELD, 2) for column in range(0, side // FIELD, 2)]
    shapes = [
        box(*transform * (FIELD * c, FIELD * r), *transform * (FIELD * (c + 1), FIELD * (r + 1))) for r, c in places
    ]
    table = gpd.GeoDataFrame({"kind": [f"kind {kinds[p]}" for p in places]}, geometry=shapes, crs="EPSG:32633")
    table.to_file(folder / f"{name}.gpkg", engine="pyogrio")


def config() -> dict[str, Any]:
    """A small network for three classes."""
    return {
        "experiment": "memory",
        "classes": {"kind 0": "#e3c567", "kind 1": "#2f6b3a", "kind 2": "#2b6cb0"},
        "scenes": {"table": "data/scenes.csv"},
        "labels": {"attribute": "kind"},
        "chips": {"size": 128, "per_scene": 40},
        "model": {"encoder": "tu-resnet10t", "arguments": {"encoder_depth": 2, "decoder_channels": [32, 16]}},
        "train": {"epochs": 1, "batch_size": 8, "threads": 2},
        "predict": {"chip_size": 512},
    }


def watch(command: list[str], folder: Path) -> dict[str, tuple[float, float]]:
    """Run a command, and look at its descendants' peak memory ten times a second; rule → MiB and seconds."""
    peaks: dict[tuple[str, int], float] = {}
    began: dict[tuple[str, int], float] = {}
    ended: dict[tuple[str, int], float] = {}
    process = subprocess.Popen(command, cwd=folder)
    while process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                if found := SCRIPT.search(" ".join(child.cmdline())):
                    status = Path(f"/proc/{child.pid}/status").read_text()
                    job, now = (found[1], child.pid), time.monotonic()
                    peaks[job] = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
                    began.setdefault(job, now)
                    ended[job] = now
            except (psutil.Error, OSError, TypeError):
                continue  # it has just ended
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(process.returncode)
    return {
        rule: max((peaks[job], ended[job] - began[job]) for job in peaks if job[0] == rule)
        for rule in dict.fromkeys(name for name, _ in peaks)
    }


def main() -> None:
    """Make scenes that are not there yet, run the experiment and the preview, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=10980, help="pixels of a scene's side")
    arguments = parser.parse_args()
    data = arguments.folder.resolve() / "data"
    data.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(SCENES):
        if not (data / f"{name}.gpkg").exists():
            write_scene(data, name, place, arguments.side)
    rows = [f"{name},{name}.tif,{name}.gpkg,{split}" for name, split in SCENES.items()]
    (data / "scenes.csv").write_text("\n".join(["scene,image,labels,split", *rows]) + "\n")
    (data.parent / "my.yaml").write_text(yaml.safe_dump(config(), sort_keys=False))
    snakemake = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(REPOSITORY / "Snakefile")]
    snakemake += ["--configfile", "my.yaml", "--cores", "1"]
    found = watch(snakemake, data.parent)
    found |= watch([*snakemake, "preview"], data.parent)
    print(f"\nScenes of {arguments.side} × {arguments.side} pixels, 4 bands, 16 bits")
    for rule, (peak, seconds) in found.items():
        print(f"{rule:12} {peak:8,.0f} MiB {seconds:8.0f} s")


if __name__ == "__main__":
    main()
