"""What the checks look at: the experiment's settings, and what was read of every scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swath.checks.readings import Reading, Sample, SurveyedImage
from swath.config.base import Section
from swath.config.chips import Chips
from swath.config.imagery import Imagery
from swath.config.load import where
from swath.config.model import Model
from swath.config.predict import Predict
from swath.config.records import of_json
from swath.config.sweep import Limits
from swath.config.train import Train
from swath.plan.plan import Plan
from swath.scenes.facts import ScenesSpec
from swath.scenes.scene import Scene
from swath.scenes.table import PassedOver, passed_over
from swath.search.limits import Network

LEARNED = ("train", "validation")
"""Splits that chips are cut from."""


class TrialSettings(Section):
    """The sections of a trial's settings that checks look at."""

    imagery: Imagery
    chips: Chips
    model: Model
    train: Train
    predict: Predict


REMEMBERED = Path(".snakemake/swath-readings")
"""What was read of every scene, by experiment: a scene that has not changed is not read again."""


@dataclass(frozen=True)
class CheckRequest:
    """What is to be checked.

    Attributes:
        experiment: Name of the experiment.
        config: The config files.
        scenes: All scenes.
        labels: Key → spec of the stage `scenes`.
        colours: Class → colour.
        trials: The settings of the trials.
        allow: Names of the warnings that are allowed.
        passed_over: What no scene came of.
        twice: Trial that the sweep names more than once → how often.
        limits: What a trial may need.
        networks: Trial → what the size of its network follows from; none where no limit asks for it.
        proposes: Whether a search proposes more trials.
    """

    experiment: str
    config: tuple[str, ...]
    scenes: tuple[Scene, ...]
    labels: dict[str, ScenesSpec]
    colours: dict[str, str]
    trials: tuple[TrialSettings, ...]
    allow: tuple[str, ...]
    passed_over: PassedOver
    twice: dict[str, int]
    limits: Limits = field(default_factory=Limits)
    networks: dict[str, Network] = field(default_factory=dict)
    proposes: bool = False


@dataclass(frozen=True)
class Survey:
    """An experiment and its scenes.

    Attributes:
        request: What is to be checked.
        readings: The scenes that could be looked at.
        pending: Ids of scenes whose files a rule has yet to make.
    """

    request: CheckRequest
    readings: Sequence[Reading]
    pending: Sequence[str] = field(default_factory=list)

    def settings(self, *sections: str) -> list[TrialSettings]:
        """Return the trials' settings, every different choice of some sections once."""
        return list({trial.model_dump_json(include=set(sections)): trial for trial in self.request.trials}.values())

    @property
    def classes(self) -> Sequence[str]:
        """The config's classes."""
        return list(self.request.colours)

    def of(self, *splits: str) -> list[Reading]:
        """Return the readings of some splits."""
        return [reading for reading in self.readings if reading.split in splits]

    def with_header(self, *splits: str) -> Iterator[tuple[Reading, SurveyedImage]]:
        """Go through the scenes whose header could be read, of some splits or all."""
        for reading in self.readings:
            if reading.header is not None and (not splits or reading.split in splits):
                yield reading, reading.header

    def with_sample(self, *splits: str) -> Iterator[tuple[Reading, SurveyedImage, Sample]]:
        """Go through the scenes whose pixels could be read: reading, header, sample."""
        for reading, header in self.with_header(*splits):
            if reading.sample is not None:
                yield reading, header, reading.sample

    def place(self, *path: str) -> str:
        """Name the config file and the line where a setting stands."""
        return where(self.request.config, path)


def request_of(plan: Plan, config: Sequence[str | Path]) -> CheckRequest:
    """Say what is to be checked.

    Args:
        plan: The experiment's plan.
        config: The config files.
    """
    return CheckRequest(
        experiment=plan.experiment.experiment,
        config=tuple(map(str, config)),
        scenes=tuple(plan.scenes),
        labels={key: of_json(ScenesSpec, spec) for key, spec in plan.specs["scenes"].items()},
        colours=dict(plan.experiment.classes),
        trials=tuple(
            TrialSettings(**{name: getattr(trial.settings, name) for name in TrialSettings.model_fields})
            for trial in plan.trials
        ),
        allow=tuple(plan.experiment.checks.allow),
        passed_over=passed_over(plan.experiment.scenes, plan.scenes),
        twice=plan.twice,
        limits=plan.experiment.sweep.limits,
        networks=_networks(plan) if plan.experiment.sweep.limits.are_of_networks else {},
        proposes=plan.experiment.sweep.search is not None,
    )


def _networks(plan: Plan) -> dict[str, Network]:
    """Say of every trial what the size of its network follows from."""
    classes = len(plan.experiment.classes) + 1  # and the null class
    return {
        trial.name: Network(
            plan.experiment.task,
            trial.settings.model.model_dump(mode="json"),
            trial.settings.imagery.bands,
            trial.settings.chips.size,
            classes,
        )
        for trial in plan.trials
    }
