"""Scenes without a split get one: by shares, in folds, by blocks on the ground."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from experiment import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from swath.config.load import load_experiment
from swath.config.scenes import Scenes, Split
from swath.errors import UserError
from swath.scenes import blocks
from swath.scenes.blocks import MEMORY, blocks_of, overlapping, read_footprints, square
from swath.scenes.scene import Scene
from swath.scenes.splits import deal, in_split, read_split, split_scenes, split_table, write_splits
from swath.scenes.table import read_scenes

THREE = ("train", "validation", "test")


def scenes(number: int, split: str = "") -> list[Scene]:
    return [Scene(f"s{index:03}", split, f"{index}.tif", f"{index}.json") for index in range(number)]


def dealt(split: Split, number: int) -> dict[str, str]:
    """Scene → split, or fold."""
    done = split_scenes(scenes(number), split, "scenes.csv")
    return {scene.id: scene.split if scene.fold is None else str(scene.fold) for scene in done}


def told(split: Split, some: list[Scene]) -> str:
    with pytest.raises(UserError) as caught:
        split_scenes(some, split, "scenes.csv")
    return str(caught.value)


SHARES = st.tuples(st.floats(0.01, 0.6), st.floats(0, 0.39)).map(lambda two: Split(validation=two[0], test=two[1]))


# --- shares ----------------------------------------------------------------------------------------


@given(SHARES, st.integers(3, 200))
def test_shares_are_met_to_a_scene_and_no_split_is_empty(split: Split, number: int) -> None:
    counts = Counter(dealt(split, number).values())
    wanted = {part: share for part, share in split.shares().items() if share > 0}
    assert set(counts) == set(wanted)
    for part, share in wanted.items():
        assert abs(counts[part] - share * number) <= 1 or min(counts.values()) == 1


def test_the_usual_shares() -> None:
    assert Counter(dealt(Split(), 100).values()) == {"train": 70, "validation": 15, "test": 15}
    assert Counter(dealt(Split(train=0.8, validation=0.2, test=0), 10).values()) == {"train": 8, "validation": 2}


def test_the_draw_depends_on_the_seed_alone() -> None:
    assert dealt(Split(), 40) == dealt(Split(), 40)
    assert dealt(Split(), 40) != dealt(Split(seed=1), 40)
    shuffled = split_scenes(scenes(40)[::-1], Split(), "")
    assert {scene.id: scene.split for scene in shuffled} == dealt(Split(), 40)


@given(SHARES, st.integers(3, 120))
def test_a_new_scene_moves_at_most_two_others(split: Split, number: int) -> None:
    before, after = dealt(split, number), dealt(split, number + 1)
    assert sum(before[scene] != after[scene] for scene in before) <= 2


@given(st.integers(2, 9), st.integers(20, 80))
def test_a_new_scene_moves_at_most_one_other_per_border_between_folds(folds: int, number: int) -> None:
    before, after = dealt(Split(folds=folds), number), dealt(Split(folds=folds), number + 1)
    assert sum(before[scene] != after[scene] for scene in before) <= folds


def test_a_said_split_stays_and_the_rest_is_dealt_out() -> None:
    some = [*scenes(10), *(replace(scene, id=f"t{scene.id}") for scene in scenes(4, "test"))]
    done = split_scenes(some, Split(validation=0.2, test=0), "")
    assert Counter(scene.split for scene in done) == {"train": 8, "validation": 2, "test": 4}
    assert all(scene.split == "test" for scene in done if scene.id.startswith("t"))


# --- folds -----------------------------------------------------------------------------------------


@given(st.integers(2, 8), st.integers(8, 100), st.sampled_from([0, 0.2]))
def test_every_scene_has_one_fold_and_folds_are_equal(folds: int, number: int, test: float) -> None:
    number = max(number, folds + 1)
    done = split_scenes(scenes(number), Split(folds=folds, test=test), "")
    sizes = Counter(scene.fold for scene in done if scene.fold is not None)
    assert set(sizes) == set(range(folds))
    assert max(sizes.values()) - min(sizes.values()) <= 2
    assert {scene.split for scene in done if scene.fold is not None} == {"train"}
    assert {scene.split for scene in done if scene.fold is None} == ({"test"} if test else set())


def test_folds_are_as_even_as_can_be() -> None:
    assert sorted(Counter(dealt(Split(folds=3, test=0), 10).values()).values()) == [3, 3, 4]


def test_what_the_table_says_stands_in_every_fold() -> None:
    some = [*scenes(6), Scene("t", "train", "t", "t"), Scene("x", "test", "x", "x")]
    done = {scene.id: scene for scene in split_scenes(some, Split(folds=2, test=0), "")}
    assert (done["t"].split, done["t"].fold) == ("train", None)
    assert (done["x"].split, done["x"].fold) == ("test", None)


# --- groups ----------------------------------------------------------------------------------------

SIZES = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(1, 30), min_size=3, max_size=30)


@given(SIZES, SHARES, st.integers(0, 5))
def test_every_group_is_in_one_part_and_no_part_is_empty(sizes: dict[str, int], split: Split, seed: int) -> None:
    parts = deal(sizes, split.shares(), seed)
    assert set(parts) == set(sizes)
    assert set(parts.values()) == {part for part, share in split.shares().items() if share > 0}


def test_one_large_group_and_two_small_ones() -> None:
    parts = deal({"large": 90, "one": 5, "two": 5}, Split().shares(), 0)
    assert parts["large"] == "train"


@given(st.lists(st.integers(1, 5), min_size=12, max_size=40), st.integers(0, 5))
def test_uneven_groups_come_near_the_shares(numbers: list[int], seed: int) -> None:
    sizes = {f"g{index}": number for index, number in enumerate(numbers)}
    counts: Counter[str] = Counter()
    for group, part in deal(sizes, Split().shares(), seed).items():
        counts[part] += sizes[group]
    for part, share in Split().shares().items():
        assert abs(counts[part] - share * sum(numbers)) <= max(numbers)


# --- blocks ----------------------------------------------------------------------------------------

PLACES = st.tuples(st.floats(-179, 179), st.floats(-75, 75))


@given(PLACES, st.floats(500, 200_000))
def test_a_square_is_as_high_and_wide_as_it_is_said(place: tuple[float, float], side: float) -> None:
    def same(longitude: float, latitude: float) -> bool:
        return square((place[0] + longitude, place[1] + latitude), side) == square(place, side)

    high = 180 / np.pi * side / blocks.EARTH_RADIUS
    wide = high / np.cos(np.radians(abs(place[1]) + high))
    assert not same(0, 1.01 * high)
    assert not same(1.01 * wide, 0)
    assert same(0, 0.49 * high) or same(0, -0.49 * high), "it is no smaller either"
    narrow = high / np.cos(np.radians(max(abs(place[1]) - high, 0)))
    assert same(0.49 * narrow, 0) or same(-0.49 * narrow, 0)


def tile(column: float, row: float, side: float = 0.01) -> list[tuple[float, float]]:
    """The corners of a tile in a grid of tiles 0.01° wide near Berlin."""
    west, south = 13 + column * 0.01, 52 + row * 0.01
    return [(west, south), (west + side, south), (west + side, south + side), (west, south + side)]


def test_overlapping_scenes_are_one_and_touching_ones_are_not() -> None:
    footprints = {"a": tile(0, 0), "b": tile(1, 0), "c": tile(1.5, 0), "d": tile(2.4, 0), "e": tile(9, 9)}
    assert overlapping(footprints) == [["a"], ["b", "c", "d"], ["e"]]


def test_the_same_place_twice_is_one() -> None:
    assert overlapping({"may": tile(0, 0), "june": tile(0, 0)}) == [["june", "may"]]


def write_image(path: Path, column: float, row: float, crs: str | None = "EPSG:32633", side: int = 64) -> None:
    """An image of 64 × 64 pixels of 10 m at a place in a grid of such images."""
    left, top = 370_000 + column * 640, 5_810_000 - row * 640
    transform = rasterio.Affine(10, 0, left, 0, -10, top) if crs else rasterio.Affine.identity()
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint8"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", crs=crs and CRS.from_user_input(crs), transform=transform, **profile) as image:
        image.write(np.zeros((1, side, side), "uint8"))


@pytest.fixture
def mosaic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scenes:
    """A table of 6 × 6 adjoining images, without splits."""
    monkeypatch.chdir(tmp_path)
    rows = ["scene,image,labels"]
    for row in range(6):
        for column in range(6):
            name = f"r{row}c{column}"
            write_image(tmp_path / f"data/{name}.tif", column, row)
            (tmp_path / f"data/{name}.json").touch()
            rows.append(f"{name},{name}.tif,{name}.json")
    Path("data/scenes.csv").write_text("\n".join(rows) + "\n")
    return Scenes(table="data/scenes.csv", split=Split(block=1500))


def test_scenes_of_a_block_stay_together(mosaic: Scenes) -> None:
    done = read_scenes(mosaic)
    splits: dict[str, set[str]] = {}
    for scene in done:
        assert scene.block
        splits.setdefault(scene.block, set()).add(scene.split)
    assert 6 <= len(splits) <= 25
    assert all(len(found) == 1 for found in splits.values())
    assert {scene.split for scene in done} == set(THREE)


def test_neighbours_of_a_block_stay_together_in_folds(mosaic: Scenes) -> None:
    folds: dict[str | None, set[int | None]] = {}
    for scene in read_scenes(mosaic.model_copy(update={"split": Split(block=1500, folds=3, test=0)})):
        folds.setdefault(scene.block, set()).add(scene.fold)
    assert all(len(found) == 1 for found in folds.values())


def test_adjoining_images_do_not_overlap_whatever_the_projection(tmp_path: Path) -> None:
    for column in range(4):
        write_image(tmp_path / f"{column}.tif", column, 0.5 * (column % 2))
    paths = [str(tmp_path / f"{column}.tif") for column in range(4)]
    footprints = dict(zip("abcd", read_footprints(paths, tmp_path / "memory.json"), strict=True))
    assert overlapping(footprints) == [["a"], ["b"], ["c"], ["d"]]


def test_overlapping_images_never_straddle_splits(mosaic: Scenes) -> None:
    for row, column in ((0, 0), (3, 3), (5, 1)):
        write_image(Path(f"data/r{row}c{column}.tif"), column + 0.5, row)
    found = {scene.id: scene for scene in read_scenes(mosaic)}
    for row, column in ((0, 0), (3, 3), (5, 1)):
        assert found[f"r{row}c{column}"].block == found[f"r{row}c{column + 1}"].block


def test_a_new_scene_moves_no_other_to_another_block(mosaic: Scenes) -> None:
    before = {scene.id: scene.block for scene in read_scenes(mosaic)}
    write_image(Path("data/new.tif"), 40, -7)
    with Path("data/scenes.csv").open("a") as table:
        table.write("new,new.tif,r0c0.json\n")
    after = {scene.id: scene.block for scene in read_scenes(mosaic)}
    assert before.items() < after.items()


def test_a_scene_without_split_follows_its_block(mosaic: Scenes) -> None:
    before = read_scenes(mosaic)
    one = next(scene for scene in before if sum(other.block == scene.block for other in before) > 1)
    rows = [f"{scene.id},{scene.id}.tif,{scene.id}.json,{'test' * (scene.id == one.id)}" for scene in before]
    Path("data/scenes.csv").write_text("scene,image,labels,split\n" + "\n".join(rows) + "\n")
    after = read_scenes(mosaic)
    assert {scene.split for scene in after if scene.block == one.block} == {"test"}


def test_headers_are_read_once(mosaic: Scenes, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_scenes(mosaic)
    opened: list[str] = []
    read = blocks._read_corners

    def counting(image: str) -> Any:
        opened.append(image)
        return read(image)

    monkeypatch.setattr(blocks, "_read_corners", counting)
    assert read_scenes(mosaic) == before
    assert opened == []
    os.utime("data/r0c0.tif", (1, 1))
    read_scenes(mosaic)
    assert opened == ["data/r0c0.tif"]
    MEMORY.unlink()
    assert read_scenes(mosaic) == before


@pytest.mark.usefixtures("mosaic")
def test_remembered_blocks_need_no_rasterio(mosaic: Scenes) -> None:
    read_scenes(mosaic)
    code = (
        "import sys; from swath.config.scenes import Scenes; from swath.scenes.table import read_scenes; "
        "assert len(read_scenes(Scenes(table='data/scenes.csv', split={'block': 1500}))) == 36; "
        "print([m for m in ('torch', 'rastervision', 'rasterio', 'geopandas', 'pandas') if m in sys.modules])"
    )
    environment = {"PYTHONPATH": str(REPOSITORY / "scripts")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_scenes_across_the_antimeridian_have_a_place(tmp_path: Path) -> None:
    write_image(tmp_path / "fiji.tif", 0, 0)
    with rasterio.open(tmp_path / "fiji.tif", "r+") as image:
        image.crs = CRS.from_epsg(4326)
        image.transform = rasterio.Affine(0.01, 0, 179.9, 0, -0.01, -17)
    (corners,) = read_footprints([str(tmp_path / "fiji.tif")], tmp_path / "memory.json")
    assert max(longitude for longitude, _ in corners) - min(longitude for longitude, _ in corners) < 1


# --- mistakes --------------------------------------------------------------------------------------


def test_nothing_to_deal_out_is_told() -> None:
    message = told(Split(), scenes(4, "train"))
    assert "a split for every scene" in message
    assert "empty the entries" in message


@pytest.mark.parametrize(
    ("split", "number", "words"),
    [
        (Split(), 2, ["2 scenes without a split", "at least 3: one for each of train, validation, test"]),
        (Split(folds=5, test=0), 4, ["scenes.split.folds", "4 scenes", "one for each of 5 folds", "fewer folds"]),
        (Split(folds=5), 5, ["at least 6: one for each of 5 folds and a test split"]),
    ],
)
def test_too_few_scenes_are_told(split: Split, number: int, words: list[str]) -> None:
    message = told(split, scenes(number))
    assert all(word in message for word in words), message


def test_too_few_blocks_are_told(mosaic: Scenes) -> None:
    with pytest.raises(UserError, match=r"[12] blocks of 200000 m without a split[\s\S]*a smaller `block`"):
        read_scenes(mosaic.model_copy(update={"split": Split(block=200_000)}))


def test_a_block_of_two_named_splits_is_told(mosaic: Scenes) -> None:
    rows = Path("data/scenes.csv").read_text().splitlines()[1:]
    said = {0: "train", 1: "test"}
    table = "\n".join(f"{row},{said.get(number, '')}" for number, row in enumerate(rows))
    Path("data/scenes.csv").write_text(f"scene,image,labels,split\n{table}\n")
    with pytest.raises(UserError, match=r"with scenes of test and train[\s\S]*smaller `scenes.split.block`"):
        read_scenes(mosaic.model_copy(update={"split": Split(block=200_000)}))


def test_images_without_a_place_are_told_and_nothing_is_written(mosaic: Scenes) -> None:
    for column in range(6):
        write_image(Path(f"data/r0c{column}.tif"), 0, 0, crs=None)
    with pytest.raises(UserError) as caught:
        read_scenes(mosaic)
    assert "data/r0c0.tif: georeference" in str(caught.value)
    assert "1 more of that kind" in str(caught.value)
    assert not MEMORY.exists()


def test_images_that_a_rule_has_yet_to_make_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"not there yet[\s\S]*snakemake --cores 1 resources/x.tif"):
        blocks_of({"x": ["resources/x.tif"]}, 1000)


def test_damaged_images_are_told(mosaic: Scenes) -> None:
    Path("data/r0c0.tif").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="a raster that GDAL reads"):
        read_scenes(mosaic)


CONFIG = {"experiment": "x", "classes": {"a": "red"}, "labels": {"default_class": "a"}}


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (
            {"train": 0.7, "validation": 0.2, "test": 0.2},
            "train 0.7 + validation 0.2 + test 0.2 = 1.1\n  expected: shares that add up to 1",
        ),
        ({"validation": 0.5, "test": 0.5}, "leave something for training"),
        ({"validation": 1.5}, "less than or equal to 1"),
        ({"folds": 1}, "greater than or equal to 2"),
        ({"folds": 3, "validation": 0.2}, "scenes.split.validation"),
        ({"folds": 3, "test": 1}, "scenes.split.test"),
        ({"block": -1}, "greater than 0"),
        ({"fold": 3}, "did you mean 'folds'?"),
    ],
)
def test_wrong_settings_are_told(split: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_experiment({**CONFIG, "scenes": {"table": "scenes.csv", "split": split}})
    assert words in str(caught.value)
    assert "scenes.split" in str(caught.value)


# --- tables and patterns ---------------------------------------------------------------------------


def test_empty_cells_are_dealt_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.tif").touch()
    rows = "".join(f"s{index},a.tif,a.tif,{'test' if index == 3 else ''}\n" for index in range(8))
    Path("scenes.csv").write_text("scene,image,labels,split\n" + rows)
    with pytest.raises(UserError, match=r"scenes.csv:2: split\n  found:    ''[\s\S]*let `scenes.split`"):
        read_scenes(Scenes(table="scenes.csv"))
    done = read_scenes(Scenes(table="scenes.csv", split=Split(validation=0.3, test=0)))
    assert Counter(scene.split for scene in done) == {"train": 5, "validation": 2, "test": 1}
    assert done[3].split == "test"


def test_patterns_need_no_split_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for index in range(6):
        Path(f"img{index}.tif").touch()
        Path(f"img{index}.json").touch()
    done = read_scenes(Scenes(image="img{scene}.tif", labels="img{scene}.json", split=Split()))
    assert [scene.id for scene in done] == list("012345")
    assert {scene.split for scene in done} == set(THREE)


def test_patterns_agree_on_split_folders() -> None:
    with pytest.raises(ValueError, match=r"no {split} as `image` has none"):
        Scenes(image="img{scene}.tif", labels="{split}/{scene}.json", split=Split())
    with pytest.raises(ValueError, match=r"both placeholders, {split} and {scene}"):
        Scenes(image="{split}/{scene}.tif", labels="{scene}.json", split=Split())


def test_no_validation_at_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.tif").touch()
    Path("scenes.csv").write_text("scene,image,labels\na,a.tif,a.tif\nb,a.tif,a.tif\n")
    with pytest.raises(UserError, match=r"split validation[\s\S]*`scenes.split` a share"):
        read_scenes(Scenes(table="scenes.csv", split=Split(validation=0, test=0.5)))


# --- the table of splits ---------------------------------------------------------------------------


def test_the_table_of_splits_says_who_is_what_in_every_fold(tmp_path: Path) -> None:
    some = [Scene("007", "train", "", "", fold=0), Scene("b", "train", "", "", fold=1, block="r1c1")]
    some += [Scene("c", "test", "", "")]
    write_splits(split_table(some), tmp_path / "splits.csv")
    assert (tmp_path / "splits.csv").read_text() == "scene,split,fold,block\n007,,0,\nb,,1,r1c1\nc,test,,\n"
    assert read_split(tmp_path / "splits.csv", "validation", 0) == ["007"]
    assert read_split(tmp_path / "splits.csv", "train", 0) == ["b"]
    assert read_split(tmp_path / "splits.csv", "test", 1) == ["c"]
    assert in_split({"split": "validation", "fold": ""}, "validation", None)
