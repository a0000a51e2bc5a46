"""A search with rungs by `snakemake --profile slurm`, while a node crashes: the same proposals, tables and models."""

from __future__ import annotations

import subprocess
from copy import deepcopy
from pathlib import Path

import pytest
from cluster_clone import AS_FINISHED, add_chips, clone, same_bytes
from experiment import Project
from slurm import Slurm, wait_until
from training_on_cluster import QUICK, trainings

pytestmark = [pytest.mark.workflow, pytest.mark.cluster]

EPOCHS = 12


def searching(finished: Project, folder: Path) -> Project:
    """A clone with the finished experiment's chips, and a search to do: two rounds with a rung each, repeats."""
    project = clone(folder, finished)
    add_chips(project, finished)
    project.config = deepcopy(finished.config)
    project.config["train"]["epochs"] = EPOCHS
    project.config["sweep"] = {
        "search": {
            "rounds": 2,
            "per_round": 1,
            "settings": {"train.learning_rate": {"min": 1.0e-3, "max": 3.0e-3, "log": True}},
        },
        "halving": {"first": 2, "factor": 4},
        "repeats": {"final": 2},
    }
    project.write().replace(folder / "config" / "config.yaml")
    return project


def decisions(project: Project) -> dict[str, bytes]:
    """What was proposed, and who went on."""
    found = [*project.results.glob("experiments/*/search/*.json"), *project.results.glob("experiments/*/rungs/*.csv")]
    return {path.name: path.read_bytes() for path in found}


def second_rung_trains(project: Project, slurm: Slurm) -> bool:
    return "1-1.csv" in decisions(project) and any(job["state"] == "RUNNING" for job in trainings(slurm, project))


def test_a_node_crashes_in_the_second_rung(finished: Project, slurm: Slurm, tmp_path: Path) -> None:
    here = searching(finished, tmp_path / "here")
    here.snakemake(*AS_FINISHED)
    assert set(decisions(here)) == {"round-1.json", "round-2.json", "1-1.csv", "2-1.csv", "final.csv"}

    there = searching(finished, tmp_path / "there")
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen(
            ["snakemake", "--profile", "slurm", *QUICK, *AS_FINISHED],
            cwd=there.folder,
            env=slurm.environment,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            wait_until(lambda: second_rung_trains(there, slurm) or process.poll() is not None, seconds=300)
            assert process.poll() is None, (tmp_path / "said.txt").read_text()
            job = next(job for job in trainings(slurm, there) if job["state"] == "RUNNING")
            slurm.control("crash", job["node"])
            try:
                assert process.wait(timeout=1200) == 0, (tmp_path / "said.txt").read_text()
            finally:
                slurm.control("start", f"slurmd-{job['node']}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    assert any(
        entry["State"] == "NODE_FAIL" for entry in slurm.accounting("JobID", "State") if entry["JobID"] == job["id"]
    )
    assert decisions(there) == decisions(here)
    same_bytes(here, there, ("models/*/rung-*.csv", "models/*/m*"))
