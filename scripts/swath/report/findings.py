"""What there is of an experiment: tables, histories, evaluations, maps; all of it, or what is there so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swath.config.records import of_json
from swath.config.tasks import Task
from swath.files import read_json
from swath.metrics.scores import confusion_scores
from swath.plan.finished import FinishedRun, Winner
from swath.report.links import metrics_file
from swath.scenes.facts import SceneFacts
from swath.scenes.splits import read_split

SPLITS = ("test", "validation")


@dataclass(frozen=True)
class Findings:
    """An experiment's results.

    Attributes:
        folder: The experiment's folder.
        task: Its task.
        metric: The validation metric that decides.
        classes, colours: By class id.
        runs: All runs, finished or not.
        scenes: Facts by id, of the scenes that are prepared.
    """

    folder: Path
    task: Task
    metric: str
    classes: Sequence[str]
    colours: Sequence[str]
    runs: Sequence[FinishedRun]
    scenes: Mapping[str, SceneFacts]

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.folder.name

    def table(self, name: str) -> pd.DataFrame | None:
        """Read one of the experiment's tables; None where it is not made yet."""
        path = self.folder / f"{name}.csv"
        return pd.read_csv(path) if path.is_file() else None

    @cached_property
    def winner(self) -> Winner | None:
        """What validation has decided, once it has."""
        path = self.folder / "winner.json"
        return of_json(Winner, read_json(path)) if path.is_file() else None

    @cached_property
    def best(self) -> FinishedRun | None:
        """The run whose maps are shown first: the winner's model, else the first one that is evaluated."""
        if self.winner:
            return next((run for run in self.runs if run.name == self.winner.run), None)
        return next((run for run in self.runs if metrics_file(run, "validation")), None)

    @cached_property
    def finished(self) -> list[FinishedRun]:
        """The runs that are trained."""
        return [run for run in self.runs if Path(run.model, "metrics.csv").is_file()]

    def history(self, run: FinishedRun) -> pd.DataFrame:
        """Read a finished run's metrics, a row per epoch."""
        return pd.read_csv(Path(run.model) / "metrics.csv")

    def timing(self, run: FinishedRun) -> pd.DataFrame:
        """Read how long a finished run took, a row per epoch."""
        return pd.read_csv(Path(run.model) / "timing.csv")

    def evaluation(self, run: FinishedRun, split: str) -> dict[str, Any] | None:
        """Read a run's metrics of a split; None where there are none."""
        path = metrics_file(run, split)
        return read_json(path) if path else None

    @cached_property
    def shown_split(self) -> str:
        """The split by which the best run is looked at: test scenes, where they have labels."""
        return "test" if self.best and metrics_file(self.best, "test") else "validation"

    @cached_property
    def looked_at(self) -> list[tuple[FinishedRun, str]]:
        """Whose maps of which split are looked at: the winner's, and with folds every fold's own validation maps."""
        best = self.best
        if best is None:
            return []
        own = [run for run in reversed(self.runs) if run.trial == best.trial and run.fold is not None]
        of_folds: dict[int | None, FinishedRun] = {run.fold: run for run in own}
        of_folds[best.fold] = best
        return [(best, "test"), *((run, "validation") for run in of_folds.values())]

    @cached_property
    def shown(self) -> dict[str, Any] | None:
        """The evaluation that is shown: of the best run, or where folds are all there is, of all of them together."""
        if self.best is None:
            return None
        evaluations = [self.evaluation(run, split) for run, split in self.looked_at if split == self.shown_split]
        found = [one for one in evaluations if one]
        if len(found) < 2 or "confusion" not in found[0]["overall"]:
            return self.evaluation(self.best, self.shown_split)
        matrix = np.sum([one["overall"]["confusion"] for one in found], axis=0)
        overall = asdict(confusion_scores(np.vstack([0 * matrix[:1], matrix]), self.classes))
        scenes = {name: scores for one in found for name, scores in one["scenes"].items()}
        return {**found[0], "overall": overall, "scenes": scenes}

    def maps(self, run: FinishedRun, split: str) -> dict[str, Path]:
        """Find the maps of a run that are there: scene of a split → folder."""
        splits = self.folder / "splits.csv"
        names = read_split(splits, split, run.fold) if splits.is_file() else []
        places = {name: Path(run.maps, self.scenes[name].maps) for name in names if name in self.scenes}
        return {name: place for name, place in places.items() if place.is_dir()}

    def coloured(self) -> dict[str, str]:
        """Return the classes' colours by name, without the null class."""
        return dict(zip(self.classes[1:], self.colours[1:], strict=True))
