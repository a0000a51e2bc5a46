"""What the checks look at: the experiment's settings, and what was read of every scene."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swath.config.load import where
from swath.plan.plan import Plan

SECTIONS = ("imagery", "chips", "model", "train", "predict")
"""Sections of the settings that checks look at."""

LEARNED = ("train", "validation")
"""Splits that chips are cut from."""


@dataclass(frozen=True)
class Reading:
    """What was read of one scene, as plain JSON values (swath.checks.read_scenes writes it).

    Attributes:
        row: The scene's id, split, image, labels, aoi.
        header: The image's header, or None if it cannot be read.
        sample: What a sample of pixels holds, or None.
        labels: Key of the label settings → what the labels are, or None if they cannot be used.
        aoi: What the area of interest is, or None.
        problems: What reading itself has met.
        fold: The fold in which it validates, if scenes take turns; they count as training scenes.
    """

    row: Mapping[str, Any]
    header: Mapping[str, Any] | None
    sample: Mapping[str, Any] | None
    labels: Mapping[str, Mapping[str, Any] | None]
    aoi: Mapping[str, Any] | None
    problems: Sequence[Mapping[str, str]]
    fold: int | None = None

    @property
    def part(self) -> str:
        """What must have nothing in common with other parts: a split, or a fold."""
        return self.split if self.fold is None else f"fold {self.fold}"

    @property
    def split(self) -> str:
        """The scene's split."""
        return str(self.row["split"])

    @property
    def image(self) -> str:
        """The image's path."""
        return str(self.row["image"])


@dataclass(frozen=True)
class Survey:
    """An experiment and its scenes.

    Attributes:
        request: What :func:`request_of` returned.
        readings: The scenes that could be looked at.
        pending: Ids of scenes whose files a rule has yet to make.
    """

    request: Mapping[str, Any]
    readings: Sequence[Reading]
    pending: Sequence[str] = field(default_factory=list)

    def settings(self, *sections: str) -> list[Mapping[str, Any]]:
        """Return some sections of the trials' settings, every different choice once."""
        chosen = ({name: trial[name] for name in sections} for trial in self.request["trials"])
        return list({json.dumps(choice, sort_keys=True): choice for choice in chosen}.values())

    @property
    def classes(self) -> Sequence[str]:
        """The config's classes."""
        return list(self.request["colours"])

    def of(self, *splits: str) -> list[Reading]:
        """Return the readings of some splits."""
        return [reading for reading in self.readings if reading.split in splits]

    def with_header(self, *splits: str) -> Iterator[tuple[Reading, Mapping[str, Any]]]:
        """Go through the scenes whose header could be read, of some splits or all."""
        for reading in self.readings:
            if reading.header is not None and (not splits or reading.split in splits):
                yield reading, reading.header

    def with_sample(self, *splits: str) -> Iterator[tuple[Reading, Mapping[str, Any], Mapping[str, Any]]]:
        """Go through the scenes whose pixels could be read: reading, header, sample."""
        for reading, header in self.with_header(*splits):
            if reading.sample is not None:
                yield reading, header, reading.sample

    def place(self, *path: str) -> str:
        """Name the config file and the line where a setting stands."""
        return where(self.request["config"], path)


def request_of(plan: Plan, config: Sequence[Any]) -> dict[str, Any]:
    """Say what is to be checked, as plain JSON values.

    Args:
        plan: The experiment's plan.
        config: The config files.
    """
    return {
        "experiment": plan.experiment.experiment,
        "config": [str(file) for file in config],
        "scenes": [scene.row() for scene in plan.scenes],
        "folds": {scene.id: scene.fold for scene in plan.scenes if scene.fold is not None},
        "labels": plan.specs["scenes"],
        "colours": dict(plan.experiment.classes),
        "trials": [
            {name: getattr(trial.settings, name).model_dump(mode="json") for name in SECTIONS} for trial in plan.trials
        ],
        "allow": list(plan.experiment.checks.allow),
    }
