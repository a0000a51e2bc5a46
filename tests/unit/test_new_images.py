"""New images: found, spread over jobs, compared with what a model was trained on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rastervision.core.box import Box
from rastervision.core.data import RasterioSource
from shapely.affinity import affine_transform
from shapely.geometry import Polygon, box
from tiny import CRS, SIDE, grid, pixels, square, write_image
from tiny_bundle import texts, write_bundle

from swath.checks.findings import Finding
from swath.checks.new_images import NewImages, check_new_images, spec_to_read
from swath.checks.read_scenes import read_scenes
from swath.config.apply import Apply, TrainedModel
from swath.config.predict import Predict
from swath.errors import UserError
from swath.plan.apply import find_images, find_models, own_bundles, shards_of
from swath.prediction.apply import PartOfImage
from swath.prediction.strips import Layer, Strips
from swath.scenes.areas import area_on_image, named_areas, outside_of
from swath.scenes.images import read_header
from swath.scenes.neighbours import Surroundings, surroundings
from swath.scenes.new_images import describe_images, with_checksums
from swath.scenes.scene import Scene
from swath.scenes.trained_on import read_bundle, resolved_window


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    return tmp_path


def images_of(*entries: str) -> list[str]:
    return [image.image for image in find_images(Apply(images=list(entries)))]


def is_refused(code: str, called: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as refused:
        called()
    assert [problem.code for problem in refused.value.problems][:1] == [code]
    return str(refused.value)


# --- which images -----------------------------------------------------------------------------------


def test_images_are_found_by_path_pattern_table_and_stac(folder: Path) -> None:
    for name in "abcd":
        write_image(Path("data"), name)
    Path("deep/er").mkdir(parents=True)
    write_image(Path("deep/er"), "a")
    Path("data/table.csv").write_text("Image;remark\nb.tif;x\nc.tif;y\n")
    assert images_of("data/a.tif", "data/table.csv") == ["data/a.tif", "data/b.tif", "data/c.tif"]
    assert images_of("deep/**/*.tif") == ["deep/er/a.tif"]
    assert images_of("data/a.tif;data/b.tif") == ["data/a.tif;data/b.tif"]
    names = [image.id for image in find_images(Apply(images=["data/a.tif", "deep/er/a.tif", "data/b.tif"]))]
    assert names == ["data_a", "er_a", "b"]


def item(name: str, **assets: dict[str, Any]) -> dict[str, Any]:
    made = pystac.Item(name, None, None, pystac.utils.str_to_datetime("2020-01-01T00:00:00Z"), {}).to_dict()
    return {**made, "assets": assets}


COG = {"type": "image/tiff; application=geotiff; profile=cloud-optimized", "roles": ["data"]}


def test_stac_documents_name_images_relative_to_themselves() -> None:
    for name in "abcd":
        write_image(Path("data"), name)
    preview = {"href": "a.png", "type": "image/png", "roles": ["thumbnail"]}
    one = item("one", image={"href": "./a.tif", **COG}, preview=preview)
    two = item("two", red={"href": "b.tif", **COG}, nir={"href": "../data/c.tif", **COG})
    Path("data/items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [one, two]}))
    assert images_of("data/items.json") == ["data/a.tif", "data/b.tif;data/c.tif"]
    collection = pystac.Collection(
        "c", "c", pystac.Extent(pystac.SpatialExtent([[0, 0, 1, 1]]), pystac.TemporalExtent([[None, None]]))
    )
    collection.add_item(pystac.Item.from_dict(item("four", image={"href": "../d.tif", **COG})))
    collection.normalize_and_save("data", pystac.CatalogType.SELF_CONTAINED)
    assert images_of("data/collection.json") == ["data/d.tif"]


@pytest.mark.parametrize("content", ["nonsense", "[]", '{"type": "Feature"}', '{"type": "Catalog", "links": []}'])
def test_what_is_no_stac_document_is_told(content: str) -> None:
    Path("data/items.json").write_text(content)
    code = "no_images" if "Catalog" in content else "no_stac"
    assert "data/items.json" in is_refused(code, lambda: images_of("data/items.json"))


def test_names_tell_images_apart_whatever_their_folders() -> None:
    for place in ("2019/north", "2020/north", "2020/south"):
        Path(place).mkdir(parents=True)
        write_image(Path(place), "a")
    found = find_images(Apply(images=["20*/**/a.tif"]))
    assert [image.id for image in found] == ["2019_north_a", "2020_north_a", "south_a"]


# --- which models -----------------------------------------------------------------------------------


def finished(name: str, *runs: str) -> None:
    for run in runs:
        write_bundle(Path("results/experiments", name, "trials", run, "model-bundle.zip"), {})
    winner = {"run": runs[0], "trial": runs[0].partition(",seed")[0]}
    Path("results/experiments", name, "winner.json").write_text(json.dumps(winner))


def models(**model: Any) -> list[str]:
    return [Path(path).parent.name for path in find_models(TrainedModel(**model), "results")]


def test_models_are_found_by_experiment_trial_and_seed() -> None:
    finished("kampala", "lr=0.1,seed=1", "lr=0.1,seed=0", "lr=0.1,seed=2", "lr=0.11,seed=0")
    assert models(experiment="kampala") == ["lr=0.1,seed=1"]
    assert models(experiment="kampala", trial="lr=0.1") == ["lr=0.1,seed=0"]
    assert models(experiment="kampala", trial="lr=0.1", seed=2) == ["lr=0.1,seed=2"]
    assert models(experiment="kampala", repeats="all") == [f"lr=0.1,seed={seed}" for seed in range(3)]
    assert "did you mean 'kampala'" in is_refused("trial_not_trained", lambda: models(experiment="kampal"))
    assert "lr=0.1" in is_refused("trial_not_trained", lambda: models(experiment="kampala", trial="lr=0.2"))


def test_the_config_of_a_training_means_its_own_models() -> None:
    bundles = {f"lr=0.1,fold={fold},seed=0": f"{fold}.zip" for fold in range(3)} | {"lr=0.2,fold=0,seed=0": "x.zip"}
    winner = ("lr=0.1", "lr=0.1,fold=1,seed=0")
    assert own_bundles(TrainedModel(), bundles, winner) == ["1.zip"]
    assert own_bundles(TrainedModel(repeats="all"), bundles, winner) == ["0.zip", "1.zip", "2.zip"]
    assert own_bundles(TrainedModel(trial="lr=0.2"), bundles, None) == ["x.zip"]
    is_refused("unknown_trial", lambda: own_bundles(TrainedModel(trial="lr=0.3"), bundles, None))


# --- who predicts what ------------------------------------------------------------------------------


def sized(sizes: Sequence[int]) -> list[Scene]:
    found = []
    for number, size in enumerate(sizes):
        path = Path(f"data/{number}-{size}.tif")
        path.write_bytes(b"\0" * size)
        found.append(Scene(f"i{number}", "test", str(path), None))
    return found


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=12), st.integers(1, 20))
def test_every_row_of_every_image_is_in_exactly_one_shard(sizes: list[int], number: int) -> None:
    images = sized(sizes)
    covered: dict[str, list[float]] = {image.id: [] for image in images}
    shards = shards_of(images, number)
    for shard in shards.values():
        for image in shard.images:
            covered[image.id].append(1 / shard.parts)
    assert all(sum(shares) == pytest.approx(1) for shares in covered.values())
    assert len(shards) <= 2 * number + 1


def test_large_images_are_cut_and_small_ones_share_a_job() -> None:
    shards = shards_of(sized([900, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]), 8)
    assert sorted(shard.parts for shard in shards.values())[-7:] == [7] * 7


def test_an_image_more_disturbs_the_job_that_gets_it_alone() -> None:
    images = sized([1000, 1000, 10, 10, 10, 10])
    before = shards_of(images, 4)
    extra = Scene("more", "test", sized([0, 0, 0, 0, 0, 0, 10])[-1].image, None)
    after = shards_of([*images, extra], 4, set(before))
    new = set(after) - set(before)
    assert len(new) == 1 and extra in after[new.pop()].images


def test_parts_made_with_another_number_are_kept() -> None:
    images = sized([1000])
    made = set(shards_of(images, 7))
    assert set(shards_of(images, 2, made)) == made
    made.pop()
    assert len(shards_of(images, 2, made)) == 2


# --- areas ------------------------------------------------------------------------------------------


def test_what_lies_outside_an_area_is_told_window_by_window() -> None:
    path = write_image(Path("data"), "a")
    header = read_header(str(path))
    gpd.GeoDataFrame(geometry=[square("a", 10, 20, 30, 5)], crs=CRS).to_crs("EPSG:4326").to_file("aoi.gpkg")
    inside = ~outside_of(area_on_image(["aoi.gpkg"], header), header)(rasterio.windows.Window(0, 0, SIDE, SIDE))
    wanted = np.zeros((SIDE, SIDE), bool)
    wanted[20:25, 10:40] = True
    assert np.array_equal(inside, wanted)
    part = ~outside_of(area_on_image(["aoi.gpkg"], header), header)(rasterio.windows.Window(5, 22, 50, 9))
    assert np.array_equal(part, wanted[22:31, 5:55])


def test_an_area_elsewhere_leaves_nothing_of_an_image() -> None:
    header = read_header(str(write_image(Path("data"), "a")))
    gpd.GeoDataFrame(geometry=[box(10, 10, 11, 11)], crs="EPSG:4326").to_file("aoi.gpkg")
    assert area_on_image(["aoi.gpkg"], header) is None
    assert outside_of(None, header)(rasterio.windows.Window(0, 0, 3, 2)).all()


def test_an_area_of_interest_has_names() -> None:
    header = read_header(str(write_image(Path("data"), "a")))
    shapes = [square("a", 0, 0, 9, 9), square("a", 20, 20, 9, 9), square("a", 40, 40, 9, 9)]
    bow = Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])  # crosses itself
    bow = affine_transform(bow, [200, 0, 0, -200, header.transform[2] + 400, header.transform[5]])
    frame = gpd.GeoDataFrame({"size": [1, 2, 3, 4], "name": ["x", "y", "x", "bow"]}, geometry=[*shapes, bow], crs=CRS)
    frame.to_crs("EPSG:4326").to_parquet("aoi.parquet")
    found = named_areas(["aoi.parquet"], header)
    areas = {name: polygon.area / 100 for name, polygon in found.items()}
    assert areas == pytest.approx({"x": 162, "y": 81, "bow": 200}, rel=1e-3)
    frame[["geometry"]].to_file("plain.gpkg")
    assert len(named_areas(["plain.gpkg"], header)) == 5  # what crosses itself is two


# --- what lies around -------------------------------------------------------------------------------


def quarters(overlap: int = 0, **changes: Any) -> dict[str, np.ndarray]:
    """Cut an image into four that lie on one grid."""
    whole = pixels("a", side=2 * SIDE)
    write_image(Path("data"), "a-whole", whole, transform=grid("a"))
    for row in (0, 1):
        for column in (0, 1):
            top, left = row * (SIDE - overlap), column * (SIDE - overlap)
            cut = whole[:, top : top + SIDE + overlap, left : left + SIDE + overlap]
            moved = grid("a") @ rasterio.Affine.translation(left, top)
            write_image(Path("data"), f"a-{row}{column}", cut, transform=moved, **changes)
    return {"whole": whole}


def described(*names: str, margin: int = 16) -> dict[str, Surroundings]:
    images = [Scene(name, "test", f"data/{name}.tif", None) for name in names]
    return surroundings(describe_images(images, Apply(images=["x"]), Path(mkdtemp(dir="."))), names, margin)


def seen(around: Surroundings) -> tuple[np.ndarray, np.ndarray | None]:
    """What windows see of an image and what lies around it, and where there is nothing."""
    layers = [Layer.of(RasterioSource([one.facts.image]), one.row, one.column) for one in around.layers]
    shape = (around.frame.height, around.frame.width)
    strips = Strips(RasterioSource([around.layers[0].facts.image]), None, layers, shape)
    parts, empty = [], []
    for first in range(0, shape[0], 7):
        last = min(first + 7, shape[0])
        strips.load((first, last))
        parts.append(strips.chip(Box(first, 0, last, shape[1])))
        empty.append(strips.without_data((first, last), (0, shape[1])))
    return np.concatenate(parts), np.concatenate(empty)


@pytest.mark.parametrize("overlap", [0, 10])
def test_an_image_is_seen_with_what_lies_around_it(overlap: int) -> None:
    whole = np.moveaxis(quarters(overlap)["whole"], 0, -1)
    found = described("a-00", "a-01", "a-10", "a-11")
    assert set(found) == {"a-00", "a-01", "a-10", "a-11"}
    for name, around in found.items():
        row, column = (int(digit) * (SIDE - overlap) for digit in name[-2:])
        top, left = row - around.row, column - around.column
        pixels_seen, empty = seen(around)
        height, width = pixels_seen.shape[:2]
        assert np.array_equal(pixels_seen, whole[top : top + height, left : left + width]) and not empty.any()
        assert (around.anchor[0] + top, around.anchor[1] + left) == (0, 0)
        assert min(height, width) >= SIDE + 16
        assert around.frame.transform == pytest.approx(tuple(grid("a") @ rasterio.Affine.translation(left, top))[:6])


def test_images_on_other_grids_or_with_other_bands_are_none_of_the_surroundings() -> None:
    quarters()
    half = grid("a") @ rasterio.Affine.translation(SIDE + 0.5, 0)
    write_image(Path("data"), "a-01", pixels("b"), transform=half)
    moved = grid("a") @ rasterio.Affine.translation(0, SIDE)
    write_image(Path("data"), "a-10", pixels("c"), transform=moved, bands=("blue", "green", "nir"))
    assert described("a-00", "a-01", "a-10") == {}
    assert set(described("a-00", "a-11")) == {"a-00", "a-11"}
    assert described("a-00", "a-11", margin=-1) == {}


def test_where_an_image_has_no_data_in_any_band_another_one_is_seen() -> None:
    """What is 0 in one band alone is a value, and not mixed with another image's."""
    first, second = np.full((3, SIDE, SIDE), 50, np.uint8), np.full((3, SIDE, SIDE), 200, np.uint8)
    first[0, :5], first[:, 5:9] = 0, 0
    second[:, 7] = 0
    for name, values in (("a-00", first), ("a-01", second)):
        write_image(Path("data"), name, values, transform=grid("a"), nodata=0)
    pixels_seen, empty = seen(described("a-00", "a-01")["a-00"])
    assert (pixels_seen[:5] == (0, 50, 50)).all() and (pixels_seen[5:7] == 200).all()
    assert np.array_equal(empty.any(axis=1), np.arange(SIDE) == 7)


def test_a_neighbour_makes_no_holes() -> None:
    """Black pixels of an image that declares no nodata are values, whatever lies around it, and where nothing does."""
    black = pixels("a")
    black[:, 3] = 0
    write_image(Path("data"), "a-00", black, transform=grid("a"))
    moved = grid("a") @ rasterio.Affine.translation(SIDE, 20)
    write_image(Path("data"), "a-01", pixels("b"), transform=moved, nodata=0)
    around = described("a-00", "a-01")["a-00"]
    _, empty = seen(around)
    assert not empty[:SIDE, :SIDE].any() and empty[:20, SIDE:].all() and not empty[20:SIDE, SIDE:].any()


# --- like those of the training ---------------------------------------------------------------------


def findings(*names: str, bundle: dict[str, Any] | None = None, **settings: Any) -> list[Finding]:
    crs = read_header(str(write_image(Path("data"), "d"))).crs
    model = read_bundle(write_bundle(Path("bundle.zip"), bundle or texts(crs)))
    apply = Apply(images=["x"], **settings)
    images = [Scene(name, "test", f"data/{name}.tif", None, apply.aoi) for name in names]
    return check_new_images(NewImages(apply, [model], read_scenes(images, {"": spec_to_read(apply)})), [])


def codes(found: list[Finding]) -> list[str]:
    return [one.problem.code for one in found]


def test_an_image_like_those_of_the_training_passes() -> None:
    write_image(Path("data"), "b")
    assert codes(findings("b")) == []


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("other_pixel_size", {"transform": rasterio.transform.from_origin(330_000, 5_820_000, 20, 20)}),
        ("other_pixel_size", {"transform": rasterio.transform.from_origin(330_000, 5_820_000, 1, 1)}),
        ("other_crs", {"crs": "EPSG:32634"}),
        ("rotated_image", {"transform": grid("b") @ rasterio.Affine.rotation(5)}),
        ("other_bands", {"bands": ("green", "red", "nir")}),
        ("mixed_pixel_types", {"values": pixels("b").astype(np.uint8)}),
        ("other_pixel_type", {"values": pixels("b").astype(np.int32)}),
        ("bands_missing", {"values": pixels("b")[:2]}),
        ("bands_missing", {"values": pixels("b", 4), "bands": ("red", "green", "nir", "swir")}),
        ("other_values", {"values": (pixels("b") / 10_000).astype(np.float32)}),
        ("other_values", {"values": pixels("b") + np.uint16(30_000)}),
        ("other_values", {"values": pixels("b") * np.uint16(20)}),
    ],
)
def test_what_is_unlike_the_training_is_told(code: str, changes: dict[str, Any]) -> None:
    write_image(Path("data"), "b", changes.pop("values", None), **changes)
    assert code in codes(findings("b"))


def test_another_scale_is_told() -> None:
    with rasterio.open(write_image(Path("data"), "b"), "r+") as dataset:
        dataset.offsets = (0, -1000, 0)
    (finding,) = findings("b")
    assert finding.problem.code == "other_scaling" and "offset -1000" in finding.problem.found


def test_a_nodata_value_that_is_only_held_is_told() -> None:
    values = pixels("b")
    values[:, :9] = 65535
    write_image(Path("data"), "b", values)
    crs = read_header(str(write_image(Path("data"), "d"))).crs
    assert "other_nodata" in codes(findings("b", bundle=texts(crs, nodata=["65535"])))
    assert "other_nodata" not in codes(findings("b", bundle=texts(crs, nodata=["65535"]), nodata=65535))


def test_bands_by_name_are_found_in_another_order() -> None:
    write_image(Path("data"), "b", pixels("b")[::-1], bands=("nir", "green", "red"))
    crs = read_header(str(write_image(Path("data"), "d"))).crs
    assert codes(findings("b", bundle=texts(crs, imagery={"bands": ["red", "green", "nir"]}))) == []
    assert codes(findings("b", bands=["red", "green", "nir"])) == []


def test_a_plain_bundle_is_told_as_such() -> None:
    write_image(Path("data"), "b")
    said = texts("")
    del said["swath.json"]
    assert codes(findings("b", bundle=said)) == ["plain_bundle"]


@pytest.mark.parametrize(
    ("predict", "code"),
    [
        ({"chip_size": 40}, "window_not_divisible"),
        ({"chip_size": 32, "stride": 32}, ""),
        ({"stride": 40}, "windows_apart"),
        ({"crop": 9}, "windows_apart"),
    ],
)
def test_windows_have_to_fit(predict: dict[str, Any], code: str) -> None:
    write_image(Path("data"), "b")
    assert codes(findings("b", predict=predict)) == ([code] if code else [])


def test_other_grids_in_a_mosaic_are_told() -> None:
    write_image(Path("data"), "b")
    write_image(Path("data"), "c", transform=grid("c", 11.0))
    assert "mosaic_apart" in codes(findings("b", "c"))
    assert "mosaic_apart" not in codes(findings("b", "c", mosaic=False))


def test_a_shifted_grid_in_a_mosaic_is_told() -> None:
    write_image(Path("data"), "b")
    write_image(Path("data"), "c", transform=grid("b") @ rasterio.Affine.translation(SIDE + 0.5, 0))
    (finding,) = findings("b", "c")
    assert finding.problem.code == "mosaic_apart" and "shifted by a part of a pixel" in finding.problem.found


def test_a_mosaic_of_places_far_apart_is_refused() -> None:
    write_image(Path("data"), "b")
    write_image(Path("data"), "c", transform=grid("b") @ rasterio.Affine.translation(50_000, 50_000))
    assert "mosaic_too_large" in codes(findings("b", "c"))
    assert "mosaic_too_large" not in codes(findings("b", "c", mosaic=False))


# --- windows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("predict", "expected"),
    [
        ({}, (32, 16, 8, False)),
        ({"smooth": "tapered"}, (32, 16, 0, "tapered")),
        ({"chip_size": 64}, (64, 32, 16, False)),
        ({"stride": 24}, (32, 24, 4, False)),
        ({"crop": 3}, (32, 16, 3, False)),
        ({"smooth": True, "crop": 2}, (32, 16, 2, True)),
    ],
)
def test_a_bundles_window_changes_in_what_is_said(predict: dict[str, Any], expected: tuple[Any, ...]) -> None:
    window = resolved_window(read_bundle(write_bundle(Path("bundle.zip"), texts(""))), Predict(**predict))
    assert (window.chip_size, window.stride, window.crop, window.smooth) == expected


@pytest.mark.parametrize("content", [None, b"nonsense", {"learner-config.json": {}}, {"other.json": {}}])
def test_what_is_no_bundle_is_told(content: Any) -> None:
    path = Path("bundle.zip")
    if isinstance(content, dict):
        write_bundle(path, content)
    else:
        path.write_bytes(content or b"")
    is_refused("bundle_unusable", lambda: read_bundle(path))


def test_classes_of_a_bundle_begin_with_the_null_class() -> None:
    said = texts("")
    said["pipeline-config.json"]["dataset"]["class_config"] = {
        "names": ["building", "background", "null"],
        "colors": ["red", [1, 2, 3], "black"],
        "null_class": "null",
    }
    known = read_bundle(write_bundle(Path("bundle.zip"), said))
    assert known.classes == ("null", "building", "background") and known.order == (2, 0, 1)
    assert known.colours == ("#000000", "red", "#010203")


# --- what is made anew ------------------------------------------------------------------------------


def test_what_a_part_is_made_of_knows_which_file_is_which() -> None:
    """The same files under each other's names, or in another order around an image, are something else."""
    quarters(overlap=10)
    images = [Scene(name, "test", f"data/{name}.tif", None) for name in ("a-00", "a-01", "a-10")]

    def made_of(images: Sequence[Scene]) -> Any:
        facts = with_checksums(describe_images(images, Apply(images=["x"]), Path(mkdtemp(dir="."))), images)
        around = surroundings(facts, ["a-00"], 16)["a-00"]
        return PartOfImage(next(one for one in facts if one.id == "a-00"), 1, 1, around).made_of

    before = made_of(images)
    assert made_of(images) == before
    assert made_of([images[0], images[2], images[1]]) != before
    Path("data/a-01.tif").rename("data/other.tif")
    Path("data/a-10.tif").rename("data/a-01.tif")
    Path("data/other.tif").rename("data/a-10.tif")
    assert made_of(images) != before
