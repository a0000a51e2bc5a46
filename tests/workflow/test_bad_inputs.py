"""Bad inputs: each is told in seconds, with file, field, what was found and the cure.

Most are told in this process, by the functions that the Snakefile calls before its first job; those that name a
`command` are told by the whole command.

Every test's docstring is a row of docs/checks.md (`make reference` writes it there).
"""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import chdir, redirect_stderr
from copy import deepcopy
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from experiment import Project, with_setting
from rasterio import Affine
from shapely.geometry import LineString, Polygon
from spent import Spent
from tiny import (
    BANDS,
    SIDE,
    TINY,
    grid,
    halves,
    pixels,
    square,
    write_image,
    write_label_raster,
    write_labels,
    write_tiny,
)
from tiny_bundle import texts, write_bundle

from swath.checks.context import request_of
from swath.checks.new_images import check_before
from swath.checks.preflight import preflight
from swath.checks.read_scenes import read_scene
from swath.checks.readings import Reading
from swath.config.load import read_yaml, trains
from swath.config.records import of_json, to_json
from swath.errors import ending_the_program
from swath.scenes.facts import ScenesSpec
from swath.scenes.images import read_header
from swath.scenes.scene import Scene
from swath.smk.run import accuracy_or_exit, application_or_exit, map_or_exit, plan_or_exit

pytestmark = pytest.mark.workflow

REPORT = Path("experiments/tiny/validation.html")


class Experiment(Project):
    """A tiny experiment, good until a test spoils it."""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def file(self) -> str:
        return str(self.folder / "config.yaml")

    def set(self, field: str, value: Any) -> None:
        self.config = with_setting(self.config, field, value)

    def replace_in_table(self, old: str, new: str) -> None:
        table = self.data / "scenes.csv"
        assert old in table.read_text()
        table.write_text(table.read_text().replace(old, new))

    def add_row(self, row: str) -> None:
        with (self.data / "scenes.csv").open("a") as table:
            table.write(row + "\n")

    def is_refused(self, code: str, *, file: str, field: str, found: str, cure: str, command: str | None = None) -> str:
        """Look for one message, told while the config and the table are read.

        Args:
            code: What the message begins with.
            file, field, found, cure: What its lines say, in part.
            command: What to type; None does in this process what a run does before its first job.
        """
        said = self._said_when_run(command)
        assert [message for message in said.split("\n\n") if _says(message, code, file, field, found, cure)], said
        assert self._written() == []
        return said

    def is_told(self, code: str, *, file: str, field: str, found: str, cure: str, command: str | None = None) -> str:
        """Look for one message of the preflight, and for the report; arguments as above."""
        said = self._said_when_run(command)
        assert [message for message in said.split("\n\n") if _says(message, code, file, field, found, cure)], said
        assert self._written() == [REPORT]
        assert code in (self.results / REPORT).read_text()
        return said

    def _said_when_run(self, command: str | None) -> str:
        start = Spent.now()
        said = self.command_says(*command.split()[1:]) if command else self.check_says()
        assert Spent.now().since(start) < 10
        return said

    def command_says(self, *arguments: str) -> str:
        """Run Snakemake, which fails; what it says."""
        done = self.snakemake(*arguments, check=False)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stdout
        assert not list((self.folder / ".snakemake" / "locks").glob("*"))
        return done.stdout

    def _written(self) -> list[Path]:
        return [path.relative_to(self.results) for path in self.results.rglob("*") if path.is_file()]

    def check_says(self) -> str:
        """Check in this process, which fails; what is said before the program ends."""
        said = io.StringIO()
        with chdir(self.folder), redirect_stderr(said), pytest.raises(SystemExit) as ended:
            self.check()
        assert ended.value.code == 1
        return said.getvalue()

    def check(self) -> None:
        """Make the plan and check it, as the Snakefile does."""
        file = self.write()
        if not trains(read_yaml(file)):
            application = application_or_exit(read_yaml(file), [file])
            accuracy_or_exit(application, [file], "results", is_main=True)
            new = map_or_exit(application, [file], "results")
            assert new is not None
            with ending_the_program():
                check_before(new, new.bundles, read_here)
            return
        plan = plan_or_exit(read_yaml(file), [file])
        with ending_the_program():
            preflight(request_of(plan, [file]), "results" / REPORT, read_here)


def _says(message: str, code: str, file: str, field: str, found: str, cure: str) -> bool:
    title = rf"^{re.escape(file)}(:\d+)?: .*{re.escape(field)}" if field else rf"^{re.escape(file)}(:\d+)?$"
    return (
        bool(re.search(title, message, re.MULTILINE))
        and bool(re.search(rf"^  found: .*{re.escape(found)}", message, re.MULTILINE))
        and bool(re.search(rf"^  cure: .*{re.escape(cure)}", message, re.MULTILINE))
        and bool(re.search(rf"^(ERROR|WARNING) {code}$", message, re.MULTILINE))
    )


def read_here(scenes: Sequence[Scene], specs: Mapping[str, ScenesSpec]) -> list[Reading]:
    """Read scenes as the preflight's process does, and hand on what it would write; without starting it."""
    written = json.loads(json.dumps([to_json(read_scene(scene, specs)) for scene in scenes]))
    return [of_json(Reading, reading) for reading in written]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny(folder)
    return folder


@pytest.fixture
def good(tiny: Path, tmp_path: Path) -> Experiment:
    shutil.copytree(tiny, tmp_path / "data")
    return Experiment(tmp_path, deepcopy(TINY), forked=False)


TABLE = "data/scenes.csv"


# --- the config ------------------------------------------------------------------------------------


def test_bad_input_unknown_section(good: Experiment) -> None:
    """A section of the config is misspelled."""
    good.config["trian"] = good.config.pop("train")
    good.is_refused(
        "unknown_key", file=good.file, field="trian", found="unknown key 'trian'", cure="did you mean 'train'?"
    )


def test_bad_input_unknown_key(good: Experiment) -> None:
    """A setting is misspelled."""
    good.set("train.learningrate", 0.1)
    cure = "did you mean 'learning_rate'?"
    good.is_refused(
        "unknown_key", file=good.file, field="train.learningrate", found="unknown key", cure=cure, command="snakemake"
    )


def test_bad_input_wrong_type(good: Experiment) -> None:
    """A word stands where a number belongs."""
    good.set("train.epochs", "many")
    good.is_refused(
        "wrong_type",
        file=good.file,
        field="train.epochs",
        found="'many'",
        cure="change `train.epochs`",
        command="snakemake",
    )


def test_bad_input_no_classes(good: Experiment) -> None:
    """The config names no classes."""
    del good.config["classes"]
    good.is_refused("key_missing", file=good.file, field="classes", found="nothing", cure="add `classes:`")


def test_bad_input_null_class(good: Experiment) -> None:
    """A class has the null class's name, and would have its id."""
    good.set("classes.null", "red")
    good.is_refused("null_class_named", file=good.file, field="classes.null", found="'red'", cure="leave it out")


def test_bad_input_mapping_to_the_null_class(good: Experiment) -> None:
    """A value of the labels is mapped to the null class by its name."""
    good.set("labels.mapping", {"bare": "null"})
    good.is_refused(
        "unknown_class", file=good.file, field="labels.mapping.bare", found="'null'", cure="known: field, forest"
    )


def test_bad_input_unknown_colour(good: Experiment) -> None:
    """A colour does not exist."""
    good.set("classes.field", "gren")
    good.is_refused(
        "unknown_colour", file=good.file, field="classes.field", found="'gren'", cure="change `classes.field`"
    )


def test_bad_input_unknown_class_in_the_mapping(good: Experiment) -> None:
    """A value of the labels is mapped to a class that is not there."""
    good.set("labels.mapping", {"7": "forrest"})
    good.is_refused(
        "unknown_class", file=good.file, field="labels.mapping.7", found="'forrest'", cure="did you mean 'forest'?"
    )


def test_bad_input_no_way_to_a_class(good: Experiment) -> None:
    """The config does not say where labels have their class."""
    good.config["labels"] = {}
    good.is_refused("setting_needed", file=good.file, field="labels", found="nothing", cure="`mapping` or `colours`")


def test_bad_input_range_upside_down(good: Experiment) -> None:
    """The range of the normalisation is upside down."""
    good.set("imagery.normalize", {"min": 3000, "max": 0})
    good.is_refused(
        "range_upside_down",
        file=good.file,
        field="imagery.normalize",
        found="min 3000, max 0",
        cure="imagery.normalize",
    )


def test_bad_input_window_that_does_not_divide(good: Experiment) -> None:
    """Chips have a size that the network cannot halve often enough."""
    good.set("chips.size", 50)
    good.is_refused("window_not_divisible", file=good.file, field="chips.size", found="50", cure="try 64")


def test_bad_input_stride_larger_than_the_window(good: Experiment) -> None:
    """Prediction windows would leave pixels out."""
    good.config["predict"] = {"chip_size": 64, "stride": 96}
    good.is_refused("windows_apart", file=good.file, field="predict.stride", found="96", cure="change `predict.stride`")


def test_bad_input_unknown_architecture(good: Experiment) -> None:
    """A network does not exist."""
    good.set("model.architecture", "unett")
    good.is_refused(
        "unknown_architecture", file=good.file, field="model.architecture", found="'unett'", cure="did you mean 'unet'?"
    )


def test_bad_input_swept_setting(good: Experiment) -> None:
    """The sweep moves a setting that does not exist."""
    good.config["sweep"] = {"grid": {"train.epoch": [1, 2]}}
    cure = "did you mean 'train.epochs'?"
    good.is_refused(
        "unknown_setting",
        file=good.file,
        field="sweep.grid",
        found="unknown setting 'train.epoch'",
        cure=cure,
        command="snakemake",
    )


def test_bad_input_swept_value(good: Experiment) -> None:
    """One value of the sweep is not allowed."""
    good.config["sweep"] = {"grid": {"train.epochs": [1, 0]}}
    good.is_refused("out_of_range", file=good.file, field="train.epochs", found="0", cure="change `train.epochs`")


def test_bad_input_unknown_check(good: Experiment) -> None:
    """A warning is allowed that does not exist."""
    good.config["checks"] = {"allow": ["spatial_overlp"]}
    cure = "did you mean 'spatial_overlap'?"
    good.is_refused("unknown_warning", file=good.file, field="checks.allow", found="'spatial_overlp'", cure=cure)


# --- the scene table -------------------------------------------------------------------------------


def test_bad_input_no_table(good: Experiment) -> None:
    """The scene table is not there."""
    (good.data / "scenes.csv").unlink()
    good.is_refused(
        "file_missing", file="config", field="scenes.table", found=f"{TABLE}: no such file", cure="check the path"
    )


def test_bad_input_column_missing(good: Experiment) -> None:
    """The scene table lacks a column."""
    good.replace_in_table("scene,image", "scene,picture")
    good.is_refused("column_missing", file=TABLE, field="image", found="columns scene, picture", cure="image: ")


def test_bad_input_no_rows(good: Experiment) -> None:
    """The scene table has a header only."""
    (good.data / "scenes.csv").write_text("scene,image,labels,split\n")
    good.is_refused("table_empty", file=TABLE, field="", found="no rows", cure="add scenes")


def test_bad_input_unknown_split(good: Experiment) -> None:
    """A split's name is misspelled."""
    good.replace_in_table("a.gpkg,train", "a.gpkg,trian")
    good.is_refused("unknown_split", file=TABLE, field="split", found="'trian'", cure="correct the row")


def test_bad_input_two_scenes_with_one_id(good: Experiment) -> None:
    """Two scenes have one id."""
    good.add_row("a,b.tif,b.gpkg,train")
    good.is_refused(
        "scene_id_twice", file=TABLE, field="scene", found="'a' stands for data/a.tif", cure="rename one of the two"
    )


def test_bad_input_image_missing(good: Experiment) -> None:
    """An image is not there."""
    (good.data / "b.tif").unlink()
    found = "data/b.tif: no such file"
    good.is_refused(
        "file_missing", file=TABLE, field="image of scene b", found=found, cure="check the path", command="snakemake"
    )


def test_bad_input_labels_missing(good: Experiment) -> None:
    """A file of labels is not there."""
    (good.data / "c.gpkg").unlink()
    found = "data/c.gpkg: no such file"
    good.is_refused("file_missing", file=TABLE, field="labels of scene c", found=found, cure="check the path")


def test_bad_input_empty_cell(good: Experiment) -> None:
    """A training scene has no image in the table."""
    good.replace_in_table("b,b.tif", "b,")
    good.is_refused("entry_empty", file=TABLE, field="image", found="an empty entry", cure="fill in")


def test_bad_input_no_validation_scenes(good: Experiment) -> None:
    """No scene is in the validation split."""
    good.replace_in_table("validation", "train")
    found, cure = "3 train, 0 validation, 1 test scenes", "give some scenes that split"
    good.is_refused("split_empty", file=TABLE, field="split validation", found=found, cure=cure)


def test_bad_input_patterns_that_match_nothing(good: Experiment) -> None:
    """Path patterns match no file."""
    good.config["scenes"] = {"image": "data/{split}/img{scene}.tif", "labels": "data/{split}/img{scene}.gpkg"}
    found, cure = "0 train, 0 validation", "looked for data/train/img{scene}.tif"
    good.is_refused("split_empty", file="config: scenes", field="split train", found=found, cure=cure)


# --- images ----------------------------------------------------------------------------------------


def test_bad_input_no_image(good: Experiment) -> None:
    """An image is no image."""
    (good.data / "b.tif").write_bytes(b"nonsense")
    found = "not recognized as being in a supported file format"
    good.is_told(
        "image_unreadable", file="data/b.tif", field="image", found=found, cure="copy it again", command="snakemake"
    )


def test_bad_input_empty_image(good: Experiment) -> None:
    """An image has no bytes."""
    (good.data / "b.tif").write_bytes(b"")
    good.is_told("image_unreadable", file="data/b.tif", field="image", found="not recognized", cure="copy it again")


def test_bad_input_truncated_image(good: Experiment) -> None:
    """An image's end is missing: its header is all right."""
    content = (good.data / "c.tif").read_bytes()
    (good.data / "c.tif").write_bytes(content[: len(content) * 2 // 3])
    good.is_told("image_unreadable", file="data/c.tif", field="image", found="read", cure="copy it again")


def test_bad_input_image_damaged_within(good: Experiment) -> None:
    """Bytes within a compressed image are lost."""
    path = write_image(good.data, "c", compress="deflate")
    content = path.read_bytes()
    path.write_bytes(content[:20_000] + bytes(4_000) + content[24_000:])
    good.is_told("image_unreadable", file="data/c.tif", field="image", found="ReadBlock failed", cure="copy it again")


def test_bad_input_no_crs(good: Experiment) -> None:
    """An image has no CRS."""
    write_image(good.data, "b", crs=None)
    good.is_told("no_georeference", file="data/b.tif", field="georeference", found="CRS None", cure="rio edit-info")


def test_bad_input_no_transform(good: Experiment) -> None:
    """An image has no geotransform."""
    write_image(good.data, "b", transform=Affine.identity())
    found = "transform (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)"
    good.is_told("no_georeference", file="data/b.tif", field="georeference", found=found, cure="rio edit-info")


def test_bad_input_rotated_image(good: Experiment) -> None:
    """An image's grid is rotated."""
    write_image(good.data, "b", transform=grid("b") * Affine.rotation(10))
    good.is_told("rotated_grid", file="data/b.tif", field="transform", found="pixel axes", cure="rio warp")


def test_bad_input_image_with_the_south_at_the_top(good: Experiment) -> None:
    """An image's rows go north."""
    write_image(good.data, "b", transform=grid("b") * Affine.translation(0, SIDE) * Affine.scale(1, -1))
    good.is_told("rotated_grid", file="data/b.tif", field="transform", found="(0, 10)", cure="allow: [rotated_grid]")


def test_bad_input_band_name(good: Experiment) -> None:
    """A band is asked for that no image has."""
    good.set("imagery.bands", ["red", "swir"])
    found, cure = "3 bands named red, green, nir", "change `imagery.bands`"
    good.is_told("bands_missing", file="data/a.tif", field="imagery.bands: swir", found=found, cure=cure)


def test_bad_input_band_number(good: Experiment) -> None:
    """More bands are asked for than an image has."""
    write_image(good.data, "c", pixels("c", 2))
    good.set("imagery.bands", [1, 3])
    cure = "change `imagery.bands`"
    good.is_told("bands_missing", file="data/c.tif", field="imagery.bands: 3", found="2 bands", cure=cure)


def test_bad_input_different_numbers_of_bands(good: Experiment) -> None:
    """Images have different numbers of bands."""
    write_image(good.data, "c", pixels("c", 2))
    found, cure = "3 bands in data/a.tif, 2 bands in data/c.tif", "name the bands"
    good.is_told("bands_missing", file="scenes", field="bands", found=found, cure=cure)


def test_bad_input_sixteen_bits_without_normalisation(good: Experiment) -> None:
    """16-bit imagery goes without normalisation."""
    good.set("imagery.normalize", "none")
    found, cure = "uint16 values", "normalize: statistics"
    good.is_told(
        "needs_normalisation", file="data/a.tif", field="imagery.normalize", found=found, cure=cure, command="snakemake"
    )


def test_bad_input_nan(good: Experiment) -> None:
    """An image holds NaN nearly everywhere."""
    values = pixels("b").astype(np.float32)
    values[:, 4:] = np.nan
    write_image(good.data, "b", values)
    found = "95.0% of the sample without data"
    good.is_told("mostly_nodata", file="data/b.tif", field="nodata", found=found, cure="cut the scene")


def test_bad_input_no_data_anywhere(good: Experiment) -> None:
    """An image is without data everywhere."""
    write_image(good.data, "b", np.zeros((3, SIDE, SIDE), np.uint16), nodata=0)
    found, cure = "no data anywhere", "take the scene out"
    good.is_told("all_nodata", file="data/b.tif", field="nodata", found=found, cure=cure)


def test_bad_input_hardly_any_data(good: Experiment) -> None:
    """An image is without data nearly everywhere."""
    values = pixels("b")
    values[:, 4:] = 0
    write_image(good.data, "b", values, nodata=0)
    found, cure = "95.0% of the sample without data", "allow: [mostly_nodata]"
    good.is_told("mostly_nodata", file="data/b.tif", field="nodata", found=found, cure=cure)


def test_bad_input_zeros_that_are_values(good: Experiment) -> None:
    """Zeros are values, but would count as without data."""
    values = pixels("b")
    values[:, :16] = 0
    write_image(good.data, "b", values, nodata=65535)
    found, cure = "0 in all bands in 20.0% of the sample", "add an offset"
    good.is_told("zeros_without_data", file="data/b.tif", field="values", found=found, cure=cure)


def test_bad_input_undeclared_nodata(good: Experiment) -> None:
    """-9999 stands for 'no data', but the file does not say so."""
    values = pixels("b").astype(np.int16)
    values[:, :4] = -9999
    write_image(good.data, "b", values)
    found, cure = "-9999 in 5.0% of the sample", "rio edit-info --nodata -9999"
    good.is_told("undeclared_nodata", file="data/b.tif", field="nodata", found=found, cure=cure)


def test_bad_input_outliers(good: Experiment) -> None:
    """Reflectance has a few values of a million."""
    values = pixels("a").astype(np.float32) / 10_000
    values[1, 5, 5] = 1e6
    write_image(good.data, "a", values)
    good.is_told("outliers", file="data/a.tif", field="band 2", found="to 1e+06, but 96 %", cure="clip them")


def test_bad_input_constant_band(good: Experiment) -> None:
    """A band holds one value in all training scenes."""
    for scene in "ab":
        values = pixels(scene)
        values[2] = 7
        write_image(good.data, scene, values)
    found, cure = "7 everywhere, in 2 training scenes", "leave the band out"
    good.is_told("constant_band", file="data/a.tif", field="band 3", found=found, cure=cure)


def test_bad_input_range_of_other_values(good: Experiment) -> None:
    """The fixed range of the normalisation is that of other data."""
    good.set("imagery.normalize", {"min": 0, "max": 1})
    found, cure = "range 0 to 1", "or `statistics`"
    good.is_told("range_mismatch", file="data/a.tif", field="imagery.normalize", found=found, cure=cure)


def test_bad_input_another_scale(good: Experiment) -> None:
    """One scene holds values a hundred times smaller than the others."""
    write_image(good.data, "c", pixels("c") // 100)
    good.is_told("scales_differ", file="data/c.tif", field="values", found="up to 29", cure="to one scale")


def test_bad_input_another_pixel_type(good: Experiment) -> None:
    """One scene has 8 bits, the others 16, and one statistic is to normalise them."""
    write_image(good.data, "c", (pixels("c") // 12).astype(np.uint8))
    found, cure = "uint16 in data/a.tif, uint8 in data/c.tif", "to one type"
    good.is_told("mixed_pixel_types", file="scenes", field="pixel type", found=found, cure=cure)


def test_bad_input_near_infrared_marked_as_transparency(good: Experiment) -> None:
    """The fourth of four 8-bit bands is near infrared, but marked as transparency."""
    for scene in "abcd":
        write_image(good.data, scene, (pixels(scene, 4) // 16).astype(np.uint8), bands=[None] * 4)
    found, cure = "marked as transparency", "--colorinterp red,green,blue,undefined data/a.tif"
    good.is_told("band_taken_for_transparency", file="data/a.tif", field="band 4", found=found, cure=cure)


def test_bad_input_another_order_of_bands(good: Experiment) -> None:
    """One scene has its bands in another order, and they are taken by number."""
    write_image(good.data, "c", bands=BANDS[::-1])
    found, cure = "nir, green, red", "name the bands"
    good.is_told("band_order_differs", file="data/c.tif", field="band names", found=found, cure=cure)


def test_bad_input_another_resolution(good: Experiment) -> None:
    """One scene has pixels of three times the size."""
    write_image(good.data, "d", transform=grid("d", 30))
    good.is_told("resolution_differs", file="data/d.tif", field="resolution", found="30 m", cure="resample it")


def test_bad_input_several_files_and_no_word(good: Experiment) -> None:
    """A scene has several images, and nothing says how they belong together."""
    good.replace_in_table("b,b.tif", "b,b.tif;a.tif")
    found, cure = "2 files for one scene", "how they belong together"
    good.is_told("several_images", file="data/b.tif;data/a.tif", field="imagery.files", found=found, cure=cure)


def test_bad_input_tiles_of_two_grids(good: Experiment) -> None:
    """The tiles of a scene are shifted against each other by a part of a pixel."""
    shutil.copy(good.data / "b.tif", good.data / "b2.tif")
    write_image(good.data, "b", transform=grid("b") * Affine.translation(0.4, 80))
    good.replace_in_table("b,b.tif", "b,b2.tif;b.tif")
    good.set("imagery.files", "mosaic")
    found, cure = "shifted by 0.40 pixels", "resample them first"
    good.is_told("tiles_off_grid", file="data/b.tif", field="tiles of one scene", found=found, cure=cure)


def test_bad_input_nodata_no_pixel_can_have(good: Experiment) -> None:
    """The config names a nodata value that the images' type does not know."""
    good.set("imagery.nodata", -9999)
    found, cure = "uint16 pixels", "correct `imagery.nodata`"
    good.is_told("impossible_nodata", file="data/a.tif", field="imagery.nodata: -9999", found=found, cure=cure)


def test_bad_input_complex_numbers(good: Experiment) -> None:
    """An image holds complex numbers: raw radar."""
    write_image(good.data, "b", pixels("b").astype(np.complex64))
    good.is_told("unusable_pixel_type", file="data/b.tif", field="pixel type", found="complex64", cure="rio convert")


def test_bad_input_limits_for_other_bands(good: Experiment) -> None:
    """The range of the normalisation has limits for two bands, the images have three."""
    good.set("imagery.normalize", {"min": [0, 0], "max": [3000, 3000]})
    found, cure = "2 limits", "correct it"
    good.is_told("limits_per_band", file="data/a.tif", field="imagery.normalize", found=found, cure=cure)


def test_bad_input_box_larger_than_a_chip(good: Experiment) -> None:
    """Object detection: a box does not fit into the chips that are drawn around boxes."""
    good.set("task", "object_detection")
    good.set("chips.negative_ratio", 0.5)
    found, cure = "a box of 80 pixels, chips of 32", "choose larger chips"
    good.is_told("box_larger_than_chip", file="data/a.gpkg", field="chips.size", found=found, cure=cure)


# --- labels ----------------------------------------------------------------------------------------


def test_bad_input_no_labels_at_all(good: Experiment) -> None:
    """A file of labels is none."""
    (good.data / "b.gpkg").write_bytes(b"nonsense")
    good.is_told(
        "labels_unreadable",
        file="data/b.gpkg",
        field="labels",
        found="b.gpkg",
        cure="check the file",
        command="snakemake",
    )


def test_bad_input_labels_without_geometry(good: Experiment) -> None:
    """Labels are a plain table."""
    (good.data / "b.csv").write_text("kind,number\nfield,1\n")
    good.replace_in_table("b.gpkg", "b.csv")
    found = "no geometry column"
    good.is_told("no_geometry", file="data/b.csv", field="labels", found=found, cure="check the file")


def test_bad_input_empty_labels(good: Experiment) -> None:
    """A file of labels holds none."""
    write_labels(good.data, "b", [], [])
    cure = "leave the scene out"
    good.is_told("labels_empty", file="data/b.gpkg", field="labels", found="no features", cure=cure)


def test_bad_input_labels_elsewhere(good: Experiment) -> None:
    """All labels lie outside the image."""
    write_labels(good.data, "b", [square("b", 200, 9000, 20, 20)], ["field"])
    found, cure = "all outside the image", "check the file and its CRS"
    good.is_told("labels_outside", file="data/b.gpkg", field="labels", found=found, cure=cure)


def test_bad_input_labels_in_another_crs_than_they_say(good: Experiment) -> None:
    """Labels are said to be in another zone than they are."""
    write_labels(good.data, "b", crs="EPSG:32632")
    found, cure = "all outside the image", "check the file and its CRS"
    good.is_told("labels_outside", file="data/b.gpkg", field="labels", found=found, cure=cure)


def test_bad_input_labels_mostly_elsewhere(good: Experiment) -> None:
    """Nearly all labels lie outside the image."""
    shapes = [square("b", 30 * number, 500 if number else 0, 20, 20) for number in range(20)]
    write_labels(good.data, "b", shapes, ["field"] * 20)
    found, cure = "19 of 20 labels outside the image", "belong together"
    good.is_told("labels_partly_outside", file="data/b.gpkg", field="labels", found=found, cure=cure)


def test_bad_input_unknown_class_in_the_labels(good: Experiment) -> None:
    """Labels have a class that the config does not know."""
    write_labels(good.data, "b", kinds=["field", "forrest"])
    found, cure = "unknown class 'forrest'", "did you mean 'forest'?"
    good.is_told(
        "unknown_class", file="data/b.gpkg", field="attribute kind", found=found, cure=cure, command="snakemake"
    )


def test_bad_input_class_number_without_a_class(good: Experiment) -> None:
    """Labels have a class number that is mapped to nothing."""
    for scene in "abcd":
        write_labels(good.data, scene, kinds=[1, 7 if scene == "b" else 2])
    good.set("labels.mapping", {"1": "field", "2": "forest"})
    found, cure = "unknown class '7'", "labels.mapping"
    good.is_told("unknown_class", file="data/b.gpkg", field="attribute kind", found=found, cure=cure)


def test_bad_input_attribute_missing(good: Experiment) -> None:
    """The attribute that holds the class has another name."""
    good.set("labels.attribute", "kinds")
    cure = "did you mean 'kind'?"
    good.is_told("unknown_attribute", file="data/a.gpkg", field="attribute kinds", found="attributes kind", cure=cure)


def test_bad_input_invalid_geometries(good: Experiment) -> None:
    """Polygons cross themselves."""
    (west, north), (east, south) = grid("b") * (10, 10), grid("b") * (60, 60)
    bow_tie = Polygon([(west, north), (east, south), (east, north), (west, south)])
    write_labels(good.data, "b", [bow_tie, square("b", 0, 70, 80, 10)])
    found, cure = "1 of 2 geometries invalid", "allow: [invalid_geometries]"
    good.is_told(
        "invalid_geometries", file="data/b.gpkg", field="geometry", found=found, cure=cure, command="snakemake validate"
    )


def test_bad_input_lines_without_a_width(good: Experiment) -> None:
    """Labels are lines, and nothing says how wide they are."""
    line = LineString([grid("b") * (5, 5), grid("b") * (70, 60)])
    write_labels(good.data, "b", [line], ["field"])
    found, cure = "LineString features", "set `labels.buffer`"
    good.is_told("lines_without_width", file="data/b.gpkg", field="geometry", found=found, cure=cure)


def test_bad_input_labels_without_crs(good: Experiment) -> None:
    """A Shapefile of labels has lost its .prj."""
    gpd.read_file(good.data / "b.gpkg").to_file(good.data / "b.shp")
    (good.data / "b.prj").unlink()
    good.replace_in_table("b.gpkg", "b.shp")
    good.is_told("no_crs", file="data/b.shp", field="CRS", found="none", cure="add it (.prj file")


def test_bad_input_labels_smaller_than_pixels(good: Experiment) -> None:
    """Labels are so small that they cover no pixel."""
    write_labels(good.data, "b", [square("b", 5.1, 5.1, 0.2, 0.2), square("b", 9.7, 9.7, 0.2, 0.2)])
    found, cure = "2 labels that cover the middle of no pixel", "allow: [no_labelled_pixels]"
    good.is_told("no_labelled_pixels", file="data/b.gpkg", field="geometry", found=found, cure=cure)


# --- label rasters ---------------------------------------------------------------------------------


def write_rasters(good: Experiment, scenes: str = "abcd") -> None:
    """Give the scenes label rasters instead of polygons: 1 is field, 2 is forest."""
    for scene in scenes:
        write_label_raster(good.data, scene)
        good.replace_in_table(f"{scene}.gpkg", f"{scene}-labels.tif")
    good.config["labels"] = {"mapping": {"1": "field", "2": "forest"}}


def test_bad_input_label_raster_smaller_than_the_image(good: Experiment) -> None:
    """A label raster covers a part of its image."""
    write_rasters(good)
    write_label_raster(good.data, "b", halves()[:60])
    found, cure = "25% of data/b.tif is not covered", "allow: [labels_smaller_than_image]"
    good.is_told("labels_smaller_than_image", file="data/b-labels.tif", field="labels", found=found, cure=cure)


def test_bad_input_label_raster_in_another_crs(good: Experiment) -> None:
    """A label raster lies in another zone than its image."""
    write_rasters(good)
    write_label_raster(good.data, "b", crs="EPSG:32632")
    found, cure = "nothing inside the image", "check the file and its CRS"
    good.is_told("labels_outside", file="data/b-labels.tif", field="labels", found=found, cure=cure)


def test_bad_input_label_raster_without_a_place(good: Experiment) -> None:
    """A label raster has no geotransform, and another size than its image."""
    write_rasters(good)
    write_label_raster(good.data, "b", halves()[:60], crs=None, transform=Affine.identity())
    found, cure = "80 × 60 pixels and no geotransform", "georeference the raster"
    good.is_told("no_georeference", file="data/b-labels.tif", field="labels", found=found, cure=cure)


def test_bad_input_label_raster_with_an_unknown_value(good: Experiment) -> None:
    """A label raster holds a value that is no class."""
    write_rasters(good)
    values = halves()
    values[5, :40] = 7
    write_label_raster(good.data, "b", values)
    found, cure = "unknown values 7 (40 pixels)", 'add them to `labels.mapping` ("7": <class>'
    good.is_told("unknown_class", file="data/b-labels.tif", field="labels.mapping", found=found, cure=cure)


def test_bad_input_label_raster_with_an_unknown_colour(good: Experiment) -> None:
    """A label raster of colours holds a colour that is no class."""
    for scene in "abcd":
        red = np.array([255, 0, 0] if scene != "b" else [255, 0, 9], np.uint8)[:, None, None]
        write_label_raster(good.data, scene, np.broadcast_to(red, (3, SIDE, SIDE)))
        good.replace_in_table(f"{scene}.gpkg", f"{scene}-labels.tif")
    good.config["labels"] = {"colours": {"red": "field"}}
    found, cure = "unknown colours #ff0009 (6,400 pixels)", "add them to `labels.colours`"
    good.is_told("unknown_class", file="data/b-labels.tif", field="labels.colours", found=found, cure=cure)


def test_bad_input_label_raster_without_labels(good: Experiment) -> None:
    """A label raster holds unlabelled pixels only."""
    write_rasters(good)
    good.config["labels"]["mapping"]["0"] = None
    write_label_raster(good.data, "c", 0 * halves())
    found, cure = "no labelled pixel", "leave the scene out"
    good.is_told("labels_empty", file="data/c-labels.tif", field="labels", found=found, cure=cure)


def test_bad_input_damaged_label_raster(good: Experiment) -> None:
    """A label raster's end is missing."""
    write_rasters(good)
    content = (good.data / "b-labels.tif").read_bytes()
    (good.data / "b-labels.tif").write_bytes(content[: len(content) // 2])
    good.is_told("labels_unreadable", file="data/b-labels.tif", field="labels", found="ead", cure="check the file")


# --- areas of interest -----------------------------------------------------------------------------


def write_aoi(good: Experiment, shapes: list[Any]) -> None:
    """Give scene b an area of interest."""
    gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32633").to_file(good.data / "aoi.gpkg", engine="pyogrio")
    good.replace_in_table(",split\n", ",split,aoi\n")
    good.replace_in_table("b.gpkg,train", "b.gpkg,train,aoi.gpkg")


def test_bad_input_unreadable_aoi(good: Experiment) -> None:
    """An area of interest cannot be read."""
    write_aoi(good, [square("b", 0, 0, 80, 80)])
    (good.data / "aoi.gpkg").write_bytes(b"nonsense")
    good.is_told("aoi_unreadable", file="data/aoi.gpkg", field="aoi", found="aoi.gpkg", cure="check the file")


def test_bad_input_empty_aoi(good: Experiment) -> None:
    """An area of interest has no polygon."""
    write_aoi(good, [])
    good.is_told("aoi_empty", file="data/aoi.gpkg", field="aoi", found="no features", cure="leave the entry empty")


def test_bad_input_aoi_elsewhere(good: Experiment) -> None:
    """An area of interest lies outside its image."""
    write_aoi(good, [square("b", 0, 500, 80, 80)])
    cure = "check the file and its CRS"
    good.is_told("aoi_outside", file="data/aoi.gpkg", field="aoi", found="all outside the image", cure=cure)


def test_bad_input_aoi_smaller_than_a_chip(good: Experiment) -> None:
    """No chip fits into an area of interest."""
    write_aoi(good, [square("b", 10, 10, 60, 20)])
    found, cure = "60 × 20 pixels", "chips.within_aoi: false"
    good.is_told("aoi_smaller_than_chip", file="data/aoi.gpkg", field="aoi", found=found, cure=cure)


# --- splits ----------------------------------------------------------------------------------------


def test_bad_input_one_image_in_two_splits(good: Experiment) -> None:
    """One image is in the training and the test split."""
    good.replace_in_table("d,d.tif,d.gpkg", "d,a.tif,a.gpkg")
    found, cure = "the same file as data/a.tif of scene a (train), here in test", "take one of the two rows out"
    good.is_told(
        "image_in_two_splits", file="data/a.tif", field="image of scene d", found=found, cure=cure, command="snakemake"
    )


def test_bad_input_link_to_an_image_of_another_split(good: Experiment) -> None:
    """A validation image is a link to a training image."""
    (good.data / "c.tif").unlink()
    (good.data / "c.tif").symlink_to("a.tif")
    shutil.copy(good.data / "a.gpkg", good.data / "c.gpkg")
    found, cure = "the same file as data/a.tif", "take one of the two rows out"
    good.is_told("image_in_two_splits", file="data/c.tif", field="image of scene c", found=found, cure=cure)


def test_bad_input_copy_of_an_image_of_another_split(good: Experiment) -> None:
    """A test image is a copy of a training image under another name."""
    shutil.copy(good.data / "a.tif", good.data / "d.tif")
    shutil.copy(good.data / "a.gpkg", good.data / "d.gpkg")
    found, cure = "the same content as data/a.tif", "take one of the two rows out"
    good.is_told("image_in_two_splits", file="data/d.tif", field="image of scene d", found=found, cure=cure)


def test_bad_input_one_image_twice(good: Experiment) -> None:
    """One image is in the training split twice."""
    good.add_row("e,a.tif,a.gpkg,train")
    found, cure = "the same file as data/a.tif of scene a (train), here in train", "allow: [image_twice]"
    good.is_told("image_twice", file="data/a.tif", field="image of scene e", found=found, cure=cure)


def test_bad_input_scenes_that_overlap(good: Experiment) -> None:
    """A validation scene overlaps a training scene."""
    write_image(good.data, "c", transform=grid("c") * Affine.translation(-20, 0))
    found, cure = "24% of it, or of the other, lies in data/b.tif of scene b (train)", "allow: [spatial_overlap]"
    good.is_told("spatial_overlap", file="data/c.tif", field="scene c (validation)", found=found, cure=cure)


def test_bad_input_folds_that_overlap(good: Experiment) -> None:
    """Scenes of two folds overlap."""
    write_image(good.data, "b", transform=grid("a") @ Affine.translation(40, 0))
    write_labels(good.data, "b", [square("a", 40, 0, 80, 40), square("a", 40, 40, 80, 40)])
    for split in ("train", "validation"):
        good.replace_in_table(f",{split}", ",")
    good.set("scenes", {"table": TABLE, "split": {"folds": 3, "test": 0}})
    found, cure = "lies in data/a.tif of scene a (fold 1)", "scenes.split.block"
    said = good.is_told("spatial_overlap", file="data/b.tif", field="(fold 2)", found=found, cure=cure)
    assert said.count("WARNING spatial_overlap") == 1


def test_bad_input_scenes_of_two_crs_that_overlap(good: Experiment) -> None:
    """A test scene lies in a training scene, in another CRS."""
    place = gpd.GeoSeries([square("a", 20, 20, 40, 40)], crs="EPSG:32633").to_crs("EPSG:3035").total_bounds
    transform = Affine(10, 0, place[0], 0, -10, place[3])
    write_image(good.data, "d", pixels("d", side=40), crs="EPSG:3035", transform=transform)
    shutil.copy(good.data / "a.gpkg", good.data / "d.gpkg")
    found, cure = "lies in data/a.tif of scene a (train)", "put both into one split"
    good.is_told("spatial_overlap", file="data/d.tif", field="scene d (test)", found=found, cure=cure)


def test_bad_input_class_nobody_learns(good: Experiment) -> None:
    """A class has no labels in the training scenes."""
    for scene in "ab":
        write_labels(good.data, scene, kinds=["field", "field"])
    found, cure = "no labels in the train scenes", "allow: [class_absent]"
    good.is_told("class_absent", file=good.file, field="classes.forest", found=found, cure=cure)


def test_bad_input_class_nobody_measures(good: Experiment) -> None:
    """A class has no labels in the validation scenes."""
    write_labels(good.data, "c", kinds=["field", "field"])
    found, cure = "no labels in the validation scenes", "deal the scenes out differently"
    good.is_told("class_absent", file=good.file, field="classes.forest", found=found, cure=cure)


def test_bad_input_rare_class(good: Experiment) -> None:
    """A class has a handful of pixels among thousands."""
    for scene in "ab":
        write_labels(good.data, scene, [square(scene, 0, 0, 80, 70), square(scene, 0, 75, 2, 1)])
    found, cure = "4 of 11,204 labelled training pixels", "label more of it"
    good.is_told("class_rare", file=good.file, field="classes.forest", found=found, cure=cure)


# --- chips, network, machine -----------------------------------------------------------------------


def test_bad_input_scene_smaller_than_a_chip(good: Experiment) -> None:
    """Chips do not fit into a scene."""
    good.set("chips.size", 96)
    found, cure = "a scene of 80 × 80 pixels", "choose smaller chips"
    good.is_told(
        "scene_smaller_than_chip", file="data/a.tif", field="chips.size", found=found, cure=cure, command="snakemake"
    )


def test_bad_input_fewer_chips_than_a_batch(good: Experiment) -> None:
    """All training chips together are less than a batch."""
    good.set("train.batch_size", 32)
    found, cure = "16 training chips, batches of 32", "make batches smaller"
    good.is_told("too_few_chips", file=good.file, field="train.batch_size", found=found, cure=cure)


def test_bad_input_decoder_of_another_depth(good: Experiment) -> None:
    """The decoder has another number of steps than the encoder."""
    good.set("model.arguments", {"encoder_depth": 4, "decoder_channels": [32, 16, 8]})
    found, cure = "3 numbers, encoder_depth 4", "give 4 numbers"
    good.is_told("model_arguments", file=good.file, field="decoder_channels", found=found, cure=cure)


def test_bad_input_encoder_too_deep(good: Experiment) -> None:
    """The encoder is to be deeper than it can be."""
    good.set("model.arguments", {"encoder_depth": 7})
    good.set("chips.size", 128)
    good.is_told("model_arguments", file=good.file, field="encoder_depth", found="7", cure="change it")


def test_bad_input_weights_missing(good: Experiment) -> None:
    """The file of first weights is not there."""
    good.set("model.weights", "mine.pth")
    good.is_refused(
        "file_missing", file=good.file, field="model.weights", found="no file mine.pth", cure="check the path"
    )


def test_bad_input_weights_that_are_none(good: Experiment) -> None:
    """The file of first weights is an error page that was downloaded."""
    (good.folder / "mine.pth").write_text("<!DOCTYPE html><title>404</title>")
    good.set("model.weights", "mine.pth")
    found, cure = "bytes that are no weights", "copy it again"
    good.is_told(
        "weights_unreadable",
        file="mine.pth",
        field="model.weights",
        found=found,
        cure=cure,
        command="snakemake validate",
    )


def test_bad_input_disk_too_small(good: Experiment) -> None:
    """Chips need more room than the disk has."""
    good.set("chips.per_scene", 10**12)
    good.is_told("disk_space", file="results", field="disk", found="GB free", cure="cut fewer or smaller chips")


# --- new images ------------------------------------------------------------------------------------


@pytest.fixture
def new(good: Experiment) -> Experiment:
    """A map of a new image by a bundle of the tiny scenes, good until a test spoils it."""
    crs = read_header(str(good.data / "a.tif")).crs
    write_bundle(good.folder / "bundle.zip", texts(crs))
    good.config = {"experiment": "new", "apply": {"model": "bundle.zip", "images": ["data/d.tif"]}}
    return good


def test_bad_input_bundle_not_there(new: Experiment) -> None:
    """The bundle that is to be applied does not exist."""
    new.set("apply.model", "bundel.zip")
    new.is_refused(
        "file_missing",
        file=new.file,
        field="apply.model",
        found="bundel.zip: no such file",
        cure="check the path",
        command="snakemake apply",
    )


def test_bad_input_folder_for_a_bundle(new: Experiment) -> None:
    """A bundle's folder is named in its place."""
    new.set("apply.model", "data")
    new.is_refused("file_missing", file=new.file, field="apply.model", found="data", cure="data/model-bundle.zip")


def test_bad_input_train_bundle(new: Experiment) -> None:
    """The bundle of a training alone is to be applied."""
    write_bundle(new.folder / "bundle.zip", {"learner-config.json": {}})
    cure = "name its bundle/model-bundle.zip"
    new.is_refused("bundle_unusable", file="bundle.zip", field="apply.model", found="a train bundle", cure=cure)


def test_bad_input_no_zip(new: Experiment) -> None:
    """A file that is to be applied is no zip, or cut off."""
    (new.folder / "bundle.zip").write_bytes(b"PK nonsense")
    cure = "name its bundle/model-bundle.zip"
    new.is_refused("bundle_unusable", file="bundle.zip", field="apply.model", found="no zip", cure=cure)


def test_bad_input_experiment_never_run(new: Experiment) -> None:
    """The winner of an experiment is to be applied that never ran in this folder."""
    new.set("apply.model", {"experiment": "kampala"})
    found, cure = "kampala, which has no results", "run kampala first"
    new.is_refused("trial_not_trained", file=new.file, field="apply.model.experiment", found=found, cure=cure)


def test_bad_input_no_model(new: Experiment) -> None:
    """A config that trains nothing names no model."""
    del new.config["apply"]["model"]
    new.is_refused("setting_needed", file=new.file, field="apply.model", found="nothing", cure="add `model:`")


def test_bad_input_no_image_matches(new: Experiment) -> None:
    """A pattern of new images matches nothing."""
    new.set("apply.images", "neu/**/*.tif")
    new.is_refused("no_images", file=new.file, field="apply.images", found="neu/**/*.tif", cure="check folder")


def test_bad_input_image_listed_twice(new: Experiment) -> None:
    """A new image is named twice."""
    new.set("apply.images", ["data/d.tif", "data/*.tif"])
    new.is_refused("image_listed_twice", file=new.file, field="apply.images", found="data/d.tif", cure="name it once")


def test_bad_input_table_without_images(new: Experiment) -> None:
    """A table of new images has no column of that name."""
    (new.folder / "new.csv").write_text("file\ndata/d.tif\n")
    new.set("apply.images", "new.csv")
    new.is_refused("column_missing", file="new.csv", field="image", found="columns file", cure="known: file")


def test_bad_input_no_stac(new: Experiment) -> None:
    """A JSON file that is to name new images is no STAC document."""
    (new.folder / "new.json").write_text('{"type": "FeatureCollection", "features": [{"type": "Feature"}]}')
    new.set("apply.images", "new.json")
    new.is_refused("no_stac", file=new.file, field="apply.images", found="new.json: type", cure="check the file")


def test_bad_input_new_image_with_other_bands(new: Experiment) -> None:
    """A new image has a band less than the model sees."""
    write_image(new.data, "d", pixels("d")[:2])
    new.is_refused("bands_missing", file="data/d.tif", field="apply.bands", found="2 bands", cure="name the bands")


def test_bad_input_new_image_with_other_pixels(new: Experiment) -> None:
    """A new image has another pixel size than the training scenes."""
    write_image(new.data, "d", transform=grid("d", 2.5))
    cure = "checks: {allow: [other_pixel_size]}"
    new.is_refused("other_pixel_size", file="data/d.tif", field="pixel size", found="2.5 m", cure=cure)


def test_bad_input_new_image_with_other_values(new: Experiment) -> None:
    """A new image holds reflectance from 0 to 1, where the training scenes held thousands."""
    write_image(new.data, "d", (pixels("d") / 10_000).astype(np.float32))
    new.is_refused("other_values", file="data/d.tif", field="values", found="in band red", cure="the same product")


def test_bad_input_new_image_in_8_bits(new: Experiment) -> None:
    """A new image has 8 bits, and the statistics of the training scenes are those of 16."""
    write_image(new.data, "d", (pixels("d") // 12).astype(np.uint8))
    cure = "bring the images to that type"
    new.is_refused("mixed_pixel_types", file="data/d.tif", field="pixel type", found="uint8", cure=cure)


def test_bad_input_new_image_with_bands_in_another_order(new: Experiment) -> None:
    """A new image's bands have the names of the training scenes', in another order, and are taken by number."""
    write_image(new.data, "d", bands=("nir", "green", "red"))
    found, cure = "nir, green, red", "name the bands in `apply.bands`"
    new.is_refused("other_bands", file="data/d.tif", field="band names", found=found, cure=cure)


def test_bad_input_area_elsewhere(new: Experiment) -> None:
    """The area of interest touches none of the new images."""
    write_labels(new.data, "a", [square("a", 0, 0, 9, 9)], ["field"])
    new.set("apply.aoi", "data/a.gpkg")
    new.is_refused("aoi_outside", file="data/a.gpkg", field="aoi", found="all outside", cure="check the file")


def test_bad_input_polygons_of_no_class(new: Experiment) -> None:
    """Polygons of a class are asked for that the model does not know."""
    new.set("apply.polygons", {"classes": ["forrest"]})
    found, cure = "unknown class 'forrest'", "did you mean 'forest'?"
    new.is_refused("unknown_class", file="config", field="apply.polygons.classes", found=found, cure=cure)


def test_bad_input_models_of_other_classes(new: Experiment) -> None:
    """The scores of two models are to be averaged that know different classes."""
    other = texts(read_header(str(new.data / "a.tif")).crs)
    other["pipeline-config.json"]["dataset"]["class_config"]["names"] = ["null", "field", "water"]
    write_bundle(new.folder / "other.zip", other)
    new.set("apply.model", ["bundle.zip", "other.zip"])
    found, cure = "null, field, water", "apply them one by one"
    new.is_refused("models_differ", file="other.zip", field="classes", found=found, cure=cure)


def test_bad_input_window_that_does_not_fit(new: Experiment) -> None:
    """The network cannot halve the windows that a map is to be made with."""
    new.set("apply.predict", {"chip_size": 100})
    new.is_refused("window_not_divisible", file="config", field="apply.predict.chip_size", found="100", cure="try 96")


def test_bad_input_unknown_key_of_a_map(new: Experiment) -> None:
    """A setting of `apply` is misspelled."""
    new.set("apply.mosaik", False)
    cure = "did you mean 'mosaic'?"
    new.is_refused("unknown_key", file=new.file, field="apply.mosaik", found="unknown key", cure=cure)


def test_good_new_images_pass(new: Experiment) -> None:
    with chdir(new.folder):
        new.check()


# --- maps and reference points --------------------------------------------------------------------


@pytest.fixture
def compared(good: Experiment) -> Experiment:
    """A map compared with reference points, good until a test spoils it."""
    write_label_raster(good.data, "d")
    write_labels(good.data, "d", [square("d", 4, 4, 1, 1).centroid], ["field"])
    good.config = {"experiment": "new", "accuracy": {"map": "data/d-labels.tif", "reference": "data/d.gpkg"}}
    return good


def test_bad_input_map_not_there(compared: Experiment) -> None:
    """The map whose accuracy is to be estimated does not exist."""
    compared.set("accuracy.map", "map.tif")
    found, command = "map.tif: no such file", "snakemake accuracy"
    compared.is_refused(
        "file_missing", file=compared.file, field="accuracy.map", found=found, cure="check the path", command=command
    )


def test_bad_input_reference_points_not_there(compared: Experiment) -> None:
    """The reference points that a map is to be compared with do not exist."""
    compared.set("accuracy.reference", "points.gpkg")
    found, cure = "points.gpkg: no such file", "check the path"
    compared.is_refused("file_missing", file=compared.file, field="accuracy.reference", found=found, cure=cure)


def test_bad_input_no_reference_points(compared: Experiment) -> None:
    """No reference points are named, and a map is to be compared with some."""
    del compared.config["accuracy"]["reference"]
    cure, command = "draw points with `snakemake sample`", "snakemake accuracy"
    compared.is_refused(
        "setting_needed", file=compared.file, field="accuracy.reference", found="nothing", cure=cure, command=command
    )


def test_bad_input_points_and_margin(compared: Experiment) -> None:
    """A number of points to draw is named, and the interval that they are to give."""
    compared.set("accuracy.sample", {"points": 600, "margin": 0.03})
    cure, field = "leave one of them out", "accuracy.sample.margin"
    compared.is_refused("settings_conflict", file=compared.file, field=field, found="0.03", cure=cure)


# --- what is good, or allowed ----------------------------------------------------------------------


def test_a_good_experiment_passes(good: Experiment) -> None:
    said = good.snakemake("validate").stdout
    assert "Checked 4 scenes: nothing found" in said
    assert not list(good.results.glob("scenes"))


def test_an_allowed_warning_stops_nothing_and_stands_in_the_report(good: Experiment) -> None:
    good.set("train.batch_size", 32)
    good.config["checks"] = {"allow": ["too_few_chips"]}
    said = good.snakemake("validate").stdout
    assert "WARNING too_few_chips (allowed)" in said
    assert "warning, allowed" in (good.results / REPORT).read_text()


def test_all_problems_are_told_at_once_errors_first(good: Experiment) -> None:
    (good.data / "b.tif").write_bytes(b"nonsense")
    write_labels(good.data, "c", kinds=["field", "forrest"])
    good.set("train.batch_size", 32)
    names = re.findall("^(?:ERROR|WARNING) (.*)$", good.check_says(), re.MULTILINE)
    assert names == ["image_unreadable", "unknown_class", "too_few_chips"]
