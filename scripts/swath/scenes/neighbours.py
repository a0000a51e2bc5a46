"""What lies around an image: images on one grid are read as one, so that no map shows where one of them ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import rasterio

from swath.scenes.facts import SceneFacts
from swath.scenes.grids import place_on


@dataclass(frozen=True)
class Placed:
    """An image on a grid.

    Attributes:
        facts: The image.
        row, column: Where it begins.
    """

    facts: SceneFacts
    row: int
    column: int

    def touches(self, other: Placed, margin: int) -> bool:
        """Tell whether another image reaches into this one, or nearer to it than a margin."""
        return (
            self.row - margin < other.row + other.facts.height
            and other.row < self.row + self.facts.height + margin
            and self.column - margin < other.column + other.facts.width
            and other.column < self.column + self.facts.width + margin
        )


@dataclass(frozen=True)
class Surroundings:
    """An image with what lies around it, in a frame: the image, grown by a margin as far as others reach.

    Attributes:
        frame: Where the frame lies: the image's facts with the frame's size and transform.
        layers: The image, and those around it in the order given, with their places in the frame. Where several have
            data, the first is seen.
        anchor: Row and column of the frame at which a window's place is counted from: the same place on the ground for
            all images on one grid.
    """

    frame: SceneFacts
    layers: tuple[Placed, ...]
    anchor: tuple[int, int]

    @property
    def row(self) -> int:
        """The row of the frame at which the image begins."""
        return self.layers[0].row

    @property
    def column(self) -> int:
        """The column of the frame at which the image begins."""
        return self.layers[0].column


def surroundings(images: Sequence[SceneFacts], wanted: Collection[str], margin: int) -> dict[str, Surroundings]:
    """Find what lies around images.

    Args:
        images: The images, in the order given.
        wanted: Those whose surroundings are asked for.
        margin: How far around an image others matter, pixels.

    Returns:
        Image → its surroundings; none for those that lie alone.
    """
    found = {}
    for group in _groups(images):
        for image in (one for one in group if one.facts.id in wanted):
            others = [other for other in group if other is not image and image.touches(other, margin)]
            if others:
                found[image.facts.id] = _framed(image, others, margin)
    return found


def _groups(images: Sequence[SceneFacts]) -> list[list[Placed]]:
    """Group images whose pixels lie on one grid, and mean the same."""
    groups: list[list[Placed]] = []
    for facts in images:
        for group in groups:
            place = place_on(facts, group[0].facts)
            if place is not None:
                group.append(Placed(facts, *place))
                break
        else:
            groups.append([Placed(facts, 0, 0)])
    return groups


def _framed(image: Placed, others: Sequence[Placed], margin: int) -> Surroundings:
    around = [image, *others]
    top = max(min(one.row for one in around), image.row - margin)
    left = max(min(one.column for one in around), image.column - margin)
    bottom = min(max(one.row + one.facts.height for one in around), image.row + image.facts.height + margin)
    right = min(max(one.column + one.facts.width for one in around), image.column + image.facts.width + margin)
    corner = rasterio.Affine(*image.facts.transform) @ rasterio.Affine.translation(left - image.column, top - image.row)
    frame = replace(image.facts, height=bottom - top, width=right - left, transform=tuple(corner)[:6])
    layers = tuple(Placed(one.facts, one.row - top, one.column - left) for one in around)
    return Surroundings(frame, layers, (-top, -left))
