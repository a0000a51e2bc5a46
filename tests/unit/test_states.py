"""What a scene's files hold: noticed whatever their dates, beside and behind the named file; nothing else counts."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from pathlib import Path

import geopandas as gpd
import pytest
from rasterio.shutil import copy as copy_raster
from tiny import pixels, write_image, write_labels

from swath.config.imagery import Imagery
from swath.config.labels import Labels
from swath.files import read_json, sha256
from swath.scenes import states
from swath.scenes.facts import ScenesSpec
from swath.scenes.prepare import prepare_scenes
from swath.scenes.scene import Scene
from swath.scenes.states import Files

SPEC = ScenesSpec("semantic_segmentation", ["null", "field", "forest"], Imagery(), Labels(attribute="kind"))
PNG_STATISTICS = """<PAMDataset><PAMRasterBand band="1">{more}<Histograms><HistItem/></Histograms>
  <Metadata><MDI key="STATISTICS_MEAN">{mean}</MDI></Metadata></PAMRasterBand></PAMDataset>"""


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    write_image(Path("data"), "a")
    write_labels(Path("data"), "a")
    return Scene("a", "train", "data/a.tif", "data/a.gpkg")


def state(scene: Scene) -> str:
    """The state as the next run of Snakemake sees it."""
    files = Files()
    found = files.state([scene])
    files.remember()
    return found


def manifest(scene: Scene) -> bytes:
    prepare_scenes([scene], SPEC, Path("out/scenes"), Path("out/manifest.json"))
    return Path("out/manifest.json").read_bytes()


def keeping_its_date(path: str, content: bytes, days_older: int = 0) -> None:
    """Replace a file as `mv` and `cp -p` do: its date says nothing of it."""
    before = Path(path).stat()
    Path("new").write_bytes(content)
    date = before.st_mtime_ns - days_older * 86_400 * 10**9
    os.utime("new", ns=(date, date))
    Path("new").replace(path)


def test_another_content_of_the_same_size_and_date_is_noticed(scene: Scene) -> None:
    before, made = state(scene), manifest(scene)
    shutil.copytree("data", "corrected")
    write_image(Path("corrected"), "a", pixels("a") + 2000)
    for days_older in (0, 300):
        keeping_its_date("data/a.tif", Path("corrected/a.tif").read_bytes(), days_older)
        assert state(scene) != before
        assert manifest(scene) != made  # so that what reads it is made anew, too


def test_another_date_or_a_copy_of_the_same_content_is_the_same(scene: Scene) -> None:
    before, made = state(scene), manifest(scene)
    shutil.move("data", "elsewhere")
    shutil.copytree("elsewhere", "data", copy_function=shutil.copyfile)
    assert state(scene) == before
    assert manifest(scene) == made
    for file in Path("data").iterdir():
        os.utime(file, (1_000_000_000, 1_000_000_000))
    assert state(scene) == before
    assert manifest(scene) == made


def test_classes_corrected_in_a_shapefiles_table_are_noticed(scene: Scene) -> None:
    gpd.read_file("data/a.gpkg").to_file("data/a.shp")
    scene = Scene("a", "train", "data/a.tif", "data/a.shp")
    before, made = state(scene), manifest(scene)
    table = bytearray(Path("data/a.dbf").read_bytes())
    place = table.rfind(b"field")
    table[place : place + 6] = b"forest"
    keeping_its_date("data/a.dbf", bytes(table))
    assert state(scene) != before
    assert manifest(scene) != made
    assert read_json("out/manifest.json")["scenes"]["a"]["labelled_pixels"]["forest"] == 6400


@pytest.mark.parametrize("name", ["a.tfw", "a.tif.msk", "a.tif.aux.xml", "a.prj", "a.wld", "a.gpkg-wal", "a.TFW"])
def test_what_lies_beside_a_file_is_noticed_and_what_belongs_to_no_library_is_not(scene: Scene, name: str) -> None:
    before = Files().checksums(scene.image) | Files().checksums(scene.labels)
    Path("data", name).write_text("<PAMDataset><SRS>EPSG:32633</SRS></PAMDataset>")
    found = Files().checksums(scene.image) | Files().checksums(scene.labels)
    assert set(found) - set(before) == {f"data/{name}"}
    noted = state(scene)
    for other in ("a.qml", "a.txt", "b.tfw", "a.tif.xml", "ab.prj", "readme"):
        Path("data", other).write_text("of no matter")
    assert state(scene) == noted


def test_statistics_that_a_viewer_writes_change_nothing_and_a_nodata_value_does(scene: Scene) -> None:
    before, made = state(scene), manifest(scene)
    beside = Path("data/a.tif.aux.xml")
    beside.write_text(PNG_STATISTICS.format(more="", mean=3))
    assert Files().checksums(scene.image).keys() == {"data/a.tif"}
    assert manifest(scene) == made
    with_statistics = state(scene)
    beside.write_text(PNG_STATISTICS.format(more="", mean=4))
    assert state(scene) == with_statistics
    beside.write_text(PNG_STATISTICS.format(more="<NoDataValue>0</NoDataValue>", mean=4))
    assert state(scene) not in (before, with_statistics)
    assert manifest(scene) != made


def test_overviews_run_nothing_after_the_stage_scenes(scene: Scene) -> None:
    made = manifest(scene)
    Path("data/a.tif.ovr").write_bytes(Path("data/a.tif").read_bytes())
    assert manifest(scene) == made


def test_sources_behind_virtual_rasters_are_noticed_however_deep(scene: Scene) -> None:
    Path("tiles/deep").mkdir(parents=True)
    shutil.move("data/a.tif", "tiles/deep/a.tif")
    copy_raster("tiles/deep/a.tif", "tiles/inner.vrt", driver="VRT")
    text = Path("tiles/inner.vrt").read_text()  # GDAL's copy would name the innermost file
    Path("data/outer.vrt").write_text(text.replace("deep/a.tif", "../tiles/inner.vrt"))
    outer = Scene("a", "train", "data/outer.vrt", "data/a.gpkg")
    behind = {os.path.normpath(file) for file in Files().of(outer.image)}
    assert behind == {"data/outer.vrt", "tiles/inner.vrt", "tiles/deep/a.tif"}
    before, made = state(outer), manifest(outer)
    Path("corrected").mkdir()
    write_image(Path("corrected"), "a", pixels("a") + 1)
    keeping_its_date("tiles/deep/a.tif", Path("corrected/a.tif").read_bytes())
    assert state(outer) != before
    assert manifest(outer) != made


def test_a_virtual_raster_that_names_itself_or_nothing_ends(scene: Scene) -> None:
    text = '<VRTDataset><SourceFilename relativeToVRT="1">{}</SourceFilename></VRTDataset>'
    Path("data/loop.vrt").write_text(text.format("loop.vrt"))
    Path("data/gone.vrt").write_text(text.format("gone.tif"))
    Path("data/broken.vrt").write_text("<VRTDataset>")
    for name in ("loop", "gone", "broken"):
        assert Files().of(f"data/{name}.vrt") == [f"data/{name}.vrt"]


def test_a_folder_that_is_a_data_set_counts_with_all_it_holds(scene: Scene) -> None:
    Path("data/a.gdb/deep").mkdir(parents=True)
    Path("data/a.gdb/deep/a0001.gdbtable").write_bytes(b"one")
    Path("data/a.gdb/me.lock").write_bytes(b"")
    database = Scene("a", "train", "data/a.tif", "data/a.gdb")
    before = state(database)
    assert Files().of("data/a.gdb") == ["data/a.gdb/deep/a0001.gdbtable"]
    keeping_its_date("data/a.gdb/deep/a0001.gdbtable", b"two")
    assert state(database) != before


def test_an_archive_on_this_machine_counts_and_what_is_elsewhere_does_not(scene: Scene) -> None:
    with zipfile.ZipFile("data/all.zip", "w") as archive:
        archive.write("data/a.tif", "inner/a.tif")
    for name in ("/vsizip/data/all.zip/inner/a.tif", "zip://data/all.zip!inner/a.tif"):
        assert Files().of(name) == ["data/all.zip"]
    assert Files().of("s3://bucket/a.tif;https://host/b.tif") == []


def test_tiles_that_come_to_a_wildcard_are_noticed(scene: Scene) -> None:
    tiles = Scene("a", "train", "data/a*.tif", "data/a.gpkg")
    before = state(tiles)
    shutil.copy("data/a.tif", "data/a2.tif")
    assert state(tiles) != before


def test_a_checksum_is_computed_once_and_again_when_the_file_has_changed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "SETTLED", -1.0)
    computed: list[str] = []
    monkeypatch.setattr(states, "sha256", lambda file: computed.append(str(file)) or sha256(file))
    before = state(scene)
    assert len(computed) == 2
    assert state(scene) == before
    assert len(computed) == 2
    keeping_its_date("data/a.tif", b"x" * Path("data/a.tif").stat().st_size)
    assert state(scene) != before
    assert computed[2:] == ["data/a.tif"]


def test_a_file_that_was_just_written_is_not_trusted(scene: Scene) -> None:
    state(scene)
    assert not states.REMEMBERED.exists()
    past = time.time() - 60
    os.utime("data/a.tif", (past, past))
    state(scene)
    assert not states.REMEMBERED.exists()  # the inode has changed just now, whatever its date says


@pytest.mark.parametrize("noise", ["", "{", "[]", '{"data/a.tif": 3}', '{"data/a.tif": [["x"], 1]}'])
def test_a_damaged_memory_is_none(scene: Scene, noise: str) -> None:
    before = state(scene)
    states.REMEMBERED.parent.mkdir()
    states.REMEMBERED.write_text(noise)
    assert state(scene) == before


def test_large_files_are_planned_by_date_and_made_by_content(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "LARGE", 1000)
    before, made = state(scene), manifest(scene)
    os.utime("data/a.tif", (1_000_000_000, 1_000_000_000))
    assert state(scene) != before  # the stage `scenes` looks …
    assert manifest(scene) == made  # … and finds the same


def test_what_a_rule_has_yet_to_make_is_left_out(scene: Scene) -> None:
    files = Files(leave_out={"data/a.tif"})
    assert files.of(scene.image) == []
    assert files.of(scene.labels) == ["data/a.gpkg"]


def test_thousand_scenes_are_looked_up_in_a_second(scene: Scene) -> None:
    scenes = []
    for number in range(1000):
        for ending in ("tif", "tif.aux.xml", "gpkg"):
            Path(f"data/img{number}.{ending}").write_bytes(b"x" * number)
        scenes.append(Scene(f"img{number}", "train", f"data/img{number}.tif", f"data/img{number}.gpkg"))
    start = time.process_time()
    Files().state(scenes)
    assert time.process_time() - start < 2
