"""Trainings outside Snakemake: chips are made by a real Snakemake run, then `swath.training` is called directly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts"))

if TYPE_CHECKING:
    from swath.plan.plan import Plan
    from swath.training.job import TrainingJob, TrainingOutputs


def demo_config(**changes: Any) -> dict[str, Any]:
    """The demo's config, with some sections' settings changed: ``demo_config(train={"epochs": 3})``."""
    from swath.config.load import read_yaml

    config = read_yaml(REPOSITORY / "config" / "config.yaml")
    for section, settings in changes.items():
        config[section] = {**(config[section] or {}), **settings}
    return config


def make_chips(folder: Path, config: dict[str, Any]) -> None:
    """Run Snakemake in a folder, up to the chips."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    snakemake = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(REPOSITORY / "Snakefile")]
    where = ["--directory", str(folder), "--configfile", str(folder / "config.yaml")]
    done = subprocess.run(
        [*snakemake, *where, "--cores", "2", "--until", "chip"],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout)


def planned(config: dict[str, Any]) -> Plan:
    """Plan a config's only trial."""
    from swath.config.load import load_experiment
    from swath.plan.plan import make_plan
    from swath.scenes.table import read_scenes

    experiment = load_experiment({**config, "sweep": {}})
    return make_plan(experiment, read_scenes(experiment.scenes), config)


def training_job(config: dict[str, Any], name: str, **train: Any) -> TrainingJob:
    """Describe the training of a config's only trial; its chips lie in the working directory.

    Args:
        config: The experiment.
        name: Folder of the model, from the working directory.
        train: Changed `train` settings.
    """
    from swath.config.stage import StageSettings
    from swath.config.train import Train
    from swath.plan.describe import colours_by_id
    from swath.rv.pipeline import scene_options
    from swath.scenes.manifest import read_manifests
    from swath.training.job import TrainingJob

    plan = planned(config)
    experiment, run = plan.experiment, plan.runs[0]
    manifests = sorted(map(str, Path(f"results/scenes/{run.scenes}").glob("*.json")))
    classes = plan.specs["scenes"][run.scenes]["classes"]
    sections = {section: getattr(experiment, section) for section in ("task", "imagery", "chips", "labels")}
    stats = [f"results/stats/{run.stats}/stats/train_scenes/stats.json"] if run.stats else []
    return TrainingJob(
        name=name,
        folder=Path(name),
        chips=sorted(map(str, Path(f"results/chips/{run.chips}").glob("*.zip"))),
        scenes=[facts for facts in read_manifests(manifests) if facts.split != "test"],
        options=scene_options(StageSettings(**sections), stats, classes),
        classes=classes,
        colours=colours_by_id(experiment),
        chip_size=experiment.chips.size,
        model=experiment.model,
        train=Train.model_construct(**{**dict(experiment.train), **train}),  # tests train as no user may
    )


def outputs_in(folder: Path) -> TrainingOutputs:
    """Where a training of `folder` writes."""
    from swath.training.job import TrainingOutputs

    names = ("model-bundle.zip", "metrics.csv", "timing.csv", "pipeline-config.json")
    return TrainingOutputs(*(folder / name for name in names))


def use_cores(number: int) -> None:
    """Keep libraries from starting more threads than cores are wanted; before anything heavy is imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(number)
