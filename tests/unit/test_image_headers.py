"""What headers say of images' values is read: palettes, scales, pages, names of bands, places on the ground."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from looking import Looked, look
from PIL import Image
from tiny import BANDS, TINY, grid, pixels, write_image, write_label_raster, write_tiny

from swath.errors import UserError
from swath.scenes.images import read_header
from swath.scenes.paths import paths_of

DATA = Path("data")
RASTERS = {"mapping": {"1": "field", "2": "forest"}}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenes as they are, written once."""
    folder = tmp_path_factory.mktemp("plain") / "data"
    write_tiny(folder)
    return folder


@pytest.fixture(autouse=True)
def scenes_here(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(plain, DATA)


def looked(imagery: dict[str, Any] | None = None, **changes: Any) -> Looked:
    return look({**deepcopy(TINY), "imagery": imagery or {}, **changes})


def in_table(old: str, new: str) -> None:
    table = DATA / "scenes.csv"
    table.write_text(table.read_text().replace(old, new))


# --- values -------------------------------------------------------------------------------------------------------


def with_palette(scene: str) -> None:
    path = write_image(DATA, scene, pixels(scene, 1).astype(np.uint8), bands=(None,), photometric="palette")
    with rasterio.open(path, "r+") as image:
        image.write_colormap(1, {value: (value, 255 - value, 0, 255) for value in range(256)})


def test_indices_of_a_palette_are_told() -> None:
    for scene in "abcd":
        with_palette(scene)
    found = looked()
    assert len(found.told("palette_indices")) == 4
    assert "gdal_translate -expand rgb" in found.told("palette_indices")[0]


def test_a_palette_among_files_that_are_stacked_is_told_unless_the_band_is_left_out() -> None:
    for scene in "abcd":
        path = write_image(DATA, f"{scene}-classes", pixels(scene, 1).astype(np.uint8), bands=("classes",))
        with rasterio.open(path, "r+") as image:
            image.colorinterp = [rasterio.enums.ColorInterp.palette]
            image.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)})
        in_table(f"{scene}.tif", f"{scene}.tif;data/{scene}-classes.tif".replace("data/", ""))
    assert len(looked({"files": "bands"}).told("palette_indices")) == 4
    assert looked({"files": "bands", "bands": [*BANDS]}).told("palette_indices") == []


def scale(path: Path, scales: tuple[float, ...], offsets: tuple[float, ...]) -> None:
    with rasterio.open(path, "r+") as image:
        image.scales, image.offsets = scales, offsets


def test_scales_and_offsets_that_differ_between_scenes_are_told() -> None:
    """Sentinel-2 before and after baseline 04.00."""
    for scene in "abcd":
        scale(DATA / f"{scene}.tif", (1e-4,) * 3, (-0.1 if scene in "bd" else 0.0,) * 3)
    told = looked().told("scaling_differs")
    assert ["data/b.tif" in told[0], "data/d.tif" in told[1], len(told)] == [True, True, 2]
    assert "offset -0.1" in told[0] and "offset 0, as in data/a.tif" in told[0]


def test_a_scale_that_all_scenes_have_or_of_a_band_that_is_not_seen_is_not_told() -> None:
    for scene in "abcd":
        scale(DATA / f"{scene}.tif", (1e-4, 1e-4, 1.0 if scene == "b" else 2.0), (-0.1,) * 3)
    assert looked({"bands": ["red", "green"]}).told("scaling_differs") == []
    assert len(looked().told("scaling_differs")) == 1


def test_tiles_with_other_offsets_do_not_go_together() -> None:
    halves_of_a()
    scale(DATA / "a-east.tif", (1.0,) * 3, (-1000.0,) * 3)
    assert "scale 1, offset -1000" in looked({"files": "mosaic"}).told("files_differ")[0]


def paged(path: Path, driver_options: dict[str, Any] | None = None) -> None:
    first = Image.fromarray(np.full((80, 80), 1, np.uint8))
    first.save(path, save_all=True, append_images=[Image.fromarray(np.full((80, 80), 2, np.uint8))])


def test_further_pages_of_images_and_label_rasters_are_told() -> None:
    for scene in "abcd":
        write_label_raster(DATA, scene)
    in_table(".gpkg", "-labels.tif")
    paged(DATA / "b-labels.tif")
    paged(DATA / "a.tif")
    (DATA / "a.tif.aux.xml").unlink(missing_ok=True)
    with rasterio.open(DATA / "a.tif", "r+") as image:
        image.crs, image.transform = "EPSG:32633", grid("a")
    found = looked(labels=RASTERS)
    assert sorted(text.split("\n")[1].split(":")[0] for text in found.told("further_pages")) == [
        "data/a.tif",
        "data/b-labels.tif",
    ]


def test_a_file_of_several_images_and_no_bands_is_told(tmp_path: Path) -> None:
    """A container, such as netCDF: GDAL opens it without a band."""
    gpkg = DATA / "several.gpkg"
    for name in ("one", "two"):
        profile = {"driver": "GPKG", "width": 80, "height": 80, "count": 3, "dtype": "uint8", "crs": "EPSG:32633"}
        with rasterio.open(
            gpkg, "w", **profile, transform=grid("a"), raster_table=name, append_subdataset=gpkg.exists()
        ) as image:
            image.write(np.ones((3, 80, 80), np.uint8))
    with pytest.raises(UserError) as caught:
        read_header(str(gpkg))
    assert "images within: one, two" in str(caught.value)


# --- bands --------------------------------------------------------------------------------------------------------


def halves_of_a(bands: tuple[str | None, ...] = BANDS) -> None:
    """Scene a in two tiles; red is about 1,500, green 6,000, nir 20,000."""
    values = {"red": 1500, "green": 6000, "nir": 20000}
    for name, shift, names in (("west", 0, BANDS), ("east", 40, bands)):
        order = [values.get(str(band), 1) for band in names]
        tile = np.array(order, np.uint16)[:, None, None] * np.ones((1, 80, 40), np.uint16)
        place = grid("a") @ rasterio.Affine.translation(shift, 0)
        write_image(DATA, f"a-{name}", tile, transform=place, bands=names)
    in_table("a.tif", "a-west.tif;a-east.tif")


def test_tiles_are_joined_by_the_names_of_their_bands() -> None:
    halves_of_a(("nir", "green", "red"))
    facts = looked({"files": "mosaic", "bands": ["red", "green", "nir"]}).facts("a")["a"]
    assert facts.bands == BANDS
    with rasterio.open(facts.image) as image:
        assert [image.read(number)[:, 40:].mean() for number in (1, 2, 3)] == [1500, 6000, 20000]


def test_tiles_with_other_names_are_told_and_without_names_joined_by_number() -> None:
    halves_of_a(("red", "green", "swir"))
    assert "red, green, swir" in looked({"files": "mosaic"}).told("files_differ")[0]
    halves_of_a((None, None, None))
    assert "files_differ" not in looked({"files": "mosaic"}).codes


def test_wildcards_are_sorted_by_number() -> None:
    for name in ("T33_B10", "T33_B1", "T33_B8A", "T33_B11", "T33_B2", "T33_B9", "T33_B8"):
        (DATA / f"{name}.jp2").touch()
    names = [Path(path).stem.split("_")[1] for path in paths_of("data/T33_B*.jp2")]
    assert names == ["B1", "B2", "B8", "B8A", "B9", "B10", "B11"]
    for name in ("tile-10-2", "tile-9-11", "tile-9-2", "tile-02"):
        (DATA / f"{name}.tif").touch()
    names = [Path(path).stem for path in paths_of("data/tile-*.tif")]
    assert names == ["tile-02", "tile-9-2", "tile-9-11", "tile-10-2"]


def test_bands_in_another_order_are_told_and_naming_them_is_the_cure() -> None:
    write_image(DATA, "b", bands=("nir", "green", "red"))
    assert "name the bands in `imagery.bands`" in looked().told("band_order_differs")[0]
    assert looked({"bands": [*BANDS]}).codes == []
    write_image(DATA, "b", bands=("red", "green", "swir"))
    assert "give all scenes the same bands" in looked().told("band_order_differs")[0]


def test_an_elevation_model_under_all_scenes_is_neither_an_image_in_two_splits_nor_another_order() -> None:
    west, north = grid("a").c, grid("a").f
    place = rasterio.transform.from_origin(west, north, 20, 20)
    write_image(DATA, "a-dem", pixels("z", 1, 200), transform=place, bands=(None,))
    for scene in "abcd":
        write_image(DATA, scene, pixels(scene, 1), bands=(None,))
        in_table(f"{scene}.tif", f"{scene}.tif;a-dem.tif")
    assert looked({"files": "bands"}).codes == []


def test_scenes_that_share_an_elevation_model_and_overlap_are_told_as_overlapping() -> None:
    place = rasterio.transform.from_origin(grid("a").c, grid("a").f, 20, 20)
    write_image(DATA, "a-dem", pixels("z", 1, 200), transform=place, bands=("height",))
    write_image(DATA, "c", transform=grid("b") @ rasterio.Affine.translation(60, 0))
    for scene in "abcd":
        in_table(f"{scene}.tif", f"{scene}.tif;a-dem.tif")
    found = looked({"files": "bands"})
    assert "image_in_two_splits" not in found.codes
    assert "25%" in found.told("spatial_overlap")[0]


def test_who_overfits_on_purpose_can_allow_it_by_the_name_that_is_told() -> None:
    in_table("c.tif,c.gpkg", "a.tif,a.gpkg")
    told = looked().told("image_in_two_splits")
    assert "checks: {allow: [image_in_two_splits]}" in told[0]
    assert not any(finding.stops for finding in looked(checks={"allow": ["image_in_two_splits"]}).findings)


# --- places -------------------------------------------------------------------------------------------------------


LOCAL = 'LOCAL_CS["mine grid",UNIT["metre",1]]'
ENGINEERING = 'ENGCRS["site",EDATUM["peg"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'


@pytest.mark.parametrize("crs", [LOCAL, ENGINEERING])
def test_a_crs_that_leads_nowhere_is_told_shortly(crs: str) -> None:
    for scene in "abcd":
        write_image(DATA, scene, crs=crs)
    found = looked()
    assert set(found.codes) == {"no_georeference"}
    assert all(len(text) < 300 for text in found.told("no_georeference"))
    assert "a CRS that leads to no place" in found.told("no_georeference")[0]


def test_coordinates_that_a_projection_does_not_reach_are_told() -> None:
    write_image(DATA, "a", transform=rasterio.transform.from_origin(1e12, 1e12, 10, 10))
    assert "no_georeference" in looked().codes
