"""What the preflight reads of a scene: from the header, from a bounded sample of pixels, from labels and areas."""

from __future__ import annotations

from dataclasses import dataclass

from swath.errors import Problem
from swath.scenes.facts import LabelCounts, SceneImage
from swath.scenes.scene import Scene


@dataclass(frozen=True)
class SurveyedImage(SceneImage):
    """An image's header, and what it means on the ground; `image` is what the scene table names.

    Attributes:
        metres: A pixel's side on the ground.
        footprint: The image's corners in EPSG:4326 (longitude, latitude), all the way round.
    """

    metres: float
    footprint: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Spread:
    """The values of a band: extremes, the 2nd and 98th percentile, and the median."""

    min: float
    low: float
    median: float
    high: float
    max: float


@dataclass(frozen=True)
class Sample:
    """What a sample of an image's pixels holds.

    Attributes:
        nodata: Share of pixels that are without data in all bands.
        nan: Share of pixels that are NaN in a band.
        zero: Share of pixels that hold data and are 0 in all bands.
        bands: Of each band its values; None for transparency and without any value.
        suspects: Value that usually means 'no data' → its largest share in a band.
        shades: Share of values of transparency bands that are neither fully transparent nor opaque.
        checksum: Of the sample; None if it is the same value everywhere.
    """

    nodata: float
    nan: float
    zero: float
    bands: tuple[Spread | None, ...]
    suspects: dict[str, float]
    shades: float
    checksum: str | None


@dataclass(frozen=True)
class LabelStats:
    """What a scene's labels are.

    Attributes:
        pixels: Class → labelled pixels; an estimate for large images.
        exact: Whether it is none.
        features: Number of features in the files; 0 of rasters.
        outside: How many of them lie outside the image.
        invalid: How many of them have been repaired.
        largest_box: Object detection: the longest side of a box in pixels.
        uncovered: Share of the image that no label raster covers.
        counts: What else was counted in what lies on the image.
        place: Where a file lies, and its CRS, that many scenes have in common and that has nothing here; else "".
    """

    pixels: dict[str, int]
    exact: bool
    features: int
    outside: int
    invalid: int
    largest_box: float
    uncovered: float
    counts: LabelCounts
    place: str


@dataclass(frozen=True)
class Area:
    """An area of interest.

    Attributes:
        sides: Width and height of the bounding box of each of its parts within the image, pixels.
    """

    sides: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Reading:
    """What was read of one scene.

    Attributes:
        scene: The scene, as the table names it; of scenes that take turns in folds, the fold.
        header: The image's header, or None if it cannot be read.
        sample: What a sample of pixels holds, or None.
        labels: Key of the label settings → what the labels are, or None if they cannot be used.
        aoi: What the area of interest is, or None.
        problems: What reading itself has met.
    """

    scene: Scene
    header: SurveyedImage | None
    sample: Sample | None
    labels: dict[str, LabelStats | None]
    aoi: Area | None
    problems: tuple[Problem, ...]

    @property
    def id(self) -> str:
        """The scene's id."""
        return self.scene.id

    @property
    def fold(self) -> int | None:
        """The fold in which it validates, if scenes take turns; they count as training scenes."""
        return self.scene.fold

    @property
    def part(self) -> str:
        """What must have nothing in common with other parts: a split, or a fold."""
        return self.split if self.scene.fold is None else f"fold {self.scene.fold}"

    @property
    def split(self) -> str:
        """The scene's split."""
        return self.scene.split

    @property
    def image(self) -> str:
        """The image's path."""
        return self.scene.image

    @property
    def labels_entry(self) -> str:
        """The labels' path, as the scene table names it."""
        return str(self.scene.labels)
