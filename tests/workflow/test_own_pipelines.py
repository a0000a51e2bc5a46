"""A user's own Raster Vision module through the six stages: the module of config/examples/own-pipeline on real data."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from experiment import REPOSITORY, Project
from rastervision.core.predictor import Predictor

from swath.files import read_json
from swath.scenes.trained_on import read_bundle

pytestmark = pytest.mark.workflow

EXPERIMENT = {"leaderboard", "select", "summary", "all"}


@pytest.fixture(scope="module")
def finished(cut_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A sweep over two learning rates, run to the end. Tests that change anything take `project`."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(cut_scenes, folder / "data")
    shutil.copytree(REPOSITORY / "config/examples/own-pipeline", folder / "mine")
    config = {
        "experiment": "mine",
        "pipeline": "mine/config.py",
        "arguments": {"data": "data", "epochs": 2, "chips_per_scene": 6},
        "sweep": {"grid": {"arguments.learning_rate": [0.001, 0.003]}},
    }
    project = Project(folder, config)
    project.snakemake()
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return Project(folder, deepcopy(finished.config))


def jobs_after_configure(project: Project) -> dict[str, int]:
    """What is to be done is known once get_config has been asked."""
    project.snakemake("--until", "configure")
    return project.jobs()


def test_the_sweep_ends_with_a_leaderboard_and_a_winner(finished: Project) -> None:
    folder = finished.results / "experiments" / "mine"
    board = pd.read_csv(folder / "leaderboard.csv")
    assert sorted(board["arguments.learning_rate"]) == [0.001, 0.003]
    assert board["macro_f1_mean"].between(0, 1).all() and board["macro_f1_mean"].is_monotonic_decreasing
    assert "Winner by validation macro_f1" in (folder / "summary.txt").read_text()
    winner = read_json(folder / "winner.json")["run"]
    assert (folder / "winner" / "metrics-test.json").is_file()
    assert not (folder / "trials" / winner / "metrics-test.json").exists()
    for name in ("model/metrics.csv", "model-bundle.zip", "predictions-validation/d/labels.tif"):
        assert (folder / "trials" / winner / name).is_file()


def test_trials_share_what_their_configs_have_in_common(finished: Project) -> None:
    made = {stage.name: len(list(stage.iterdir())) for stage in (finished.results / "pipelines").iterdir()}
    assert made == {"configure": 1, "analyze": 1, "chip": 1, "train": 2, "predict": 2, "eval": 2, "bundle": 2}


def test_metrics_are_raster_visions(finished: Project) -> None:
    for written in finished.results.glob("pipelines/eval/*/validation.json"):
        raw = read_json(written.parent / "raster-vision" / "validation_scenes" / "eval.json")["overall"]
        scores = read_json(written)["overall"]
        for item in raw:
            if scores["f1"].get(item["class_name"]):
                assert scores["f1"][item["class_name"]] == pytest.approx(item["metrics"]["f1"])


def test_raster_visions_predictor_gives_the_same_map(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.folder)
    winner = finished.results / "experiments" / "mine" / "winner"
    Predictor(str(winner / "model-bundle.zip"), str(tmp_path / "work")).predict(
        ["data/e.tif"], str(tmp_path / "predicted")
    )
    maps = [tmp_path / "predicted" / "labels.tif", winner / "predictions-test" / "e" / "labels.tif"]
    first, second = (rasterio.open(path).read(1) for path in maps)
    assert (first == second).all()


def test_a_bundle_of_raster_visions_own_maps_new_images(finished: Project, tmp_path: Path) -> None:
    """The same labels as Raster Vision's own `predict` makes, but for pixels that have no data."""
    bundle = next(finished.results.glob("pipelines/bundle/*/model-bundle.zip"))
    with rasterio.open(finished.folder / "data" / "e.tif") as image:
        values, profile, names = image.read(), image.profile | {"nodata": 0}, image.descriptions
    values[:, 40:90, :60] = 0
    with rasterio.open(tmp_path / "new.tif", "w", **profile) as image:
        image.write(values)
        image.descriptions = names
    config = {"experiment": "plain", "apply": {"model": str(bundle), "images": str(tmp_path / "new.tif")}}
    said = Project(tmp_path, config).snakemake("apply").stdout
    assert "NOTE plain_bundle" in said
    Predictor(str(bundle), str(tmp_path / "work")).predict([str(tmp_path / "new.tif")], str(tmp_path / "predicted"))
    ours = rasterio.open(tmp_path / "results/experiments/plain/map/map.tif")
    found, plain = ours.read(1), rasterio.open(tmp_path / "predicted" / "labels.tif").read(1)
    hidden = (values == 0).all(axis=0)
    assert not found[hidden].any() and hidden.sum() >= 3000
    known = read_bundle(bundle)
    number = np.array([known.order[index] for index in range(len(known.classes))])
    assert np.array_equal(number[found[~hidden]], plain[~hidden])
    assert ours.tags(1)["class_1"] == known.classes[1]


def test_a_second_run_has_nothing_to_do(finished: Project) -> None:
    assert "Nothing to be done" in finished.snakemake().stdout


def test_a_new_learning_rate_makes_that_trial_alone(project: Project) -> None:
    project.config["sweep"]["grid"]["arguments.learning_rate"] = [0.001, 0.005]
    jobs = jobs_after_configure(project)
    assert {name: count for name, count in jobs.items() if name not in EXPERIMENT} == {
        "train": 1,
        "predict": 1,
        "eval": 1,
        "bundle": 1,
    }


def test_other_chips_are_cut_once_for_all_trials(project: Project) -> None:
    project.config["arguments"]["chips_per_scene"] = 7
    jobs = jobs_after_configure(project)
    assert "analyze" not in jobs
    assert (jobs["chip"], jobs["train"]) == (1, 2)


def test_a_comment_in_the_module_runs_no_stage(project: Project) -> None:
    with (project.folder / "mine" / "config.py").open("a") as module:
        module.write("# nothing that matters\n")
    assert project.jobs()["configure"] == 1
    assert set(jobs_after_configure(project)) <= EXPERIMENT


def test_changed_labels_run_through_to_the_end(project: Project) -> None:
    labels = project.folder / "data" / "a.geojson"
    labels.write_text(labels.read_text().replace('"forest"', '"water"'))
    jobs = project.jobs()
    assert "analyze" not in jobs
    assert (jobs["chip"], jobs["train"], jobs["eval"]) == (1, 2, 2)


def test_a_dropped_folder_is_made_again(project: Project) -> None:
    shutil.rmtree(next((project.results / "pipelines" / "bundle").iterdir()))
    jobs = project.jobs()
    assert jobs["bundle"] == 1
    assert "train" not in jobs


def test_a_killed_run_goes_on(project: Project) -> None:
    project.config["arguments"]["epochs"] = 6
    project.config["sweep"] = {"grid": {"arguments.learning_rate": [0.002]}}
    pattern = "pipelines/train/*/checkpoints/*/last-00001-*.ckpt"
    others = set(project.results.glob(pattern))
    process = subprocess.Popen(
        project.command(),
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 300
        while set(project.results.glob(pattern)) == others:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = project.snakemake()
    assert "going on from last-0000" in done.stdout
    assert "epoch 1/6" not in done.stdout
    models = [pd.read_csv(path) for path in project.results.glob("pipelines/train/*/metrics.csv")]
    assert sorted(len(model) for model in models) == [2, 2, 6]


def test_a_mistake_is_told_at_once(finished: Project, tmp_path: Path) -> None:
    project = Project(tmp_path, deepcopy(finished.config))
    shutil.copytree(finished.folder / "mine", tmp_path / "mine")
    project.config["arguments"]["epoch"] = 3
    done = project.snakemake(check=False)
    assert done.returncode != 0
    assert "did you mean 'epochs'?" in done.stdout
    assert "Traceback" not in done.stdout
    assert not project.results.exists()


def test_a_mistake_in_the_module_is_told_by_the_first_stage(finished: Project, tmp_path: Path) -> None:
    project = Project(tmp_path, deepcopy(finished.config))
    shutil.copytree(finished.folder / "mine", tmp_path / "mine")  # but no data
    done = project.snakemake(check=False)
    assert done.returncode != 0
    assert "mine/config.py:" in done.stdout
    assert "FileNotFoundError" in done.stdout
    assert "Traceback" not in done.stdout
    assert not list(project.results.glob("pipelines/*/*/*.json"))
