"""Successive halving through the real command: who goes on, and that it makes the models of uninterrupted trainings."""

from __future__ import annotations

import csv

import pandas as pd
import pytest
from experiment import ONE_SHARD, Project

from swath.files import sha256

pytestmark = [pytest.mark.workflow, pytest.mark.long]


def rung(project: Project) -> list[dict[str, str]]:
    with (project.results / "experiments" / "small" / "rungs" / "1.csv").open() as file:
        return list(csv.DictReader(file))


def models(project: Project) -> dict[str, str]:
    """Model → checksum of its bundle."""
    return {path.parent.name: sha256(path) for path in project.results.glob("models/*/model-bundle.zip")}


@pytest.fixture
def halved(project: Project) -> tuple[Project, dict[str, str]]:
    """A search of four trials of which two are the finished experiment's, whose models it has to make anew."""
    before = models(project)
    for path in [*project.results.glob("models/*/*"), *project.results.glob("experiments/small/*.*")]:
        if path.is_file():
            path.unlink()
    project.config["sweep"] = {
        "grid": {"train.learning_rate": [0.001, 0.003, 1.0e-7, 1.0e-8]},
        "halving": {"first": 1, "factor": 2},
    }
    project.snakemake(*ONE_SHARD)
    return project, before


def test_the_best_go_on_to_the_models_of_uninterrupted_trainings(halved: tuple[Project, dict[str, str]]) -> None:
    project, before = halved
    experiment = project.results / "experiments" / "small"
    rows = rung(project)
    assert {row["trial"]: row["decision"] for row in rows} == {
        "learning_rate=0.001": "goes on",
        "learning_rate=0.003": "goes on",
        "learning_rate=1e-07": "stopped",
        "learning_rate=1e-08": "stopped",
    }
    assert models(project) == before  # byte for byte

    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    leaderboard = pd.read_csv(experiment / "leaderboard.csv")
    assert set(leaderboard["trial"]) == {"learning_rate=0.001", "learning_rate=0.003"}
    text = (experiment / "summary.txt").read_text()
    assert "Successive halving: 4 for 1 epoch, 2 to the end" in text
    assert (experiment / "report.html").is_file()
    assert not project.jobs(*ONE_SHARD)  # nothing is left to do

    # a rung that is lost is written again from what is there; who was stopped has kept its checkpoint
    stopped = list(project.results.glob("models/*/checkpoints/*/last-00001-*.ckpt"))
    assert len(stopped) == 2
    tables = {path: path.read_bytes() for path in project.results.glob("models/*/rung-1.csv")}
    assert len(tables) == 4
    for path in tables:
        path.unlink()
    project.snakemake(*ONE_SHARD)
    assert {path: path.read_bytes() for path in tables} == tables
    assert list(project.results.glob("models/*/checkpoints/*/last-00001-*.ckpt")) == stopped

    # a trial that scores worse than the finalists is trained to the rung, and changes no model
    project.config["sweep"]["grid"]["train.learning_rate"].append(1.0e-9)
    assert project.jobs(*ONE_SHARD)["train_rung"] == 1
    project.snakemake(*ONE_SHARD)
    assert len(rung(project)) == 5 and models(project).items() >= before.items()


def test_a_damaged_table_of_a_rung_is_made_again(halved: tuple[Project, dict[str, str]]) -> None:
    project, _ = halved
    table = project.results / "experiments" / "small" / "rungs" / "1.csv"
    before = table.read_bytes()
    table.write_text("rank,trial\n")
    done = project.snakemake(*ONE_SHARD)
    assert "cannot be read" in done.stdout
    assert table.read_bytes() == before
