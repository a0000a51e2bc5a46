"""Object detection and chip classification, from real imagery to evaluated, bundled models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from direct_training import Workshop, bytes_of
from experiment import ONE_SHARD, SMALL, Project, raster_vision
from rasterio.windows import Window
from rastervision.core.data import ClassConfig
from rastervision.core.data.label import ChipClassificationLabels, ObjectDetectionLabels
from rastervision.core.evaluation import ChipClassificationEvaluation, ObjectDetectionEvaluation
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import box

from swath.files import read_json
from swath.metrics.box_draws import matched_boxes, precision_of_draws
from swath.metrics.cells import cells_of_text
from swath.rv.pipeline import read_config

pytestmark = pytest.mark.workflow

TREES: dict[str, Any] = {
    "experiment": "trees",
    "task": "object_detection",
    "classes": {"tree": "gold"},
    "scenes": {"table": "data/scenes.csv"},
    "labels": {"attribute": "class_name"},
    "chips": {"size": 128, "per_scene": 10, "negative_ratio": 0.1},
    "model": {
        "encoder": "tu-tf_efficientnet_lite0",
        "weights": "imagenet",
        "arguments": {  # few proposals: fast on a CPU
            "anchor_sizes": [16, 32, 48, 64, 96],
            "box_batch_size_per_image": 32,
            "rpn_pre_nms_top_n_train": 200,
            "rpn_post_nms_top_n_train": 100,
            "rpn_pre_nms_top_n_test": 200,
            "rpn_post_nms_top_n_test": 100,
        },
    },
    # a rate with which five epochs find trees on every kind of CPU: the best scores are 0.9 and 0.3
    "train": {
        **{"epochs": 5, "batch_size": 4, "threads": 1, "learning_rate": 3.0e-4},
        **{"schedule": "constant", "keep": "last"},
    },
    "predict": {"score_threshold": 0.1, "chip_size": 160},
}
CELLS: dict[str, Any] = {
    **{section: SMALL[section] for section in ("classes", "imagery", "labels", "checks")},
    "experiment": "cells",
    "task": "chip_classification",
    "scenes": {"table": "data/scenes.csv"},
    "chips": {"size": 16},
    "model": {"encoder": "tu-tf_efficientnet_lite0", "weights": "imagenet"},  # with a layer for its input
    "train": {"epochs": 2, "batch_size": 8, "threads": 1},
}
# scene → split, source, column and row, width and height of the cut
TREE_CUTS = {
    "a": ("train", "yell_528000_4978000_q00", 0, 0, 500, 400),
    "b": ("train", "yell_528000_4978000_q01", 300, 200, 400, 500),
    "d": ("validation", "yell_528000_4978000_q10", 200, 200, 400, 390),
    "e": ("test", "yell_541000_4977000", 100, 100, 300, 300),
}


def run(folder: Path, config: dict[str, Any]) -> Project:
    """Run an experiment to its end."""
    project = Project(folder, config)
    project.snakemake(*ONE_SHARD)
    return project


@pytest.fixture(scope="session")
def trees(neon_trees: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Trees on a small cut of the real data, run to the end."""
    folder = tmp_path_factory.mktemp("trees")
    (folder / "data").mkdir()
    rows = ["scene,image,labels,split"]
    for scene, (split, source, column, row, width, height) in TREE_CUTS.items():
        window = Window(column, row, width, height)
        with rasterio.open(neon_trees / "images" / f"{source}.tif") as image:
            profile = image.profile | {"width": width, "height": height, "transform": image.window_transform(window)}
            with rasterio.open(folder / "data" / f"{scene}.tif", "w", **profile) as cut:
                cut.write(image.read(window=window))
                footprint = gpd.GeoSeries([box(*cut.bounds)], crs=cut.crs).to_crs("EPSG:4326").iloc[0]
        labels = gpd.read_file(neon_trees / "labels" / f"{source}.geojson", engine="pyogrio")
        labels[labels.within(footprint)].to_file(folder / "data" / f"{scene}.geojson", engine="pyogrio")
        rows.append(f"{scene},{scene}.tif,{scene}.geojson,{split}")
    (folder / "data" / "scenes.csv").write_text("\n".join(rows) + "\n")
    return run(folder, TREES)


@pytest.fixture(scope="session")
def cells(cut_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Cells on a small cut of the real data, run to the end."""
    folder = tmp_path_factory.mktemp("cells")
    shutil.copytree(cut_scenes, folder / "data")
    return run(folder, CELLS)


def products(project: Project) -> dict[str, Path]:
    """The folders of all predicted scenes, by scene."""
    manifests = {path: read_json(path)["scenes"] for path in project.results.glob("predictions/*/*.json")}
    return {scene: path.parent / maps["folder"] for path, scenes in manifests.items() for scene, maps in scenes.items()}


def evaluation(project: Project, split: str = "validation") -> Path:
    return next(project.results.glob(f"evals/*/{split}.json"))


# --- object detection --------------------------------------------------------------------------------


def test_boxes_lie_on_their_scene_with_class_and_score(trees: Project) -> None:
    assert set(products(trees)) == {"d", "e"}
    for scene, folder in products(trees).items():
        boxes = gpd.read_parquet(folder / "boxes.parquet")
        with rasterio.open(trees.folder / "data" / f"{scene}.tif") as image:
            assert boxes.crs == image.crs
            assert boxes.within(box(*image.bounds).buffer(1e-6)).all()
        assert (boxes["score"] >= 0.1).all()
        assert set(boxes["class_name"]) <= {"tree"}
        geojson = gpd.read_file(folder / "boxes.geojson", engine="pyogrio")
        assert geojson.crs == boxes.crs
        assert np.allclose(geojson.bounds, boxes.bounds)
        candidates = gpd.read_parquet(folder / "candidates.parquet")
        assert len(candidates) >= len(boxes)
        assert candidates["score"].is_monotonic_decreasing
        assert len(candidates) > 0


def test_the_bounds_of_a_box_in_pixels_are_its_bounds_on_the_ground(trees: Project) -> None:
    boxes = gpd.read_parquet(products(trees)["d"] / "boxes.parquet")
    with rasterio.open(trees.folder / "data" / "d.tif") as image:
        west, north = image.transform * (boxes["column_min"].to_numpy(), boxes["row_min"].to_numpy())
    assert np.allclose(boxes.bounds["minx"], west)
    assert np.allclose(boxes.bounds["maxy"], north)


def test_the_metrics_of_boxes_are_raster_visions(trees: Project) -> None:
    config = read_config(evaluation(trees).with_name("validation-pipeline-config.json"))
    classes = config.dataset.class_config
    ours = read_json(evaluation(trees))["overall"]
    facts = next(read_json(path)["scenes"]["d"] for path in trees.results.glob("scenes/*/validation-*.json"))
    labels = gpd.read_file(trees.folder / facts["labels"], engine="pyogrio")
    with rasterio.open(trees.folder / "data" / "d.tif") as image:
        in_pixels = labels.geometry.to_crs(image.crs).affine_transform((~image.transform).to_shapely())
    exact = in_pixels.bounds[["miny", "minx", "maxy", "maxx"]].to_numpy()  # Raster Vision's own source rounds them down
    actual = ObjectDetectionLabels(exact, np.ones(len(exact), int))
    table = pd.read_parquet(products(trees)["d"] / "boxes.parquet")
    edges = table[["row_min", "column_min", "row_max", "column_max"]].to_numpy()
    found = ObjectDetectionLabels(edges, table["class_id"].to_numpy(), table["score"].to_numpy())
    plain = ObjectDetectionEvaluation(classes)
    plain.compute(actual, found)
    item = plain.class_to_eval_item[1]
    assert ours["labelled"] == item.gt_count == len(actual)
    assert ours["predicted"] == item.pred_count == len(table)
    assert ours["count_error"] == len(table) - len(actual)
    assert ours["recall"]["tree"] == pytest.approx(item.recall)
    assert ours["precision"]["tree"] == pytest.approx(item.precision)
    assert ours["f1"]["tree"] == pytest.approx(item.f1) if item.true_pos else ours["f1"]["tree"] == 0


def test_average_precision_follows_from_the_boxes_of_every_scene(trees: Project) -> None:
    metrics = read_json(evaluation(trees))
    scenes = metrics["scenes"].values()
    boxes = {"tree": matched_boxes([(one["matches"]["tree"], one["counts"]["tree"][1]) for one in scenes])}
    for name in ("mAP50", "mAP"):
        (found,) = precision_of_draws(name, boxes, np.ones((1, len(scenes))))
        assert found == pytest.approx(metrics["overall"][name], abs=1e-5)


def test_average_precision_selects_the_best_epoch_and_trial(trees: Project) -> None:
    metrics = pd.read_csv(next(trees.results.glob("models/*/metrics.csv")))
    assert {"mAP", "mAP50", "train_loss", "loss_classifier"} <= set(metrics.columns)
    leaderboard = pd.read_csv(trees.results / "experiments" / "trees" / "leaderboard.csv")
    assert {"mAP50_mean", "mAP_mean", "f1.tree_mean"} <= set(leaderboard.columns)
    summary = (trees.results / "experiments" / "trees" / "summary.txt").read_text()
    assert "Winner by validation mAP50" in summary
    assert "labelled boxes: mAP50" in summary
    assert (trees.results / "experiments" / "trees" / "prediction.png").stat().st_size > 10_000


def applied(project: Project, *images: str) -> Path:
    """Map images with a finished experiment's winner, in parts; the map's folder."""
    name = str(project.config["experiment"])
    predict = {"score_threshold": 0.05} if name == "trees" else {}  # all candidates: it has learned for five epochs
    apply = {"model": {"experiment": name}, "images": list(images), "predict": predict}
    config = {"experiment": "new", "apply": apply}
    Project(project.folder, config).snakemake("--set-scatter", "apply=2")
    return project.results / "experiments" / "new" / "map"


def test_boxes_of_a_new_image_are_those_of_the_test(trees: Project) -> None:
    folder = applied(trees, "data/e.tif")
    columns = ["score", "row_min", "column_min", "row_max", "column_max"]
    found = gpd.read_parquet(folder / "boxes.parquet").sort_values(columns, ignore_index=True)
    wanted = gpd.read_parquet(products(trees)["e"] / "candidates.parquet").sort_values(columns, ignore_index=True)
    assert len(found) > 0 and np.allclose(found[columns], wanted[columns])
    assert np.allclose(found.bounds, wanted.bounds) and found.crs == wanted.crs
    areas = pd.read_csv(folder / "areas.csv").set_index("of")
    assert areas.loc["map", "count"] == len(found)
    assert areas.loc["map", "hectares"] == pytest.approx(found["area"].sum() / 1e4, abs=1e-6)


def test_a_tree_on_the_border_of_two_images_is_one(trees: Project, tmp_path: Path) -> None:
    """An image in two halves has the boxes of the whole."""
    project = Project(tmp_path / "project", trees.config)
    shutil.copytree(trees.folder, project.folder, symlinks=True)
    wanted = gpd.read_parquet(products(trees)["e"] / "candidates.parquet")
    half = round(wanted.loc[wanted["score"].idxmax(), ["column_min", "column_max"]].mean())  # through the best of them
    with rasterio.open(project.folder / "data" / "e.tif") as image:
        for name, column in (("west", 0), ("east", half)):
            window = Window(column, 0, image.width - half if column else half, image.height)
            place = {"width": window.width, "transform": image.window_transform(window)}
            with rasterio.open(project.folder / f"{name}.tif", "w", **image.profile | place) as part:
                part.write(image.read(window=window))
                part.descriptions = image.descriptions
        border = image.transform * (half, 0)
    found = gpd.read_parquet(applied(project, "west.tif", "east.tif") / "boxes.parquet")
    across = wanted.bounds[(wanted.bounds["minx"] < border[0]) & (wanted.bounds["maxx"] > border[0])]
    assert len(across) > 0
    joined = found.bounds[(found.bounds["minx"] < border[0]) & (found.bounds["maxx"] > border[0])]
    assert len(joined) == len(across)
    assert len(found) == pytest.approx(len(wanted), abs=2)


# --- chip classification -----------------------------------------------------------------------------


def test_cells_of_a_new_image_are_those_of_the_test(cells: Project) -> None:
    folder = applied(cells, "data/e.tif")
    found, wanted = gpd.read_parquet(folder / "cells.parquet"), gpd.read_parquet(products(cells)["e"] / "cells.parquet")
    assert len(found) == len(wanted) and (found["class_name"] == wanted["class_name"]).all()
    assert np.allclose(found["score"], wanted["score"], atol=1e-6) and found.geom_equals(wanted.geometry).all()
    with rasterio.open(folder / "map.tif") as one, rasterio.open(products(cells)["e"] / "prediction.tif") as other:
        assert np.array_equal(one.read(), other.read())


def test_the_cells_that_were_evaluated_are_kept_with_what_is_said_of_them(cells: Project) -> None:
    metrics = read_json(evaluation(cells))
    for scene, scores in metrics["scenes"].items():
        kept = cells_of_text(scores["cells"])
        counted = np.zeros(2 * (len(metrics["classes"]),), int)
        np.add.at(counted, (kept[:, 4], kept[:, 5]), 1)
        assert counted[1:].tolist() == scores["confusion"] and len(kept) == scores["labelled"] > 0
        with rasterio.open(products(cells)[scene] / "prediction.tif") as dataset:
            said = dataset.read(1)
        assert all(index in said[top:bottom, left:right] for top, left, bottom, right, _, index in kept)


def test_cells_that_are_wrong_are_in_the_report_with_their_confidence(cells: Project) -> None:
    experiment = cells.results / "experiments" / "cells"
    table = gpd.read_file(experiment / "suspicious.gpkg", engine="pyogrio")
    kept = {
        split: np.vstack(
            [cells_of_text(one["cells"]) for one in read_json(evaluation(cells, split))["scenes"].values()]
        )
        for split in ("validation", "test")
    }
    for split, of_split in kept.items():
        wrong = int((of_split[:, 4] != of_split[:, 5]).sum())
        assert (table["split"] == split).sum() == wrong > 0
    assert table["confidence"].between(0.2, 1).all() and table["confidence"].is_monotonic_decreasing
    page = (experiment / "report.html").read_text()
    assert 'id="reliability"' in page and page.count('class="pictures"') == min(24, len(table))


def test_cells_have_a_class_and_a_score_for_each(cells: Project) -> None:
    assert set(products(cells)) == {"d", "e"}
    for scene, folder in products(cells).items():
        table = gpd.read_parquet(folder / "cells.parquet")
        with rasterio.open(cells.folder / "data" / f"{scene}.tif") as image:
            assert table.crs == image.crs
        assert len(table) == (192 // 16) ** 2
        scores = table[[f"score.{name}" for name in CELLS["classes"]]]
        assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
        assert np.allclose(scores.max(axis=1), table["score"])
        best = scores.idxmax(axis=1).str.removeprefix("score.")
        assert (best == table["class_name"]).all()


def test_the_raster_of_cells_shows_their_classes(cells: Project) -> None:
    for folder in products(cells).values():
        valid, errors, _ = cog_validate(folder / "prediction.tif", quiet=True)
        assert valid, errors
        with rasterio.open(folder / "prediction.tif") as dataset:
            raster = dataset.read(1)
            for row in gpd.read_parquet(folder / "cells.parquet").itertuples():
                at = dataset.index(row.geometry.centroid.x, row.geometry.centroid.y)
                assert raster[at] == row.class_id


def test_the_metrics_of_cells_are_raster_visions(cells: Project) -> None:
    config = read_config(evaluation(cells).with_name("validation-pipeline-config.json"))
    classes: ClassConfig = config.dataset.class_config
    scene_config = config.dataset.validation_scenes[0]
    scene_config.raster_source.uris = [str(cells.folder / "data" / "d.tif")]
    scene_config.raster_source.transformers = []
    vectors = scene_config.label_source.vector_source
    vectors.uris = [str(cells.folder / uri) for uri in vectors.uris]
    scene_config.label_store = None
    scene = scene_config.build(classes, "/tmp")
    table = gpd.read_parquet(products(cells)["d"] / "cells.parquet")
    found = ChipClassificationLabels()
    for cell, index in zip(scene.extent.get_windows(16, 16), table["class_id"], strict=True):
        found.set_cell(cell, index)
    plain = ChipClassificationEvaluation(classes)
    plain.compute(scene.label_source.get_labels(), found)
    ours = read_json(evaluation(cells))["overall"]
    assert ours["labelled"] == plain.conf_mat[1:].sum()
    assert ours["confusion"] == plain.conf_mat[1:].tolist()
    assert ours["accuracy"] == pytest.approx(np.diag(plain.conf_mat)[1:].sum() / plain.conf_mat[1:].sum())
    for index, name in enumerate(classes.names[1:], start=1):
        item = plain.class_to_eval_item[index]
        if item.gt_count:
            assert ours["recall"][name] == pytest.approx(item.recall)
    # cells without a class count nowhere: as if nothing had been predicted there
    actual = scene.label_source.get_labels()
    for cell in scene.extent.get_windows(16, 16):
        if actual.get_cell_class_id(cell) == 0:
            found.set_cell(cell, 0)
    plain.compute(actual, found)
    for index, name in enumerate(classes.names[1:], start=1):
        item = plain.class_to_eval_item[index]
        if item.gt_count:
            assert ours["f1"][name] == pytest.approx(np.nan_to_num(item.f1))
        if item.pred_count:
            assert ours["precision"][name] == pytest.approx(item.precision)


def test_a_cell_has_the_class_that_covers_most_of_it(cells: Project) -> None:
    """Independently of Raster Vision: the cells that were cut for training, against the polygons."""
    chips = {}
    for archive in cells.results.glob("chips/*/train-*.zip"):
        import zipfile

        with zipfile.ZipFile(archive) as content:
            for name in content.namelist():
                if name.startswith("train/") and not name.endswith("/"):
                    _, class_name, file = name.split("/")
                    chips[file.rpartition(".")[0]] = class_name
    labels = gpd.read_file(cells.folder / "data" / "a.geojson", engine="pyogrio")
    mapping = CELLS["labels"]["mapping"]
    labels["class"] = [mapping.get(name, name) for name in labels["class_name"]]
    with rasterio.open(cells.folder / "data" / "a.tif") as image:
        labels = labels.to_crs(image.crs)
        whole = 0
        for row in range(12):
            for column in range(12):
                west, north = image.transform * (16 * column, 16 * row)
                cell = box(west, north - 160, west + 160, north)
                share = labels.intersection(cell).area / cell.area
                if share.max() > 0.98 and labels["class"][share.idxmax()]:
                    whole += 1
                    assert chips.get(f"a-{12 * row + column:05d}") == labels["class"][share.idxmax()]
    assert whole > 5


def boxes_of(predicted: gpd.GeoDataFrame, project: Project) -> list[list[float]]:
    """What lies in the scene and is two pixels wide: ours have no slivers, and end at the scene's edge."""
    with rasterio.open(project.folder / "data" / "d.tif") as image:
        frame = predicted.to_crs(image.crs)
        inside = frame.geometry.intersection(box(*image.bounds)).bounds
        frame["width"], frame["height"] = (inside["maxx"] - inside["minx"]), (inside["maxy"] - inside["miny"])
        wide = frame[(frame[["width", "height"]] > 1.9 * image.res[0]).all(axis=1)]
    return sorted(wide[["score", "width", "height"]].round(2).to_numpy().tolist())


# --- both --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["trees", "cells"])
def test_raster_visions_own_predict_gives_the_same(task: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    project: Project = request.getfixturevalue(task)
    bundle = next(project.results.glob("bundles/*/model-bundle.zip"))
    raster_vision("predict", str(bundle), "data/d.tif", str(tmp_path / "out.json"), folder=project.folder)
    theirs = gpd.read_file(tmp_path / "out.json", engine="pyogrio")
    ours = gpd.read_file(products(project)["d"] / "raster-vision.json", engine="pyogrio")
    if task == "trees":
        assert (boxes := boxes_of(ours, project)) == boxes_of(theirs, project)
        assert len(boxes) > 3
    else:
        assert list(theirs["class_id"]) == list(ours["class_id"])


@pytest.mark.parametrize("task", ["trees", "cells"])
def test_raster_visions_own_eval_gives_the_same(task: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    finished: Project = request.getfixturevalue(task)
    project = Project(tmp_path / "copy", finished.config)
    shutil.copytree(finished.folder, project.folder, symlinks=True)
    folder = evaluation(project).parent
    own = folder / "raster-vision" / "validation_scenes" / "eval.json"
    before = read_json(own)
    shutil.rmtree(folder / "raster-vision")
    config = (folder / "validation-pipeline-config.json").relative_to(project.folder)
    raster_vision("run_command", str(config), "eval", folder=project.folder)
    assert read_json(own) == before


@pytest.mark.parametrize(("task", "epochs"), [("trees", 1), ("cells", 2)])
def test_an_interrupted_training_ends_with_the_same_bytes(
    task: str, epochs: int, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project: Project = request.getfixturevalue(task)
    monkeypatch.chdir(tmp_path)
    workshop = Workshop(tmp_path, project)
    whole = bytes_of(workshop.train("whole", epochs=epochs))
    from swath.errors import ToBeContinuedError
    from swath.training.stopping import StopRequest

    looks = iter([None, None, "asked to stop"])
    monkeypatch.setattr(StopRequest, "reason", lambda stop, needed=0.0: next(looks, None))
    with pytest.raises(ToBeContinuedError):
        workshop.train("stopped", epochs=epochs, num_workers=1)
    assert bytes_of(workshop.train("stopped", epochs=epochs)) == whole


@pytest.mark.parametrize("task", ["trees", "cells"])
def test_a_finished_experiment_has_nothing_to_do(task: str, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue(task).jobs(*ONE_SHARD) == {}


@pytest.mark.parametrize("task", ["trees", "cells"])
def test_the_preview_shows_chips_and_labels(task: str, request: pytest.FixtureRequest) -> None:
    project: Project = request.getfixturevalue(task)
    project.snakemake("preview", *ONE_SHARD)
    page = (project.results / "experiments" / task / "preview.html").read_text()
    assert page.count('<figure id="') == len(list((project.folder / "data").glob("*.tif")))
    assert page.count('alt="training chip') > 10
