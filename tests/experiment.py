"""A small experiment on a cut of the demo's real data, and real Snakemake runs on it."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import rasterio
import yaml
from forked import SCRIPTS, forked, forking_environment, starting_environment
from rasterio.windows import Window
from shapely.geometry import box

REPOSITORY = Path(__file__).parents[1]
SNAKEMAKE = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(REPOSITORY / "Snakefile")]

ONE_SHARD = ("--set-scatter", "scenes=1", "chip=1", "predict=1")
"""As few processes as there can be."""

# scene → split, source scene, column and row of the cut
CUTS = {
    "a": ("train", "s2_havel_r1c2", 0, 0),
    "b": ("train", "s2_havel_r1c2", 192, 0),
    "c": ("train", "s2_havel_r0c2", 0, 192),
    "d": ("validation", "s2_havel_r1c3", 0, 0),
    "e": ("test", "s2_havel_r1c1", 100, 100),
}
SIDE = 192


def cut_scene(havel: Path, source: str, column: int, row: int, folder: Path, scene: str) -> None:
    """Cut a scene of 192 × 192 pixels out of one of the demo's, with all its labels."""
    window = Window(column, row, SIDE, SIDE)
    with rasterio.open(havel / "images" / f"{source}.tif") as image:
        profile = image.profile | {"width": SIDE, "height": SIDE, "transform": image.window_transform(window)}
        profile |= {"blockxsize": 64, "blockysize": 64}
        with rasterio.open(folder / f"{scene}.tif", "w", **profile) as cut:
            cut.write(image.read(window=window))
            cut.descriptions = image.descriptions
            footprint = gpd.GeoSeries([box(*cut.bounds)], crs=cut.crs).to_crs("EPSG:4326")
    labels = gpd.read_file(havel / "labels" / f"{source}.geojson", engine="pyogrio")
    labels.clip(footprint).to_file(folder / f"{scene}.geojson", driver="GeoJSON", engine="pyogrio")


def cut_scenes(havel: Path, folder: Path) -> None:
    """Make the small cut: five scenes with their table, in a folder."""
    rows = ["scene,image,labels,split"]
    for scene, (split, source, column, row) in CUTS.items():
        cut_scene(havel, source, column, row, folder, scene)
        rows.append(f"{scene},{scene}.tif,{scene}.geojson,{split}")
    (folder / "scenes.csv").write_text("\n".join(rows) + "\n")


SMALL: dict[str, Any] = {
    "experiment": "small",
    "classes": {"open land": "#e3c567", "forest": "#2f6b3a", "residential": "#c2584f", "water": "#2b6cb0"},
    "imagery": {"bands": ["B03", "B04", "B08", "B11"]},
    "labels": {
        "attribute": "class_name",
        "mapping": {"farmland": "open land", "grassland": "open land", "wetland": None},
    },
    "chips": {"size": 64, "per_scene": 6},
    "model": {"encoder": "tu-resnet10t", "arguments": {"encoder_depth": 3, "decoder_channels": [32, 16, 8]}},
    "train": {"epochs": 2, "batch_size": 8, "threads": 1},
    "predict": {"stride": 48, "crop": 4, "smooth": True},
    "sweep": {"grid": {"train.learning_rate": [0.001, 0.003]}},
    "checks": {"allow": ["class_absent"]},  # the cut of the validation scene holds no residential area
}


def with_setting(config: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    """A copy of a config with one dotted setting changed."""
    changed = deepcopy(config)
    *parents, last = field.split(".")
    target = changed
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value
    return changed


def raster_vision(*arguments: str, folder: Path, fork: bool = True) -> None:
    """Type a command of Raster Vision's own in a folder; forked from the process that has imported it, or started."""
    command = [str(Path(sys.executable).with_name("rastervision")), *arguments]
    subprocess.run(
        forked(command, SCRIPTS) if fork else command,
        cwd=folder,
        env=forking_environment() if fork else None,
        check=True,
        capture_output=True,
    )


def run(command: list[str], folder: Path | None = None, fork: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command that begins with Snakemake; its output in one text.

    Args:
        command: What to type.
        folder: Where; here if left out.
        fork: Whether Snakemake and its rules' scripts are forked, or each is started.
    """
    return subprocess.run(
        forked(command) if fork else command,
        cwd=folder,
        env=forking_environment() if fork else starting_environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


@dataclass
class Project:
    """A working directory with a config.

    Attributes:
        folder: Where Snakemake runs.
        config: The config's content, freely changed between runs.
        forked: Whether Snakemake and its rules' scripts are forked from processes that have imported what they need;
            otherwise each is started.
    """

    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    forked: bool = True

    def write(self) -> Path:
        path = self.folder / "config.yaml"
        content = yaml.safe_dump(self.config, sort_keys=False)
        if not path.exists() or path.read_text() != content:  # others may be reading it
            path.write_text(content)
        return path

    @property
    def environment(self) -> dict[str, str]:
        """What a run is started with."""
        return forking_environment() if self.forked else starting_environment()

    def command(self, *arguments: str) -> list[str]:
        directory = ["--directory", str(self.folder), "--configfile", str(self.write())]
        return [*SNAKEMAKE, *directory, "--cores", "2", *arguments]

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake for real; its output in one text."""
        done = run(self.command(*arguments), fork=self.forked)
        if check:
            assert done.returncode == 0, done.stdout
        return done

    def jobs(self, *arguments: str) -> dict[str, int]:
        """Count the jobs that a dry run lists, by rule."""
        lines = self.snakemake("--dry-run", *arguments).stdout.splitlines()
        counts: dict[str, int] = {}
        if "Job stats:" in lines:
            start = lines.index("Job stats:")
            for line in lines[start + 3 :]:
                words = line.split()
                if len(words) != 2:
                    break
                if words[0] == "total":
                    continue
                counts[words[0]] = int(words[1])
        return counts

    @property
    def results(self) -> Path:
        return self.folder / "results"
