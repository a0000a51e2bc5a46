"""Blocks on the ground: scenes that lie in one square, and scenes that overlap, belong together.

Read at every parse when a config asks for blocks. What headers say is therefore remembered in a file, and rasterio is
imported for images that are not in it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from swath.errors import Problem, UserError
from swath.files import read_state, write_json

MEMORY = Path("results/footprints.json")
EARTH_RADIUS = 6_371_007.2
"""Metres: the sphere with the Earth's surface area."""
OVERLAP = 0.01
"""Scenes overlap when they share more than this part of the smaller one: less is rounding at shared edges."""

Point = tuple[float, float]
Footprint = Sequence[Point]
"""An image's four corners in longitude and latitude, degrees."""


def blocks_of(images: Mapping[str, Sequence[str]], side: float) -> dict[str, str]:
    """Say which block each scene belongs to.

    Scenes that overlap are taken as one, directly or through others; what is one lies in the square that the mean of
    its scenes' centres falls into. Scenes that only touch can lie in different blocks.

    Args:
        images: Scene → the paths of its image's files.
        side: Of a square, metres.

    Returns:
        Scene → name of its block.

    Raises:
        UserError: For images without georeference, unreadable ones and ones that a rule has yet to make.
    """
    files = list(dict.fromkeys(path for paths in images.values() for path in paths))
    corners = dict(zip(files, read_footprints(files), strict=True))
    footprints = {scene: _around([corners[path] for path in paths]) for scene, paths in images.items()}
    blocks = {}
    for joined in overlapping(footprints):
        centres = [_centre(footprints[scene]) for scene in joined]
        blocks.update(dict.fromkeys(joined, square(_centre(centres), side)))
    return blocks


def _around(footprints: Sequence[Footprint]) -> Footprint:
    """Return the footprint of an image that consists of several files."""
    from shapely import get_coordinates
    from shapely.geometry import MultiPoint

    if len(footprints) == 1:
        return footprints[0]
    hull = MultiPoint([corner for footprint in footprints for corner in footprint]).convex_hull
    return [(longitude, latitude) for longitude, latitude in get_coordinates(hull)[:-1]]


def square(place: Point, side: float) -> str:
    """Name the square of a worldwide grid that a place lies in.

    Rows of squares run along parallels, ``side`` metres high; each row is cut into squares ``side`` metres wide at its
    middle (the sinusoidal grid of MODIS products). The grid does not depend on the scenes, so that a new one moves no
    other.

    Args:
        place: Longitude and latitude, degrees.
        side: Metres.
    """
    longitude, latitude = math.radians(place[0]), math.radians(place[1])
    row = math.floor(latitude * EARTH_RADIUS / side)
    parallel = EARTH_RADIUS * math.cos((row + 0.5) * side / EARTH_RADIUS)
    return f"r{row}c{math.floor(longitude * parallel / side)}"


def _centre(points: Sequence[Point]) -> Point:
    longitudes, latitudes = zip(*points, strict=True)
    return math.fsum(longitudes) / len(points), math.fsum(latitudes) / len(points)


def overlapping(footprints: Mapping[str, Footprint]) -> list[list[str]]:
    """Join scenes whose footprints overlap by area, directly or through others.

    Returns:
        The scenes, sorted, in lists of one or more.
    """
    from shapely import STRtree
    from shapely.affinity import translate
    from shapely.geometry import Polygon

    names = sorted(footprints)
    whole = [Polygon(footprints[name]) for name in names]
    # across the antimeridian, longitudes go on beyond 180°, and meet those that begin anew at -180°
    polygons = [translate(one, 360) if _far_west(one) and any(map(_across, whole)) else one for one in whole]
    root = list(range(len(names)))

    def root_of(index: int) -> int:
        while root[index] != index:
            root[index] = index = root[root[index]]
        return index

    for one, other in STRtree(polygons).query(polygons, predicate="intersects").T.tolist():
        smaller = min(polygons[one].area, polygons[other].area)
        if one < other and polygons[one].intersection(polygons[other]).area > OVERLAP * smaller:
            low, high = sorted((root_of(one), root_of(other)))
            root[high] = low
    joined: dict[int, list[str]] = {}
    for index, name in enumerate(names):
        joined.setdefault(root_of(index), []).append(name)
    return list(joined.values())


def _across(footprint: Any) -> bool:
    return bool(footprint.bounds[2] > 180)


def _far_west(footprint: Any) -> bool:
    return bool(footprint.bounds[2] < 0)


# --- footprints, remembered -----------------------------------------------------------------------


def read_footprints(images: Sequence[str], memory: Path = MEMORY) -> list[Footprint]:
    """Read where images lie on the ground, from memory as long as neither size nor time of a file has changed.

    Args:
        images: Paths.
        memory: JSON: path → stamp and corners. It can be removed at any time.

    Raises:
        UserError: As :func:`blocks_of`.
    """
    known = read_state(memory) or {}
    stamps = {image: _stamp(image) for image in images}
    new = [image for image, stamp in stamps.items() if image not in known or known[image]["stamp"] != stamp]
    problems = []
    for image in new:
        try:
            known[image] = {"stamp": stamps[image], "corners": _read_corners(image)}
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(_shortened(problems))
    if new:
        write_json(memory, known)
    return [[(longitude, latitude) for longitude, latitude in known[image]["corners"]] for image in images]


def _stamp(image: str) -> list[int] | None:
    """Return a file's size in bytes and its time; None for what is no file of this machine, such as a URL."""
    path = Path(image)
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.exists() else None


def _read_corners(image: str) -> list[Point]:
    import rasterio
    from rasterio.warp import transform

    warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)  # told below, as a problem
    try:
        with rasterio.open(image) as dataset:
            if dataset.crs is None or dataset.transform.is_identity:
                found = f"CRS {dataset.crs}, transform {tuple(dataset.transform)[:6]}"
                cure = "georeference the image, or leave `block` out of `scenes.split`"
                raise UserError(
                    Problem(
                        "no_georeference",
                        image,
                        "georeference",
                        found,
                        "a place on the ground, for `scenes.split.block`",
                        cure,
                    )
                )
            width, height = dataset.width, dataset.height
            xs, ys = zip(
                *(dataset.transform * corner for corner in ((0, 0), (width, 0), (width, height), (0, height))),
                strict=True,
            )
            longitudes, latitudes = transform(dataset.crs, "EPSG:4326", xs, ys)
    except rasterio.errors.RasterioError as error:
        if not Path(image).exists():
            cure = f"make it first, with a config that has no `block`: snakemake --cores 1 {image}"
            raise UserError(
                Problem("image_not_made", image, "image", "not there yet", "an image, for `scenes.split.block`", cure)
            ) from None
        raise UserError(
            Problem(
                "image_unreadable",
                image,
                "image",
                str(error),
                "a raster that GDAL reads",
                "check the file, copy it again",
            )
        ) from None
    if max(longitudes) - min(longitudes) > 180:  # across the antimeridian
        longitudes = [longitude % 360 for longitude in longitudes]
    return list(zip(longitudes, latitudes, strict=True))


def _shortened(problems: Sequence[Problem], most: int = 5) -> list[Problem]:
    if len(problems) <= most:
        return list(problems)
    more = f"{len(problems) - most} more of that kind"
    return [*problems[:most], replace(problems[most], file="images", field="", found=more, expected="", cure="")]
