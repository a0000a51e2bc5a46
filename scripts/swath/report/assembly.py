"""What a map of new images is put together of, and what its parts have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import rasterio
import shapely

from swath.config.apply import Apply
from swath.config.predict import Window
from swath.products.catalog import bounds_of
from swath.products.maps import (
    Place,
)
from swath.products.mosaic import same_crs
from swath.products.style import write_polygon_style
from swath.products.tables import write_table
from swath.scenes.areas import named_areas
from swath.scenes.facts import SceneFacts, Transform
from swath.scenes.neighbours import Surroundings
from swath.scenes.paths import paths_of
from swath.scenes.trained_on import BundledModel


@dataclass(frozen=True)
class Assembly:
    """What is put together.

    Attributes:
        name: The map's name.
        images: The images, in the order given.
        around: Image → the image with what lies around it, of those that do not lie alone.
        parts: Image → its parts: first row, row after the last, folder.
        model: The first model.
        bundles: All of them.
        window: The prediction window.
        settings: The section `apply`.
        folder: The map's folder, not yet published.
        published: What it will be called.
    """

    name: str
    images: Sequence[SceneFacts]
    around: Mapping[str, Surroundings]
    parts: Mapping[str, Sequence[tuple[int, int, Path]]]
    model: BundledModel
    bundles: Sequence[str]
    window: Window
    settings: Apply
    folder: Path
    published: Path

    @property
    def classes(self) -> Sequence[str]:
        """Class names by id."""
        return self.model.classes

    @property
    def colours(self) -> Sequence[str]:
        """Colours by id."""
        return self.model.colours


def place_of_image(facts: SceneFacts) -> Place:
    """Return where an image lies."""
    return Place(facts.crs, facts.transform, facts.height, facts.width)


def _crs(place: Place) -> Any:
    return rasterio.CRS.from_user_input(place.crs).to_wkt()


def outline(facts: SceneFacts, grid: Place) -> Any:
    """Return the outline of an image in the CRS of a grid."""
    own = rasterio.Affine(*facts.transform)
    corners = [own @ corner for corner in ((0, 0), (facts.width, 0), (facts.width, facts.height), (0, facts.height))]
    outline = gpd.GeoSeries([shapely.Polygon(corners)], crs=facts.crs)
    return outline.iloc[0] if same_crs(place_of_image(facts), grid) else outline.to_crs(_crs(grid)).iloc[0]


def _six(transform: Sequence[float]) -> Transform:
    a, b, c, d, e, f = transform
    return a, b, c, d, e, f


def areas_of_interest(assembly: Assembly, place: Place) -> dict[str, Any]:
    """Return the polygons of the area of interest by name, in the CRS of a map."""
    paths = paths_of(assembly.settings.aoi)
    grid = replace(
        assembly.images[0],
        crs=_crs(place),
        transform=_six(place.transform),
        height=place.height,
        width=place.width,
        bounds=bounds_of(place),
    )
    return named_areas(paths, grid) if paths else {}


def in_one_crs(tables: Iterable[gpd.GeoDataFrame]) -> Iterator[gpd.GeoDataFrame]:
    """Bring tables to the CRS of the first, one after the other."""
    first: Any = None
    for table in tables:
        first = first or table.crs
        moved: Any = table if table.crs == first else table.to_crs(first)
        yield moved


def write_polygons(assembly: Assembly, parts: gpd.GeoDataFrame | Iterable[gpd.GeoDataFrame], name: str) -> None:
    """Write polygons, boxes or cells as tables, with a style for QGIS; see :func:`write_table`."""
    write_table(parts, assembly.folder / f"{name}.parquet")
    write_polygon_style(assembly.classes, assembly.colours, assembly.folder / f"{name}.qml")


def files_in(folder: Path) -> list[Path]:
    """List the files in a folder and below it, by name."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
