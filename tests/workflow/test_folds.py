"""Splits that Swath deals out, through the real command."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import pandas as pd
import pytest
from experiment import ONE_SHARD, SMALL, Project, with_setting

from swath.files import read_json

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def folded(cut_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One trial in two folds of four scenes, run to the end; the fifth scene is the table's test scene."""
    folder = tmp_path_factory.mktemp("folded")
    shutil.copytree(cut_scenes, folder / "data")
    table = pd.read_csv(folder / "data" / "scenes.csv")
    table["split"] = table["split"].where(table["split"] == "test")
    table.to_csv(folder / "data" / "scenes.csv", index=False)
    config = with_setting(deepcopy(SMALL), "sweep", {})
    config["train"]["epochs"] = 1
    config["imagery"]["normalize"] = {"min": 0, "max": 6000}
    project = Project(folder, {**config, "scenes": {"table": "data/scenes.csv", "split": {"folds": 2, "test": 0}}})
    project.snakemake(*ONE_SHARD)
    return project


def experiment(project: Project) -> Path:
    return project.results / "experiments" / "small"


def validated(project: Project) -> dict[str, set[str]]:
    """The scenes with maps in each run."""
    return {
        run.name: {path.parent.name for path in (run / "predictions-validation").glob("*/prediction.tif")}
        for run in (experiment(project) / "trials").iterdir()
    }


def test_every_scene_validates_once(folded: Project) -> None:
    maps = validated(folded)
    assert set(maps) == {"default,fold=0,seed=0", "default,fold=1,seed=0"}
    assert sorted(scene for scenes in maps.values() for scene in scenes) == ["a", "b", "c", "d"]


def test_the_splits_are_written_down_as_they_were_run(folded: Project) -> None:
    table = pd.read_csv(experiment(folded) / "splits.csv")
    assert list(table["scene"]) == ["a", "b", "c", "d", "e"]
    assert table.set_index("scene").loc["e", "split"] == "test"
    for fold in (0, 1):
        assert set(table["scene"][table["fold"] == fold]) == validated(folded)[f"default,fold={fold},seed=0"]


def test_a_model_has_learned_from_the_other_folds(folded: Project) -> None:
    for run, scenes in validated(folded).items():
        config = read_json(experiment(folded) / "trials" / run / "model" / "pipeline-config.json")["dataset"]
        assert {scene["id"] for scene in config["validation_scenes"]} == scenes
        assert {scene["id"] for scene in config["train_scenes"]} == {"a", "b", "c", "d"} - scenes


def test_the_leaderboard_is_the_mean_over_folds(folded: Project) -> None:
    runs = pd.read_csv(experiment(folded) / "trials.csv")
    (row,) = pd.read_csv(experiment(folded) / "leaderboard.csv").to_dict("records")
    assert list(runs["fold"]) == [0, 1]
    assert (row["folds"], row["repeats"]) == (2, 1)
    assert row["macro_f1_mean"] == pytest.approx(runs["macro_f1"].mean())
    assert row["macro_f1_std"] == pytest.approx(runs["macro_f1"].std())


def test_the_winner_met_the_test_scenes_and_the_summary_says_what_it_is(folded: Project) -> None:
    assert len(list(folded.results.glob("evals/*/test.json"))) == 1
    assert (experiment(folded) / "winner" / "predictions-test" / "e" / "prediction.tif").is_file()
    text = (experiment(folded) / "summary.txt").read_text()
    assert "over folds and repeats" in text
    assert "Its model, the best in its own fold: default,fold=" in text


def test_labels_are_read_once_and_chips_are_shared(folded: Project) -> None:
    assert "Nothing to be done" in folded.snakemake(*ONE_SHARD).stdout
    assert len(list(folded.results.glob("scenes/*/train-*.json"))) == 1
    assert len(list(folded.results.glob("chips/*/train-*.zip"))) == 2
    assert len(list(folded.results.glob("chips/*/validation-*.zip"))) == 2


def test_another_trial_makes_no_chips(folded: Project) -> None:
    more = Project(folded.folder, deepcopy(folded.config))
    more.config["sweep"] = {"trials": [{"train.epochs": 1}, {"train.learning_rate": 0.003}]}
    jobs = more.jobs(*ONE_SHARD)
    assert jobs["train"] == 2
    assert not set(jobs) & {"chip", "scenes", "analyze"}


def test_blocks_are_dealt_out_by_the_real_headers(folded: Project) -> None:
    blocks = Project(folded.folder, deepcopy(folded.config))
    blocks.config["experiment"] = "blocks"
    blocks.config["scenes"]["split"] = {"folds": 2, "test": 0, "block": 5000}
    blocks.snakemake("splits")
    table = pd.read_csv(folded.results / "experiments" / "blocks" / "splits.csv").dropna(subset="fold")
    assert table["block"].nunique() < len(table) == 4
    assert (table.groupby("block")["fold"].nunique() == 1).all()
    assert set(read_json(folded.results / "footprints.json")) == {f"data/{scene}.tif" for scene in "abcde"}


def test_too_few_scenes_for_the_folds(folded: Project) -> None:
    wrong = Project(folded.folder, deepcopy(folded.config))
    wrong.config["scenes"]["split"] = {"folds": 5, "test": 0}
    done = wrong.snakemake("--dry-run", check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert "4 scenes without a split" in done.stdout
    assert "at least 5: one for each of 5 folds" in done.stdout
