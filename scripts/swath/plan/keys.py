"""Specs and keys: what a stage's result depends on, and the short hash of it that names its folder.

A spec holds the stage's version, its own settings as they are resolved, and the keys of what it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from swath.config.base import settings
from swath.config.classes import class_names
from swath.config.experiment import Experiment
from swath.config.imagery import MEASURED, Imagery, Range
from swath.config.predict import Window
from swath.config.tasks import CLASSIFICATION, DETECTION
from swath.config.train import RUNTIME_ONLY
from swath.files import short_hash
from swath.plan.trials import Trial
from swath.scenes.scene import Scene
from swath.versions import KEYED

STAGES = tuple(KEYED)
NOT_IN_BUNDLES = {"flips", "scores", "uncertainty", "mixed_precision"}
"""What of a prediction window Raster Vision's own `predict` knows nothing of."""
Spec = dict[str, JsonValue]
"""What a result depends on, as JSON values."""


@dataclass(frozen=True)
class Run:
    """A trial with one seed, in one fold where scenes take turns, and the keys of all its stages.

    Attributes:
        name: The trial's name, the fold if there is one, the seed: ``learning_rate=0.001,fold=2,seed=0``.
        trial: The trial.
        fold: The fold that validates; None without folds.
        seed: The training seed.
        scenes, chips, models, bundles: Keys of the stages; ``stats`` is None when imagery is not normalised.
        predictions: Key of the maps of all scenes; whatever their split.
        evals: Keys by split (validation, test); no eval of test scenes that all have no labels.
    """

    name: str
    trial: Trial
    fold: int | None
    seed: int
    scenes: str
    stats: str | None
    chips: str
    models: str
    bundles: str
    predictions: str
    evals: dict[str, str]

    def keys_of(self, stage: str) -> list[str]:
        """List the keys of a stage that the run uses."""
        keys = getattr(self, stage)
        if isinstance(keys, dict):
            return list(keys.values())
        return [keys] if keys else []


@dataclass(frozen=True)
class SceneHashes:
    """What identifies the scenes of a run, in its fold.

    Attributes:
        splits: Split → hash of its scenes.
        labelled: Split → hash of those of them that can be evaluated; None where there are none.
    """

    splits: Mapping[str, str]
    labelled: Mapping[str, str | None]


def hash_of(scenes: Sequence[Scene]) -> str:
    """Hash some scenes, as the scene table names them."""
    return short_hash([scene.row() for scene in scenes])


@dataclass
class Keyring:
    """The specs of an experiment, each under its key.

    Attributes:
        specs: Stage → key → spec.
    """

    specs: dict[str, dict[str, Spec]] = field(default_factory=lambda: {stage: {} for stage in STAGES})

    def key(self, stage: str, **parts: JsonValue) -> str:
        """Note a stage's spec and return its key.

        Args:
            stage: Name of the stage's folder of results.
            parts: What the stage's result depends on beside its version, as JSON values.
        """
        spec = {"version": KEYED[stage], **parts}
        name = short_hash(spec)
        self.specs[stage].setdefault(name, spec)
        return name


def plan_run(
    keyring: Keyring, trial: Trial, fold: int | None, seed: int, scenes: SceneHashes, start: str | None
) -> Run:
    """Give a run its keys.

    Args:
        keyring: Gets the specs.
        trial: The trial.
        fold: The fold that validates, if scenes take turns.
        seed: The training seed.
        scenes: The scenes of the fold.
        start: Key of the model whose weights the training starts with, if it is of the same experiment.
    """
    experiment = trial.settings
    imagery = resolved_imagery(experiment.imagery)
    labels = keyring.key(
        "scenes",
        task=experiment.task,
        classes=[*class_names(experiment.classes)],
        imagery={name: imagery[name] for name in ("files", "nodata", "bands")},
        labels=settings(experiment.labels),
    )
    stats = None
    if experiment.imagery.normalize != "none":
        measured = experiment.imagery.normalize in MEASURED
        stats = keyring.key("stats", imagery=imagery, training_scenes=scenes.splits["train"] if measured else None)
    chips = keyring.key("chips", scenes=labels, stats=stats, imagery=imagery, chips=settings(experiment.chips))
    models = keyring.key(
        "models",
        chips=chips,
        training_scenes=scenes.splits["train"],
        validation_scenes=scenes.splits["validation"],
        model={**settings(experiment.model), "weights": _first_weights(experiment, seed, start)},
        train=settings(experiment.train, "seed", *RUNTIME_ONLY),
        seed=seed,
    )
    window = predict_window(experiment).model_dump(mode="json", exclude_none=True)
    predictions = keyring.key("predictions", model=models, predict=window)
    evals = {
        split: keyring.key("evals", predictions=predictions, labels=labels, scenes=labelled)
        for split, labelled in scenes.labelled.items()
        if labelled
    }
    bundled = {name: value for name, value in window.items() if name not in NOT_IN_BUNDLES}
    bundles = keyring.key("bundles", model=models, predict=bundled)
    name = f"{trial.name},seed={seed}" if fold is None else f"{trial.name},fold={fold},seed={seed}"
    return Run(name, trial, fold, seed, labels, stats, chips, models, bundles, predictions, evals)


def resolved_imagery(imagery: Imagery) -> dict[str, JsonValue]:
    """Return the `imagery` settings as plain values, a range with the limits that it means."""
    values = settings(imagery)
    if isinstance(imagery.normalize, Range):
        low, high = imagery.normalize.limits()
        values["normalize"] = {"min": low, "max": high}
    return values


def _first_weights(experiment: Experiment, seed: int, start: str | None) -> JsonValue:
    """Describe the first weights: a word, a file, a model of this experiment by key, or another experiment's run."""
    weights = experiment.model.weights
    if isinstance(weights, str):
        return weights
    return {"model": start} if start else {"seed": seed, **weights.model_dump(exclude_none=True)}


def predict_window(experiment: Experiment) -> Window:
    """Resolve the prediction window for the experiment's task."""
    predict = experiment.predict
    size = predict.chip_size or experiment.chips.size
    stride = predict.stride or max(size // 2, 1)
    most = 0 if predict.smooth else (size - stride) // 2
    crop = most if predict.crop == "auto" else predict.crop
    if experiment.task == DETECTION:
        thresholds = {"score_threshold": predict.score_threshold, "merge_threshold": predict.merge_threshold}
        return Window(chip_size=size, stride=stride, **thresholds)
    asked = {"flips": predict.flips or None, "mixed_precision": _unless_none(predict.mixed_precision)}
    if experiment.task == CLASSIFICATION:
        return Window(chip_size=size, stride=size, **asked)
    asked |= {"scores": predict.scores or None, "uncertainty": _unless_none(predict.uncertainty)}
    return Window(chip_size=size, stride=stride, crop=crop, smooth=predict.smooth, **asked)


def _unless_none(word: str) -> str | None:
    """Return a setting's word, None where it says none: what is not asked for is in no key."""
    return None if word == "none" else word
