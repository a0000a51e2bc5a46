"""The plan: config + scenes → trials → stage keys. Pure, fast, and free of torch and Raster Vision.

What a stage's result depends on is its *spec*; a short hash of the spec is its *key*, the name of its folder.
Equal specs share a folder and run once. Settings that cannot change a result stay out of every spec.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from swath.config.base import Section, settings
from swath.config.classes import class_names
from swath.config.experiment import Experiment
from swath.config.imagery import MEASURED
from swath.config.load import Location, problems_of, where, without_empty_sections
from swath.config.model import TrialWeights
from swath.config.sweep import Distribution, Sweep
from swath.config.tasks import CLASSIFICATION, DETECTION
from swath.config.train import WITHOUT_INFLUENCE
from swath.errors import Problem, UserError, did_you_mean
from swath.files import short_hash
from swath.scenes.table import SPLITS, Scene

SWEEPABLE = ("imagery", "labels", "chips", "model", "train", "predict")
NO_SCENES = short_hash([])
STAGES = ("scenes", "stats", "chips", "models", "predictions", "evals", "bundles")

Place = tuple[str, int | None, int]
"""A run's trial, fold and seed."""


@dataclass(frozen=True)
class Trial:
    """One point of the sweep.

    Attributes:
        name: Its values, readable: ``learning_rate=0.001,size=128``.
        values: Dotted setting → value, as swept.
        settings: The whole experiment with these values.
    """

    name: str
    values: dict[str, Any]
    settings: Experiment


@dataclass(frozen=True)
class Run:
    """A trial with one seed, in one fold where scenes take turns, and the keys of all its stages.

    Attributes:
        name: The trial's name, the fold if there is one, the seed: ``learning_rate=0.001,fold=2,seed=0``.
        trial: The trial.
        fold: The fold that validates; None without folds.
        seed: The training seed.
        scenes, chips, models, bundles: Keys of the stages; ``stats`` is None when imagery is not normalised.
        predictions, evals: Keys by split (validation, test); no eval of test scenes that all have no labels.
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
    predictions: dict[str, str]
    evals: dict[str, str]


@dataclass
class Plan:
    """Everything an experiment has to do.

    Attributes:
        experiment: The checked config.
        scenes: All scenes, sorted by id.
        trials: The sweep's points, in the order given.
        runs: Trials × folds × repeats.
        specs: Stage → key → spec, JSON values.
    """

    experiment: Experiment
    scenes: list[Scene]
    trials: list[Trial] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    specs: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {stage: {} for stage in STAGES})
    _parts: dict[tuple[str, int | None], list[list[Scene]]] = field(default_factory=dict)

    @property
    def folds(self) -> list[int | None]:
        """The folds in which every trial is trained: None alone where scenes do not take turns."""
        folds = {scene.fold for scene in self.scenes if scene.fold is not None}
        return [*sorted(folds)] or [None]

    def scenes_of(self, split: str, fold: int | None = None) -> list[Scene]:
        """Return the scenes of a split in a fold, sorted by id; without fold those that take turns are for training."""
        return sorted((scene for part in self.parts_of(split, fold) for scene in part), key=lambda scene: scene.id)

    def parts_of(self, split: str, fold: int | None = None) -> list[list[Scene]]:
        """Return the scenes of a split in parts that stay together from fold to fold: what folds can share."""
        if (split, fold) not in self._parts:
            parts: dict[int | None, list[Scene]] = {}
            for scene in self.scenes:
                now = "validation" if scene.fold is not None and scene.fold == fold else scene.split
                if now == split:
                    parts.setdefault(scene.fold if fold is not None else None, []).append(replace(scene, split=now))
            self._parts[split, fold] = list(parts.values())
        return self._parts[split, fold]

    def labelled_scenes_of(self, split: str, fold: int | None = None) -> list[Scene]:
        """Return the scenes of a split that can be evaluated, sorted by id."""
        return [scene for scene in self.scenes_of(split, fold) if scene.labels]

    def run_with(self, stage: str, key: str) -> Run:
        """Return the first run that uses a stage's key."""
        for run in self.runs:
            keys = getattr(run, stage)
            if key == keys or (isinstance(keys, dict) and key in keys.values()):
                return run
        raise KeyError(f"no run has {stage} {key}")


def make_plan(
    experiment: Experiment, scenes: Sequence[Scene], config: Mapping[str, Any], files: Sequence[Any] = ()
) -> Plan:
    """Plan an experiment.

    Args:
        experiment: The checked config.
        scenes: The scenes, sorted by id.
        config: The config as read, into which swept values are put.
        files: The config's files, to say where a mistake stands.

    Raises:
        UserError: For swept settings or values that the config does not allow.
    """
    plan = Plan(experiment, list(scenes))
    plan.trials = list(_trials(experiment, config, files))
    identities = {
        fold: {split: short_hash([scene.row() for scene in plan.scenes_of(split, fold)]) for split in SPLITS}
        for fold in plan.folds
    }
    plan.runs = list(_runs(plan, identities, files))
    return plan


# --- trials ---------------------------------------------------------------------------------------


def _trials(experiment: Experiment, config: Mapping[str, Any], files: Sequence[Any]) -> Iterator[Trial]:
    points = list(sweep_points(experiment.sweep))
    problems = [problem for place, values in points for problem in _unknown_settings(place, values, files)]
    if problems:
        raise UserError(problems)
    swept = sorted({setting for _, values in points for setting in values})
    seen: set[str] = set()
    for place, values in points:
        resolved = _with_values(experiment, config, files, place, values)
        values = {setting: _value_of(resolved, setting) for setting in values}
        name = trial_name(values, swept)
        if name not in seen:
            seen.add(name)
            yield Trial(name, values, resolved)


def sweep_points(sweep: Sweep) -> Iterator[tuple[Location, dict[str, Any]]]:
    """List a sweep's points with the place each comes from: grid, then listed, then random ones."""
    if sweep.grid:
        for values in itertools.product(*sweep.grid.values()):
            yield ("sweep", "grid"), dict(zip(sweep.grid, values, strict=True))
    for number, trial in enumerate(sweep.trials):
        yield ("sweep", "trials", number), dict(trial)
    if sweep.random:
        generator = random.Random(sweep.random.seed)
        for _ in range(sweep.random.samples):
            yield (
                ("sweep", "random", "settings"),
                {setting: _draw(generator, distribution) for setting, distribution in sweep.random.settings.items()},
            )
    if not (sweep.grid or sweep.trials or sweep.random):
        yield ("sweep",), {}


def _draw(generator: random.Random, distribution: Distribution) -> Any:
    """Draw a value; numbers are rounded to four significant digits, to be readable."""
    if distribution.choices is not None:
        return generator.choice(distribution.choices)
    assert distribution.min is not None and distribution.max is not None
    if distribution.log:
        value = math.exp(generator.uniform(math.log(distribution.min), math.log(distribution.max)))
    else:
        value = generator.uniform(distribution.min, distribution.max)
    return round(value) if distribution.integer else float(f"{value:.4g}")


def _unknown_settings(place: Location, values: Mapping[str, Any], files: Sequence[Any]) -> Iterator[Problem]:
    for setting in values:
        head, _, rest = setting.partition(".")
        if head not in SWEEPABLE or rest.split(".")[0] not in _fields(head):
            known = [f"{section}.{name}" for section in SWEEPABLE for name in _fields(section)]
            position = (*place, setting)
            yield Problem(
                where(files, position),
                f"{'.'.join(str(part) for part in place)}: {setting}",
                f"unknown setting {setting!r}",
                "a dotted setting of " + ", ".join(SWEEPABLE),
                did_you_mean(setting, known),
            )


def _fields(section: str) -> list[str]:
    annotation = Experiment.model_fields[section].annotation
    assert isinstance(annotation, type) and issubclass(annotation, Section)
    return list(annotation.model_fields)


def _with_values(
    experiment: Experiment, config: Mapping[str, Any], files: Sequence[Any], place: Location, values: Mapping[str, Any]
) -> Experiment:
    if not values:
        return experiment
    changed = deepcopy(without_empty_sections(config))
    for setting, value in values.items():
        *parents, last = setting.split(".")
        target = changed
        for parent in parents:
            if not isinstance(target.get(parent), dict):
                target[parent] = {}
            target = target[parent]
        target[last] = value
    try:
        return Experiment.model_validate(changed)
    except ValidationError as error:
        problems = problems_of(error, changed, files)
        point = ", ".join(f"{setting}={value!r}" for setting, value in values.items())
        raise UserError(
            [
                Problem(
                    where(files, place),
                    f"{'.'.join(map(str, place))} → {problem.field}",
                    problem.found,
                    problem.expected,
                    f"{problem.cure} (trial {point})",
                )
                for problem in problems
            ]
        ) from None


def _value_of(experiment: Experiment, setting: str) -> Any:
    value: Any = experiment
    for part in setting.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value.model_dump(mode="json") if isinstance(value, Section) else value


def trial_name(values: Mapping[str, Any], swept: Sequence[str] = ()) -> str:
    """Write swept values as a folder name: ``learning_rate=0.001,size=128``; long ones are cut and hashed."""
    last = [setting.rpartition(".")[2] for setting in swept]
    parts = []
    for setting, value in values.items():
        short = setting.rpartition(".")[2]
        parts.append(f"{short if last.count(short) <= 1 else setting}={readable(value)}")
    name = ",".join(parts) or "default"
    return name if len(name) <= 120 else f"{name[:100]}~{short_hash(dict(values), 6)}"


def readable(value: Any) -> str:
    """Write a swept value as a word that can stand in a folder's name."""
    if isinstance(value, float):
        text = f"{value:g}"
        return text if float(text) == value else repr(value)
    if isinstance(value, Mapping):
        value = "+".join(f"{key}-{readable(entry)}" for key, entry in value.items() if entry is not None) or "none"
    elif isinstance(value, list | tuple):
        value = "+".join(readable(entry) for entry in value) or "none"
    text = str(value)
    return "".join(character if character.isalnum() or character in "._+-" else "_" for character in text)


# --- stage keys -----------------------------------------------------------------------------------


def _run(plan: Plan, trial: Trial, fold: int | None, seed: int, identity: Mapping[str, str], start: str | None) -> Run:
    """Plan one run.

    Args:
        plan: Gets the specs.
        trial: The trial.
        fold: The fold that validates, if scenes take turns.
        seed: The training seed.
        identity: Split → hash of its scenes, in this fold.
        start: Key of the model whose weights the training starts with, if it is of the same experiment.
    """
    experiment = trial.settings

    def key(stage: str, spec: dict[str, Any]) -> str:
        name = short_hash(spec)
        plan.specs[stage].setdefault(name, spec)
        return name

    imagery = settings(experiment.imagery)
    scenes = key(
        "scenes",
        {
            "task": experiment.task,
            "classes": class_names(experiment.classes),
            "imagery": {name: imagery[name] for name in ("files", "nodata")},
            "labels": settings(experiment.labels),
        },
    )
    stats = None
    if experiment.imagery.normalize != "none":
        from_scenes = experiment.imagery.normalize in MEASURED
        stats = key("stats", {"imagery": imagery, "training_scenes": identity["train"] if from_scenes else None})
    chips = key("chips", {"scenes": scenes, "stats": stats, "imagery": imagery, "chips": settings(experiment.chips)})
    models = key(
        "models",
        {
            "chips": chips,
            "training_scenes": identity["train"],
            "validation_scenes": identity["validation"],
            "model": {**settings(experiment.model), "weights": _first_weights(experiment, seed, start)},
            "train": settings(experiment.train, "seed", *WITHOUT_INFLUENCE),
            "seed": seed,
        },
    )
    window = predict_window(experiment)
    bundles = key("bundles", {"model": models, "predict": window})
    splits = [split for split in ("validation", "test") if identity[split] != NO_SCENES]
    predictions = {
        split: key("predictions", {"model": models, "predict": window, "split": split, "scenes": identity[split]})
        for split in splits
    }
    evals = {
        split: key("evals", {"predictions": predictions[split], "labels": scenes, "split": split})
        for split in splits
        if any(scene.labels for part in plan.parts_of(split, fold) for scene in part)
    }
    name = f"{trial.name},seed={seed}" if fold is None else f"{trial.name},fold={fold},seed={seed}"
    return Run(name, trial, fold, seed, scenes, stats, chips, models, bundles, predictions, evals)


def _first_weights(experiment: Experiment, seed: int, start: str | None) -> Any:
    """Describe the first weights: a word, a file, a model of this experiment by key, or another experiment's run."""
    weights = experiment.model.weights
    if isinstance(weights, str):
        return weights
    return {"model": start} if start else {"seed": seed, **weights.model_dump(exclude_none=True)}


def _runs(plan: Plan, identities: Mapping[int | None, Mapping[str, str]], files: Sequence[Any]) -> Iterator[Run]:
    """Plan every trial in every fold with every seed; what starts with another run's weights comes after that one."""
    repeats = plan.experiment.sweep.repeats
    wanted = {
        (trial.name, fold, seed): trial
        for trial in plan.trials
        for fold in plan.folds
        for seed in range(trial.settings.train.seed, trial.settings.train.seed + repeats)
    }
    runs: dict[Place, Run] = {}

    def planned(place: Place, waiting: tuple[Place, ...] = ()) -> Run:
        if place not in runs:
            trial, (_, fold, seed) = wanted[place], place
            start = _start(trial, fold, seed, plan.experiment.experiment)
            if start in (*waiting, place) or (start and start not in wanted):
                raise UserError(_wrong_start(start, wanted, files))
            models = planned(start, (*waiting, place)).models if start else None
            runs[place] = _run(plan, trial, fold, seed, identities[fold], models)
        return runs[place]

    for place in wanted:
        yield planned(place)


def _start(trial: Trial, fold: int | None, seed: int, experiment: str) -> Place | None:
    """Return the run of this experiment whose weights a run starts with, if there is one: of the same fold."""
    weights = trial.settings.model.weights
    if not isinstance(weights, TrialWeights) or weights.experiment not in (None, experiment):
        return None
    return weights.trial, fold, seed if weights.seed is None else weights.seed


def _wrong_start(start: Place, wanted: Collection[Place], files: Sequence[Any]) -> Problem:
    found = f"{start[0]} with seed {start[2]}"
    known = sorted({f"{trial} with seed {seed}" for trial, _, seed in wanted})
    expected, cure = "a trial of this experiment", did_you_mean(found, known)
    if found in known:
        expected, cure = (
            "a trial that does not, itself or through others, start with this one",
            "begin with another one",
        )
    return Problem(where(files, ("model", "weights")), "model.weights", found, expected, cure)


def predict_window(experiment: Experiment) -> dict[str, Any]:
    """Resolve the prediction window: chip size, stride and crop in pixels, and what else the task knows."""
    predict = experiment.predict
    size = predict.chip_size or experiment.chips.size
    stride = predict.stride or size
    crop = (size - stride) // 2 if predict.crop == "auto" else predict.crop
    if experiment.task == CLASSIFICATION:
        return {"chip_size": size, "stride": size}
    if experiment.task == DETECTION:
        thresholds = {"score_threshold": predict.score_threshold, "merge_threshold": predict.merge_threshold}
        return {"chip_size": size, "stride": predict.stride or size // 2, **thresholds}
    return {"chip_size": size, "stride": stride, "crop": crop, "smooth": predict.smooth}


# --- shards ---------------------------------------------------------------------------------------


def shards(scenes: Sequence[Scene], number: int) -> dict[str, list[Scene]]:
    """Spread scenes over at most ``number`` shards.

    A scene's shard follows from a hash of its id, so that a new scene disturbs one shard only. A shard's name
    carries a hash of what it holds, so that another table never overwrites it. Empty shards are left out.
    """
    members: dict[int, list[Scene]] = {}
    for scene in scenes:
        digest = hashlib.sha256(scene.id.encode()).digest()
        members.setdefault(int.from_bytes(digest[:8], "big") % number, []).append(scene)
    return {
        f"{index + 1}-of-{number}-{short_hash([scene.row() for scene in held], 6)}": held
        for index, held in sorted(members.items())
    }


def shards_of_parts(parts: Sequence[Sequence[Scene]], number: int) -> dict[str, list[Scene]]:
    """Spread scenes over about ``number`` shards, none of which holds scenes of two parts."""
    each = -(-number // max(len(parts), 1))
    return {name: held for part in parts for name, held in shards(part, each).items()}
