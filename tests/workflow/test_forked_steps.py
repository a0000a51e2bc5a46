"""A whole experiment whose steps are forked from a process that has imported everything once."""

from __future__ import annotations

import re
import shutil
from copy import deepcopy
from pathlib import Path

import pandas as pd
import pytest
from cluster_clone import same_bytes
from experiment import Project
from forked import log_of_scripts

from swath.smk.fork_server import VARIABLE

pytestmark = pytest.mark.workflow


def test_every_step_is_forked(finished: Project) -> None:
    said = (finished.folder / "said.txt").read_text()
    assert "started as usual" not in said
    mine = [line for line in log_of_scripts() if str(finished.folder) in line and "forked: " in line]
    steps = re.search(r"(\d+) of \1 steps", said)
    assert steps and len(mine) == int(steps[1]) - 1, mine  # `all` has no script
    assert not [line for line in mine if "not forked" in line]


def test_a_benchmark_is_that_of_the_script(finished: Project) -> None:
    measured = [pd.read_csv(file, sep="\t") for file in finished.results.glob("benchmarks/train/*.tsv")]
    assert len(measured) == 2
    assert all(table["max_rss"].max() > 300 for table in measured)  # that of the script, not of the small client


@pytest.mark.long
def test_processes_of_their_own_elsewhere_and_other_shards_give_the_same_bytes(
    finished: Project, elsewhere: Project
) -> None:
    assert not [line for line in log_of_scripts() if str(elsewhere.folder) in line]
    same_bytes(elsewhere, finished, ("models/*/m*", "bundles/*/*", "predictions/*/*/*", "evals/*/validation.json"))


def test_a_run_starts_a_server_of_its_own_and_ends_it(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv(VARIABLE, "1")
    project = Project(tmp_path / "own", deepcopy(finished.config), forked=False)
    shutil.copytree(finished.folder / "data", project.folder / "data")
    done = project.snakemake("--until", "scenes")
    assert done.stdout.count("Importing torch and Raster Vision once for all steps.\n") == 1
    assert not list(temporary.glob("swath-fork-*"))
    assert list(project.results.glob("scenes/*/*.json"))
