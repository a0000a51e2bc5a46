"""What a training is made of, and the files that it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swath.config.train import RUNTIME_ONLY
from swath.files import content_of_zips, sha256, short_hash
from swath.networks.definition import definition_files
from swath.rv.pipeline import scene_options
from swath.rv.task import SceneOptions
from swath.scenes.manifest import SceneFacts, read_splits


@dataclass(frozen=True)
class TrainingJob:
    """What a training is made of.

    Attributes:
        name: Readable name, for messages.
        folder: The model's folder, from the working directory; checkpoints lie in its `checkpoints/`.
        chips: Chip zips of the training and validation scenes.
        scenes: Facts of the training and validation scenes.
        options: Imagery settings, statistics, unlabelled class.
        classes: Class names by id.
        colours: Colours by id.
        chip_size: Pixels.
        model: The `model` settings.
        train: The `train` settings.
        seed: The training seed.
        weights: File of the first weights, or None.
        deadline: Seconds since 1970 at which this process will be killed, if that was told.
    """

    name: str
    folder: Path
    chips: Sequence[str]
    scenes: Sequence[SceneFacts]
    options: SceneOptions
    classes: Sequence[str]
    colours: Sequence[str]
    chip_size: int
    model: Mapping[str, Any]
    train: Mapping[str, Any]
    seed: int
    weights: Path | None = None
    deadline: float | None = None

    @classmethod
    def of_rule(
        cls, inputs: Any, params: Any, folder: Path, runtime_only: Mapping[str, Any] | None = None, **others: Any
    ) -> TrainingJob:
        """Put a job together from what a rule reads.

        Args:
            inputs: chips, scenes (manifests), stats.
            params: name, spec, settings, classes, colours, splits.
            folder: The model's folder.
            runtime_only: `train` settings that are not in the spec.
            others: Further attributes.
        """
        return cls(
            name=params.name,
            folder=folder,
            chips=list(inputs.chips),
            scenes=read_splits(inputs.scenes, params.splits),
            options=scene_options(params.settings, inputs.stats, params.classes),
            classes=params.classes,
            colours=params.colours,
            chip_size=params.settings["chips"]["size"],
            model=params.spec["model"],
            train={**params.spec["train"], **(runtime_only or {})},
            seed=params.spec["seed"],
            **others,
        )

    @property
    def fingerprint(self) -> str:
        """Name what checkpoints depend on, so that none is ever taken up by another training."""
        train = {name: value for name, value in self.train.items() if name not in RUNTIME_ONLY}
        weights = [self.weights] if self.weights else []
        files = [sha256(path) for path in [*map(str, weights), *map(str, definition_files(self.model))]]
        return short_hash([self.model, train, self.seed, content_of_zips(self.chips), files])


@dataclass(frozen=True)
class TrainingOutputs:
    """Files that a training writes.

    Attributes:
        bundle: Raster Vision's train bundle.
        metrics: CSV, a row per epoch: what was learned; the same in every run.
        timing: CSV, a row per epoch: how long it took and what it needed.
        config: The pipeline config, as Raster Vision takes it.
    """

    bundle: Path
    metrics: Path
    timing: Path
    config: Path
