"""The shortened demo by `snakemake --profile slurm`, typed in a clone on a real cluster, in Apptainer."""

from __future__ import annotations

import getpass
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from cluster_clone import clone, keep_the_winner, same_bytes
from experiment import Project
from slurm import HOST, Slurm
from typed_docs import cluster_commands

pytestmark = [pytest.mark.workflow, pytest.mark.cluster]


@pytest.fixture(scope="module")
def queued(slurm: Slurm, finished: Project, image: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small experiment with the trial that wins, run on the cluster."""
    project = clone(tmp_path_factory.mktemp("cluster") / "swath", finished, image)
    project.config["experiment"] = "queued"
    keep_the_winner(project, finished)
    done = subprocess.run(
        ["snakemake", "--profile", "slurm"],
        cwd=project.folder,
        env=slurm.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Winner by validation macro_f1" in done.stdout
    return project


def test_the_cluster_gives_the_same_bytes(queued: Project, finished: Project) -> None:
    same_bytes(queued, finished)


def test_only_training_and_prediction_hold_a_gpu(queued: Project, slurm: Slurm) -> None:
    jobs = slurm.accounting("JobName", "State", "NodeList", "AllocTRES", "Comment")
    jobs = [job for job in jobs if job["JobName"].startswith("queued-")]
    assert {job["Comment"].split("_")[1] for job in jobs} >= {"scenes", "analyze", "chip", "train", "predict", "eval"}
    for job in jobs:
        assert job["State"] == "COMPLETED"
        on_gpu = "rule_train" in job["Comment"] or "rule_predict" in job["Comment"]
        assert job["NodeList"].startswith("gpu" if on_gpu else "cpu"), job
        assert ("gres/gpu=1" in job["AllocTRES"]) == on_gpu, job


def test_trainings_and_predictions_are_given_a_gpu(queued: Project) -> None:
    """The nodes' GPUs are placeholders: whoever is given one says which, and that torch sees none."""
    logs = [*queued.results.glob("logs/train/*.log"), *queued.results.glob("logs/predict/*/*.log")]
    assert {log.relative_to(queued.results).parts[1] for log in logs} == {"train", "predict"}
    for log in logs:
        assert re.search("CUDA_VISIBLE_DEVICES is [01], but torch sees no GPU", log.read_text()), log


@pytest.mark.parametrize("way", [HOST, ("--software-deployment-method", "apptainer")])
def test_what_is_done_is_done(way: tuple[str, str], queued: Project) -> None:
    """In the container or without it, here or there: the bytes are the same, nothing is made anew."""
    assert queued.jobs(*way, "--set-scatter", "scenes=8", "chip=8", "predict=4") == {}


def test_a_map_in_shards_has_the_bytes_of_one_made_here(
    queued: Project, slurm: Slurm, finished: Project, tmp_path: Path
) -> None:
    """Parts of a new map on several nodes, in the container; put together on one without a GPU."""
    config = {"experiment": "new", "apply": {"model": {"experiment": "queued"}, "images": ["data/a.tif", "data/b.tif"]}}
    (queued.folder / "map.yaml").write_text(yaml.safe_dump(config))
    command = ["snakemake", "--profile", "slurm", "apply", "--set-scatter", "apply=3", "--configfile", "map.yaml"]
    done = subprocess.run(
        command, cwd=queued.folder, env=slurm.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    jobs = slurm.accounting("JobName", "State", "NodeList", "AllocTRES", "Comment")
    parts = [job for job in jobs if "rule_apply_part" in job["Comment"]]
    assert len(parts) == 3 and all("gres/gpu=1" in job["AllocTRES"] for job in parts)
    assert len({job["NodeList"] for job in parts}) > 1
    (assembled,) = (job for job in jobs if "rule_assemble" in job["Comment"])
    assert "gres/gpu" not in assembled["AllocTRES"]
    config["apply"]["model"] = str(next(queued.results.glob("bundles/*/model-bundle.zip")))
    here = Project(tmp_path, config)
    (tmp_path / "data").symlink_to(queued.folder / "data")
    here.snakemake("apply", "--set-scatter", "apply=1")
    same_bytes(here, queued, ("experiments/new/map/*.tif", "experiments/new/map/*.parquet"))


def test_the_docs_can_be_typed(queued: Project, slurm: Slurm) -> None:
    (queued.folder / "my.yaml").write_text((queued.folder / "config" / "config.yaml").read_text())
    said = {}
    for command in cluster_commands():
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=queued.folder,
            env=slurm.environment | {"USER": getpass.getuser()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == (1 if "doctor" in command else 0), done.stdout  # placeholders for GPUs
        said[command.partition("#")[0].strip()] = done.stdout
    assert list(said)[-1] == "snakemake --profile slurm --configfile my.yaml"
    assert [text for text in said.values() if "my-project" in text.split()]
    assert [text for text in said.values() if "gpu:h100:2" in text]
    assert [text for text in said.values() if "no GPU is seen" in text]
    assert "Nothing to be done" in said["snakemake --profile slurm --configfile my.yaml"]
