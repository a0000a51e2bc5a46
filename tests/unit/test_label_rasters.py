"""Label rasters become class ids on the image's grid; what has no class is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from made_facts import as_image, facts_of
from numpy.typing import NDArray
from pyproj import Transformer

from swath.config.imagery import Imagery
from swath.config.labels import Labels
from swath.errors import UserError
from swath.scenes import label_raster
from swath.scenes.facts import LabelFacts, SceneFacts, ScenesSpec
from swath.scenes.images import read_header
from swath.scenes.manifest import read_manifests
from swath.scenes.prepare import prepare_scenes
from swath.scenes.rasters import write_label_raster
from swath.scenes.scene import Scene

CRS = "EPSG:32633"
ORIGIN = (330_000.0, 5_820_000.0)
WIDTH, HEIGHT = 40, 30
CLASSES = ["null", "building", "tree"]
VALUES = {"mapping": {"1": "building", "2": "tree", "7": None}}
COLOURS = {"colours": {"#ff0000": "building", "green": "tree", "#ffffff": None}}
Pixels = NDArray[Any]


def write(path: Path, pixels: Pixels, resolution: float = 10.0, at: tuple[float, float] = (0, 0), **more: Any) -> str:
    """Write a raster, bands × height × width; ``at`` is its corner, in columns and rows of 10 m."""
    place = rasterio.transform.from_origin(ORIGIN[0] + 10 * at[0], ORIGIN[1] - 10 * at[1], resolution, resolution)
    profile = {"driver": "GTiff", "dtype": pixels.dtype, "count": len(pixels), "crs": CRS, "transform": place}
    profile |= {"height": pixels.shape[1], "width": pixels.shape[2]} | more
    with rasterio.open(path, "w", **{key: value for key, value in profile.items() if value is not None}) as dataset:
        dataset.write(pixels)
    return str(path)


def values(*shape: int, dtype: str = "uint8", of: tuple[int, ...] = (1, 2, 7)) -> Pixels:
    """Random values of the known ones, one band."""
    return np.random.default_rng(1).choice(of, (1, *(shape or (HEIGHT, WIDTH)))).astype(dtype)


def ids_of(pixels: Pixels) -> Pixels:
    return np.select([pixels == 1, pixels == 2], [1, 2], 0)


def spec(task: Any = "semantic_segmentation", **labels: Any) -> ScenesSpec:
    return ScenesSpec(task, CLASSES, Imagery(), Labels(**labels))


def harmonised(folder: Path, *paths: str, **labels: Any) -> tuple[Pixels, LabelFacts]:
    """The ids on the grid of an image of 40 × 30 pixels, and what the labels hold."""
    image = read_header(write(folder / "image.tif", np.ones((1, HEIGHT, WIDTH), np.uint8)))
    facts = write_label_raster(paths, spec(**labels), image, folder / "labels.tif")
    with rasterio.open(folder / "labels.tif") as dataset:
        assert (dataset.shape, dataset.transform) == ((HEIGHT, WIDTH), rasterio.Affine(*image.transform))
        assert dataset.nodata is None  # Raster Vision would make 0 of it
        return dataset.read(1), facts


def told(folder: Path, *paths: str, **labels: Any) -> str:
    with pytest.raises(UserError) as caught:
        harmonised(folder, *paths, **labels)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_values_become_classes(tmp_path: Path, dtype: str) -> None:
    pixels = values(dtype=dtype)
    ids, facts = harmonised(tmp_path, write(tmp_path / "l.tif", pixels), **VALUES)
    assert np.array_equal(ids, ids_of(pixels[0]))
    assert facts.labelled_pixels == {name: int((ids == i).sum()) for i, name in enumerate(CLASSES)}
    assert facts.outside_labels == 0


def test_colours_become_classes(tmp_path: Path) -> None:
    pixels = values()[0]
    table = np.zeros((8, 3), np.uint8)
    table[[1, 2, 7]] = [(255, 0, 0), (0, 128, 0), (255, 255, 255)]
    ids, _ = harmonised(tmp_path, write(tmp_path / "l.tif", table[pixels].transpose(2, 0, 1)), **COLOURS)
    assert np.array_equal(ids, ids_of(pixels))


def test_colours_that_compression_has_changed_are_the_nearest_ones(tmp_path: Path) -> None:
    pixels = values()[0]
    table = np.zeros((8, 3), np.int16)
    table[[1, 2, 7]] = [(255, 0, 0), (0, 128, 0), (255, 255, 255)]
    noise = np.random.default_rng(1).integers(-20, 21, (HEIGHT, WIDTH, 3))
    blurred = np.clip(table[pixels] + noise, 0, 255).astype(np.uint8).transpose(2, 0, 1)
    ids, _ = harmonised(tmp_path, write(tmp_path / "l.tif", blurred), **COLOURS, colour_tolerance=20)
    assert np.array_equal(ids, ids_of(pixels))


def test_colours_beyond_the_tolerance_stay_unknown_or_get_the_default_class(tmp_path: Path) -> None:
    red = np.array([[255], [0], [0]], np.uint8)[:, :, None].repeat(HEIGHT, 1).repeat(WIDTH, 2)
    red[:, 0, 0] = [255, 11, 0]
    path = write(tmp_path / "l.tif", red)
    assert "unknown colours #ff0b00 (1 pixels)" in told(tmp_path, path, **COLOURS, colour_tolerance=10)
    ids, _ = harmonised(tmp_path, path, **COLOURS, colour_tolerance=10, default_class="tree")
    assert (ids[0, 0], ids[1, 1]) == (2, 1)


def test_a_palettes_colours_become_classes(tmp_path: Path) -> None:
    pixels = values()
    path = write(tmp_path / "l.tif", pixels, photometric="palette")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {1: (255, 0, 0), 2: (0, 128, 0), 7: (255, 255, 255)})
    assert np.array_equal(harmonised(tmp_path, path, **COLOURS)[0], ids_of(pixels[0]))


@pytest.mark.parametrize("window", [16, 1024])
@given(
    crs=st.sampled_from([CRS, "EPSG:32632", "EPSG:3857", "EPSG:3035", "EPSG:4326"]),
    resolution=st.sampled_from([3.0, 10.0, 17.5]),
    shift=st.floats(-9, 9),
)
@settings(max_examples=25, deadline=None)
def test_other_grids_are_brought_to_the_images_by_nearest_neighbour(
    window: int, tmp_path_factory: pytest.TempPathFactory, crs: str, resolution: float, shift: float
) -> None:
    """Every pixel has the value at its centre, whatever the windows."""
    folder = tmp_path_factory.mktemp("grids")
    pixels = values(60, 70)
    x, y = ORIGIN[0] + 10 * shift, ORIGIN[1] - 7 * shift
    edges = rasterio.warp.transform_bounds(CRS, crs, x, y - 60 * resolution, x + 70 * resolution, y)
    place = rasterio.transform.from_bounds(*edges, 70, 60)
    path = write(folder / "l.tif", pixels, crs=crs, transform=place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_raster, "WINDOW", window)
        ids, _ = harmonised(folder, path, **VALUES)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    to_labels = Transformer.from_crs(CRS, crs, always_xy=True)
    there = ~place @ to_labels.transform(ORIGIN[0] + 10 * columns, ORIGIN[1] - 10 * rows)
    column, row = (np.floor(position).astype(int) for position in there)
    inside = (column >= 0) & (column < 70) & (row >= 0) & (row < 60)
    expected = np.where(inside, ids_of(pixels[0])[np.clip(row, 0, 59), np.clip(column, 0, 69)], 0)
    on_an_edge = np.any([np.abs(position - np.rint(position)) < 0.02 for position in there], axis=0)
    assert ((ids == expected) | on_an_edge).all()


def test_outside_a_small_raster_nothing_is_labelled(tmp_path: Path) -> None:
    pixels = values(10, 20)
    path = write(tmp_path / "l.tif", pixels, at=(5, 6))
    ids, facts = harmonised(tmp_path, path, **VALUES)
    assert np.array_equal(ids[6:16, 5:25], ids_of(pixels[0]))
    assert facts.outside_labels == pytest.approx(1 - 200 / (WIDTH * HEIGHT))
    assert (ids > 0).sum() == (pixels < 7).sum()
    as_tree, _ = harmonised(tmp_path, path, **VALUES, unlabelled="tree")
    assert (as_tree[0] == 2).all() and (as_tree > 0).all()


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 9), ("uint8", 0), ("float32", float("nan"))])
def test_nodata_is_unlabelled(tmp_path: Path, dtype: str, nodata: float) -> None:
    pixels = values(dtype=dtype)
    pixels[0, :5] = nodata
    ids, _ = harmonised(tmp_path, write(tmp_path / "l.tif", pixels, nodata=nodata), **VALUES)
    assert np.array_equal(ids, ids_of(np.nan_to_num(pixels[0])))


def test_several_rasters_are_one_the_last_on_top(tmp_path: Path) -> None:
    whole = np.ones((1, HEIGHT, WIDTH), np.uint8)
    paths = [write(tmp_path / "a.tif", whole), write(tmp_path / "b.tif", whole[:, :8, :9] * 2, at=(3, 4))]
    ids, _ = harmonised(tmp_path, *paths, **VALUES)
    assert (ids[4:12, 3:12] == 2).all() and (ids == 2).sum() == 72


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_picture_without_a_place_lies_on_an_image_of_its_size(tmp_path: Path) -> None:
    pixels = values()
    path = write(tmp_path / "l.png", pixels, driver="PNG", crs=None, transform=None)
    assert np.array_equal(harmonised(tmp_path, path, **VALUES)[0], ids_of(pixels[0]))
    path = write(tmp_path / "s.png", pixels[:, 1:], driver="PNG", crs=None, transform=None)
    assert "40 × 29 pixels and no geotransform" in told(tmp_path, path, **VALUES)


def test_a_world_file_places_a_picture_in_the_images_crs(tmp_path: Path) -> None:
    pixels = values(10, 20)
    path = write(tmp_path / "l.png", pixels, driver="PNG", crs=None, transform=None)
    (tmp_path / "l.pgw").write_text(f"10\n0\n0\n-10\n{ORIGIN[0] + 55}\n{ORIGIN[1] - 65}\n")
    (tmp_path / "l.png.aux.xml").unlink(missing_ok=True)
    ids, _ = harmonised(tmp_path, path, **VALUES)
    assert np.array_equal(ids[6:16, 5:25], ids_of(pixels[0]))


def test_unknown_values_are_told_with_their_numbers(tmp_path: Path) -> None:
    pixels = values()
    pixels[0, 0, :7], pixels[0, 1, 0] = 5, 3
    path = write(tmp_path / "l.tif", pixels)
    message = told(tmp_path, path, **VALUES)
    assert "unknown values 5 (7 pixels), 3 (1 pixels)" in message
    assert '"5": <class>' in message
    ids, _ = harmonised(tmp_path, path, **VALUES, default_class="tree")
    assert (ids[0, :7] == 2).all()


def test_unknown_colours_are_told(tmp_path: Path) -> None:
    pixels = np.zeros((3, HEIGHT, WIDTH), np.uint8)
    pixels[0], pixels[1, :2] = 255, 1
    message = told(tmp_path, write(tmp_path / "l.tif", pixels), **COLOURS)
    assert "unknown colours #ff0100 (80 pixels)" in message


@pytest.mark.parametrize(
    ("bands", "labels", "words"),
    [
        (3, VALUES, "give the colours' classes in `labels.colours`"),
        (1, COLOURS, "give the values' classes in `labels.mapping`"),
        (1, {"mapping": {"forest": "tree"}}, "the mapping of a label raster"),
    ],
)
def test_rasters_that_do_not_fit_the_settings_are_told(
    tmp_path: Path, bands: int, labels: dict[str, Any], words: str
) -> None:
    assert words in told(tmp_path, write(tmp_path / "l.tif", np.ones((bands, HEIGHT, WIDTH), np.uint8)), **labels)


def test_rasters_elsewhere_or_without_labels_are_told(tmp_path: Path) -> None:
    assert "nothing inside the image" in told(tmp_path, write(tmp_path / "a.tif", values(), at=(900, 0)), **VALUES)
    assert "no labelled pixel" in told(tmp_path, write(tmp_path / "b.tif", values(of=(7,))), **VALUES)
    (tmp_path / "c.geojson").write_text("{}")
    assert "vector labels need `labels.attribute`" in told(tmp_path, str(tmp_path / "c.geojson"), **VALUES)


def test_raster_vision_gets_the_ids(tmp_path: Path) -> None:
    """What training and evaluation read, over the edge, too: the null class there."""
    from rastervision.core.box import Box

    from swath.rv.label_sources import label_source
    from swath.rv.pipeline import SceneOptions, class_config, scene_config

    pixels = values()
    facts = prepared(tmp_path, write(tmp_path / "l.tif", pixels), **VALUES)
    options = SceneOptions("semantic_segmentation", Imagery(normalize="none"), None)
    config = scene_config(facts, options, labels=label_source(facts, options))
    source = config.build(class_config(CLASSES, ["black", "red", "green"]), str(tmp_path)).label_source
    assert np.array_equal(source.get_label_arr(), ids_of(pixels[0]))
    assert np.array_equal(source.get_label_arr(Box(20, 30, 40, 50))[:10, :10], ids_of(pixels[0])[20:, 30:])
    assert not source.get_label_arr(Box(20, 30, 40, 50))[10:].any()


def prepared(folder: Path, labels: str, task: str = "semantic_segmentation", **settings_: Any) -> SceneFacts:
    image = write(folder / "image.tif", np.ones((1, HEIGHT, WIDTH), np.uint8))
    prepare_scenes([Scene("s", "train", image, labels)], spec(task, **settings_), folder / "out", folder / "out.json")
    return read_manifests([folder / "out.json"])[0]


def test_facts_of_a_scene_with_a_label_raster(tmp_path: Path) -> None:
    facts = prepared(tmp_path, write(tmp_path / "l.tif", values()), **VALUES)
    assert facts.labels is None and facts.evaluated is None
    assert facts.label_raster == str(tmp_path / "out" / "s" / "truth.tif")
    assert set(facts.sha256) == {"label_raster"}


@pytest.mark.parametrize("task", ["object_detection", "chip_classification"])
def test_other_tasks_need_vectors(tmp_path: Path, task: str) -> None:
    with pytest.raises(UserError, match=f"vector labels for {task}"):
        prepared(tmp_path, write(tmp_path / "l.tif", values()), task, **VALUES)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({}, "for label rasters, `mapping` or `colours`"),
        ({"colours": {"red": "a"}, "attribute": "x"}, "leave `attribute` and `mapping` out"),
        ({"colours": {"rad": "a"}}, "a colour name such as orange"),
        (
            {"mapping": {"1": "a"}, "buffer": 3},
            "it is for vector labels, and `mapping` or `colours` without `attribute` for rasters",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_told(labels: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Labels(**labels)


@given(st.integers(0, 2**16), st.sampled_from([0.1, 0.5, 0.9]))
@settings(max_examples=15, deadline=None)
def test_raster_visions_evaluator_sees_the_labelled_pixels_and_no_others(
    tmp_path_factory: pytest.TempPathFactory, seed: int, share: float
) -> None:
    from rastervision.core.box import Box
    from rastervision.core.data import SemanticSegmentationLabels

    from swath.rv.pipeline import SceneOptions, class_config, scene_config

    folder, extent = tmp_path_factory.mktemp("aoi"), Box(0, 0, HEIGHT, WIDTH)
    labelled = np.random.default_rng(seed).random((1, HEIGHT, WIDTH)) < share
    image = write(folder / "i.tif", np.ones((1, HEIGHT, WIDTH), np.uint8))
    write(folder / "l.tif", labelled.astype(np.uint8))
    facts = facts_of(as_image(read_header(image), image))
    area = label_raster.evaluated_area(folder / "l.tif", None, facts)
    area.to_file(folder / "area.geojson", driver="GeoJSON")
    options = SceneOptions("semantic_segmentation", Imagery(normalize="none"), None)
    built = scene_config(facts, options, aoi=str(folder / "area.geojson")).build(
        class_config(["null", "a"], ["black", "red"]), str(folder)
    )
    seen = SemanticSegmentationLabels.make_empty(extent=extent, num_classes=2, smooth=False)
    seen[extent] = np.ones((HEIGHT, WIDTH), int)
    seen.filter_by_aoi(built.aoi_polygons, 0)
    assert np.array_equal(seen.get_label_arr(extent), labelled[0])
