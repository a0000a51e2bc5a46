"""Raster Vision's example experiments, on folder trees with their names and formats and tiny generated imagery."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import example_data as data
import pandas as pd
import pytest
from project import Project, with_setting
from training_jobs import outputs_in, training_job

from swath.config import load_experiment, read_yaml
from swath.files import read_json
from swath.plan import make_plan
from swath.rv.chip import cut_chips
from swath.scenes.analyze import analyze
from swath.scenes.manifest import read_manifests
from swath.scenes.prepare import prepare_scenes
from swath.scenes.table import read_scenes
from swath.training.train import train_model

pytestmark = pytest.mark.workflow
RASTER_VISION = str(Path(sys.executable).with_name("rastervision"))
FEW_SHARDS = ("--set-scatter", "scenes=1", "chip=1", "predict=1")

SHORT = {"train.epochs": 1, "train.batch_size": 4, "train.num_workers": 0, "train.threads": 1, "model.weights": "none"}
SMALL_CHIPS = {"chips.size": 32}
FEW_BOXES = {"chips.size": 64, "chips.per_scene": 3, "model.encoder": "resnet18", "predict.score_threshold": 0.05}


@dataclass(frozen=True)
class Example:
    """An example and how it is tried out.

    Attributes:
        build: Makes its folder tree.
        shorter: Settings that make it small, beside `SHORT`.
        bands: Channels that its model has to see.
    """

    build: Callable[[Path], None]
    shorter: dict[str, Any] = field(default_factory=dict)
    bands: int = 3


EXAMPLES = {
    "tiny-spacenet": Example(data.tiny_spacenet, SMALL_CHIPS),
    "spacenet-vegas": Example(
        data.tutorial,
        {**SMALL_CHIPS, "predict.stride": 32, "sweep.grid": {}},
    ),
    "spacenet-vegas-buildings": Example(data.vegas_buildings, SMALL_CHIPS),
    "spacenet-vegas-roads": Example(data.vegas_roads, SMALL_CHIPS),
    "spacenet-rio": Example(data.rio, {"chips.size": 16, "chips.stride": 8, "model.encoder": "resnet18"}),
    "isprs-potsdam": Example(data.potsdam, SMALL_CHIPS),
    "isprs-potsdam-multi-source": Example(data.potsdam, SMALL_CHIPS, bands=5),
    "cowc-potsdam": Example(data.cowc, FEW_BOXES),
    "xview": Example(data.xview, FEW_BOXES),
}


def project_of(name: str, example: Example, folder: Path, **changes: Any) -> Project:
    """A folder with the example's data and tables, and its config, as short as it gets."""
    example.build(folder)
    (folder / "config" / "examples").mkdir(parents=True)
    for table in data.EXAMPLES.glob("*.csv"):
        shutil.copy(table, folder / "config" / "examples")
    config = read_yaml(data.EXAMPLES / f"{name}.yaml")
    for setting, value in {**SHORT, **example.shorter, **changes}.items():
        config = with_setting(config, setting, value)
    return Project(folder, config)


def train_here(config: dict[str, Any]) -> Path:
    """The stages up to the training, one after another in this process: nothing is started, which takes longest."""
    experiment = load_experiment(config)
    plan = make_plan(experiment, read_scenes(experiment.scenes), config)
    run = plan.runs[0]
    manifests = []
    for split in ("train", "validation"):
        folder = Path(f"results/scenes/{run.scenes}/{split}")
        manifests.append(str(folder.with_suffix(".json")))
        rows = [scene.row() for scene in plan.scenes_of(split)]
        prepare_scenes(rows, plan.specs["scenes"][run.scenes], folder, Path(manifests[-1]))
    scenes = read_manifests(manifests)
    stats = Path(f"results/stats/{run.stats}/stats/train_scenes/stats.json")
    stats.parent.mkdir(parents=True)
    training = [scene for scene in scenes if scene["split"] == "train"]
    analyze(training, experiment.imagery.model_dump(mode="json"), stats)
    Path(f"results/chips/{run.chips}").mkdir(parents=True)
    job = training_job(config, "model")
    for split in ("train", "validation"):
        facts = [scene for scene in scenes if scene["split"] == split]
        chips = Path(f"results/chips/{run.chips}/{split}.zip")
        cut_chips(facts, split, experiment.chips.model_dump(mode="json"), job.options, job.classes, chips)
    job.folder.mkdir()
    train_model(training_job(config, "model"), outputs_in(job.folder))
    return job.folder


def pipeline_config(project: Project) -> dict[str, Any]:
    """What Raster Vision was told about the training."""
    found: dict[str, Any] = read_json(next(project.results.glob("models/*/pipeline-config.json")))
    return found


@pytest.mark.parametrize("name", EXAMPLES)
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


# --- networks from elsewhere, one for each task; these run to the end --------------------------------


EXTERNAL = {
    "isprs-potsdam-external": (Example(data.potsdam, {**SMALL_CHIPS, "model.arguments.name": "resnet18"}), {}),
    "spacenet-rio": (
        EXAMPLES["spacenet-rio"],
        {"definition": "models/network", "entrypoint": "efficientnet_b0", "arguments": {"num_classes": "{classes}"}},
    ),
    "cowc-potsdam": (
        EXAMPLES["cowc-potsdam"],
        {
            "definition": "models/network",
            "entrypoint": "detector",
            "arguments": {"num_classes": "{classes}", "size": "{size}"},
        },
    ),
}
OUTPUTS = {"isprs-potsdam-external": 7, "spacenet-rio": 3, "cowc-potsdam": 3}
IMAGES = {
    "isprs-potsdam-external": "data/isprs-potsdam/4_Ortho_RGBIR/top_potsdam_2_12_RGBIR.tif",
    "spacenet-rio": "data/spacenet/AOIs/AOI_1_Rio/srcData/mosaic_3band/013022223100.tif",
    "cowc-potsdam": "data/isprs-potsdam/4_Ortho_RGBIR/top_potsdam_2_13_RGBIR.tif",
}


@pytest.mark.parametrize("name", EXTERNAL)
def test_an_example_with_an_external_network_ends_in_a_bundle_that_raster_vision_takes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    example, model = EXTERNAL[name]
    project = project_of(name, example, tmp_path)
    if model:
        project.config["model"] = {"architecture": "external", **model}
    model = project.config["model"]
    data.write_networks(tmp_path / model["definition"])
    project.snakemake(*FEW_SHARDS)
    arguments = pipeline_config(project)["backend"]["model"]["external_def"]["entrypoint_kwargs"]
    assert arguments["num_classes"] == OUTPUTS[name]
    assert list(project.results.glob("evals/*/validation.json"))
    assert project.jobs(*FEW_SHARDS) == {}
    (tmp_path / model["definition"] / "parts" / "more.py").write_text("x = 1\n")
    assert project.jobs(*FEW_SHARDS)["train"] == 1
    with zipfile.ZipFile(next(project.results.glob("models/*/model-bundle.zip"))) as bundle_of_training:
        held = [name for name in bundle_of_training.namelist() if name.startswith("modules/")]
    assert sorted(held) == [
        f"modules/swath/{name}" for name in ("hubconf.py", "parts/__init__.py", "parts/networks.py")
    ]
    shutil.rmtree(tmp_path / model["definition"])  # everything that predicting needs is in the bundle
    bundle = next(project.results.glob("bundles/*/model-bundle.zip"))
    command = [RASTER_VISION, "predict", str(bundle), IMAGES[name], str(tmp_path / "own.json")]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "own.json").exists()
