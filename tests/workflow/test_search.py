"""A search through the real command: what it proposes follows from results, limits and conditions alone."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import pandas as pd
import pytest
from experiment import ONE_SHARD, Project

from swath.files import read_json

pytestmark = [pytest.mark.workflow, pytest.mark.long]

SMALL, LARGE = ({"encoder_depth": 3, "decoder_channels": channels} for channels in ([32, 16, 8], [512, 256, 128]))


@pytest.fixture(scope="module")
def searched(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two rounds of a trial each beside the config's own, on the finished experiment's chips."""
    folder = tmp_path_factory.mktemp("searched") / "project"
    ignored = shutil.ignore_patterns("experiments")
    shutil.copytree(finished.folder, folder, symlinks=True, ignore=ignored)
    project = Project(folder, deepcopy(finished.config))
    project.config["sweep"] = {
        "search": {
            "rounds": 2,
            "per_round": 1,
            "settings": {
                "model.arguments": {"choices": [LARGE, SMALL]},
                "train.learning_rate": [
                    {"min": 0.1, "max": 0.2, "when": {"model.arguments": LARGE}},
                    {"min": 0.001, "max": 0.003, "log": True},
                ],
            },
        },
        "limits": {"parameters": 2_000_000},
    }
    project.snakemake(*ONE_SHARD)
    return project


def rounds(project: Project) -> list[Path]:
    return [project.results / "experiments" / "small" / "search" / f"round-{number}.json" for number in (1, 2)]


def test_it_proposes_what_keeps_to_limits_and_conditions(searched: Project) -> None:
    points = [point for path in rounds(searched) for point in read_json(path)["points"]]
    assert len(points) == 2 and all(point["model.arguments"] == SMALL for point in points)
    assert all(0.001 <= point["train.learning_rate"] <= 0.003 for point in points)
    assert [len(read_json(path)["made_from"]) for path in rounds(searched)] == [0, 2]
    board = pd.read_csv(searched.results / "experiments" / "small" / "leaderboard.csv")
    assert len(board) == 3 and board["model.arguments"].nunique() == 1
    assert board["over_limits"].isna().all() and board["pareto"].any()


def test_proposals_that_are_lost_come_out_the_same(searched: Project) -> None:
    before = {path: path.read_bytes() for path in rounds(searched)}
    for path in before:
        path.unlink()
    searched.snakemake(*ONE_SHARD)
    assert {path: path.read_bytes() for path in before} == before
    searched.config["sweep"]["search"]["rounds"] = 1  # fewer rounds, and more again, leave those before as they are
    assert "propose" not in searched.jobs(*ONE_SHARD)


def test_of_those_that_get_to_the_end_in_any_round_the_best_are_repeated(searched: Project) -> None:
    sweep = searched.config["sweep"]
    searched.config["sweep"] = {**sweep, "halving": {"first": 1, "factor": 2}, "repeats": {"final": 2}}
    sweep["search"]["rounds"] = 2
    searched.snakemake(*ONE_SHARD)
    folder = searched.results / "experiments" / "small"
    assert {path.name for path in (folder / "rungs").iterdir()} == {"1-1.csv", "2-1.csv", "final.csv"}
    final = pd.read_csv(folder / "rungs" / "final.csv")
    assert final["decision"].tolist() == ["goes on", "stopped"] and final["score"].is_monotonic_decreasing
    board = pd.read_csv(folder / "leaderboard.csv")
    assert board["trial"].tolist() == final["trial"][:1].tolist() and board["repeats"].tolist() == [2]
    assert "In the end: 2 for 2 epochs, 1 compared" in (folder / "summary.txt").read_text()
    assert not searched.jobs(*ONE_SHARD)
