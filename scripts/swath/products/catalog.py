"""A STAC collection of a map: what there is, where it lies, which model made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
import rasterio
import shapely
from PIL import ImageColor
from pystac.layout import TemplateLayoutStrategy
from rasterio.warp import transform_bounds, transform_geom
from shapely.geometry import box, mapping

from swath.products.maps import FULL_SHARE, NO_SHARE, Place

EXTENSIONS = {
    "projection": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "raster": "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "classification": "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "file": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "mlm": "https://stac-extensions.github.io/mlm/v1.6.0/schema.json",
}
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
MEDIA = {
    ".tif": COG,
    ".gpkg": "application/geopackage+sqlite3",
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".png": "image/png",
    ".vrt": "application/xml",
    ".geojson": "application/geo+json",
}
SOME_DAY = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the day of an image that nothing is known of: the same map is the same bytes, whenever it is made."""


@dataclass(frozen=True)
class MapItem:
    """A map of one image, or of all.

    Attributes:
        name: Its name.
        place: Where it lies.
        files: Its files → their SHA-256, from the catalog's folder.
    """

    name: str
    place: Place
    files: Mapping[str, str]


def write_catalog(
    folder: Path, name: str, items: Sequence[MapItem], files: Mapping[str, str], model: Mapping[str, Any]
) -> None:
    """Write ``collection.json`` and an item for every map.

    Args:
        folder: Where the maps lie.
        name: The map's name.
        items: The maps.
        files: Files of the whole → SHA-256.
        model: Of the model: name, network, task, classes, colours, bands (names), channels (how many), window (pixels).
    """
    extent = pystac.Extent(
        pystac.SpatialExtent([_joint([bounds_of(item.place) for item in items])]),
        pystac.TemporalExtent([[SOME_DAY, SOME_DAY]]),
    )
    described = f"Maps made by a model of {', '.join(model['classes'][1:])}."
    collection = pystac.Collection(name, described, extent, license="other")
    collection.stac_extensions = [EXTENSIONS["file"]]
    for file, checksum in files.items():
        collection.add_asset(_key(file), _asset(f"./{file}", folder / file, checksum))
    for item in items:
        made = pystac.Item(
            item.name, _outline(item.place), list(bounds_of(item.place)), SOME_DAY, _properties(item, model)
        )
        made.stac_extensions = list(EXTENSIONS.values())
        for file, checksum in item.files.items():
            made.add_asset(_key(file), _asset(f"../{file}", folder / file, checksum, model))
        collection.add_item(made)
    collection.normalize_hrefs(f"{folder}/collection.json", strategy=TemplateLayoutStrategy(item_template="items"))
    collection.save(pystac.CatalogType.SELF_CONTAINED)


def _key(file: str) -> str:
    return Path(file).name


def _asset(address: str, path: Path, checksum: str, model: Mapping[str, Any] | None = None) -> pystac.Asset:
    fields: dict[str, Any] = {"file:checksum": f"1220{checksum}", "file:size": path.stat().st_size}
    if path.suffix == ".tif" and model is not None:
        fields |= _bands(path, model)
    kind = "overview" if path.suffix == ".png" else "data"
    return pystac.Asset(address, media_type=MEDIA.get(path.suffix), roles=[kind], extra_fields=fields)


def _bands(path: Path, model: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a raster's bands: class ids with their classes, or shares with the scale that makes them 0..1."""
    with rasterio.open(path) as dataset:
        shares = dataset.nodata == NO_SHARE
        one: dict[str, Any] = {"data_type": "uint8", "nodata": int(dataset.nodata)}
        one |= {"scale": 1 / FULL_SHARE, "offset": 0} if shares else {}
        bands = [{**one, "name": name or "class"} for name in dataset.descriptions]
    fields: dict[str, Any] = {"raster:bands": bands}
    if not shares:
        fields["classification:classes"] = [
            {"value": number, "name": _word(name), "title": name, "color_hint": _colour(colour)}
            for number, (name, colour) in enumerate(zip(model["classes"], model["colours"], strict=True))
        ]
    return fields


def _word(name: str) -> str:
    """Make of a class's name one that the classification extension takes: letters, digits, dash, underscore."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "_" for letter in name)


def _colour(colour: str) -> str:
    return "{:02X}{:02X}{:02X}".format(*ImageColor.getrgb(colour)[:3])


def _properties(item: MapItem, model: Mapping[str, Any]) -> dict[str, Any]:
    crs = rasterio.CRS.from_user_input(item.place.crs)
    code = crs.to_epsg()
    projection: dict[str, Any] = (
        {"proj:code": f"EPSG:{code}"} if code else {"proj:code": None, "proj:wkt2": crs.to_wkt()}
    )
    task = {"chip_classification": "scene-classification"}.get(model["task"], model["task"].replace("_", "-"))
    return {
        **projection,
        "proj:shape": [item.place.height, item.place.width],
        "proj:transform": [*item.place.transform, 0.0, 0.0, 1.0],
        "mlm:name": model["name"],
        "mlm:architecture": model["network"],
        "mlm:framework": "pytorch",
        "mlm:tasks": [task],
        "mlm:input": [_input(model)],
        "mlm:output": [
            {
                "name": model["task"],
                "tasks": [task],
                "result": {"shape": [-1, -1], "dim_order": ["height", "width"], "data_type": "uint8"},
                "classification:classes": [
                    {"value": number, "name": _word(name), "description": name}
                    for number, name in enumerate(model["classes"])
                ],
            }
        ],
    }


def _input(model: Mapping[str, Any]) -> dict[str, Any]:
    """Describe what the model sees."""
    size, channels = model["window"], model["channels"] or -1
    return {
        "name": "image",
        "bands": [name or str(number) for number, name in enumerate(model["bands"], start=1)],
        "input": {
            "shape": [-1, channels, size, size],
            "dim_order": ["batch", "channel", "height", "width"],
            "data_type": "float32",
        },
    }


def bounds_of(place: Place) -> tuple[float, float, float, float]:
    """Return the bounds of a raster in EPSG:4326."""
    grid = rasterio.Affine(*place.transform)
    corners = [grid @ corner for corner in ((0, 0), (place.width, 0), (0, place.height), (place.width, place.height))]
    xs, ys = zip(*corners, strict=True)
    west, south, east, north = transform_bounds(place.crs, "EPSG:4326", min(xs), min(ys), max(xs), max(ys))
    return west, south, east, north


def _outline(place: Place) -> dict[str, Any]:
    grid = rasterio.Affine(*place.transform)
    corners = [grid @ corner for corner in ((0, 0), (place.width, 0), (place.width, place.height), (0, place.height))]
    geometry: dict[str, Any] = transform_geom(place.crs, "EPSG:4326", mapping(shapely.Polygon(corners)))
    return geometry


def _joint(bounds: Sequence[tuple[float, float, float, float]]) -> list[float]:
    return list(shapely.union_all([box(*one) for one in bounds]).bounds)
