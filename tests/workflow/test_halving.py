"""Successive halving through the real command: who goes on, and that it makes the models of uninterrupted trainings."""

from __future__ import annotations

import csv
import shutil
from copy import deepcopy
from pathlib import Path

import pandas as pd
import pytest
from experiment import ONE_SHARD, Project
from made_records import record

from swath.cost.measured import MOST
from swath.files import sha256
from swath.job.attempts import ENDING

pytestmark = [pytest.mark.workflow, pytest.mark.long]

KNOWN = 0.001
"""A learning rate of the finished experiment, beside those that learn next to nothing."""


SAID: dict[str, str] = {}
"""What was said on the way, and what files held."""


@pytest.fixture(scope="module")
def halved(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A search of four trials on the finished experiment's chips, of which two are trained to the end.

    The budget leaves room for one of them at first; when it is larger, the other goes on.
    """
    folder = tmp_path_factory.mktemp("halved") / "project"
    ignored = shutil.ignore_patterns("models", "experiments", "predictions", "evals", "bundles")
    shutil.copytree(finished.folder, folder, symlinks=True, ignore=ignored)
    project = Project(folder, deepcopy(finished.config))
    project.config["sweep"] = {
        "grid": {"train.learning_rate": [KNOWN, 1.0e-7, 1.0e-8, 1.0e-9]},
        "halving": {"first": 1, "factor": 2},
    }
    for number in range(MOST):  # bundling is said to take an hour, so that one trial fits and two do not
        record(project.results / "logs" / "bundle" / f"{number:012}{ENDING}", cpu=3600)
    project.config["budget"] = {"cpu_hours": 1.5}
    SAID["small budget"] = project.snakemake(*ONE_SHARD).stdout
    SAID["its table"], SAID["its summary"] = (text_of(project, file) for file in ("rungs/1.csv", "summary.txt"))
    project.config["budget"] = {"cpu_hours": 2.5}
    SAID["larger budget"] = project.snakemake(*ONE_SHARD).stdout
    return project


def text_of(project: Project, file: str) -> str:
    return (project.results / "experiments" / "small" / file).read_text()


def rung(project: Project) -> list[dict[str, str]]:
    with (project.results / "experiments" / "small" / "rungs" / "1.csv").open() as file:
        return list(csv.DictReader(file))


def models(project: Project) -> dict[str, str]:
    """Model → checksum of its bundle."""
    return {path.parent.name: sha256(path) for path in project.results.glob("models/*/model-bundle.zip")}


def stopped(project: Project) -> list[Path]:
    """Checkpoints of trainings that have not gone on."""
    return sorted(project.results.glob("models/*/checkpoints/*/last-00001-*.ckpt"))


def test_the_best_go_on_to_the_models_of_uninterrupted_trainings(halved: Project, finished: Project) -> None:
    experiment, rows = halved.results / "experiments" / "small", rung(halved)
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert [row["decision"] for row in rows] == ["goes on", "goes on", "stopped", "stopped"]
    gone_on = {row["trial"] for row in rows[:2]}
    assert f"learning_rate={KNOWN:g}" in gone_on
    assert set(pd.read_csv(experiment / "leaderboard.csv")["trial"]) == gone_on
    assert "Successive halving: 4 for 1 epoch, 2 to the end" in (experiment / "summary.txt").read_text()
    assert "Stopped early" in (experiment / "report.html").read_text()
    common = models(halved).keys() & models(finished).keys()
    assert len(common) == 1 and len(models(halved)) == 2
    assert all(models(halved)[key] == models(finished)[key] for key in common)
    assert len(stopped(halved)) == 2  # who was stopped has kept its checkpoint


def test_a_budget_ends_it_in_time_and_a_larger_one_goes_on(halved: Project) -> None:
    assert "The search is expected to end before its last trial" in SAID["small budget"]
    rows = list(csv.DictReader(SAID["its table"].splitlines()))
    assert [row["decision"] for row in rows] == ["goes on", "over budget", "stopped", "stopped"]
    assert rows[1]["budget"] == "cpu_hours=1.5" and "CPU hours spent, about 2" in rows[1]["reason"]
    assert "The budget ended the search: 1 of those that were to went on from rung 1" in SAID["its summary"]
    assert "1.csv: the budget is larger now, it is decided anew" in SAID["larger budget"]
    assert "The budget ended" not in text_of(halved, "summary.txt")


def test_what_is_lost_or_damaged_of_a_rung_is_written_again_and_nothing_else(halved: Project) -> None:
    assert not halved.jobs(*ONE_SHARD)
    table = halved.results / "experiments" / "small" / "rungs" / "1.csv"
    before = {path: path.read_bytes() for path in [table, *halved.results.glob("models/*/rung-1.csv")]}
    made = {path: path.stat().st_mtime_ns for path in halved.results.glob("models/*/model-bundle.zip")}
    checkpoints = stopped(halved)
    for path in before:
        path.unlink()
    table.write_text("rank,trial\n")
    assert "cannot be read" in halved.snakemake(*ONE_SHARD).stdout
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.stat().st_mtime_ns for path in made} == made and stopped(halved) == checkpoints
