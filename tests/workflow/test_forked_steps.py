"""A whole experiment whose steps are forked from a process that has imported everything once."""

from __future__ import annotations

import re
import shutil
from copy import deepcopy
from pathlib import Path

import pandas as pd
import pytest
from clones import same_bytes
from project import Project

from swath.smk.fork_server import VARIABLE

pytestmark = pytest.mark.workflow


def test_forked_steps_leave_the_same_bytes(finished: Project, forked: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "finished", deepcopy(finished.config))
    shutil.copytree(finished.folder / "data", project.folder / "data")
    done = project.snakemake()
    assert "as usual" not in done.stdout
    same_bytes(finished, project)

    log = (forked / "log.txt").read_text().splitlines()
    mine = [line for line in log if str(project.folder) in line]
    steps = max(map(int, re.findall(r"(\d+) of \d+ steps", done.stdout)))
    assert len(mine) == steps - 1, mine  # `all` has no script
    assert not [line for line in mine if "not forked" in line]

    measured = [pd.read_csv(file, sep="\t") for file in project.results.glob("benchmarks/train/*.tsv")]
    assert len(measured) == 2
    assert all(table["max_rss"].max() > 300 for table in measured)  # that of the script, not of the small client


def test_a_run_starts_a_server_of_its_own_and_ends_it(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv(VARIABLE, "1")
    project = Project(tmp_path / "own", deepcopy(finished.config))
    shutil.copytree(finished.folder / "data", project.folder / "data")
    done = project.snakemake("--until", "scenes")
    assert done.stdout.count("Importing torch and Raster Vision once for all steps.\n") == 1
    assert not list(temporary.glob("swath-fork-*"))
    assert list(project.results.glob("scenes/*/*.json"))
