"""What somebody allows must not fail: for every warning, the stages run that could have been known to fail."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from looking import Looked, look
from PIL import Image
from rasterio.enums import ColorInterp
from shapely.geometry import Polygon
from tiny import (
    BANDS,
    CRS,
    PLACES,
    TINY,
    grid,
    pixels,
    square,
    write_image,
    write_label_raster,
    write_labels,
    write_tiny,
)

from swath.error_codes import MEANING
from swath.rv.chip import cut_chips
from swath.rv.pipeline import scene_options
from swath.scenes.analyze import analyze
from swath.scenes.facts import SceneFacts

DATA = Path("data")


OF_NEW_IMAGES = {"other_pixel_size", "other_bands", "other_scaling", "other_nodata", "other_values"}
"""Warnings of maps: tests/unit/test_new_images.py makes them, tests/workflow/test_apply.py allows one."""


@dataclass(frozen=True)
class Case:
    """An experiment that meets a warning.

    Attributes:
        make: Changes the tiny scenes, which lie in `DATA`.
        config: Settings beside the tiny ones.
    """

    make: Callable[[], object] = lambda: None
    config: dict[str, Any] = field(default_factory=dict)


def each(change: Callable[[str], object], scenes: str = "abcd") -> Callable[[], object]:
    """Change scenes, one by one."""

    def make() -> None:
        for scene in scenes:
            change(scene)

    return make


def in_table(old: str, new: str) -> None:
    table = DATA / "scenes.csv"
    table.write_text(table.read_text().replace(old, new))


def in_folders() -> None:
    """A folder per split, and a file whose ending has another capitalisation than all others."""
    for scene, (split, _) in PLACES.items():
        folder = Path("t", split)
        folder.mkdir(parents=True, exist_ok=True)
        for ending in ("tif", "gpkg"):
            (DATA / f"{scene}.{ending}").rename(folder / f"{scene}.{ending}")
    shutil.copy("t/train/a.tif", "t/train/e.TIF")


def filled(scene: str, band: int | slice, value: float, dtype: str = "uint16", **changes: Any) -> None:
    values = pixels(scene).astype(dtype)
    values[band] = value
    write_image(DATA, scene, values, **changes)


def sparse(scene: str) -> None:
    values = pixels(scene)
    values[:, np.arange(80) % 16 > 0] = 0
    write_image(DATA, scene, values, nodata=0)


def with_corner(scene: str, value: int, nodata: int | None, dtype: str = "int16") -> None:
    values = pixels(scene).astype(dtype)
    values[:, :20, :20] = value
    write_image(DATA, scene, values, nodata=nodata)


def with_shades(scene: str) -> None:
    values = np.random.default_rng(ord(scene)).integers(0, 255, (4, 80, 80), np.uint8)
    path = write_image(DATA, scene, values, bands=(*BANDS, None))
    with rasterio.open(path, "r+") as image:
        image.colorinterp = [*[ColorInterp.undefined] * 3, ColorInterp.alpha]


def with_palette(scene: str) -> None:
    path = write_image(DATA, scene, pixels(scene, 1).astype(np.uint8), bands=(None,), photometric="palette")
    with rasterio.open(path, "r+") as image:
        image.write_colormap(1, {value: (value, 0, 0, 255) for value in range(256)})


def with_offset(scene: str) -> None:
    with rasterio.open(DATA / f"{scene}.tif", "r+") as image:
        image.offsets = (-1000.0,) * 3


def with_pages() -> None:
    pages = [Image.fromarray(np.full((80, 80), value, np.uint8)) for value in (1, 2)]
    each(lambda scene: write_label_raster(DATA, scene))()
    pages[0].save(DATA / "b-labels.tif", save_all=True, append_images=pages[1:])
    in_table(".gpkg", "-labels.tif")


def with_area(scene: str) -> None:
    gpd.GeoDataFrame(geometry=[square(scene, 5, 5, 12, 12)], crs=CRS).to_file(DATA / f"{scene}-aoi.gpkg")


def few_labels(scene: str) -> None:
    write_labels(DATA, scene, [square(scene, 0, 0, 10, 5), square(scene, 0, 5, 10, 5)])


def with_bow_tie(scene: str) -> None:
    a, b = square(scene, 0, 0, 80, 40).bounds[:2], square(scene, 0, 0, 80, 40).bounds[2:]
    bow_tie = Polygon([a, b, (b[0], a[1]), (a[0], b[1])])
    write_labels(DATA, scene, [bow_tie, square(scene, 0, 40, 80, 40)])


def small_raster(scene: str) -> None:
    write_label_raster(DATA, scene, np.repeat([[1], [2]], 20, 0).astype(np.uint8) * np.ones((1, 40), np.uint8))


def rotated(scene: str) -> None:
    write_image(DATA, scene, transform=grid(scene) @ rasterio.Affine.rotation(20))


def upside_down(scene: str) -> None:
    turned = rasterio.Affine.translation(0, 80) @ rasterio.Affine.scale(1, -1)
    write_image(DATA, scene, transform=grid(scene) @ turned)


def without_room_in_one() -> None:
    with_area("b")
    in_table("labels,split", "labels,aoi,split")
    each(lambda scene: in_table(f"{scene}.gpkg,", f"{scene}.gpkg,{'b-aoi.gpkg' if scene == 'b' else ''},"))()


def small_rasters() -> None:
    each(small_raster)()
    in_table(".gpkg", "-labels.tif")


def half_without_class(scene: str) -> None:
    write_labels(DATA, scene, None, ["field", None])


def rare(scene: str) -> None:
    write_labels(DATA, scene, [square(scene, 0, 0, 80, 80), square(scene, 3, 3, 2, 2)], ["field", "forest"])


def over_b() -> None:
    write_image(DATA, "c", transform=grid("b") @ rasterio.Affine.translation(40, 0))


def far_labels(scene: str) -> None:
    far = [square(scene, 5000 + 100 * number, 0, 9, 9) for number in range(30)]
    write_labels(
        DATA, scene, [square(scene, 0, 0, 80, 40), square(scene, 0, 40, 80, 40), *far], ["field", "forest"] * 16
    )


RASTERS = {"labels": {"mapping": {"1": "field", "2": "forest"}}}

CASES: dict[str, list[Case]] = {
    "unread_column": [Case(lambda: in_table("split", "split,aoi_path"))],
    "scenes_left_out": [
        Case(in_folders, {"scenes": {"image": "t/{split}/{scene}.tif", "labels": "t/{split}/{scene}.gpkg"}})
    ],
    "rotated_grid": [Case(each(rotated)), Case(each(upside_down))],
    "mostly_nodata": [
        Case(each(sparse)),
    ],
    "zeros_without_data": [Case(each(lambda s: with_corner(s, 0, -1)))],
    "undeclared_nodata": [Case(each(lambda s: with_corner(s, -9999, None)))],
    "outliers": [Case(each(lambda s: filled(s, (slice(None), 0, 0), 4e9, "uint32")))],  # type: ignore[arg-type]
    "constant_band": [
        Case(each(lambda s: filled(s, 2, 0, "uint8"))),
        Case(each(lambda s: filled(s, 2, 0, "uint8")), {"imagery": {"normalize": "min_max"}}),
        Case(each(lambda s: filled(s, 2, 0))),
        Case(each(lambda s: filled(s, 2, 7))),
        Case(each(lambda s: filled(s, 2, np.nan, "float32"))),
        Case(each(lambda s: filled(s, 2, 0)), {"imagery": {"normalize": "min_max"}}),
    ],
    "range_mismatch": [
        Case(config={"imagery": {"normalize": {"min": 2_900, "max": 3_300}}}),
        Case(config={"imagery": {"normalize": {"min": -60_000, "max": 50}}}),
    ],
    "band_taken_for_transparency": [Case(each(with_shades))],
    "scales_differ": [Case(lambda: filled("b", slice(None), 60_000))],
    "scaling_differs": [Case(lambda: with_offset("b"))],
    "palette_indices": [Case(each(with_palette))],
    "further_pages": [Case(with_pages, RASTERS)],
    "band_order_differs": [Case(lambda: write_image(DATA, "b", bands=BANDS[::-1]))],
    "resolution_differs": [
        Case(lambda: write_image(DATA, "d", transform=grid("d", 30), crs=CRS)),
    ],
    "labels_partly_outside": [Case(each(far_labels))],
    "labels_smaller_than_image": [Case(small_rasters, RASTERS)],
    "no_labelled_pixels": [
        Case(lambda: write_labels(DATA, "b", [square("b", 3.1, 3.1, 0.2, 0.2)], ["field"])),
        Case(
            lambda: write_labels(DATA, "b", [square("b", 3.1, 3.1, 0.2, 0.2)], ["field"]),
            {"chips": {"size": 32, "per_scene": 8, "min_labelled": 0.5}},
        ),
    ],
    "invalid_geometries": [Case(each(with_bow_tie))],
    "classless_features": [
        Case(each(half_without_class)),
        Case(each(half_without_class), {"task": "chip_classification", "chips": {"size": 16}}),
    ],
    "mapping_typo": [
        Case(
            each(lambda s: write_labels(DATA, s, None, ["field", "deciduous"])),
            {"labels": {"attribute": "kind", "mapping": {"decidous": "forest"}, "default_class": "forest"}},
        )
    ],
    "aoi_smaller_than_chip": [
        Case(without_room_in_one),
        Case(without_room_in_one, {"chips": {"size": 32, "sampling": "sliding"}}),
    ],
    "scene_without_chips": [
        Case(each(few_labels, "b"), {"chips": {"size": 32, "per_scene": 8, "min_labelled": 0.5}}),
    ],
    "image_twice": [Case(lambda: in_table("b.tif,b.gpkg", "a.tif,a.gpkg"))],
    "image_in_two_splits": [Case(lambda: in_table("c.tif,c.gpkg", "a.tif,a.gpkg"))],
    "spatial_overlap": [Case(over_b)],
    "class_absent": [Case(config={"classes": {"field": "red", "forest": "green", "water": "blue"}})],
    "class_rare": [Case(each(rare))],
    "too_few_chips": [Case(config={"chips": {"size": 32, "per_scene": 1}})],
}
"""Warning → experiments that meet it."""


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


def test_the_table_has_every_warning() -> None:
    assert set(CASES) | OF_NEW_IMAGES == set(MEANING["warning"])


@pytest.mark.parametrize(("code", "number"), [(code, n) for code, cases in CASES.items() for n in range(len(cases))])
def test_what_is_allowed_does_not_fail(code: str, number: int) -> None:
    case = CASES[code][number]
    case.make()
    config = {**deepcopy(TINY), **case.config}
    found = look(config)
    assert code in found.codes
    errors = [finding.problem.code for finding in found.findings if finding.level == "error"]
    assert errors == []
    warnings = [finding.problem.code for finding in found.findings if finding.level == "warning"]
    allowed = look({**config, "checks": {"allow": sorted(set(warnings))}})
    assert not any(finding.stops for finding in allowed.findings)
    facts = allowed.facts()
    chips = {split: cut(allowed, facts, split) for split in ("train", "validation")}
    assert all(chips.values())


@pytest.mark.parametrize(
    ("chips", "codes"),
    [
        ({"size": 32, "per_scene": 1, "min_labelled": 0.5}, {"chips_missing", "scene_without_chips", "too_few_chips"}),
        ({"size": 32, "sampling": "sliding", "min_labelled": 0.5}, {"chips_missing", "scene_without_chips"}),
    ],
)
def test_that_no_chip_can_come_of_it_is_an_error_beforehand(chips: dict[str, Any], codes: set[str]) -> None:
    each(few_labels)()
    found = look({**deepcopy(TINY), "chips": chips})
    assert set(found.codes) == codes - {"too_few_chips"}
    assert "0 train chips" in found.told("chips_missing")[0]


@pytest.mark.parametrize(("sparse_scenes", "is_told"), [("", False), ("a", False), ("abcd", True)])
def test_where_scenes_take_turns_every_fold_has_chips_to_validate_with(sparse_scenes: str, is_told: bool) -> None:
    """A fold whose only other scene has labels enough has some, too."""
    each(few_labels, sparse_scenes)()
    table = DATA / "scenes.csv"
    table.write_text("\n".join(line.rpartition(",")[0] for line in table.read_text().splitlines()) + "\n")
    scenes = {"table": str(table), "split": {"folds": 2, "test": 0}}
    chips = {"size": 32, "per_scene": 4, "min_labelled": 0.5}
    assert ("chips_missing" in look({**deepcopy(TINY), "scenes": scenes, "chips": chips}).codes) is is_told


def test_a_range_that_hides_an_image_is_an_error_beforehand() -> None:
    """All values would become 0, which counts as no data: no chip would be left."""
    for low in (2_990, 50_000):
        found = look({**deepcopy(TINY), "imagery": {"normalize": {"min": low, "max": 60_000}}})
        assert found.codes == ["range_hides_image"]


def test_areas_without_room_for_a_chip_in_every_scene_are_an_error_beforehand() -> None:
    each(with_area)()
    in_table("labels,split", "labels,aoi,split")
    each(lambda scene: in_table(f"{scene}.gpkg,", f"{scene}.gpkg,{scene}-aoi.gpkg,"))()
    assert "chips_missing" in look(deepcopy(TINY)).codes


def cut(looked: Looked, facts: dict[str, SceneFacts], split: str) -> int:
    """Normalise and cut as the stages do; return the number of files."""
    experiment = looked.plan.experiment
    stats = "stats/train_scenes/stats.json"
    training = [one for one in facts.values() if one.split == "train"]
    Path(stats).parent.mkdir(parents=True, exist_ok=True)
    analyze(training, experiment.imagery, Path(stats))
    classes = ["null", *experiment.classes]
    scenes = [one for one in facts.values() if one.split == split]
    options = scene_options(looked.stage_settings(), [stats], classes)
    cut_chips(scenes, split, experiment.chips, options, classes, Path(f"{split}.zip"))
    with zipfile.ZipFile(f"{split}.zip") as archive:
        return len(archive.namelist())
