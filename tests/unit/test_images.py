"""Images of every kind: any type, any nodata, several files; and not a wrong pixel on the way to a chip."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from made_facts import facts_of
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.warp import reproject

from swath.config.chips import Chips
from swath.config.imagery import Imagery, Range
from swath.errors import UserError
from swath.scenes.analyze import analyze
from swath.scenes.facts import SceneFacts, SceneImage
from swath.scenes.images import read_header, read_image
from swath.scenes.manifest import channel_order, check_imagery

CRS = "EPSG:32633"
ORIGIN = (330_000.0, 5_820_000.0)
Pixels = NDArray[Any]


def write(
    path: Path,
    pixels: Pixels,
    *,
    resolution: float = 10.0,
    at: tuple[float, float] = (0, 0),
    names: Sequence[str] = (),
    mask: Pixels | None = None,
    alpha: bool = False,
    **profile: Any,
) -> str:
    """Write an image, bands × height × width; ``at`` is its upper left corner, in columns and rows of 10 m."""
    x, y = ORIGIN[0] + 10 * at[0], ORIGIN[1] - 10 * at[1]
    options = {
        "driver": "GTiff",
        "dtype": pixels.dtype,
        "count": pixels.shape[0],
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "crs": CRS,
        "transform": rasterio.transform.from_origin(x, y, resolution, resolution),
    }
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **(options | profile)) as dataset:
        dataset.write(pixels)
        if names:
            dataset.descriptions = names
        if alpha:
            dataset.colorinterp = [*[ColorInterp.gray] * (pixels.shape[0] - 1), ColorInterp.alpha]
        if mask is not None:
            dataset.write_mask(mask)
    return str(path)


def scene(entry: str, folder: Path, **imagery: Any) -> SceneFacts:
    """A scene's facts, as far as imagery goes."""
    published = folder / "scene"
    published.mkdir(exist_ok=True)
    return facts_of(read_image(entry, Imagery(**imagery), published, published))


def pixels_of(facts: SceneImage) -> np.ma.MaskedArray[Any, Any]:
    with rasterio.open(facts.image) as dataset:
        return dataset.read(masked=True)


def told(entry: str, folder: Path, **imagery: Any) -> str:
    with pytest.raises(UserError) as caught:
        scene(entry, folder, **imagery)
    return str(caught.value)


def ramp(bands: int = 2, height: int = 30, width: int = 40, dtype: str = "uint16") -> Pixels:
    return (np.arange(bands * height * width).reshape(bands, height, width) % 251 + 1).astype(dtype)


# --- from scene to chip ------------------------------------------------------------------------------


def chip_of(facts: SceneFacts, imagery: Imagery, folder: Path, window: tuple[int, ...]) -> Pixels:
    """A window as the model gets it: Raster Vision's raster source with our transformers."""
    from rastervision.core.box import Box

    from swath.rv.pipeline import SceneOptions, class_config, scene_config

    stats = None
    if imagery.normalize != "none":
        stats = str(folder / "stats.json")
        analyze([facts], imagery, Path(stats))
    config = scene_config(facts, SceneOptions("semantic_segmentation", imagery, stats))
    built = config.build(class_config(["null"], ["black"]), str(folder))
    return np.asarray(built.raster_source.get_chip(Box(*window)))


def expected_chip(data: Pixels, valid: NDArray[np.bool_], imagery: Imagery, window: tuple[int, ...]) -> Pixels:
    """The same from the arrays: without data is 0, what has data is stretched and clipped, 0 stays 0."""
    values = np.where(valid & np.isfinite(data), data, 0).astype(np.float64)
    normalize = imagery.normalize
    if normalize == "none" or (normalize == "statistics" and data.dtype == np.uint8):
        normalized = values
    else:
        empty = (values == 0).all(axis=0) if len(values) > 1 else np.zeros(values.shape[1:], bool)
        there = [band[(band != 0) & ~empty] for band in values]
        there = [band if band.size else np.zeros(1) for band in there]  # a band without data stays 0
        if normalize == "statistics":
            low = [band.mean() - 3 * (band.std() or 1.0) for band in there]
            high = [band.mean() + 3 * (band.std() or 1.0) for band in there]
        elif normalize == "min_max":
            edges = [(float(band.min()), float(band.max())) for band in there]
            edges = [(a, b) if b > a else (a - 0.5, a + 0.5) for a, b in edges]  # one value alone becomes grey
            low, high = [a for a, _ in edges], [b for _, b in edges]
        else:
            assert isinstance(normalize, Range)
            low, high = [normalize.min] * len(values), [normalize.max] * len(values)
        low_, high_ = (np.array(edge, dtype=np.float64)[:, None, None] for edge in (low, high))
        normalized = np.clip((values - low_) / (high_ - low_), 0, 1) * 255
        normalized[values == 0] = 0
    top, left, bottom, right = window
    chip = np.zeros((len(values), bottom - top, right - left))
    inside = normalized[:, max(top, 0) : bottom, max(left, 0) : right]
    y, x = max(-top, 0), max(-left, 0)
    chip[:, y : y + inside.shape[1], x : x + inside.shape[2]] = inside
    return np.moveaxis(chip, 0, -1)


@st.composite
def images(draw: st.DrawFn) -> dict[str, Any]:
    """Random pixels of a random type, with a nodata value or mask or neither, and settings that go with them."""
    dtype = draw(st.sampled_from(["uint8", "uint16", "int16", "int32", "float32", "float64"]))
    floating = dtype.startswith("float")
    shape = (draw(st.integers(1, 4)), draw(st.integers(9, 30)), draw(st.integers(9, 30)))
    limits = (-1e6, 1e6) if floating else (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max))
    low, high = sorted(draw(st.tuples(*[st.integers(int(max(limits[0], -1e9)), int(min(limits[1], 1e9)))] * 2)))
    special = [0, low, *([np.nan] if floating else [])]
    elements = st.one_of(
        st.sampled_from(special),
        st.floats(low, high, width=32, allow_subnormal=False) if floating and high > low else st.integers(low, high),
    )
    pixels = draw(arrays.arrays(np.dtype(dtype), shape, elements=elements, fill=st.nothing()))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    nodata = draw(st.sampled_from([None, 0, low, *([float("nan")] if floating else [])]))
    override = draw(st.sampled_from([None, None, 0, low, *(["nan"] if floating else [])]))
    mask = random.random(shape[1:]) > 0.2 if nodata is None and draw(st.booleans()) else None
    kinds: list[Any] = ["statistics", "min_max", {"min": -20, "max": 300.5}, *(["none"] if dtype == "uint8" else [])]
    imagery = {"nodata": override, "normalize": draw(st.sampled_from(kinds))}
    window = draw(st.sampled_from([(0, 0, 9, 9), (1, 2, 8, 9), (0, 0, *shape[1:]), (-3, -2, 7, 8)]))
    return {"pixels": pixels, "nodata": nodata, "mask": mask, "imagery": imagery, "window": window}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(images())
def test_not_a_pixel_is_wrong_on_the_way_from_a_scene_to_a_chip(image: dict[str, Any]) -> None:
    pixels, imagery = image["pixels"], Imagery(**image["imagery"])
    valid = np.ones(pixels.shape, bool)
    if imagery.nodata is not None:
        valid &= ~_equal(pixels, float(imagery.nodata))
    elif image["nodata"] is not None:
        valid &= ~_equal(pixels, image["nodata"])
    elif image["mask"] is not None:
        valid &= image["mask"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # MINISBLACK, or GDAL takes the fourth of four 8-bit bands for transparency
        kept = {"nodata": image["nodata"], "mask": image["mask"], "photometric": "MINISBLACK"}
        path = write(folder / "i.tif", pixels, **kept)
        facts = scene(path, folder, **image["imagery"])
        chip = chip_of(facts, imagery, folder, image["window"])
    expected = expected_chip(pixels, valid, imagery, image["window"])
    assert chip.dtype == np.uint8
    # Raster Vision cuts fractions off, so that rounding errors can show as one step
    assert (np.abs(chip - np.floor(expected)) <= (np.abs(expected - np.rint(expected)) < 1e-4)).all()


def _equal(pixels: Pixels, value: float) -> NDArray[np.bool_]:
    return np.isnan(pixels) if np.isnan(value) else pixels == np.array(value).astype(pixels.dtype)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_chips_on_disk_are_what_the_image_says(tmp_path: Path, dtype: str) -> None:
    from swath.rv.chip import cut_chips
    from swath.rv.pipeline import SceneOptions
    from swath.scenes.label_raster import write_ids

    pixels = ramp(3, 48, 48, dtype)
    pixels[:, :4] = 7
    imagery = Imagery(nodata=7, normalize={"min": 0, "max": 300})
    facts = replace(
        scene(write(tmp_path / "i.tif", pixels), tmp_path, nodata=7),
        id=f"tile [{dtype}] {{ü}} (2)",  # names of files are made of it
        label_raster=str(tmp_path / "labels.tif"),
    )
    write_ids(tmp_path / "labels.tif", facts, lambda window: np.ones((window.height, window.width), np.uint8), 2)
    analyze([], imagery, tmp_path / "stats.json")
    chips = Chips(size=16, sampling="sliding", stride=16)
    options = SceneOptions("semantic_segmentation", imagery, str(tmp_path / "stats.json"))
    cut_chips([facts], "train", chips, options, ["null", "a"], tmp_path / "chips.zip")
    expected = np.where(pixels == 7, 0, pixels / 300 * 255).transpose(1, 2, 0)
    with zipfile.ZipFile(tmp_path / "chips.zip") as archive:
        images = sorted(name for name in archive.namelist() if "/img/" in name)
        assert len(images) == 9
        assert all(Path(name).name.startswith(f"tile__{dtype}___ü___2_~") for name in images)
        for name, (row, column) in zip(images, np.ndindex(3, 3), strict=True):
            chip = rasterio.MemoryFile(archive.read(name)).open().read().transpose(1, 2, 0)
            there = expected[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
            assert (np.abs(chip - np.floor(there)) <= (np.abs(there - np.rint(there)) < 1e-6)).all()


# --- normalisation -----------------------------------------------------------------------------------


def statistics(tmp_path: Path, pixels: Pixels, **imagery: Any) -> dict[str, Any]:
    facts = scene(write(tmp_path / "i.tif", pixels), tmp_path)
    analyze([facts], Imagery(**imagery), tmp_path / "stats.json")
    content: dict[str, Any] = json.loads((tmp_path / "stats.json").read_text())
    return content


def test_statistics_are_raster_visions(tmp_path: Path) -> None:
    from rastervision.core.data import RasterioSource
    from rastervision.core.raster_stats import RasterStats

    pixels = np.random.default_rng(0).integers(0, 900, (3, 700, 1300)).astype(np.uint16)
    ours, theirs = statistics(tmp_path, pixels), RasterStats()
    theirs.compute([RasterioSource(str(tmp_path / "i.tif"))])
    assert ours["means"] == pytest.approx(theirs.means.tolist(), rel=1e-9)
    assert ours["stds"] == pytest.approx(theirs.stds.tolist(), rel=1e-5)  # theirs divide by one pixel less, or not


def test_an_empty_corner_of_one_band_and_an_infinite_value_spoil_nothing(tmp_path: Path) -> None:
    pixels = ramp(2, 700, 700, "float32")
    pixels[0, :400, :400] = 0
    pixels[1, 5, 5] = np.inf
    values = statistics(tmp_path, pixels)
    assert np.isfinite([*values["means"], *values["stds"], *values["maxima"]]).all()
    assert values["zeros"] == pytest.approx([400 * 400 / 700**2, 0], rel=1e-3)


def test_zeros_that_are_values_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sea = ramp(1, 100, 100, "int16") - 120
    sea[0, :30] = 0
    statistics(tmp_path, sea)
    assert "band 1: 30 % of the values are 0" in caplog.text
    caplog.clear()
    statistics(tmp_path, ramp(1, 100, 100))
    assert not caplog.text


def test_limits_can_differ_by_band(tmp_path: Path) -> None:
    values = statistics(tmp_path, ramp(2), normalize={"min": [0, 10], "max": 100})
    assert values["means"] == [50, 55] and values["stds"] == pytest.approx([100 / 6, 15])


def test_limits_are_those_that_the_plan_has_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in the key: whatever the code makes of a range by now, these are the limits."""
    resolved = Imagery(normalize={"min": [0.0, 10.0], "max": [100.0, 100.0]})
    monkeypatch.setattr(Range, "limits", lambda self: ([7.0, 7.0], [8.0, 8.0]))
    analyze([], resolved, tmp_path / "stats.json")
    values = json.loads((tmp_path / "stats.json").read_text())
    assert values["means"] == [50, 55] and values["stds"] == pytest.approx([100 / 6, 15])


@pytest.mark.parametrize("normalize", ["min_max", {"min": 1, "max": 251}])
def test_eight_bit_imagery_is_stretched_when_asked_to(tmp_path: Path, normalize: Any) -> None:
    facts = scene(write(tmp_path / "i.tif", ramp(2, dtype="uint8")), tmp_path)
    imagery = Imagery(normalize=normalize)
    chip = chip_of(facts, imagery, tmp_path, (0, 0, 30, 40))
    assert (chip.min(), chip.max()) == (0, 255)


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"normalize": {"min": [1, 2], "max": [3, 4, 5]}}, "one per band in both"),
        ({"normalize": {"min": [1, 9], "max": [3, 4]}}, "a `min` that is smaller than `max`"),
        ({"normalize": {"min": [1, 2], "max": 9}, "bands": [1, 2, 3]}, "one for all, or one per band"),
    ],
)
def test_limits_that_cannot_be_are_told(settings_: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Imagery(**settings_)


def test_images_and_settings_that_do_not_fit_are_told(tmp_path: Path) -> None:
    two = scene(write(tmp_path / "a.tif", ramp(2)), tmp_path)
    one = scene(write(tmp_path / "b.tif", ramp(2, dtype="uint8")), tmp_path)
    limits = Imagery(normalize={"min": [0, 0, 0], "max": 9})
    with pytest.raises(UserError, match=r"3 limits[\s\S]*one for all, or 2"):
        check_imagery([two], limits)
    with pytest.raises(UserError, match=r"uint16 in .*, uint8 in"):
        check_imagery([two, one], Imagery())
    assert check_imagery([two, one], Imagery(normalize="min_max")) == 2


# --- one file ------------------------------------------------------------------------------------------


def test_a_plain_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "i.tif", ramp(), nodata=9)
    facts = scene(path, tmp_path)
    assert (facts.image, facts.files) == (path, (path,))
    assert not (tmp_path / "scene" / "image.vrt").exists()


def test_the_configs_nodata_value_holds_alone(tmp_path: Path) -> None:
    facts = scene(write(tmp_path / "i.tif", ramp(), nodata=9), tmp_path, nodata=7)
    pixels = pixels_of(facts)
    assert facts.nodata == 7
    assert np.array_equal(pixels.mask, ramp() == 7)
    assert np.array_equal(pixels.data, ramp())


@pytest.mark.parametrize(("nodata", "dtype"), [(-1, "uint16"), (0.5, "int16"), ("nan", "uint8"), (300, "uint8")])
def test_a_nodata_value_that_no_pixel_can_have_is_told(tmp_path: Path, nodata: Any, dtype: str) -> None:
    message = told(write(tmp_path / "i.tif", ramp(dtype=dtype)), tmp_path, nodata=nodata)
    assert f"imagery.nodata: {nodata}" in message and f"{dtype} pixels" in message


def test_a_config_can_say_nan_in_two_ways() -> None:
    assert Imagery(nodata=float("nan")) == Imagery(nodata="nan")


def test_transparency_is_no_band(tmp_path: Path) -> None:
    facts = scene(write(tmp_path / "i.tif", ramp(4, dtype="uint8"), alpha=True), tmp_path)
    assert channel_order(facts, None) == [0, 1, 2]


@pytest.mark.parametrize("dtype", ["complex64", "int64"])
def test_a_type_that_cannot_be_normalised_is_told(tmp_path: Path, dtype: str) -> None:
    assert "pixel type" in told(write(tmp_path / "i.tif", ramp(1).astype(dtype)), tmp_path)


def test_nodata_values_that_differ_by_band_become_one(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.tif", ramp(1), nodata=9), write(tmp_path / "b.tif", ramp(1), nodata=5)
    pixels = pixels_of(scene(f"{first};{second}", tmp_path, files="bands"))
    assert np.array_equal(pixels[0].mask, ramp(1)[0] == 9)
    assert np.array_equal(pixels[1].mask, ramp(1)[0] == 5)


# --- several files -----------------------------------------------------------------------------------------


def test_several_files_need_a_word(tmp_path: Path) -> None:
    paths = ";".join(write(tmp_path / f"{name}.tif", ramp()) for name in "ab")
    assert "`mosaic` (tiles of one image) or `bands`" in told(paths, tmp_path)


@pytest.mark.parametrize("nodata", [None, 9])
def test_tiles_become_one_image(tmp_path: Path, nodata: int | None) -> None:
    whole = ramp(2, 30, 40)
    cuts = {"a": (0, 0, 25, 30), "b": (25, 0, 40, 30)}
    for name, (left, top, right, bottom) in cuts.items():
        write(
            tmp_path / f"{name}.tif", whole[:, top:bottom, left:right], at=(left, top), names=("r", "n"), nodata=nodata
        )
    facts = scene(str(tmp_path / "*.tif"), tmp_path, files="mosaic")
    assert (facts.width, facts.height, facts.bands) == (40, 30, ("r", "n"))
    assert facts.transform == (10, 0, ORIGIN[0], 0, -10, ORIGIN[1])
    assert np.array_equal(pixels_of(facts).data, whole)
    assert facts.nodata == nodata
    assert len(facts.files) == 2


def test_between_tiles_there_is_no_data_and_an_empty_margin_hides_nothing(tmp_path: Path) -> None:
    first, second = ramp(1, 20, 20), ramp(1, 20, 20) + 300
    second[:, :, :5] = 9  # no data, where the first tile has some
    paths = [
        write(tmp_path / "a.tif", first, nodata=9),
        write(tmp_path / "b.tif", second, at=(15, 30), nodata=9),
        write(tmp_path / "c.tif", second, at=(15, 0), nodata=9),
    ]
    pixels = pixels_of(scene(";".join(paths), tmp_path, files="mosaic"))
    assert pixels.shape == (1, 50, 35)
    assert np.array_equal(pixels[0, :20, :20].data, first[0])
    assert np.array_equal(pixels[0, :20, 20:].data, second[0, :, 5:])
    assert pixels.mask[0, 20:30].all()


def test_tiles_without_nodata_value_leave_gaps_of_zeros_that_are_no_data(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.tif", ramp(1, 10, 10), at=(20 * i, 0)) for i in (0, 1)]
    facts = scene(";".join(paths), tmp_path, files="mosaic")
    assert facts.nodata == 0
    assert pixels_of(facts).mask.sum() == 100


def test_masks_of_tiles_are_kept(tmp_path: Path) -> None:
    mask = np.arange(400).reshape(20, 20) % 7 > 0
    paths = [
        write(tmp_path / "a.tif", ramp(1, 20, 20), mask=mask),
        write(tmp_path / "b.tif", ramp(1, 20, 20), mask=mask, at=(20, 0)),
    ]
    pixels = pixels_of(scene(";".join(paths), tmp_path, files="mosaic"))
    assert np.array_equal(pixels.mask[0], np.hstack([~mask, ~mask]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"crs": "EPSG:32632"}, "CRS"),
        ({"resolution": 20.0}, "20 × 20"),
        ({"dtype": "int16"}, "pixel type"),
        ({"bands": 1}, "number of bands"),
        ({"at": (20.5, 0)}, "shifted by 0.50 pixels"),
        ({"transform": rasterio.Affine(9, 1, 330_000, 2, -9, 5_820_000)}, "a grid that points north"),
    ],
)
def test_tiles_that_do_not_go_together_are_told(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    first = write(tmp_path / "a.tif", ramp(2, 20, 20))
    other = ramp(change.pop("bands", 2), 20, 20, change.pop("dtype", "uint16"))
    second = write(tmp_path / "b.tif", other, **({"at": (20, 0)} | change))
    message = told(f"{first};{second}", tmp_path, files="mosaic")
    assert words in message and "b.tif" in message


def test_bands_of_three_resolutions_are_stacked_on_the_finest_grid(tmp_path: Path) -> None:
    fine, half, sixth = ramp(1, 36, 48), ramp(1, 18, 24) + 300, ramp(1, 6, 8) + 900
    for name, pixels, resolution in (("B02", fine, 10.0), ("B05", half, 20.0), ("B01", sixth, 60.0)):
        write(tmp_path / f"T33UUU_2017_{name}.tif", pixels, resolution=resolution)
    facts = scene(str(tmp_path / "T33*.tif"), tmp_path, files="bands")
    assert facts.bands == ("B01", "B02", "B05")
    pixels = pixels_of(facts).data
    assert np.array_equal(pixels[1], fine[0])
    assert np.array_equal(pixels[2], half[0].repeat(2, 0).repeat(2, 1))
    assert np.array_equal(pixels[0], sixth[0].repeat(6, 0).repeat(6, 1))
    assert channel_order(facts, ["B02", "B01"]) == [1, 0]


def test_coarser_bands_that_start_elsewhere_are_resampled_by_nearest_neighbour(tmp_path: Path) -> None:
    fine, coarse = ramp(1, 30, 40), ramp(1, 12, 15)
    paths = [write(tmp_path / "a.tif", fine), write(tmp_path / "b.tif", coarse, resolution=30.0, at=(-1.3, -2.4))]
    facts = scene(";".join(paths), tmp_path, files="bands")
    with rasterio.open(paths[0]) as grid, rasterio.open(paths[1]) as dataset:
        expected, _ = reproject(
            rasterio.band(dataset, 1),
            np.zeros((30, 40), np.uint16),
            dst_transform=grid.transform,
            dst_crs=grid.crs,
            resampling=Resampling.nearest,
        )
    assert np.array_equal(pixels_of(facts).data[1], expected)


def test_bands_of_two_types_get_one_that_holds_both(tmp_path: Path) -> None:
    height = ramp(1, dtype="float32") / 7
    paths = [write(tmp_path / "red.tif", ramp(1)), write(tmp_path / "height.tif", height)]
    facts = scene(";".join(paths), tmp_path, files="bands")
    assert (facts.dtype, facts.bands) == ("float32", ("red", "height"))
    assert np.array_equal(pixels_of(facts).data, np.concatenate([ramp(1), height]))


def test_bands_elsewhere_are_told(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.tif", ramp(1)), write(tmp_path / "b.tif", ramp(1), at=(500, 0))]
    assert "some within" in told(";".join(paths), tmp_path, files="bands")


def test_a_band_without_a_place_lies_on_the_file_of_its_size(tmp_path: Path) -> None:
    here = write(tmp_path / "rgb.tif", ramp(2, dtype="uint8"))
    nowhere = write(tmp_path / "height.tif", ramp(1, dtype="uint8"), crs=None, transform=None)
    for entry in (f"{here};{nowhere}", f"{nowhere};{here}"):
        facts = scene(entry, tmp_path, files="bands")
        assert (facts.count, facts.transform) == (3, read_header(here).transform)
        stacked = [ramp(2, dtype="uint8"), ramp(1, dtype="uint8")]
        assert np.array_equal(pixels_of(facts), np.concatenate(stacked if entry.startswith(here) else stacked[::-1]))
    assert "height.tif: georeference" in told(f"{here};{nowhere}", tmp_path, files="mosaic")
    smaller = write(tmp_path / "smaller.tif", ramp(1, 20, 20), crs=None, transform=None)
    assert "smaller.tif: georeference" in told(f"{here};{smaller}", tmp_path, files="bands")


def test_an_infrared_band_that_gdal_takes_for_transparency_can_be_named(tmp_path: Path) -> None:
    rgbir = write(tmp_path / "rgbir.tif", ramp(4, dtype="uint8"), alpha=True)
    height = write(tmp_path / "height.tif", ramp(1, dtype="uint8"))
    facts = scene(f"{rgbir};{height}", tmp_path, files="bands")
    assert channel_order(facts, [4, 5, 1]) == [3, 4, 0]
    assert channel_order(facts, None) == [0, 1, 2, 4]
    assert np.array_equal(pixels_of(facts)[3:], np.concatenate([ramp(4, dtype="uint8")[3:], ramp(1, dtype="uint8")]))


def test_all_unreadable_files_of_a_scene_are_told(tmp_path: Path) -> None:
    message = told("nowhere/a.tif;nowhere/b.tif", tmp_path, files="mosaic")
    assert "nowhere/a.tif" in message and "nowhere/b.tif" in message


def test_an_image_in_an_archive_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "i.tif", ramp())
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.write(path, "i.tif")
    for entry in (f"zip://{tmp_path}/images.zip!i.tif", f"/vsizip/{tmp_path}/images.zip/i.tif"):
        facts = scene(entry, tmp_path)
        assert facts.image.endswith("image.vrt")
        assert np.array_equal(pixels_of(facts).data, ramp())


def test_an_image_on_a_server_is_read(tmp_path: Path) -> None:
    write(tmp_path / "i.tif", ramp())
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        port = re.findall(r"port (\d+)", server.stdout.readline())[0]
        facts = scene(f"http://127.0.0.1:{port}/i.tif", tmp_path)
        assert facts.image.endswith("image.vrt")
        assert np.array_equal(pixels_of(facts).data, ramp())
        server.terminate()


def test_a_virtual_raster_finds_its_files_from_its_own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the project is moved, and when results are a link to another disk."""
    project, disk = tmp_path / "project", tmp_path / "elsewhere" / "disk"
    for folder in (project / "data", disk):
        folder.mkdir(parents=True)
    (project / "results").symlink_to(disk)
    monkeypatch.chdir(project)
    write(Path("data/a.tif"), ramp())
    for place in ("kept", "results"):
        folder, published = Path(place, ".tmp", "s"), Path(place, "published", "s")
        folder.mkdir(parents=True)
        imagery = Imagery(nodata=3)
        facts = read_image("data/a.tif", imagery, folder, published)
        folder.parent.rename(published.parent)
        assert np.array_equal(pixels_of(facts).data, ramp())
    assert '<SourceFilename relativeToVRT="1">../../../data/a.tif' in Path("kept/published/s/image.vrt").read_text()
    project.rename(tmp_path / "moved")
    assert np.array_equal(read_pixels(tmp_path / "moved" / "kept/published/s/image.vrt"), ramp())


def read_pixels(path: Path) -> Pixels:
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read())


def test_a_header_says_where_a_scene_lies(tmp_path: Path) -> None:
    west, south, east, north = read_header(write(tmp_path / "i.tif", ramp())).bounds
    assert 12 < west < east < 13 and 52 < south < north < 53


def test_not_a_number_is_no_data_in_maps_and_pictures_though_no_file_says_so(tmp_path: Path) -> None:
    from swath.report.figure import true_colour
    from swath.scenes.no_data import without_data

    pixels = ramp(3, dtype="float32")
    pixels[:, :4], pixels[0, 10] = np.nan, np.nan
    facts = scene(write(tmp_path / "i.tif", pixels), tmp_path)
    empty = without_data(facts.image, [0, 1, 2])
    assert empty[:4].all() and not empty[4:].any()
    picture = true_colour(facts, most=1000)
    assert np.isfinite(picture).all() and picture.max() == 1
