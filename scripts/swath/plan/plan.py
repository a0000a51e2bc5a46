"""The plan: config + scenes → trials → stage keys. Pure, fast, and free of torch and Raster Vision.

What a stage's result depends on is its *spec*; a short hash of the spec is its *key*, the name of its folder.
Equal specs share a folder and run once. Settings that cannot change a result stay out of every spec.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from swath.config.experiment import Experiment
from swath.config.load import Config, where
from swath.config.model import TrialWeights
from swath.errors import Problem, UserError, did_you_mean
from swath.plan.keys import Keyring, Run, SceneHashes, Spec, hash_of, plan_run
from swath.plan.proposed import proposals_of
from swath.plan.trials import Proposals, Trial, trials_of
from swath.scenes.scene import SPLITS, Scene

LEARNED = ("train", "validation")
"""Splits that chips are cut of."""
EVALUATED = ("validation", "test")
"""Splits whose scenes are mapped and evaluated."""

RunId = tuple[str, int | None, int]
"""A run's trial, fold and seed."""


@dataclass
class Plan:
    """Everything an experiment has to do.

    Attributes:
        experiment: The checked config.
        scenes: All scenes, sorted by id.
        trials: The sweep's points, in the order given.
        runs: Trials × folds × repeats.
        keyring: The specs of all stages.
        twice: Trial that the sweep names more than once → how often.
        proposed: What the search has proposed so far, by round.
    """

    experiment: Experiment
    scenes: list[Scene]
    trials: list[Trial] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    keyring: Keyring = field(default_factory=Keyring)
    twice: dict[str, int] = field(default_factory=dict)
    proposed: Proposals = ()
    _config: Config = field(default_factory=dict)
    _files: Sequence[str | Path] = ()
    _parts: dict[tuple[str, int | None], list[list[Scene]]] = field(default_factory=dict)
    _sorted: dict[tuple[str, int | None], list[Scene]] = field(default_factory=dict)
    _runs: dict[str, dict[str, Run]] = field(default_factory=dict)

    @property
    def specs(self) -> dict[str, dict[str, Spec]]:
        """Stage → key → spec."""
        return self.keyring.specs

    @property
    def folds(self) -> list[int | None]:
        """The folds in which every trial is trained: None alone where scenes do not take turns."""
        folds = {scene.fold for scene in self.scenes if scene.fold is not None}
        return [*sorted(folds)] or [None]

    def scenes_of(self, split: str, fold: int | None = None) -> list[Scene]:
        """Return the scenes of a split in a fold, sorted by id; without fold those that take turns are for training."""
        if (split, fold) not in self._sorted:
            scenes = (scene for part in self.parts_of(split, fold) for scene in part)
            self._sorted[split, fold] = sorted(scenes, key=lambda scene: scene.id)
        return self._sorted[split, fold]

    def parts_of(self, split: str, fold: int | None = None) -> list[list[Scene]]:
        """Return the scenes of a split in parts that stay together.

        Scenes that take turns stay together from fold to fold: folds can share what is made of them. Scenes without
        labels are apart from those with: they are mapped, but nothing is evaluated anew when one more comes.
        """
        if (split, fold) not in self._parts:
            parts: dict[tuple[int | None, bool], list[Scene]] = {}
            for scene in self.scenes:
                now = "validation" if scene.fold is not None and scene.fold == fold else scene.split
                if now == split:
                    part = (scene.fold if fold is not None else None, scene.labels is None)
                    parts.setdefault(part, []).append(replace(scene, split=now))
            self._parts[split, fold] = list(parts.values())
        return self._parts[split, fold]

    def hashes_of(self, fold: int | None) -> SceneHashes:
        """Return what identifies the scenes of a fold."""
        labelled = {split: self.labelled_scenes_of(split, fold) for split in EVALUATED}
        return SceneHashes(
            {split: hash_of(self.scenes_of(split, fold)) for split in SPLITS},
            {split: hash_of(scenes) if scenes else None for split, scenes in labelled.items()},
        )

    def labelled_scenes_of(self, split: str, fold: int | None = None) -> list[Scene]:
        """Return the scenes of a split that can be evaluated, sorted by id."""
        return [scene for scene in self.scenes_of(split, fold) if scene.labels]

    def take_up(self, proposed: Proposals) -> None:
        """Plan what the search has proposed by now, beside what stands in the config.

        Args:
            proposed: Round → its points; all rounds that there are.

        Raises:
            UserError: For swept settings or values that the config does not allow.
        """
        if self.trials and proposed == self.proposed:
            return
        self.proposed = proposed
        self.trials, self.twice = trials_of(self.experiment, self._config, self._files, proposed)
        self.runs = list(_runs(self, self._files))
        self._runs.clear()

    def run_with(self, stage: str, key: str) -> Run:
        """Return the first run that uses a stage's key."""
        if stage not in self._runs:
            found: dict[str, Run] = {}
            for run in self.runs:
                for used in run.keys_of(stage):
                    found.setdefault(used, run)
            self._runs[stage] = found
        return self._runs[stage][key]


def make_plan(
    experiment: Experiment, scenes: Sequence[Scene], config: Config, files: Sequence[str | Path] = ()
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
    plan = Plan(experiment, list(scenes), _config=config, _files=files)
    plan.take_up(proposals_of(experiment))
    return plan


def _runs(plan: Plan, files: Sequence[str | Path]) -> Iterator[Run]:
    """Plan every trial in every fold with every seed; what starts with another run's weights comes after that one."""
    repeats = plan.experiment.sweep.most_repeats
    scene_hashes = {fold: plan.hashes_of(fold) for fold in plan.folds}
    wanted = {
        (trial.name, fold, seed): trial
        for trial in plan.trials
        for fold in plan.folds
        for seed in range(trial.settings.train.seed, trial.settings.train.seed + repeats)
    }
    runs: dict[RunId, Run] = {}

    def planned(run_id: RunId, waiting: tuple[RunId, ...] = ()) -> Run:
        if run_id not in runs:
            trial, (_, fold, seed) = wanted[run_id], run_id
            start = _start(trial, fold, seed, plan.experiment.experiment)
            if start in (*waiting, run_id) or (start and start not in wanted):
                raise UserError(_wrong_start(start, wanted, files))
            models = planned(start, (*waiting, run_id)).models if start else None
            runs[run_id] = plan_run(plan.keyring, trial, fold, seed, scene_hashes[fold], models)
        return runs[run_id]

    for run_id in wanted:
        yield planned(run_id)


def _start(trial: Trial, fold: int | None, seed: int, experiment: str) -> RunId | None:
    """Return the run of this experiment whose weights a run starts with, if there is one: of the same fold."""
    weights = trial.settings.model.weights
    if not isinstance(weights, TrialWeights) or weights.experiment not in (None, experiment):
        return None
    return weights.trial, fold, seed if weights.seed is None else weights.seed


def _wrong_start(start: RunId, wanted: Collection[RunId], files: Sequence[str | Path]) -> Problem:
    found = f"{start[0]} with seed {start[2]}"
    known = sorted({f"{trial} with seed {seed}" for trial, _, seed in wanted})
    expected, cure = "a trial of this experiment", did_you_mean(found, known)
    if found in known:
        expected, cure = (
            "a trial that does not, itself or through others, start with this one",
            "begin with another one",
        )
    return Problem(
        "circular_start" if found in known else "unknown_trial",
        where(files, ("model", "weights")),
        "model.weights",
        found,
        expected,
        cure,
    )
