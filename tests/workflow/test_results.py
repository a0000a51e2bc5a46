"""What a finished experiment leaves behind."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from experiment import REPOSITORY, Project, raster_vision
from rastervision.core import Box
from rastervision.core.data import SemanticSegmentationLabels
from rastervision.core.evaluation import SemanticSegmentationEvaluation
from rio_cogeo.cogeo import cog_validate

from swath.files import read_json, sha256
from swath.rv.pipeline import read_config

pytestmark = pytest.mark.workflow


def experiment(project: Project) -> Path:
    return project.results / "experiments" / "small"


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def maps(project: Project) -> list[Path]:
    return sorted(project.results.glob("predictions/*/*/prediction.tif"))


def test_the_leaderboard_ranks_the_trials(finished: Project) -> None:
    table = pd.read_csv(experiment(finished) / "leaderboard.csv")
    assert list(table["rank"]) == [1, 2]
    assert set(table["train.learning_rate"]) == {0.001, 0.003}
    assert table["macro_f1_mean"].is_monotonic_decreasing
    assert (table["seconds"] > 0).all()
    assert {"macro_f1_std", "f1.open land_mean", "epochs", "repeats"} <= set(table.columns)


def test_only_the_winner_met_the_test_scenes(finished: Project) -> None:
    assert len(list(finished.results.glob("evals/*/test.json"))) == 1
    assert len(list(finished.results.glob("evals/*/validation.json"))) == 2
    winner = read_json(experiment(finished) / "winner.json")
    table = pd.read_csv(experiment(finished) / "leaderboard.csv")
    assert winner["trial"] == table["trial"][0]


def test_readable_links_lead_to_the_results(finished: Project) -> None:
    trial = experiment(finished) / "trials" / "learning_rate=0.001,seed=0"
    assert (trial / "model" / "metrics.csv").is_file()
    assert "epoch" in (trial / "train.log").read_text()
    assert (trial / "model-bundle.zip").is_file()
    assert (trial / "predictions-validation" / "d" / "prediction.tif").is_file()
    assert (experiment(finished) / "winner" / "predictions-test" / "e" / "prediction.tif").is_file()
    assert read_json(experiment(finished) / "winner" / "metrics-test.json")["split"] == "test"


def test_the_summary_says_what_won_and_where_it_lies(finished: Project) -> None:
    text = (experiment(finished) / "summary.txt").read_text()
    assert "Winner by validation macro_f1: learning_rate=" in text
    assert "results/experiments/small/winner/" in text
    assert (experiment(finished) / "prediction.png").stat().st_size > 10_000


def test_a_report_says_what_was_found_and_what_it_took(finished: Project) -> None:
    page = (experiment(finished) / "report.html").read_text()
    assert re.search(r"learning_rate=0\.00[13] wins with a validation macro_f1 of 0\.\d{3}", page)
    assert "cannot tell; one repeat" in page and "no interval: 1 scenes are too few" in page
    costs = page[page.index('id="costs"') : page.index('id="made"')]
    assert all(f"<td>{stage}</td>" in costs for stage in ("scenes", "chip", "train", "predict", "eval", "bundle"))
    assert "chip ran once for 2 trainings" in costs
    assert "semantic segmentation of 4 classes" in page and "experiment: small" in page
    assert gpd.read_file(experiment(finished) / "suspicious.gpkg").crs.to_epsg() == 4326


def test_the_table_of_costs_adds_up_to_what_the_report_says(finished: Project) -> None:
    costs = pd.read_csv(experiment(finished) / "cost.csv")
    trained = costs[costs["stage"] == "train"]
    assert len(trained) == 2 and (trained["cpu_seconds"] > 0).all() and (costs["attempts"] >= costs["jobs"]).all()
    assert costs.set_index("stage").loc["chip", "shared_by"].tolist() == [2, 2]
    assert {"leaderboard", "final_report"} <= set(costs.loc[costs["run"] == "all", "stage"])
    page = (experiment(finished) / "report.html").read_text()
    hours = costs.loc[costs["stage"] == "chip", "cpu_seconds"].sum() / 3600
    assert re.search(rf"<td>chip</td>.*<td class=\"number\">{hours:.3f}</td>", page)


def test_a_dry_run_ends_with_what_earlier_jobs_tell(project: Project) -> None:
    project.config["sweep"]["grid"]["train.learning_rate"] = [0.001, 0.003, 0.005]
    assert re.search(r"By what earlier jobs took: 0\.\d+ CPU hours, .* on the", project.snakemake("--dry-run").stdout)
    project.config["model"]["encoder"] = "resnet18"
    assert "`snakemake --cores 1 estimate` tries it out" in project.snakemake("--dry-run").stdout


def test_what_would_take_more_than_the_budget_does_not_start(project: Project) -> None:
    project.config["sweep"]["grid"]["train.learning_rate"] = [0.001, 0.003, 0.005]
    project.config["budget"] = {"cpu_hours": 0.001}
    done = project.snakemake(check=False)
    assert done.returncode == 1 and "ERROR over_budget" in done.stdout and "spent, about" in done.stdout
    assert "Training" not in done.stdout


@pytest.mark.long
def test_what_nothing_tells_of_is_tried_out(project: Project) -> None:
    project.config["train"]["batch_size"] = 4
    project.config["model"]["arguments"]["decoder_channels"] = [16, 16, 8]
    table = project.snakemake("estimate").stdout
    assert re.search(r"\ntrain +2 +(≤ )?0\.\d+ +0 .* probed\n", table), table
    assert re.search(r"\nchip? .* measured\n|\neval .* measured\n", table) and "About " in table, table
    assert "By what earlier jobs took" not in table and "Training" not in table


def test_what_stands_in_the_docs_for_notebooks_runs(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder.parent)  # from anywhere
    text = (REPOSITORY / "docs" / "notebooks.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    names: dict[str, Any] = {}
    exec(code.replace("results/experiments/havel-land-use", str(experiment(finished))), names)
    assert names["scene"] == "e" and names["truth"].shape == names["prediction"].shape
    assert 0 < float(names["wrong"].sum()) < 192 * 192


def test_maps_are_cloud_optimized_with_colours_names_and_nodata(finished: Project) -> None:
    assert len(maps(finished)) == 3
    for path in maps(finished):
        valid, errors, _ = cog_validate(path, quiet=True)
        assert valid, errors
        with rasterio.open(path) as dataset:
            assert dataset.crs.to_epsg() == 32633
            assert dataset.nodata == 0
            assert dataset.colormap(1)[2] == (0x2F, 0x6B, 0x3A, 255)
            assert dataset.tags(1)["class_2"] == "forest"
            assert set(np.unique(dataset.read(1))) <= {1, 2, 3, 4}
        assert "<Category>open land</Category>" in Path(f"{path}.aux.xml").read_text()


def test_polygons_carry_class_names_and_cover_the_map(finished: Project) -> None:
    for path in maps(finished):
        polygons = gpd.read_parquet(path.with_name("polygons.parquet"))
        assert polygons.crs.to_epsg() == 32633
        assert set(polygons["class_name"]) <= {"open land", "forest", "residential", "water"}
        assert polygons.area.sum() == pytest.approx(192 * 192 * 100)
        again = gpd.read_file(path.with_name("polygons.gpkg"), engine="pyogrio")
        assert polygons.geometry.geom_equals(again.geometry).all() and polygons.crs == again.crs


def test_every_result_folder_carries_its_spec(finished: Project) -> None:
    for stage in ("scenes", "stats", "chips", "models", "predictions", "evals", "bundles"):
        for folder in (finished.results / stage).iterdir():
            assert (folder / "spec.yaml").is_file(), folder


def test_raster_visions_own_predict_gives_the_same_pixels(finished: Project, tmp_path: Path) -> None:
    trial = experiment(finished) / "trials" / "learning_rate=0.001,seed=0"
    bundle, folder = str(trial / "model-bundle.zip"), finished.folder
    raster_vision("predict", bundle, "data/d.tif", str(tmp_path / "out"), folder=folder, fork=False)
    ours = trial / "predictions-validation" / "d"
    assert np.array_equal(pixels(tmp_path / "out" / "labels.tif"), pixels(ours / "prediction.tif"))
    assert np.array_equal(pixels(ours / "raster-vision" / "labels.tif"), pixels(ours / "prediction.tif"))


def test_raster_visions_own_eval_gives_the_same_metrics(project: Project) -> None:
    evaluation = next(project.results.glob("evals/*/validation.json")).parent
    own = evaluation / "raster-vision" / "validation_scenes" / "eval.json"
    before = read_json(own)
    shutil.rmtree(evaluation / "raster-vision")
    config = (evaluation / "validation-pipeline-config.json").relative_to(project.folder)
    raster_vision("run_command", str(config), "eval", folder=project.folder, fork=False)
    assert read_json(own) == before
    # unlabelled pixels do not count: Raster Vision's F1 by class is ours
    ours = read_json(evaluation / "validation.json")["overall"]["f1"]
    for item in before["overall"]:
        if item["class_name"] in ours and item["gt_count"]:
            theirs = item["metrics"]["f1"]
            assert ours[item["class_name"]] == pytest.approx(theirs or 0.0, abs=0.001)  # null where never predicted


def test_the_metrics_are_raster_visions_called_plainly(finished: Project) -> None:
    """Its evaluator on nothing but two arrays: the labels of the validation scene, and the map of it."""
    written = next(finished.results.glob("evals/*/validation.json"))
    classes = read_config(written.with_name("validation-pipeline-config.json")).dataset.class_config
    folder = experiment(finished) / "trials" / "learning_rate=0.001,seed=0"
    ours = read_json(folder / "metrics-validation.json")["overall"]
    labels = next(finished.results.glob("scenes/*/validation-*/d/truth.tif"))
    actual, found = pixels(labels), pixels(folder / "predictions-validation" / "d" / "prediction.tif")
    window = Box(0, 0, *actual.shape)
    plain = SemanticSegmentationEvaluation(classes)
    plain.compute(*(plain_labels(ids, window, len(classes)) for ids in (actual, found)))
    counts = plain.conf_mat.astype(int)
    assert ours["confusion"] == counts[1:].tolist()
    assert ours["accuracy"] == np.diag(counts)[1:].sum() / counts[1:].sum()
    # what is unlabelled counts nowhere: as if nothing had been predicted there
    found[actual == 0] = 0
    plain.compute(*(plain_labels(ids, window, len(classes)) for ids in (actual, found)))
    for index, name in enumerate(classes.names[1:], start=1):
        item = plain.class_to_eval_item[index]
        if item.gt_count:
            assert ours["recall"][name] == pytest.approx(item.recall)
            assert ours["f1"][name] == pytest.approx(np.nan_to_num(item.f1))
        if item.pred_count:
            assert ours["precision"][name] == pytest.approx(item.precision)


def plain_labels(ids: np.ndarray, window: Box, classes: int) -> SemanticSegmentationLabels:
    labels = SemanticSegmentationLabels.make_empty(extent=window, num_classes=classes)
    labels[window] = ids
    return labels


def test_the_models_config_is_one_that_raster_vision_reads(finished: Project) -> None:
    model = next((finished.results / "models").iterdir())
    config = read_config(model / "pipeline-config.json")
    assert config.dataset.class_config.names[0] == "null"
    assert [scene.id for scene in config.dataset.train_scenes] == ["a", "b", "c"]


def test_nothing_in_a_bundle_knows_where_it_was_made(finished: Project) -> None:
    bundle = next(finished.results.glob("bundles/*/model-bundle.zip"))
    with zipfile.ZipFile(bundle) as archive:
        of_analyze = {name for name in archive.namelist() if name.startswith("analyze/") and not name.endswith("/")}
        assert of_analyze == {"analyze/stats/train_scenes/stats.json"}
        assert str(finished.folder) not in archive.read("pipeline-config.json").decode()
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_metrics_have_a_row_per_epoch(finished: Project) -> None:
    for path in finished.results.glob("models/*/metrics.csv"):
        assert list(pd.read_csv(path)["epoch"]) == [1, 2]


def test_predictions_manifest_knows_its_files(finished: Project) -> None:
    for manifest in finished.results.glob("predictions/*/*.json"):
        published = json.loads(manifest.read_text())["scenes"].values()
        assert published
        for maps in published:
            assert maps["files"]
            for name, checksum in maps["files"].items():
                assert sha256(manifest.parent / maps["folder"] / name) == checksum
