"""A map of where scenes lie, as shapes for a page: footprints in the colours of their splits. Standard library only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH = 640.0
"""Of the map, in the units of its shapes."""
HEIGHTS = (120.0, 480.0)
"""The least and the most."""
MARGIN = 18.0
LEAST = 7.0
"""A footprint whose sides are shorter than this gets a dot: on a map of a continent it would not be seen."""
COLOURS = {"train": "#3b7dd8", "validation": "#e08a1e", "test": "#a04fc4"}
OF_FOLDS = ("#3b7dd8", "#2e9d57", "#a04fc4", "#c0392b", "#17a2b8", "#8a6d3b", "#e377c2", "#7f7f7f")
LEAST_EXTENT = 1e-4
"""Degrees of latitude that the map shows at least."""
METRES_OF_A_DEGREE = 111_320.0
"""At the equator."""
LonLat = tuple[float, float]


@dataclass(frozen=True)
class Footprint:
    """A scene, as a map shows it.

    Attributes:
        id: Of the scene.
        part: Its split, or its fold.
        corners: Longitudes and latitudes of its corners in EPSG:4326, all the way round.
    """

    id: str
    part: str
    corners: Sequence[LonLat]


@dataclass(frozen=True)
class Shape:
    """What is drawn of a scene.

    Attributes:
        id, part, colour: Of the scene.
        points: Of a polygon, as SVG takes them.
        x, y: Its middle.
        is_small: Whether it needs a dot to be seen.
    """

    id: str
    part: str
    colour: str
    points: str
    x: float
    y: float
    is_small: bool


@dataclass(frozen=True)
class Locator:
    """A map of where scenes lie.

    Attributes:
        width, height: Of the map, in the units of its shapes.
        shapes: The scenes, the largest part first.
        parts: Split or fold → its colour and number of scenes.
        bar: Length of the scale's bar.
        bar_text: What it stands for, such as 20 km.
        place: Where the map's middle lies, in degrees.
    """

    width: float
    height: float
    shapes: Sequence[Shape]
    parts: Mapping[str, tuple[str, int]]
    bar: float
    bar_text: str
    place: str


def locate(scenes: Sequence[Footprint]) -> Locator | None:
    """Place scenes on a map; None where there are none whose place is known.

    Longitudes are as long as they are at the map's middle; scenes on both sides of the antimeridian lie side by side.
    """
    known = [scene for scene in scenes if all(math.isfinite(value) for corner in scene.corners for value in corner)]
    if not known:
        return None
    rings = _beside_each_other([list(scene.corners) for scene in known])
    west, east = (edge(x for ring in rings for x, _ in ring) for edge in (min, max))
    south, north = (edge(y for ring in rings for _, y in ring) for edge in (min, max))
    middle = ((west + east) / 2, (south + north) / 2)
    shrink = max(math.cos(math.radians(middle[1])), 0.01)
    across, up = max((east - west) * shrink, LEAST_EXTENT), max(north - south, LEAST_EXTENT)
    scale = min((WIDTH - 2 * MARGIN) / across, (HEIGHTS[1] - 2 * MARGIN) / up)
    height = max(up * scale + 2 * MARGIN, HEIGHTS[0])
    colours = colours_of([scene.part for scene in known])

    def place(point: LonLat) -> LonLat:
        return WIDTH / 2 + (point[0] - middle[0]) * shrink * scale, height / 2 - (point[1] - middle[1]) * scale

    shapes = [_shape(scene, [place(p) for p in ring], colours) for scene, ring in zip(known, rings, strict=True)]
    numbers = Counter(shape.part for shape in shapes)
    metres, text = _round_length(WIDTH / 4 / scale * METRES_OF_A_DEGREE)
    return Locator(
        WIDTH,
        height,
        sorted(shapes, key=lambda shape: -numbers[shape.part]),
        {part: (colour, numbers[part]) for part, colour in colours.items()},
        metres / METRES_OF_A_DEGREE * scale,
        text,
        _in_degrees(*middle),
    )


def colours_of(parts: Sequence[str]) -> dict[str, str]:
    """Give splits their colours, and folds some of their own, in the order of a legend."""
    folds = sorted({part for part in parts if part not in COLOURS}, key=lambda part: (len(part), part))
    found = {part: colour for part, colour in COLOURS.items() if part in parts}
    return {fold: OF_FOLDS[number % len(OF_FOLDS)] for number, fold in enumerate(folds)} | found


def _beside_each_other(rings: Sequence[Sequence[LonLat]]) -> list[list[LonLat]]:
    """Turn longitudes by whole circles, where that brings scenes on both sides of the antimeridian together."""
    rings = [[(ring[0][0] + (x - ring[0][0] + 180) % 360 - 180, y) for x, y in ring] for ring in rings]
    east = [[(x + 360 if ring[0][0] < 0 else x, y) for x, y in ring] for ring in rings]

    def width(some: Sequence[Sequence[LonLat]]) -> float:
        every = [x for ring in some for x, _ in ring]
        return max(every) - min(every)

    return [list(ring) for ring in (east if width(east) < width(rings) else rings)]


def _shape(scene: Footprint, corners: Sequence[LonLat], colours: Mapping[str, str]) -> Shape:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    is_small = max(max(xs) - min(xs), max(ys) - min(ys)) < LEAST
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    middle = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    return Shape(scene.id, scene.part, colours[scene.part], points, *middle, is_small)


def _round_length(most: float) -> tuple[float, str]:
    """Choose a round length, in metres, that is no longer than another one, and say it."""
    power = 10.0 ** math.floor(math.log10(most))
    metres = next(step * power for step in (5, 2, 1) if step * power <= most * 1.000001)
    return metres, f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"


def _in_degrees(longitude: float, latitude: float) -> str:
    longitude = (longitude + 180) % 360 - 180
    side, half = "E" if longitude >= 0 else "W", "N" if latitude >= 0 else "S"
    return f"{abs(latitude):.2f}° {half}, {abs(longitude):.2f}° {side}"
