"""What is told of a map: a picture, a text, a catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from swath.files import file_name, sha256
from swath.prediction.apply import CONFIDENCE, SCORES, UNCERTAINTY
from swath.products.areas import MapRasters
from swath.products.catalog import MapItem, write_catalog
from swath.products.mosaic import common_grid, same_crs
from swath.report.assembly import Assembly, files_in, place_of_image
from swath.report.overview import draw_map

SHOWN = (".gpkg", ".parquet", ".csv", ".png", ".vrt")


def tell(
    assembly: Assembly,
    written: Mapping[str, MapRasters],
    boxes: gpd.GeoDataFrame | None,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Write the picture, the catalog and a text."""
    whole = [row for row in rows if str(row["of"]).startswith("map")]
    takes = {row["class"]: f"{row['count']:,}" if "count" in row else f"{row['hectares']:,.1f} ha" for row in whole}
    places = [raster.place for raster in written.values()] or [place_of_image(facts) for facts in assembly.images]
    grid = common_grid(places)
    shown = [raster.labels for raster in written.values() if same_crs(raster.place, grid)]
    title, picture = assembly.name, assembly.folder / "overview.png"
    draw_map(shown, boxes, grid, assembly.classes, assembly.colours, takes, title, picture)
    (assembly.folder / "summary.txt").write_text(_summary(assembly, whole), encoding="utf-8")
    _write_catalog(assembly, written)


def _summary(assembly: Assembly, whole: Sequence[Mapping[str, Any]]) -> str:
    models = f"{len(assembly.bundles)} models, averaged" if len(assembly.bundles) > 1 else assembly.bundles[0]
    images = f"{len(assembly.images)} images" if len(assembly.images) > 1 else assembly.images[0].image
    lines = [f"{assembly.name}: a map of {images} by {models}", ""]
    if whole and whole[0]["of"] != "map":
        lines.insert(1, "(images overlap, and what lies on several of them is counted as often)")
    for row in whole:
        count = f"{row['count']:>9,} " if "count" in row else ""
        share = "" if np.isnan(row["share"]) else f" {100 * row['share']:5.1f} %"
        lines.append(f"  {row['class']:<24}{count}{row['hectares']:>14,.2f} ha{share}")
    if not any(row["hectares"] for row in whole):
        lines.append("  nothing: the images have no data there, or nothing was found")
    lines += ["", f"Map, polygons, areas, a picture   {assembly.published}/"]
    return "\n".join(lines) + "\n"


def _write_catalog(assembly: Assembly, written: Mapping[str, MapRasters]) -> None:
    description = assembly.model.description
    model = {
        "name": Path(assembly.bundles[0]).name,
        "network": assembly.model.network,
        "task": assembly.model.task,
        "classes": list(assembly.classes),
        "colours": list(assembly.colours),
        "bands": list(description.trained_on.bands) if description else [],
        "channels": assembly.model.channels,
        "window": assembly.window.chip_size,
    }
    there = {str(path.relative_to(assembly.folder)): path for path in files_in(assembly.folder)}
    items, used = [], set()
    for name, raster in written.items():
        stem = str(raster.labels.relative_to(assembly.folder).with_suffix(""))
        files = {file: sha256(path) for file, path in there.items() if file in _rasters_of(stem)}
        used |= set(files)
        items.append(MapItem(file_name(name), raster.place, files))
    if not items:
        items = [MapItem("boxes", common_grid([place_of_image(facts) for facts in assembly.images]), {})]
    rest = {file: sha256(path) for file, path in there.items() if file not in used and Path(file).suffix in SHOWN}
    write_catalog(assembly.folder, assembly.name, items, rest, model)


def _rasters_of(stem: str) -> set[str]:
    return {f"{stem}.tif", *(f"{stem}-{kind}" for kind in (CONFIDENCE, SCORES, UNCERTAINTY))}
