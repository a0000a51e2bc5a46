"""Raster Vision's example experiments, on folder trees with their names and formats and tiny generated imagery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import example_data as data
import pandas as pd
import pytest
from experiment import Project
from small_examples import EXAMPLES, project_of
from training_jobs import outputs_in, training_job

from swath.config.load import load_experiment, read_yaml
from swath.config.records import of_json
from swath.files import read_json
from swath.plan.plan import make_plan
from swath.rv.chip import cut_chips
from swath.scenes.analyze import analyze
from swath.scenes.facts import ScenesSpec
from swath.scenes.manifest import read_manifests
from swath.scenes.prepare import prepare_scenes
from swath.scenes.table import read_scenes
from swath.training.train import train_model

pytestmark = pytest.mark.workflow


def train_here(config: dict[str, Any]) -> Path:
    """The stages up to the training, one after another in this process: nothing is started, which takes longest."""
    experiment = load_experiment(config)
    plan = make_plan(experiment, read_scenes(experiment.scenes), config)
    run = plan.runs[0]
    manifests = []
    for split in ("train", "validation"):
        folder = Path(f"results/scenes/{run.scenes}/{split}")
        manifests.append(str(folder.with_suffix(".json")))
        spec = of_json(ScenesSpec, plan.specs["scenes"][run.scenes])
        prepare_scenes(plan.scenes_of(split), spec, folder, Path(manifests[-1]))
    scenes = read_manifests(manifests)
    stats = Path(f"results/stats/{run.stats}/stats/train_scenes/stats.json")
    stats.parent.mkdir(parents=True)
    training = [scene for scene in scenes if scene.split == "train"]
    analyze(training, experiment.imagery, stats)
    Path(f"results/chips/{run.chips}").mkdir(parents=True)
    job = training_job(config, "model")
    for split in ("train", "validation"):
        facts = [scene for scene in scenes if scene.split == split]
        chips = Path(f"results/chips/{run.chips}/{split}.zip")
        cut_chips(facts, split, experiment.chips, job.options, job.classes, chips)
    job.folder.mkdir()
    train_model(training_job(config, "model"), outputs_in(job.folder))
    return job.folder


LONG = ("cowc-potsdam", "isprs-potsdam", "isprs-potsdam-multi-source", "spacenet-vegas-buildings", "xview")
"""Examples that take half a minute each, and are like others."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] * (name in LONG)) for name in EXAMPLES])
def test_an_example_is_planned_as_it_stands_and_trains(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = EXAMPLES[name]
    short = project_of(name, example, tmp_path)
    jobs = Project(tmp_path, read_yaml(data.EXAMPLES / f"{name}.yaml")).jobs()
    assert {"scenes", "analyze", "chip", "encoder_weights", "train", "predict", "eval", "bundle", "summary"} <= set(
        jobs
    )
    monkeypatch.chdir(tmp_path)
    model = train_here(short.config)
    metrics = pd.read_csv(model / "metrics.csv")
    assert len(metrics) == 1
    assert metrics["train_loss"].notna().all()
    assert read_json(model / "pipeline-config.json")["backend"]["data"]["img_channels"] == example.bands
