"""Images that STAC documents on disk name: items, item collections, collections, catalogs. Standard library only.

The format: https://github.com/radiantearth/stac-spec
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from swath.errors import Problem, UserError
from swath.scenes.paths import SEPARATOR, is_remote

RASTERS = ("image/tiff", "image/geo+tiff", "image/jp2", "image/vnd.stac.geotiff", "application/x-geotiff")
"""Media types of images, up to the first `;`."""
ENDINGS = (".tif", ".tiff", ".jp2", ".vrt", ".img")
NO_IMAGES = {"thumbnail", "overview", "metadata", "visual"}
"""Roles of assets that are not what a model sees, where others have the role `data`."""


def is_stac(path: str) -> bool:
    """Tell whether a file is a STAC document, by its name."""
    return path.lower().endswith((".json", ".geojson"))


def stac_images(path: Path, place: str) -> Iterator[str]:
    """Go through the images of a STAC document, and of those it links to: several files of an item joined by `;`.

    Args:
        path: The document.
        place: Where it is named.

    Raises:
        UserError: For documents that are none, and for items without an image.
    """
    found = [image for item, folder in _items(path, place, set()) for image in _images_of(item, folder, path)]
    if not found:
        raise UserError(
            Problem("no_images", place, "apply.images", f"{path}: no item with an image", "items", "check the document")
        )
    yield from found


def _items(path: Path, place: str, seen: set[Path]) -> Iterator[tuple[dict[str, Any], Path]]:
    """Go through all items of a document, with the folder that their relative addresses start at."""
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(_no_stac(path, place, str(error))) from None
    kind = content.get("type") if isinstance(content, dict) else None
    if kind == "Feature" and "assets" in content:
        yield content, path.parent
    elif kind == "FeatureCollection" and all("assets" in item for item in content.get("features", [])):
        yield from ((item, path.parent) for item in content["features"])
    elif kind in ("Catalog", "Collection"):
        for link in content.get("links", []):
            if link.get("rel") in ("item", "child"):
                yield from _items(path.parent / link["href"], place, seen)
    else:
        raise UserError(_no_stac(path, place, f"type {kind!r}"))


def _no_stac(path: Path, place: str, found: str) -> Problem:
    expected = "a STAC item, item collection, collection or catalog"
    return Problem("no_stac", place, "apply.images", f"{path}: {found}", expected, "check the file")


def _images_of(item: dict[str, Any], folder: Path, document: Path) -> Iterator[str]:
    rasters = [asset for asset in item["assets"].values() if _is_raster(asset)]
    data = [asset for asset in rasters if "data" in _roles(asset)]
    chosen = data or [asset for asset in rasters if not NO_IMAGES & _roles(asset)]
    if not chosen:
        found = f"item {item.get('id')!r} has no asset that is an image"
        raise UserError(
            Problem("no_images", str(document), "assets", found, "an asset with the role data", "check the document")
        )
    yield SEPARATOR.join(_address(asset["href"], folder) for asset in chosen)


def _roles(asset: dict[str, Any]) -> set[str]:
    return set(asset.get("roles") or ())


def _is_raster(asset: dict[str, Any]) -> bool:
    media, address = str(asset.get("type", "")), str(asset.get("href", ""))
    return media.split(";")[0].strip().lower() in RASTERS or address.lower().endswith(ENDINGS)


def _address(address: str, folder: Path) -> str:
    if address.startswith("file://"):
        address = unquote(address.removeprefix("file://"))
    if is_remote(address):
        return address
    here = folder / address  # a name may hold a per cent sign of its own
    return os.path.normpath(here if here.exists() else folder / unquote(address))
