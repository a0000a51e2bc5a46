"""Scenes from a table and from folders."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
from shapely.geometry import Point

from swath.config.scenes import Scenes
from swath.demo import data_sets
from swath.errors import UserError
from swath.scenes.paths import local_paths_of, paths_of
from swath.scenes.table import PassedOver, passed_over, read_scenes

NAMES = [
    "tile b (2)",
    "Wald-süd",
    "_a",
    "[x]",
    "a,b",
    "a'b",
    'a"b',
    "{west}",
    "a&b",
    "50%",
    "北京",
    "a+b",
    "#1",
    "$x$",
    "~",
]
"""Of scenes; file systems allow them."""
HEADER = "scene,image,labels,split\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def table(rows: str, header: str = HEADER) -> Scenes:
    Path("data").mkdir(exist_ok=True)
    Path("data/scenes.csv").write_text(header + rows)
    return Scenes(table="data/scenes.csv")


def told(scenes: Scenes) -> str:
    with pytest.raises(UserError) as caught:
        read_scenes(scenes)
    return str(caught.value)


@pytest.mark.usefixtures("folder")
class TestTable:
    def test_paths_start_at_the_table_and_splits_have_synonyms(self) -> None:
        touch("data/a.tif", "data/a.gpkg", "data/sub/b.tif", "data/b.gpkg", "data/aoi.geojson")
        scenes = read_scenes(
            table(
                "b,sub/b.tif,b.gpkg,val,aoi.geojson\na,a.tif,a.gpkg,Training,\n", HEADER.replace("split", "split,aoi")
            )
        )
        assert [(scene.id, scene.split, scene.image, scene.aoi) for scene in scenes] == [
            ("a", "train", "data/a.tif", None),
            ("b", "validation", "data/sub/b.tif", "data/aoi.geojson"),
        ]

    def test_a_geoparquet_table_is_read(self) -> None:
        touch("data/a.tif", "data/a.gpkg")
        frame = pd.DataFrame(
            {"scene": ["a", "b"], "image": "a.tif", "labels": "a.gpkg", "split": ["train", "validation"]}
        )
        gpd.GeoDataFrame(frame, geometry=[Point(0, 0)] * 2, crs=4326).to_parquet("data/scenes.parquet")
        assert [scene.id for scene in read_scenes(Scenes(table="data/scenes.parquet"))] == ["a", "b"]

    def test_a_missing_table_is_told(self) -> None:
        assert "nowhere.csv: no such file" in told(Scenes(table="nowhere.csv"))

    def test_a_missing_column_is_told_with_the_nearest(self) -> None:
        message = told(table("a,a.tif,a.gpkg,train\n", "scene,image,label,split\n"))
        assert "found:    columns scene, image, label, split" in message
        assert "labels: did you mean 'label'?" in message

    def test_an_unknown_split_names_row_and_value(self) -> None:
        message = told(table("a,a.tif,a.gpkg,trian\n"))
        assert "data/scenes.csv:2: split" in message
        assert "'trian'" in message

    def test_a_missing_file_is_told_with_its_scene(self) -> None:
        touch("data/a.gpkg")
        message = told(table("a,a.tif,a.gpkg,train\n"))
        assert "image of scene a" in message
        assert "data/a.tif: no such file" in message

    def test_many_missing_files_are_counted(self) -> None:
        rows = "".join(f"s{i},s{i}.tif,s{i}.gpkg,train\n" for i in range(10))
        assert "15 more missing files" in told(table(rows))

    def test_two_scenes_with_one_id_are_told_with_both_images(self) -> None:
        touch("data/a.tif", "data/b.tif", "data/a.gpkg")
        message = told(table("a,a.tif,a.gpkg,train\na,b.tif,a.gpkg,val\n"))
        assert "'a' stands for data/a.tif (train) and for data/b.tif (validation)" in message

    def test_an_empty_split_is_told_with_what_there_is(self) -> None:
        touch("data/a.tif", "data/a.gpkg")
        message = told(table("a,a.tif,a.gpkg,train\n"))
        assert "split validation" in message
        assert "1 train, 0 validation, 0 test scenes" in message

    def test_no_rows_empty_cells_and_odd_ids_are_told(self) -> None:
        assert "no rows" in told(table(""))
        assert "an empty entry" in told(table("a,,a.gpkg,train\n"))
        assert "'a/b'" in told(table("a/b,a.tif,a.gpkg,train\n"))

    @pytest.mark.parametrize("name", NAMES)
    def test_every_name_that_a_file_system_allows_is_a_scenes(self, name: str) -> None:
        touch("data/a.tif", "data/a.gpkg")
        quoted = '"' + name.replace('"', '""') + '"'
        scenes = read_scenes(table(f"{quoted},a.tif,a.gpkg,train\nother,a.tif,a.gpkg,val\n"))
        assert name in [scene.id for scene in scenes]

    @pytest.mark.parametrize("name", ["a/b", "a;b", "a\tb", "", "\x07"])
    def test_a_name_that_can_be_no_files_is_told_with_its_line(self, name: str) -> None:
        message = told(table(f'\n"{name}",a.tif,a.gpkg,train\n'))
        assert "ERROR not_file_safe\ndata/scenes.csv:3: scene" in message

    @pytest.mark.parametrize("separator", [";", "\t", "|"])
    def test_other_separators_are_read(self, separator: str) -> None:
        touch("data/a.tif", "data/b.tif", "data/a.gpkg")
        text = 'scene,image,labels,split\na,"a.tif",a.gpkg,train\nb,b.tif,a.gpkg,val\n'.replace(",", separator)
        for start in ("", f"sep={separator}\n"):
            assert [scene.id for scene in read_scenes(table(text, start))] == ["a", "b"]

    def test_several_files_in_an_entry_of_a_table_with_semicolons_stand_in_quotes(self) -> None:
        touch("data/a.tif", "data/b.tif", "data/a.gpkg")
        text = 'scene;image;labels;split\na;"a.tif;b.tif";a.gpkg;train\nb;b.tif;a.gpkg;val\n'
        assert read_scenes(table(text, ""))[0].image == "data/a.tif;data/b.tif"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings_that_say_what_they_are_are_read(self, encoding: str) -> None:
        touch("data/Wald-süd.tif", "data/a.gpkg")
        text = HEADER + "ä,Wald-süd.tif,a.gpkg,train\nb,Wald-süd.tif,a.gpkg,val\n"
        Path("data/scenes.csv").write_bytes(text.encode(encoding))
        assert [scene.id for scene in read_scenes(Scenes(table="data/scenes.csv"))] == ["b", "ä"]

    @pytest.mark.parametrize("encoding", ["cp1252", "mac-roman", "utf-16-le"])
    def test_other_encodings_are_told_with_line_and_cure(self, encoding: str) -> None:
        Path("data").mkdir()
        Path("data/scenes.csv").write_bytes((HEADER + "süd,a.tif,a.gpkg,train\n").encode(encoding))
        message = told(Scenes(table="data/scenes.csv"))
        assert "ERROR wrong_encoding" in message
        assert "save as 'CSV UTF-8'" in message
        assert "data/scenes.csv:2\n" in message or encoding == "utf-16-le"

    def test_rows_and_columns_of_commas_alone_are_no_rows(self) -> None:
        touch("data/a.tif", "data/a.gpkg")
        rows = "a,a.tif,a.gpkg,train,,\n,,,,,\nb,a.tif,a.gpkg,val,,\n,,,,,\n , ,,,,\n\n"
        assert len(read_scenes(table(rows, "scene,image,labels,split,,\n"))) == 2

    def test_lines_are_counted_as_an_editor_does(self) -> None:
        touch("data/a.tif", "data/a.gpkg")
        assert "data/scenes.csv:5: split" in told(table('\n"a\u0062",a.tif,a.gpkg,train\n\nb,a.tif,a.gpkg,vla\n'))

    def test_an_entry_too_many_is_told(self) -> None:
        message = told(table("a,images, old/a.tif,a.gpkg,train\n"))
        assert "ERROR row_too_long\ndata/scenes.csv:2" in message

    @pytest.mark.parametrize("header", ["Scene,IMAGE,Labels,Split,AOI\n", " scene , image,labels,split, aoi\n"])
    def test_columns_are_found_in_any_capitalisation(self, header: str) -> None:
        touch("data/a.tif", "data/a.gpkg", "data/area.geojson")
        scenes = read_scenes(table("a,a.tif,a.gpkg,train,area.geojson\nb,a.tif,a.gpkg,val,\n", header))
        assert scenes[0].aoi == "data/area.geojson"

    def test_a_column_that_is_there_twice_is_told(self) -> None:
        assert "ERROR column_twice\ndata/scenes.csv: aoi, AOI" in told(table("", "scene,image,labels,split,aoi,AOI\n"))

    @pytest.mark.parametrize(("column", "meant"), [("aoi_path", "aoi"), ("Area of interest", "aoi"), ("ROI", "aoi")])
    def test_a_column_that_looks_like_one_nobody_reads_is_told(self, column: str, meant: str) -> None:
        touch("data/a.tif", "data/a.gpkg")
        scenes = table("a,a.tif,a.gpkg,train,x\nb,a.tif,a.gpkg,val,y\n", f"scene,image,labels,split,{column}\n")
        assert passed_over(scenes, read_scenes(scenes)).columns == {column: meant}

    def test_columns_of_the_users_own_are_left_alone(self) -> None:
        touch("data/a.tif", "data/a.gpkg")
        header = "scene,image,labels,split,aoi,date,label_source,split_by\n"
        scenes = table("a,a.tif,a.gpkg,train,,1,2,3\nb,a.tif,a.gpkg,val,,1,2,3\n", header)
        assert passed_over(scenes, read_scenes(scenes)) == PassedOver()

    def test_a_common_label_file_and_a_column_of_labels_with_another_name(self) -> None:
        touch("data/a.tif", "all.gpkg")
        Path("data/scenes.csv").write_text("scene,image,label,split\na,a.tif,b.gpkg,train\nb,a.tif,b.gpkg,val\n")
        scenes = Scenes(table="data/scenes.csv", labels="all.gpkg")
        assert passed_over(scenes, read_scenes(scenes)).columns == {"label": "labels"}

    def test_the_demos_table_is_known_before_it_is_made(self) -> None:
        scenes = read_scenes(Scenes(table=data_sets.HAVEL.table))
        assert len(scenes) == 8
        assert {scene.split for scene in scenes} == {"train", "validation", "test"}
        assert len(read_scenes(Scenes(table=data_sets.NEON_TREES.table))) == 7

    def test_a_demos_files_have_the_names_of_their_rule_in_every_table(self) -> None:
        cells = read_scenes(Scenes(table=data_sets.HAVEL_CHIPS.table))
        assert [scene.image for scene in cells] == [
            scene.image for scene in read_scenes(Scenes(table=data_sets.HAVEL.table))
        ]
        rows = "a,{0}/{1}.tif,{0}/a.gpkg,train\nb,{0}/{1}.tif,{0}/a.gpkg,validation\n"
        message = told(table(rows.format("../resources/havel/images", "s2_havel_r0c0")))
        assert "data/../resources/havel/images/a.gpkg: no such file" in message
        assert "s2_havel_r0c0" not in message

    def test_a_cell_can_hold_several_paths_and_wildcards(self) -> None:
        touch("data/t/1.tif", "data/t/2.tif", "data/b.tif", "data/a.gpkg", "data/c.gpkg", "data/odd[1].tif")
        far = "s3://bucket/x.tif"
        first, second = read_scenes(table(f"a,t/*.tif;b.tif;{far},a.gpkg; c.gpkg,train\nb,odd[1].tif,a.gpkg,val\n"))
        assert first.image == f"data/t/*.tif;data/b.tif;{far}"
        assert paths_of(first.image) == ["data/t/1.tif", "data/t/2.tif", "data/b.tif", far]
        assert local_paths_of(first.image)[-1] == "data/b.tif"
        assert paths_of(first.labels) == ["data/a.gpkg", "data/c.gpkg"]
        assert paths_of(second.image) == ["data/odd[1].tif"]

    def test_a_wildcard_that_matches_nothing_is_told(self) -> None:
        touch("data/a.gpkg", "data/b.tif")
        assert "data/t/*.tif: no such file" in told(table("a,t/*.tif,a.gpkg,train\nb,b.tif,a.gpkg,val\n"))

    def test_paths_that_are_not_on_this_machine_are_taken_as_they_are(self) -> None:
        touch("data/a.gpkg")
        far = ("https://x.org/a.tif", "/vsizip/x.zip/a.tif", "zip://x.zip!a.tif")
        rows = "".join(f"s{i},{path},a.gpkg,{'train' if i else 'val'}\n" for i, path in enumerate(far))
        assert tuple(scene.image for scene in read_scenes(table(rows))) == far

    def test_only_test_scenes_can_do_without_labels(self) -> None:
        touch("data/a.tif", "data/a.gpkg", "data/b.gpkg")
        rows = "a,a.tif,a.gpkg,train\nb,a.tif,b.gpkg,val\n"
        scenes = read_scenes(table(rows + "c,a.tif,,test\n"))
        assert [scene.labels for scene in scenes] == ["data/a.gpkg", "data/b.gpkg", None]
        assert "only test scenes can do without labels" in told(table(rows + "c,a.tif,,train\n"))

    def test_labels_can_be_one_file_named_in_the_config(self) -> None:
        touch("data/a.tif", "all.gpkg")
        table("a,a.tif,train\nb,a.tif,val\n", "scene,image,split\n")
        scenes = read_scenes(Scenes(table="data/scenes.csv", labels="all.gpkg"))
        assert [(scene.labels, scene.common_labels) for scene in scenes] == [("all.gpkg", True)] * 2
        assert "labels: known: image, scene, split" in told(Scenes(table="data/scenes.csv"))


@pytest.mark.usefixtures("folder")
class TestPatterns:
    def patterns(self, **more: str) -> Scenes:
        return Scenes(image="data/{split}/RGB_img{scene}.tif", labels="data/{split}/build_img{scene}.geojson", **more)

    def test_scenes_are_found_in_the_folders_of_the_splits(self) -> None:
        for split, number in (("train", 1), ("train", 10), ("val", 2), ("test", 3)):
            touch(f"data/{split}/RGB_img{number}.tif", f"data/{split}/build_img{number}.geojson")
        touch("data/train/other.tif", "data/train/RGB_img7.tif.aux.xml")
        scenes = read_scenes(self.patterns())
        assert [(scene.id, scene.split) for scene in scenes] == [
            ("1", "train"),
            ("10", "train"),
            ("2", "validation"),
            ("3", "test"),
        ]
        assert scenes[0].labels == "data/train/build_img1.geojson"

    def test_a_missing_label_file_is_told(self) -> None:
        touch("data/train/RGB_img1.tif", "data/val/RGB_img2.tif", "data/val/build_img2.geojson")
        assert "data/train/build_img1.geojson: no such file" in told(self.patterns())

    def test_empty_folders_are_told_with_where_was_looked(self) -> None:
        message = told(self.patterns())
        assert "0 train, 0 validation, 0 test scenes" in message
        assert "data/train/RGB_img{scene}.tif" in message

    def test_one_id_in_two_splits_is_told(self) -> None:
        for split in ("train", "val"):
            touch(f"data/{split}/RGB_img1.tif", f"data/{split}/build_img1.geojson")
        assert "'1' stands for data/train/RGB_img1.tif (train)" in told(self.patterns())

    def test_areas_of_interest_have_a_pattern(self) -> None:
        for split in ("train", "val"):
            touch(
                f"data/{split}/RGB_img{split}.tif", f"data/{split}/build_img{split}.geojson", f"aoi/{split}{split}.json"
            )
        scenes = read_scenes(self.patterns(aoi="aoi/{split}{scene}.json"))
        assert scenes[0].aoi == "aoi/traintrain.json"

    def test_one_area_of_interest_can_be_that_of_all_scenes(self) -> None:
        for split in ("train", "val"):
            touch(f"data/{split}/RGB_img{split}.tif", f"data/{split}/build_img{split}.geojson")
        touch("area.geojson")
        assert {scene.aoi for scene in read_scenes(self.patterns(aoi="area.geojson"))} == {"area.geojson"}

    def test_a_pattern_can_match_several_files_of_a_scene(self) -> None:
        for split in ("train", "val", "test"):
            for band in ("B02", "B03"):
                touch(f"data/{split}/{split}1/T33_{band}.tif", f"data/{split}/{split}2/T33_{band}.tif")
        touch("all.gpkg")
        scenes = read_scenes(Scenes(image="data/{split}/{scene}/*_B0?.tif", labels="all.gpkg"))
        assert [scene.id for scene in scenes] == ["test1", "test2", "train1", "train2", "val1", "val2"]
        assert scenes[2].image == "data/train/train1/*_B0?.tif"
        assert paths_of(scenes[2].image) == ["data/train/train1/T33_B02.tif", "data/train/train1/T33_B03.tif"]
        assert all(scene.common_labels for scene in scenes)

    def test_test_scenes_whose_labels_are_not_there_have_none(self) -> None:
        touch("data/train/RGB_img1.tif", "data/train/build_img1.geojson", "data/test/RGB_img3.tif")
        touch("data/val/RGB_img2.tif", "data/val/build_img2.geojson")
        assert [scene.labels for scene in read_scenes(self.patterns()) if scene.split == "test"] == [None]

    @pytest.mark.parametrize("name", [*NAMES, "a*b", "a?b", "a\\b"])
    def test_no_scene_vanishes_for_its_name(self, name: str) -> None:
        for split, scene in (("train", name), ("val", "2")):
            touch(f"data/{split}/RGB_img{scene}.tif", f"data/{split}/build_img{scene}.geojson")
        found = {scene.id: scene for scene in read_scenes(self.patterns())}
        assert set(found) == {name, "2"}
        assert local_paths_of(found[name].image) == [f"data/train/RGB_img{name}.tif"]
        assert found[name].labels == f"data/train/build_img{name}.geojson"

    @pytest.mark.parametrize("name", ["a;b", "a\nb", "a\udce4b"])
    def test_a_name_that_cannot_be_used_is_told(self, name: str) -> None:
        touch(f"data/train/RGB_img{name}.tif", "data/train/RGB_img2.tif")
        message = told(self.patterns())
        assert "ERROR not_file_safe\nconfig: scenes.image: scene" in message
        assert "rename the scene" in message

    @pytest.mark.parametrize(("train", "val"), [("Train", "VAL"), ("TRAINING", "Valid"), ("tRaIn", "Validation")])
    def test_folders_of_splits_have_any_capitalisation(self, train: str, val: str) -> None:
        for split in (train, val):
            touch(f"data/{split}/RGB_img{split}.tif", f"data/{split}/build_img{split}.geojson")
        assert [scene.split for scene in sorted(read_scenes(self.patterns()), key=lambda s: s.split)] == [
            "train",
            "validation",
        ]

    def test_labels_folders_are_found_in_another_capitalisation_than_the_images(self) -> None:
        touch("images/Train/a.tif", "labels/train/a.gpkg", "images/VAL/b.tif", "labels/validation/b.gpkg")
        scenes = read_scenes(Scenes(image="images/{split}/{scene}.tif", labels="labels/{split}/{scene}.gpkg"))
        assert [scene.labels for scene in scenes] == ["labels/train/a.gpkg", "labels/validation/b.gpkg"]

    def test_what_lies_there_and_matches_nothing_is_told(self) -> None:
        for split in ("train", "val"):
            touch(f"data/{split}/RGB_img{split}.tif", f"data/{split}/build_img{split}.geojson")
        touch("data/train/RGB_imgtrain.tfw", "data/train/.hidden")  # belongs to a scene, or is nobody's
        assert passed_over(self.patterns(), read_scenes(self.patterns())) == PassedOver()
        touch("data/train/readme.txt", "data/train/RGB_img3.TIF", "data/train/RGB_img4.tiff", "data/trian/RGB_img5.tif")
        assert passed_over(self.patterns(), read_scenes(self.patterns())) == PassedOver(
            ("data/train/RGB_img3.TIF", "data/train/RGB_img4.tiff"),
            ("data/train/readme.txt", "data/trian/RGB_img5.tif"),
        )
