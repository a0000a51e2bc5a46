"""What is known of a scene once its files have been read: the image's header, where its labels lie, what they hold."""

from __future__ import annotations

from dataclasses import dataclass, field

from swath.config.imagery import Imagery
from swath.config.labels import Labels
from swath.config.tasks import Task

Transform = tuple[float, float, float, float, float, float]
"""The six coefficients of an affine transform from pixels (column, row) to coordinates, as rasterio has them."""
Bounds = tuple[float, float, float, float]
"""West, south, east, north."""


@dataclass(frozen=True)
class ScenesSpec:
    """What the results of the stage `scenes` depend on, beside the scenes.

    Attributes:
        task: The experiment's task.
        classes: Class names by id.
        imagery: The settings `files`, `nodata` and `bands`; the others are of no matter here.
        labels: The `labels` settings.
    """

    task: Task
    classes: list[str]
    imagery: Imagery
    labels: Labels


@dataclass(frozen=True)
class ImageHeader:
    """What an image's header says.

    Attributes:
        width, height: Pixels.
        count: Number of bands.
        bands: Their names, as far as they have some.
        dtype: Type of the pixels.
        crs: Coordinate reference system, as WKT.
        transform: From pixels to the CRS.
        bounds: In EPSG:4326.
        nodata: The nodata value; that of the first band, if they differ.
        nodata_of_bands: The nodata values as text, so that NaN equals itself.
        alpha: 0-based indices of bands of transparency.
        masked: Whether there is a mask beside nodata values.
        gdal_path: The path as GDAL takes it.
        palettes: 0-based indices of bands whose values are numbers of colours in a table.
        scaling: Scale and offset of each band: what a value means is value × scale + offset.
        pages: How many further pages the file holds.
    """

    width: int
    height: int
    count: int
    bands: tuple[str | None, ...]
    dtype: str
    crs: str
    transform: Transform
    bounds: Bounds
    nodata: float | None
    nodata_of_bands: tuple[str | None, ...]
    alpha: tuple[int, ...]
    masked: bool
    gdal_path: str
    palettes: tuple[int, ...]
    scaling: tuple[tuple[float, float], ...]
    pages: int


@dataclass(frozen=True)
class SceneImage(ImageHeader):
    """A scene's image: the header of all its files together.

    Attributes:
        image: The path to read.
        files: The files it consists of.
        named_by_files: 0-based indices of bands that have no name but their file's.
        paged: The files among them that hold further pages.
    """

    image: str
    files: tuple[str, ...]
    named_by_files: tuple[int, ...]
    paged: tuple[str, ...]


@dataclass(frozen=True)
class LabelCounts:
    """What the preflight tells of labels, beside their classes: counted in what lies on one image.

    Attributes:
        features: Features on the image; 0 of rasters.
        classless: How many of them have no class in the attribute.
        met: Entries of `labels.mapping` and `labels.colours` that features or pixels have.
        defaulted: Value without a class of its own → how many features or pixels `labels.default_class` took.
        loose_parts: Lines and points beside polygons in one feature, which were left out.
        duplicates: Object detection: boxes that another one equals.
        empty_boxes: Object detection: boxes that lie wholly where the image has no data.
        shares_inside: Object detection: of boxes that reach over the image's edge, the shares that lie inside.
        hidden_pixels: Labelled pixels at which the image has no data.
        pages: Files that hold further pages, which are not read.
    """

    features: int = 0
    classless: int = 0
    met: tuple[str, ...] = ()
    defaulted: dict[str, int] = field(default_factory=dict)
    loose_parts: int = 0
    duplicates: int = 0
    empty_boxes: int = 0
    shares_inside: tuple[float, ...] = ()
    hidden_pixels: int = 0
    pages: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelFacts:
    """What a scene's labels hold.

    Attributes:
        labelled_pixels: Class → pixels.
        repaired: How many geometries were invalid.
        outside_labels: Share of the image that no label raster covers.
        counts: What the preflight tells of them.
    """

    labelled_pixels: dict[str, int]
    repaired: int = 0
    outside_labels: float = 0.0
    counts: LabelCounts = field(default_factory=LabelCounts)


@dataclass(frozen=True)
class SceneFacts(SceneImage):
    """All that the stage `scenes` has found out about a scene.

    Attributes:
        id: The scene's id.
        split: train, validation or test.
        common_labels: Whether other scenes have the same labels files.
        labels: Its harmonised vector labels (GeoJSON, EPSG:4326); None without labels, and where they are rasters.
        label_raster: Its class ids on the image's grid; None for a scene without labels.
        aoi: Its area of interest (GeoJSON, EPSG:4326), if there is one.
        evaluated: Where Raster Vision's evaluator looks, if not everywhere (GeoJSON, EPSG:4326).
        labelled_pixels: Class → pixels; None for a scene without labels.
        repaired: How many geometries of its labels were invalid.
        outside_labels: Share of the image that no label raster covers.
        maps: Name of the folder of its maps.
        sha256: Checksums of `labels`, `label_raster` and `aoi`, as far as they are there.
        inputs: What it was read from: image, labels and aoi → file → checksum, with what lies beside and behind them.
            Whatever reads a manifest is made anew when one of these changes.
    """

    id: str
    split: str
    common_labels: bool
    labels: str | None
    label_raster: str | None
    aoi: str | None
    evaluated: str | None
    labelled_pixels: dict[str, int] | None
    repaired: int
    outside_labels: float
    maps: str
    sha256: dict[str, str]
    inputs: dict[str, dict[str, str]]
