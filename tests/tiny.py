"""A tiny scene set, made up: four scenes of 80 × 80 pixels side by side, two classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from shapely.geometry import Polygon, box

CRS = "EPSG:32633"
SIDE, METRES = 80, 10.0
EAST, NORTH = 330_000.0, 5_820_000.0
PLACES = {"a": ("train", 0), "b": ("train", 1), "c": ("validation", 2), "d": ("test", 3)}
BANDS = ("red", "green", "nir")

TINY: dict[str, Any] = {
    "experiment": "tiny",
    "classes": {"field": "#e3c567", "forest": "#2f6b3a"},
    "scenes": {"table": "data/scenes.csv"},
    "labels": {"attribute": "kind"},
    "chips": {"size": 32, "per_scene": 8},
    "model": {"encoder": "resnet18"},
    "train": {"epochs": 1, "batch_size": 4, "threads": 1},
}


def grid(scene: str, metres: float = METRES) -> rasterio.Affine:
    """The scenes lie in a row, one pixel apart."""
    return rasterio.transform.from_origin(EAST + PLACES[scene][1] * (SIDE + 1) * METRES, NORTH, metres, metres)


def pixels(scene: str, count: int = len(BANDS), side: int = SIDE) -> np.ndarray:
    """Values of 100 to 3,000, of every scene others."""
    return np.random.default_rng(ord(scene)).integers(100, 3000, (count, side, side), np.uint16)


def write_image(folder: Path, scene: str, values: np.ndarray | None = None, **changes: Any) -> Path:
    """Write a scene's image; `changes` are those of the rasterio profile, and `bands`, the bands' names."""
    values = pixels(scene) if values is None else values
    bands = changes.pop("bands", BANDS)
    path = folder / f"{scene}.tif"
    profile: dict[str, Any] = {"driver": "GTiff", "crs": CRS, "transform": grid(scene), "dtype": values.dtype}
    profile |= {"count": values.shape[0], "height": values.shape[1], "width": values.shape[2]} | changes
    with rasterio.open(path, "w", **profile) as image:
        image.write(values)
        image.descriptions = bands[: profile["count"]]
    return path


def square(scene: str, column: float, row: float, width: float, height: float) -> Polygon:
    """A rectangle of pixels of a scene."""
    (west, north), (east, south) = grid(scene) * (column, row), grid(scene) * (column + width, row + height)
    return box(west, south, east, north)


def write_labels(
    folder: Path, scene: str, shapes: list[Any] | None = None, kinds: list[Any] | None = None, crs: str | None = CRS
) -> Path:
    """Write a scene's labels, one half field and one half forest if nothing else is said."""
    halves = [square(scene, 0, 0, SIDE, SIDE / 2), square(scene, 0, SIDE / 2, SIDE, SIDE / 2)]
    shapes = halves if shapes is None else shapes
    kinds = ["field", "forest"] if kinds is None else kinds
    path = folder / f"{scene}.gpkg"
    path.unlink(missing_ok=True)
    gpd.GeoDataFrame({"kind": kinds}, geometry=shapes, crs=crs).to_file(path, engine="pyogrio")
    return path


def write_tiny(folder: Path) -> None:
    """Write the scenes and their table."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["scene,image,labels,split"]
    for scene, (split, _) in PLACES.items():
        write_image(folder, scene)
        write_labels(folder, scene)
        rows.append(f"{scene},{scene}.tif,{scene}.gpkg,{split}")
    (folder / "scenes.csv").write_text("\n".join(rows) + "\n")
