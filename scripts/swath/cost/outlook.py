"""What the plan says of jobs that are to come: of which kind they are, and how much work."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, Protocol

from swath.checks.context import REMEMBERED
from swath.config.predict import Window
from swath.config.train import Train
from swath.cost.prices import BY_NUMBER, NEEDS_GPU, TRAININGS, Work, kind_of_prediction, kind_of_training
from swath.cost.schedule import PlannedJob
from swath.cost.work import chip_work, pixels_of, prediction_work, windows_for_chips
from swath.files import read_state
from swath.plan.keys import Run
from swath.plan.plan import LEARNED, Plan
from swath.scenes.scene import Scene

Later = Mapping[tuple[str, ...], Sequence[tuple[str, dict[str, str]]]]
"""Checkpoint → rule and wildcards of the jobs that are known once it has run."""
IMAGES = {"semantic_segmentation": "img", "object_detection": "img"}
"""Task → the folder of images within a split's chips; of others, all files are images."""


class AskLater(Protocol):
    """Tells which jobs are known later."""

    def __call__(self, least: bool = False) -> Later:
        """Tell all that a search can bring, or the least."""


@dataclass(frozen=True)
class Size:
    """The size of an image in pixels."""

    width: int
    height: int


@dataclass
class Outlook:
    """An experiment, and what is known of its scenes.

    Attributes:
        plan: The plan.
        results, logs: Folders.
        scenes_behind: The scenes that a job of a stage works on.
        chips_of: The files of a model's chips.
        later: Checkpoint → jobs that are known once it has run, of any runs, as many: rule and wildcards; of trainings
            also ``begun``, epochs that will be behind them. Asked with ``least``, those that any budget leaves.
        kept: Chips key and split → which share of the windows that are looked at becomes chips, where that was tried.
        sizes: Scene → its size, as far as it is known.
    """

    plan: Plan
    results: Path
    logs: Path
    scenes_behind: Callable[[str, Any], Sequence[Scene]]
    chips_of: Callable[[Any], Sequence[str]]
    later: AskLater
    kept: dict[tuple[str, str], float] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)
    _chips: dict[tuple[str, int | None], tuple[float, float, bool]] = field(default_factory=dict)

    def look(self) -> None:
        """Look what is known of the scenes: what has been made of them, or what the preflight has read."""
        self.sizes |= {name: size for key in self.plan.specs["scenes"] for name, size in self._made(key)}
        if missing := {scene.id for scene in self.plan.scenes} - set(self.sizes):
            self.sizes |= {name: size for name, size in self._read() if name in missing}

    def _made(self, key: str) -> Iterable[tuple[str, Size]]:
        for file in (self.results / "scenes" / key).glob("*.json"):
            for name, facts in (read_state(file, scenes=dict) or {"scenes": {}})["scenes"].items():
                yield name, Size(facts["width"], facts["height"])

    def _read(self) -> Iterable[tuple[str, Size]]:
        for reading in (read_state(REMEMBERED / f"{self.plan.experiment.experiment}.json") or {}).values():
            if reading.get("header"):
                yield reading["scene"]["id"], Size(reading["header"]["width"], reading["header"]["height"])

    @property
    def unknown(self) -> list[str]:
        """Ids of scenes whose size is not known."""
        return [scene.id for scene in self.plan.scenes if scene.id not in self.sizes]

    def sizes_of(self, scenes: Iterable[Scene]) -> list[Size]:
        """Return the sizes of scenes; of unknown ones, the mean of the others."""
        known = list(self.sizes.values()) or [Size(0, 0)]
        mean = Size(sum(one.width for one in known) // len(known), sum(one.height for one in known) // len(known))
        return [self.sizes.get(scene.id, mean) for scene in scenes]

    # --- jobs

    def kind(self, job: PlannedJob, has_gpus: bool) -> str:
        """Name the kind of a job: jobs of a kind have one price."""
        if job.rule in TRAININGS:
            return self.kind_of_run(self.plan.run_with("models", job.wildcards["key"]), has_gpus)
        if job.rule == "predict":
            return self.kind_of_prediction(self.plan.run_with("predictions", job.wildcards["key"]), has_gpus)
        return job.rule

    def kind_of_run(self, run: Run, has_gpus: bool) -> str:
        """Name the kind of a run's training."""
        return kind_of_training(self.task, self.plan.specs["models"][run.models], self._bands(run), has_gpus)

    def kind_of_prediction(self, run: Run, has_gpus: bool) -> str:
        """Name the kind of a run's predictions."""
        spec, window = self.plan.specs["models"][run.models], self.plan.specs["predictions"][run.predictions]
        assert isinstance(window["predict"], dict)
        return kind_of_prediction(self.task, spec, window["predict"], self._bands(run), has_gpus)

    @property
    def task(self) -> str:
        """The experiment's task."""
        return self.plan.experiment.task

    def _bands(self, run: Run) -> Any:
        imagery = self.plan.specs["chips"][run.chips]["imagery"]
        return imagery["bands"] if isinstance(imagery, dict) else None

    def work(self, job: PlannedJob) -> Work:
        """Say how much work a job is."""
        if job.rule in TRAININGS:
            until, begun = (int(job.wildcards[name]) if name in job.wildcards else None for name in ("epochs", "begun"))
            return self.training_work(self.plan.run_with("models", job.wildcards["key"]), until, begun)
        stages = {"scenes": "scenes", "analyze": "stats", "chip": "chips", "predict": "predictions", "eval": "evals"}
        if job.rule not in stages:
            return Work()
        scenes = self.scenes_behind(stages[job.rule], SimpleNamespace(**job.wildcards))
        if job.rule == "scenes":
            return Work(len(scenes))
        sizes = self.sizes_of(scenes)
        if job.rule == "chip":
            return Work(chip_work(sizes, self.plan.run_with("chips", job.wildcards["key"]).trial.settings.chips))
        if job.rule == "predict":
            spec = self.plan.specs["predictions"][job.wildcards["key"]]["predict"]
            assert isinstance(spec, dict)
            return Work(prediction_work(sizes, Window.model_validate(spec)))
        assert job.rule in BY_NUMBER
        return Work(pixels_of(sizes))

    def gpus(self, rule: str, wildcards: Mapping[str, str]) -> int:
        """Say how many GPUs a job asks for."""
        if rule in TRAININGS:
            return self.plan.run_with("models", wildcards["key"]).trial.settings.train.gpus
        return int(rule in NEEDS_GPU)

    def training_work(self, run: Run, until: int | None = None, begun: int | None = None) -> Work:
        """Say how much work a training is: at most so much, where it can stop early.

        Args:
            run: The run.
            until: To this epoch, if not to the end.
            begun: From this epoch, of one that is to come; if not said, from where the run's training is.
        """
        train: Train = run.trial.settings.train
        pixels = run.trial.settings.chips.size**2
        training, validation, is_most = self.chips(run)
        stops = bool(train.patience or train.max_gpu_hours)
        left = max((until or train.epochs) - (self.epochs_done(run) if begun is None else begun), 0)
        return Work(training * pixels, validation * pixels, left, is_most=is_most or stops)

    def epochs_done(self, run: Run) -> int:
        """Tell how many epochs an interrupted training has behind it, by the names of its checkpoints."""
        folders = [*(self.results / "models" / run.models / "checkpoints").glob("*")]
        if not folders:
            return 0
        newest = max(folders, key=os.path.getmtime)  # those before it were of other chips
        return max((int(file.name.split("-")[1]) for file in newest.glob("last-*-*.ckpt")), default=0)

    def chips(self, run: Run) -> tuple[float, float, bool]:
        """Count the training and validation chips of a run, and tell whether it can be fewer."""
        place = run.chips, run.fold
        if place not in self._chips or self._chips[place][2]:
            self._chips[place] = self._cut(run) or self._to_be_cut(run)
        return self._chips[place]

    def is_cut(self, run: Run) -> bool:
        """Tell whether the chips of a run are there, or have been tried out."""
        return not self.chips(run)[2]

    def _cut(self, run: Run) -> tuple[float, float, bool] | None:
        """Count chips that are there."""
        files = self.chips_of(SimpleNamespace(key=run.models))
        counts = dict.fromkeys(LEARNED, 0)
        for file in files:
            try:
                with zipfile.ZipFile(file) as archive:
                    number = sum(self._is_image(name) for name in archive.namelist())
            except (OSError, zipfile.BadZipFile):
                return None
            counts[PurePosixPath(file).name.partition("-")[0]] += number
        return counts["train"], counts["validation"], False

    def _is_image(self, name: str) -> bool:
        folder = IMAGES.get(self.task)
        return not name.endswith("/") and (folder is None or f"/{folder}/" in name)

    def _to_be_cut(self, run: Run) -> tuple[float, float, bool]:
        counts = []
        for split in LEARNED:
            sizes = self.sizes_of(self.plan.scenes_of(split, run.fold))
            windows = sum(windows_for_chips(size, run.trial.settings.chips) for size in sizes)
            counts.append(windows * self.kept.get((run.chips, split), 1.0))
        return counts[0], counts[1], any((run.chips, split) not in self.kept for split in LEARNED)

    def describe(self, run: Run) -> Mapping[str, Any]:
        """Return what a training and its predictions depend on, as JSON values."""
        return {
            "model": self.plan.specs["models"][run.models],
            "predict": self.plan.specs["predictions"][run.predictions]["predict"],
            "batch_size": run.trial.settings.predict.batch_size,
            "chips": run.chips,
        }
