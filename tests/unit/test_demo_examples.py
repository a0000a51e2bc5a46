"""The data of the examples: trees with boxes, and cells that one land-use class covers."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window
from shapely.geometry import box

from swath.demo import data_sets
from swath.demo.havel_chips import find_cells
from swath.demo.neon_trees import build, cut_boxes, read_boxes

TREES = {
    "yell_528000_4978000_q00": 111,
    "yell_528000_4978000_q01": 183,
    "yell_528000_4978000_q10": 118,
    "yell_528000_4978000_q11": 161,
    "yell_541000_4977000": 279,
    "osbs_029": 61,
    "soap_061": 37,
}
CELLS = {"farmland": 354, "forest": 126, "grassland": 271, "residential": 75, "water": 33, "wetland": 12}


@pytest.fixture(scope="module")
def package(trees_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of the trees: images and boxes as their authors packaged them."""
    folder = tmp_path_factory.mktemp("package")
    with zipfile.ZipFile(trees_wheel) as archive:
        archive.extractall(folder)
    return folder / "deepforest" / "data"


class TestTrees:
    @pytest.mark.parametrize("scene", TREES)
    def test_an_image_has_three_named_bands_of_ten_centimetres(self, neon_trees: Path, scene: str) -> None:
        with rasterio.open(neon_trees / "images" / f"{scene}.tif") as image:
            assert image.dtypes == ("uint8",) * 3
            assert image.descriptions == ("red", "green", "blue")
            assert image.crs.is_projected
            assert image.res == pytest.approx((0.1, 0.1))
            assert image.nodata is None
            assert image.read().std() > 20

    @pytest.mark.parametrize(("scene", "trees"), TREES.items())
    def test_every_label_is_a_rectangle_on_whole_pixels_of_its_image(
        self, neon_trees: Path, scene: str, trees: int
    ) -> None:
        labels = gpd.read_file(neon_trees / "labels" / f"{scene}.geojson")
        assert labels.crs.to_epsg() == 4326
        assert set(labels["class_name"]) == {"tree"}
        assert len(labels) == trees
        with rasterio.open(neon_trees / "images" / f"{scene}.tif") as image:
            corners = labels.to_crs(image.crs).bounds.to_numpy().reshape(-1, 2, 2)
            pixels = np.stack(~image.transform @ corners.transpose(2, 0, 1))
            width, height = image.width, image.height
        assert np.abs(pixels - pixels.round()).max() < 0.01
        assert pixels.round().min() >= 0
        assert pixels[0].round().max() <= width and pixels[1].round().max() <= height
        assert np.abs(np.diff(pixels, axis=2)).min() > 3.9

    @pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
    def test_the_quadrants_together_are_the_source(self, neon_trees: Path, package: Path) -> None:
        def pixels(quadrant: str) -> np.ndarray:
            with rasterio.open(neon_trees / "images" / f"yell_528000_4978000_q{quadrant}.tif") as image:
                array: np.ndarray = image.read()
                return array

        whole = np.block([[pixels("00"), pixels("01")], [pixels("10"), pixels("11")]])
        with rasterio.open(package / "2019_YELL_2_528000_4978000_image_crop2.png") as source:
            assert np.array_equal(whole, source.read())

    def test_neighbouring_quadrants_touch_and_do_not_overlap(self, neon_trees: Path) -> None:
        footprints = []
        for quadrant in ("00", "01", "10", "11"):
            with rasterio.open(neon_trees / "images" / f"yell_528000_4978000_q{quadrant}.tif") as image:
                footprints.append(box(*image.bounds))
        together = gpd.GeoSeries(footprints).union_all()
        assert together.area == pytest.approx(229.9 * 247.2, rel=1e-6)
        assert sum(one.area for one in footprints) == pytest.approx(together.area, rel=1e-6)

    def test_the_scene_with_an_exact_place_has_that_of_its_source(self, neon_trees: Path, package: Path) -> None:
        with (
            rasterio.open(package / "OSBS_029.tif") as source,
            rasterio.open(neon_trees / "images" / "osbs_029.tif") as image,
        ):
            assert (image.crs, image.transform) == (source.crs, source.transform)
            assert np.array_equal(image.read(), source.read())

    def test_table_and_attribution_say_which_places_are_not_exact(self, neon_trees: Path) -> None:
        rows = data_sets.NEON_TREES.scenes
        assert Counter(row["georeference"] for row in rows.values()) == {"approximate": 5, "exact": 1, "invented": 1}
        text = (neon_trees / "ATTRIBUTION.md").read_text(encoding="utf-8")
        for word in ("`exact`", "`approximate`", "`invented`", "MIT", "National Ecological Observatory Network", "CC0"):
            assert word in text
        assert data_sets.NEON_TREES.wheel.requirement.replace("==", " ") in text

    def test_boxes_are_those_of_the_source(self, package: Path) -> None:
        boxes = read_boxes(package / "SOAP_061.xml")
        assert boxes.shape == (37, 2, 2)
        assert boxes[0].tolist() == [[149, 105], [173, 129]]

    def test_a_box_belongs_to_the_window_that_holds_half_of_it(self) -> None:
        boxes = np.array([[[10, 10], [20, 20]], [[94, 10], [104, 20]], [[96, 10], [108, 20]], [[97, 10], [103, 11]]])
        window = Window(100, 0, 100, 50)
        assert cut_boxes(boxes.astype(float), window).tolist() == [[[0, 10], [8, 20]]]
        assert cut_boxes(boxes.astype(float), Window(0, 0, 100, 50)).tolist() == [
            [[10, 10], [20, 20]],
            [[94, 10], [100, 20]],
        ]

    def test_no_tree_is_in_two_quadrants(self, package: Path) -> None:
        boxes = read_boxes(package / "2019_YELL_2_528000_4978000_image_crop2.xml")
        quadrants = [Window(0, 0, 1150, 1236), Window(1150, 0, 1149, 1236)]
        quadrants += [Window(0, 1236, 1150, 1236), Window(1150, 1236, 1149, 1236)]
        held = [[len(cut_boxes(one[None], quadrant)) for quadrant in quadrants] for one in boxes]
        assert Counter(map(sum, held)) == {1: 573, 0: 1}  # one tree stands where all four meet, in none by half

    def test_a_build_that_fails_leaves_nothing(self, trees_wheel: Path, tmp_path: Path) -> None:
        broken = tmp_path / "broken.whl"
        with zipfile.ZipFile(trees_wheel) as whole, zipfile.ZipFile(broken, "w") as part:
            for name in whole.namelist():
                if not name.endswith("SOAP_061.xml"):
                    part.writestr(name, whole.read(name))
        folder = tmp_path / "trees"
        with pytest.raises(FileNotFoundError, match="SOAP_061"):
            build(broken, folder)
        assert not list(folder.iterdir())


class TestCells:
    def test_cells_are_squares_of_the_grid_that_their_class_covers(self, havel: Path, havel_chips: Path) -> None:
        counts: Counter[str] = Counter()
        for scene in data_sets.HAVEL_CHIPS.scenes:
            with rasterio.open(havel / "images" / f"{scene}.tif") as image:
                cells = gpd.read_file(havel_chips / "labels" / f"{scene}.geojson").to_crs(image.crs)
                labels = gpd.read_file(havel / "labels" / f"{scene}.geojson").to_crs(image.crs)
                corners = cells.bounds[["minx", "maxy"]].to_numpy() - [image.bounds.left, image.bounds.top]
            metre = 0.05
            assert np.abs(corners / 160 - (corners / 160).round()).max() * 160 < metre
            assert cells.area.to_numpy() == pytest.approx(160.0**2, abs=160 * metre)
            assert not cells.duplicated("geometry").any()
            for cell, name in zip(cells.geometry, cells["class_name"], strict=True):
                covered = labels[labels["class_name"] == name].union_all().intersection(cell).area
                assert covered > 0.55 * cell.area  # 60 % of the pixels are not quite 60 % of the area
            counts.update(cells["class_name"])
        assert counts == CELLS

    def test_the_later_of_two_polygons_counts_where_they_overlap(self) -> None:
        field, pond = box(0, 0, 320, 160), box(0, 0, 100, 160)
        labels = gpd.GeoDataFrame({"class_name": ["farmland", "water"]}, geometry=[field, pond], crs="EPSG:32633")
        cells = find_cells(labels, (16, 32), from_origin(0, 160, 10, 10))
        assert list(cells["class_name"]) == ["water", "farmland"]
        assert [cell.bounds for cell in cells.geometry] == [(0, 0, 160, 160), (160, 0, 320, 160)]

    def test_a_cell_of_two_halves_has_no_class(self) -> None:
        halves = [box(0, 0, 80, 160), box(80, 0, 160, 160)]
        labels = gpd.GeoDataFrame({"class_name": ["forest", "water"]}, geometry=halves, crs="EPSG:32633")
        assert find_cells(labels, (16, 16), from_origin(0, 160, 10, 10)).empty

    def test_the_images_are_the_demos_and_not_copied(self, havel_chips: Path) -> None:
        assert not list(havel_chips.rglob("*.tif"))
        assert "../havel" in (havel_chips / "ATTRIBUTION.md").read_text(encoding="utf-8")
