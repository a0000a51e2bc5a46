"""What runs again when a setting, a scene or nothing changes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from experiment import Project, cut_scene

pytestmark = pytest.mark.workflow

EXPERIMENT = {"splits", "leaderboard", "select", "summary", "final_report", "all"}


def test_a_second_run_has_nothing_to_do(project: Project) -> None:
    assert "Nothing to be done" in project.snakemake().stdout


def test_a_new_learning_rate_makes_that_trial_alone(project: Project) -> None:
    project.config["sweep"]["grid"]["train.learning_rate"] = [0.001, 0.005]
    jobs = project.jobs()
    assert set(jobs) - EXPERIMENT == {"train", "predict", "eval", "bundle"}
    assert [jobs[rule] for rule in ("train", "predict", "eval", "bundle")] == [1, 1, 1, 1]


def test_a_new_prediction_stride_trains_nothing(project: Project) -> None:
    project.config["predict"]["stride"] = 32
    jobs = project.jobs()
    assert set(jobs) - EXPERIMENT == {"predict", "eval", "bundle"}


def test_settings_without_influence_run_nothing(project: Project) -> None:
    project.config["train"] |= {"num_workers": 2, "cache_gb": 1.0, "checkpoint_minutes": 5}
    project.config["predict"]["batch_size"] = 4
    project.config["classes"]["forest"] = "#00ff00"
    assert project.jobs() == {}


def add_scene(project: Project, havel: Path, split: str = "train") -> None:
    cut_scene(havel, "s2_havel_r1c0", 100, 100, project.folder / "data", "f")
    with (project.folder / "data" / "scenes.csv").open("a") as table:
        table.write(f"f,f.tif,f.geojson,{split}\n")


def test_a_new_scene_touches_its_shards_alone_and_trains_again(
    cut_scenes: Path, havel: Path, finished: Project, project: Project
) -> None:
    project.config["imagery"]["normalize"] = {"min": 0, "max": 6000}
    shutil.rmtree(project.results / "scenes")  # what is there already would be taken, in two shards
    shards = ["--set-scatter", "scenes=5", "chip=5"]  # a and c share a shard, b has one, f will have another
    project.snakemake(*shards, "--until", "scenes")
    project.snakemake(*shards, "--until", "chip")
    assert len(list(project.results.glob("scenes/*/train-*-of-5-*.json"))) == 2
    add_scene(project, havel)
    jobs = project.jobs(*shards)
    assert jobs["scenes"] == 1
    assert jobs["chip"] == 1
    assert "analyze" not in jobs
    assert jobs["train"] == 2


def test_with_statistics_a_new_training_scene_chips_everything_anew(project: Project, havel: Path) -> None:
    add_scene(project, havel)
    jobs = project.jobs()
    assert jobs["analyze"] == 1
    assert jobs["chip"] == project.jobs("--forceall")["chip"]
    assert jobs["scenes"] == 1


def test_a_new_test_scene_trains_nothing(project: Project, havel: Path) -> None:
    add_scene(project, havel, split="test")
    jobs = project.jobs()
    assert set(jobs) - EXPERIMENT <= {"scenes", "predict", "eval"}


def test_changed_labels_run_through_to_the_end(project: Project) -> None:
    labels = project.folder / "data" / "a.geojson"
    labels.write_text(labels.read_text().replace('"forest"', '"water"'))
    jobs = project.jobs()
    assert jobs["scenes"] == 1
    assert jobs["train"] == 2


def test_an_image_replaced_by_an_older_one_is_noticed_also_after_a_run_that_stopped(project: Project) -> None:
    image = project.folder / "data" / "a.tif"
    date = image.stat().st_mtime - 86_400
    content = image.read_bytes()
    image.write_bytes(content + b"another")  # GDAL does not mind, and a checksum does
    os.utime(image, (date, date))
    assert project.jobs()["scenes"] == 1
    project.snakemake("--until", "scenes")  # stands for a run that was killed here
    jobs = project.jobs()
    assert "scenes" not in jobs
    assert jobs["analyze"] == 1
    assert jobs["train"] == 2
    image.write_bytes(content)
    project.snakemake("--until", "scenes")
    assert "Nothing to be done" in project.snakemake("--dry-run", "--until", "chip").stdout


def test_a_dropped_folder_is_made_again(project: Project) -> None:
    shutil.rmtree(next((project.results / "bundles").iterdir()))
    jobs = project.jobs()
    assert jobs["bundle"] == 1
    assert "train" not in jobs


def test_imagenet_weights_are_fetched_before_training_and_alone_on_request(project: Project) -> None:
    project.config["model"]["weights"] = "imagenet"
    assert project.jobs()["encoder_weights"] == 1
    assert project.jobs("weights") == {"encoder_weights": 1, "weights": 1}


def test_fine_tuning_trains_no_more_than_it_has_to(project: Project) -> None:
    first = {"train.learning_rate": 0.001}
    tuned = {"model.weights": {"trial": "learning_rate=0.001"}, "train.learning_rate": 0.0001}
    project.config["sweep"] = {"trials": [first, tuned]}
    assert project.jobs()["train"] == 1


def test_a_trial_of_another_experiment_is_a_start(project: Project) -> None:
    project.config["experiment"] = "tuned"
    project.config["model"]["weights"] = {"experiment": "small", "trial": "learning_rate=0.001"}
    done = project.snakemake("--until", "train")
    assert "model-bundle.zip" in done.stdout
    assert len(list(project.results.glob("models/*/model-bundle.zip"))) == 4


def test_what_is_lost_or_damaged_is_made_again_with_the_same_bytes(finished: Project, project: Project) -> None:
    small = project.results / "experiments" / "small"
    lost = next(project.results.glob("predictions/*/d-*/prediction.tif"))
    halved = next(project.results.glob("evals/*/validation.json"))
    chips = next(project.results.glob("chips/*/train-*.zip"))
    lost.unlink()
    halved.write_bytes(halved.read_bytes()[:100])
    chips.write_bytes(b"")
    (small / "winner.json").write_bytes(b"\x00\xff noise")
    for folder in ("winner", "trials"):
        shutil.rmtree(small / folder)
    for table in ("leaderboard", "trials", "splits"):
        (small / f"{table}.csv").unlink()
    said = project.snakemake("verify", check=False)
    assert said.returncode == 1
    assert f"{lost.relative_to(project.folder)}: lost" in said.stdout
    assert not chips.exists()  # no zip any more; models are there, and nothing needs it
    jobs = project.jobs()
    assert set(jobs) == EXPERIMENT | {"predict", "eval"}
    project.snakemake()
    for path in (lost, halved, small / "leaderboard.csv", small / "trials.csv", small / "splits.csv"):
        assert path.read_bytes() == (finished.folder / path.relative_to(project.folder)).read_bytes(), path
    assert (small / "winner" / "model-bundle.zip").is_file()
    assert len(list((small / "trials").iterdir())) == 2
    assert "Nothing to be done" in project.snakemake().stdout
    assert project.snakemake("verify").returncode == 0
