"""Windows read straight from the image: the same bytes as Raster Vision's own windows."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rastervision.core.box import Box
from rastervision.core.data import RasterioSource
from rastervision.core.data.raster_source import rasterio_source

from swath.rv import windows

HEIGHT, WIDTH = 120, 140
INSIDE = [Box(0, 0, HEIGHT, WIDTH), Box(0, 0, 1, 1), Box(7, 11, 71, 75), Box(90, 100, HEIGHT, WIDTH)]
OVER_THE_EDGE = [Box(-20, -10, 30, 40), Box(100, 120, 150, 170), Box(-5, -5, HEIGHT + 5, WIDTH + 5)]
ALPHA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
NORTH_UP = rasterio.Affine(10, 0, 330_000, 0, -10, 5_820_000)
ROTATED = rasterio.Affine(9, 1, 330_000, 2, -9, 5_820_000)

Image = Callable[..., Path]


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Write an image of random values, a third of them the nodata value."""

    def write(
        bands: int,
        dtype: str,
        nodata: float | None = None,
        mask: bool = False,
        alpha: bool = False,
        transform: rasterio.Affine = NORTH_UP,
    ) -> Path:
        random = np.random.default_rng(bands)
        pixels = random.integers(0, 200, (bands, HEIGHT, WIDTH)).astype(dtype)
        holes = random.random((HEIGHT, WIDTH)) < 1 / 3
        if nodata is not None:
            pixels[:, holes] = nodata
            pixels[0, :20] = nodata
        if alpha:
            pixels[-1] = np.where(holes, 0, 200)
        profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": bands, "dtype": dtype}
        profile |= {"nodata": nodata, "tiled": True, "blockxsize": 64, "blockysize": 64}
        path = tmp_path / "image.tif"
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=transform) as dataset,
        ):
            dataset.write(pixels)
            if alpha:
                dataset.colorinterp = ALPHA
            if mask:
                dataset.write_mask(~holes)
        return path

    return write


@pytest.fixture
def as_raster_vision(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Any]:
    """Call a function while Raster Vision reads on its own."""

    def call(function: Callable[[], Any]) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(rasterio_source, "read_window", windows.read_boundless)
            return function()

    return call


@pytest.fixture
def never_boundless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "read_boundless", lambda *_: pytest.fail("read by Raster Vision's function"))


IMAGES: dict[str, dict[str, Any]] = {
    "RGB": {"bands": 3, "dtype": "uint8"},
    "six bands, nodata 0": {"bands": 6, "dtype": "uint16", "nodata": 0},
    "six bands, nodata 65535": {"bands": 6, "dtype": "uint16", "nodata": 65535},
    "NaN": {"bands": 2, "dtype": "float32", "nodata": float("nan")},
    "floats": {"bands": 2, "dtype": "float32", "nodata": -9999.0},
    "mask": {"bands": 3, "dtype": "uint8", "mask": True},
    "alpha": {"bands": 4, "dtype": "uint8", "alpha": True},
}
LEFT_TO_RASTER_VISION: dict[str, dict[str, Any]] = {
    "mask and nodata": {"bands": 3, "dtype": "uint8", "mask": True, "nodata": 7},
    "infinite nodata": {"bands": 1, "dtype": "float32", "nodata": float("inf")},
    "long integers": {"bands": 1, "dtype": "uint32", "nodata": 4294967295},
    "rotated": {"bands": 3, "dtype": "uint8", "transform": ROTATED},
}


@pytest.mark.parametrize("kind", [*IMAGES, *LEFT_TO_RASTER_VISION])
@pytest.mark.parametrize("windows", [INSIDE, OVER_THE_EDGE], ids=["inside", "over the edge"])
@pytest.mark.parametrize("out_shape", [None, (33, 21)], ids=["", "resized"])
def test_chips_are_raster_visions(
    kind: str,
    windows: list[Box],
    out_shape: tuple[int, int] | None,
    image: Image,
    as_raster_vision: Callable[[Callable[[], Any]], Any],
) -> None:
    source = RasterioSource(str(image(**(IMAGES | LEFT_TO_RASTER_VISION)[kind])))
    for bands in (None, [0], slice(None, None, -1)):
        for window in windows:

            def chip(window: Box = window, bands: Any = bands) -> np.ndarray:
                return source.get_chip(window, bands=bands, out_shape=out_shape)

            ours, theirs = chip(), as_raster_vision(chip)
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            assert ours.tobytes() == theirs.tobytes(), (window, bands)


class Spy:
    """A dataset that keeps the options it is read with."""

    def __init__(self, dataset: Any) -> None:
        self.dataset, self.calls = dataset, list[dict[str, Any]]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataset, name)

    def read(self, **options: Any) -> Any:
        self.calls.append(options)
        return self.dataset.read(**options)


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.usefixtures("never_boundless")
def test_windows_inside_are_read_plainly_and_masked_only_where_there_is_a_mask(kind: str, image: Image) -> None:
    source = RasterioSource(str(image(**IMAGES[kind])))
    source.image_dataset = Spy(source.image_dataset)
    for window in INSIDE:
        source.get_chip(window)
    calls = source.image_dataset.calls
    assert len(calls) == len(INSIDE)
    assert not any("boundless" in options for options in calls)
    assert {options["masked"] for options in calls} == {kind != "RGB"}


@pytest.mark.parametrize("kind", LEFT_TO_RASTER_VISION)
def test_what_a_virtual_raster_changes_is_left_to_raster_vision(kind: str, image: Image) -> None:
    source = RasterioSource(str(image(**LEFT_TO_RASTER_VISION[kind])))
    source.image_dataset = Spy(source.image_dataset)
    source.get_chip(INSIDE[-1])
    assert [options["boundless"] for options in source.image_dataset.calls] == [True]


@pytest.mark.parametrize("is_masked", [True, False])
@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("window", [None, ((3, 20), (5, 40)), ((5, 5), (3, 9)), rasterio.windows.Window(5, 3, 35, 17)])
def test_the_function_itself_takes_what_raster_visions_takes(
    kind: str, window: Any, is_masked: bool, image: Image
) -> None:
    with rasterio.open(image(**IMAGES[kind])) as dataset:
        for bands in (None, [dataset.count, 1]):
            ours = windows.read_window(dataset, bands, window, is_masked)
            theirs = windows.read_boundless(dataset, bands, window, is_masked)
            assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


@pytest.mark.parametrize(
    "of_band",
    [
        "<NoDataValue>{band}</NoDataValue>",
        "<NoDataValue>0.5</NoDataValue>",
        "<MaskBand><VRTRasterBand dataType='Byte'>{source}</VRTRasterBand></MaskBand>",
    ],
    ids=["nodata by band", "nodata no pixel can have", "mask by band"],
)
def test_masks_a_virtual_raster_does_not_know_are_left_to_raster_vision(
    of_band: str, image: Image, tmp_path: Path, as_raster_vision: Callable[[Callable[[], Any]], Any]
) -> None:
    path, bands = image(3, "uint8"), ""
    for band in (1, 2, 3):
        file = f"<SimpleSource><SourceFilename>{path}</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource>"
        bands += f"<VRTRasterBand dataType='Byte' band='{band}'>{of_band.format(band=band, source=file)}{file}"
        bands += "</VRTRasterBand>"
    mosaic = tmp_path / "mosaic.vrt"
    place = "<GeoTransform>330000, 10, 0, 5820000, 0, -10</GeoTransform>"
    mosaic.write_text(f"<VRTDataset rasterXSize='{WIDTH}' rasterYSize='{HEIGHT}'>{place}{bands}</VRTDataset>")
    source = RasterioSource(str(mosaic))
    for window in INSIDE:
        theirs = as_raster_vision(lambda window=window: source.get_chip(window))
        assert source.get_chip(window).tobytes() == theirs.tobytes()


def test_a_handle_that_is_not_ours_alone_is_left_to_raster_vision(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = RasterioSource(str(image(3, "uint8")))
    left = []
    monkeypatch.setattr(windows, "read_boundless", lambda *arguments: left.append(arguments) or np.zeros((1, 1, 3)))
    source.get_chip(INSIDE[1])
    assert not left
    child = os.fork()
    if child == 0:
        try:
            source.get_chip(INSIDE[1])
        finally:
            os._exit(len(left))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_threads_that_read_at_once_get_the_pixels_of_their_own_windows(image: Image, never_boundless: None) -> None:
    source = RasterioSource(str(image(6, "uint16", nodata=0)))
    windows = [Box(y, x, y + 9, x + 7) for y in range(0, HEIGHT - 9, 5) for x in range(0, WIDTH - 7, 5)]
    one_by_one = [source.get_chip(window).tobytes() for window in windows]
    with ThreadPoolExecutor(8) as threads:
        assert [chip.tobytes() for chip in threads.map(source.get_chip, windows)] == one_by_one
