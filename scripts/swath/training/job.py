"""What a training is made of, and the files that it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from swath.config.base import settings
from swath.config.library_names import EXTERNAL
from swath.config.model import NAMED_WEIGHTS, Model
from swath.config.stage import StageSettings
from swath.config.train import RUNTIME_ONLY, Train
from swath.files import content_of_zips, sha256, short_hash
from swath.networks.definition import definition_files
from swath.rv.pipeline import SceneOptions, scene_options
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import read_splits


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
        train: The `train` settings, the training seed among them.
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
    model: Model
    train: Train
    weights: Path | None = None
    deadline: float | None = None

    @classmethod
    def of_rule(
        cls,
        inputs: Any,
        params: Any,
        folder: Path,
        runtime_only: Mapping[str, JsonValue] | None = None,
        weights: Path | None = None,
        deadline: float | None = None,
    ) -> TrainingJob:
        """Put a job together from what a rule reads.

        Args:
            inputs: chips, scenes (manifests), stats.
            params: name, spec, settings, classes, colours, splits.
            folder: The model's folder.
            runtime_only: `train` settings that are not in the spec.
            weights, deadline: As the attributes.
        """
        sections, spec = StageSettings(**params.settings), params.spec
        assert sections.chips
        return cls(
            name=params.name,
            folder=folder,
            chips=list(inputs.chips),
            scenes=read_splits(inputs.scenes, params.splits),
            options=scene_options(sections, inputs.stats, params.classes),
            classes=params.classes,
            colours=params.colours,
            chip_size=sections.chips.size,
            model=model_of_spec(spec["model"]),
            train=Train(**spec["train"], **(runtime_only or {}), seed=spec["seed"]),
            weights=weights,
            deadline=deadline,
        )

    @property
    def starts_with_named_weights(self) -> bool:
        """Whether the first weights are some that `model.weights` names, with a record beside their file."""
        return self.model.weights in NAMED_WEIGHTS[1:] and self.weights is not None

    @property
    def fingerprint(self) -> str:
        """Name what checkpoints depend on, so that none is ever taken up by another training."""
        files = [*map(str, [self.weights] if self.weights else []), *definition_files(self.model.definition)]
        train = settings(self.train, *RUNTIME_ONLY)
        return short_hash([settings(self.model), train, content_of_zips(self.chips), [sha256(file) for file in files]])


def model_of_spec(values: Mapping[str, JsonValue]) -> Model:
    """Read the `model` settings back from a spec, in which defaults stand as if they had been said.

    A trial whose weights are the first ones is no part of them: the weights are a file of the job.
    """
    weights = values["weights"] if isinstance(values["weights"], str) else "none"
    unsaid = ("encoder",) if values["architecture"] == EXTERNAL else ()
    return Model(**{name: value for name, value in values.items() if name not in unsaid} | {"weights": weights})


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


@dataclass(frozen=True)
class Rung:
    """How far a training goes that may have to stop early.

    Attributes:
        epochs: After which it ends for now.
        metrics: CSV to write, a row per epoch, as that of the finished training begins.
    """

    epochs: int
    metrics: Path
