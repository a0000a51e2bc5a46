"""Look at a small experiment as a user's: the preflight and the stage `scenes`, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml

from swath.checks import preflight
from swath.checks.context import request_of
from swath.checks.findings import Finding
from swath.checks.read_scenes import read_scene
from swath.config.load import load_experiment
from swath.config.records import of_json
from swath.config.stage import StageSettings
from swath.plan.plan import Plan, make_plan
from swath.scenes.facts import SceneFacts, ScenesSpec
from swath.scenes.manifest import read_manifests
from swath.scenes.prepare import prepare_scenes
from swath.scenes.scene import Scene
from swath.scenes.table import read_scenes


@dataclass(frozen=True)
class Looked:
    """An experiment in the working directory.

    Attributes:
        plan: Its plan.
        findings: What the preflight has found.
    """

    plan: Plan
    findings: list[Finding]

    @property
    def codes(self) -> list[str]:
        """The codes of what was found, each once."""
        return list(dict.fromkeys(finding.problem.code for finding in self.findings))

    def told(self, code: str) -> list[str]:
        """Every finding with a code, as text."""
        return [finding.problem.told() for finding in self.findings if finding.problem.code == code]

    def facts(self, *scenes: str) -> dict[str, SceneFacts]:
        """What the stage `scenes` finds out about some scenes, or all."""
        wanted = [scene for scene in self.plan.scenes if not scenes or scene.id in scenes]
        spec = of_json(ScenesSpec, next(iter(self.plan.specs["scenes"].values())))
        prepare_scenes(wanted, spec, Path("results/scenes"), Path("results/scenes.json"))
        return {facts.id: facts for facts in read_manifests(["results/scenes.json"])}

    def stage_settings(self) -> StageSettings:
        """The settings that stages get."""
        experiment = self.plan.experiment
        return StageSettings(**{name: getattr(experiment, name) for name in ("task", "imagery", "chips", "labels")})


def look(config: dict[str, Any]) -> Looked:
    """Plan an experiment whose data lie in the working directory, and let the preflight look at it."""
    Path("config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    experiment = load_experiment(config, ["config.yaml"])
    plan = make_plan(experiment, read_scenes(experiment.scenes), config)
    survey = preflight.look_at(request_of(plan, ["config.yaml"]), _read)
    return Looked(plan, preflight.check(survey))


def _read(scenes: Sequence[Scene], specs: Any) -> list[Any]:
    return [read_scene(scene, specs) for scene in scenes]


def ids_of(facts: SceneFacts) -> np.ndarray:
    """A scene's class ids, height × width."""
    with rasterio.open(str(facts.label_raster)) as dataset:
        return np.asarray(dataset.read(1))
