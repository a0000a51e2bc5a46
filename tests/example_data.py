"""Folder trees as Raster Vision's examples want them: the same names and formats, tiny generated imagery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import geopandas as gpd
import numpy as np
import rasterio
from experiment import REPOSITORY
from rasterio.transform import from_origin
from shapely.geometry import LineString, Polygon, box

EXAMPLES = REPOSITORY / "config" / "examples"
VEGAS, RIO, POTSDAM = ("EPSG:4326", -115.2, 36.2), ("EPSG:4326", -43.6, -22.9), ("EPSG:32633", 366_000.0, 5_807_000.0)
METRE = 9e-6  # degrees
Place = tuple[str, float, float]
Pixels = np.ndarray[Any, np.dtype[Any]]


def write_image(path: Path, bands: int, dtype: str, side: int, place: Place | None, pixel: float) -> Any:
    """Write noise with a bright square in the middle, where things will be labelled; its transform.

    Args:
        path: The file, whose name decides the format.
        bands, dtype, side: Of the image.
        place: CRS and upper left corner; None for a file without georeference.
        pixel: Side of a pixel, in the CRS's units.
    """
    brightest = min(np.iinfo(dtype).max, 2000)
    noise = np.random.default_rng(crc32(path.name.encode())).integers(1, brightest // 2, (bands, side, side))
    noise[:, side // 4 : side // 2, side // 4 : side // 2] += brightest // 2
    return write_pixels(path, noise.astype(dtype), place, pixel)


def write_pixels(path: Path, pixels: Pixels, place: Place | None, pixel: float) -> Any:
    """Write pixels (bands, rows, columns), with or without georeference."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = pixels.shape
    profile: dict[str, Any] = {"driver": "JPEG" if path.suffix == ".jpg" else "GTiff", "dtype": pixels.dtype}
    if bands == 4:  # a writer that is told nothing takes the fourth for transparency
        profile |= {"photometric": "RGB", "alpha": "NO"}
    transform = None
    if place:
        transform = from_origin(place[1], place[2], pixel, pixel)
        profile |= {"crs": place[0], "transform": transform}
    with rasterio.open(path, "w", width=width, height=height, count=bands, **profile) as image:
        image.write(pixels)
    return transform


def write_shapes(path: Path, shapes: Sequence[Any], crs: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = gpd.GeoDataFrame({"number": range(len(shapes))}, geometry=list(shapes), crs=crs)
    frame.to_crs("EPSG:4326").to_file(path, driver="GeoJSON", engine="pyogrio")


def square(transform: Any, side: int) -> Polygon:
    """The bright square."""
    return box(*transform * (side // 4, side // 2), *transform * (side // 2, side // 4))


def move(place: Place, number: int, by: float) -> Place:
    """A place further east."""
    return place[0], place[1] + number * by, place[2]


def tiny_spacenet(folder: Path) -> None:
    for number, scene in enumerate((205, 25)):
        image = folder / f"data/tiny-spacenet/RGB-PanSharpen_AOI_2_Vegas_img{scene}.tif"
        transform = write_image(image, 3, "uint16", 64, move(VEGAS, number, 0.01), 0.3 * METRE)
        labels = folder / f"data/tiny-spacenet/buildings_AOI_2_Vegas_img{scene}.geojson"
        write_shapes(labels, [square(transform, 64)], VEGAS[0])


def tutorial(folder: Path) -> None:
    for number, split in enumerate(("train", "train", "val", "test")):
        image = folder / f"data/{split}/RGB-PanSharpen_AOI_2_Vegas_img{number}.tif"
        transform = write_image(image, 3, "uint16", 64, move(VEGAS, number, 0.01), 0.3 * METRE)
        labels = folder / f"data/{split}/buildings_AOI_2_Vegas_img{number}.geojson"
        write_shapes(labels, [square(transform, 64)], VEGAS[0])


def vegas(folder: Path, dataset: str, target: str) -> Iterator[tuple[Path, Any]]:
    """Write SpaceNet's images; for each, where its labels go, and its transform."""
    base = folder / f"data/spacenet/{dataset}/train/AOI_2_Vegas"
    prefix = f"{dataset}_train_AOI_2_Vegas"
    for number in range(5):
        image = base / "PS-RGB" / f"{prefix}_PS-RGB_img{number}.tif"
        transform = write_image(image, 3, "uint16", 64, move(VEGAS, number, 0.01), 0.3 * METRE)
        yield base / target / f"{prefix}_{target}_img{number}.geojson", transform


def vegas_buildings(folder: Path) -> None:
    for number, (labels, transform) in enumerate(vegas(folder, "SN2_buildings", "geojson_buildings")):
        write_shapes(labels, [square(transform, 64)] if number else [], VEGAS[0])  # some scenes have no building


def vegas_roads(folder: Path) -> None:
    for labels, transform in vegas(folder, "SN3_roads", "geojson_roads"):
        write_shapes(labels, [LineString([transform * (0, 20), transform * (64, 30)])], VEGAS[0])


def rio(folder: Path) -> None:
    base = folder / "data/spacenet/AOIs/AOI_1_Rio/srcData"
    squares, extent = [], []
    for number in range(5):
        image = base / "mosaic_3band" / f"01302222310{number}.tif"
        transform = write_image(image, 3, "uint8", 64, move(RIO, number, 64 * 0.5 * METRE), 0.5 * METRE)
        squares.append(square(transform, 64))
        extent.append(transform * (32, 32))
    labels = base / "buildingLabels"
    write_shapes(labels / "Rio_Buildings_Public_AOI_v2.geojson", squares, RIO[0])
    area = LineString(extent).buffer(28 * 0.5 * METRE)  # leaves out the edges of the scenes
    write_shapes(labels / "Rio_OUTLINE_Public_AOI.geojson", [area], RIO[0])


def scenes_of(table: str) -> list[str]:
    return [line.partition(",")[0] for line in (EXAMPLES / table).read_text().splitlines()[1:]]


def potsdam(folder: Path) -> None:
    base = folder / "data/isprs-potsdam"
    colours = np.array([[255, 255, 0], [0, 0, 255], [0, 255, 255], [0, 255, 0], [255, 255, 255], [255, 0, 0]])
    for number, scene in enumerate(scenes_of("isprs-potsdam.csv")):
        write_image(
            base / f"4_Ortho_RGBIR/top_potsdam_{scene}_RGBIR.tif", 4, "uint8", 32, move(POTSDAM, number, 300), 0.05
        )
        write_image(base / f"elevation/{scene}.jpg", 1, "uint8", 32, None, 1)
        classes = (np.add.outer(np.arange(32) // 12, np.arange(32) // 16) + number) % 6
        pixels = np.moveaxis(colours[classes], -1, 0).astype("uint8")
        if scene == "6_7":  # as the real one has it
            pixels[0][(pixels[0] == 255) & (pixels[1] == 255) & (pixels[2] == 0)] = 252
        write_pixels(base / f"5_Labels_for_participants/top_potsdam_{scene}_label.tif", pixels, None, 1)


def cowc(folder: Path) -> None:
    for number, scene in enumerate(scenes_of("cowc-potsdam.csv")):
        image = folder / f"data/isprs-potsdam/4_Ortho_RGBIR/top_potsdam_{scene}_RGBIR.tif"
        transform = write_image(image, 4, "uint8", 128, move(POTSDAM, number, 300), 0.05)
        labels = folder / f"data/cowc-potsdam/labels/all/top_potsdam_{scene}_RGBIR.json"
        write_shapes(labels, [square(transform, 128)], POTSDAM[0])


def xview(folder: Path) -> None:
    for number in range(5):
        image = folder / f"data/xview/train_images/{number}.tif"
        transform = write_image(image, 3, "uint8", 128, move(RIO, number, 0.1), 0.3 * METRE)
        (folder / "data/xview/images").mkdir(exist_ok=True)
        (folder / f"data/xview/images/{number}.tif").symlink_to(f"../train_images/{number}.tif")
        write_shapes(folder / f"data/xview/labels/{number}.geojson", [square(transform, 128)], RIO[0])


def write_networks(folder: Path) -> None:
    """Write a definition of networks in two files: ``hubconf.py``, and what that imports, as many repositories do."""
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    (folder / "hubconf.py").write_text('dependencies = ["torch"]\n\nfrom parts.networks import *\n')
    (folder / "parts" / "__init__.py").write_text("")
    (folder / "parts" / "networks.py").write_text(NETWORKS)


NETWORKS = '''"""Small networks with the arguments of those that Raster Vision's examples fetch."""


def make_fpn_resnet(name, fpn_type, num_classes, fpn_channels, in_channels, out_size, pretrained):
    import segmentation_models_pytorch

    assert fpn_type == "panoptic" and out_size[0] == out_size[1] and not pretrained
    return segmentation_models_pytorch.FPN(
        name, encoder_weights=None, decoder_pyramid_channels=fpn_channels, in_channels=in_channels, classes=num_classes
    )


def efficientnet_b0(num_classes, in_channels=3):
    from torchvision.models import mobilenet_v3_small

    return mobilenet_v3_small(num_classes=num_classes)


def detector(num_classes, size):
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    return fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=num_classes, min_size=size, max_size=size
    )
'''
