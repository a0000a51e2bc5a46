"""An experiment's results in Python, for notebooks: tables, scenes, rasters with coordinates, the report's figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import rioxarray
from matplotlib import pyplot as plt
from shapely.geometry import box

from swath.config.records import of_json, to_json
from swath.config.tasks import Task
from swath.errors import Problem, UserError, did_you_mean
from swath.files import read_json, write_json
from swath.plan.finished import FinishedRun
from swath.report.figure import draw_scene
from swath.report.findings import SPLITS, Findings
from swath.report.panes import score_of_scene
from swath.report.pictures import RASTER
from swath.report.plots import draw_confusion, draw_curves
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import read_manifests

EXPERIMENT = ("experiment.json", "experiment-so-far.json")
"""What a report leaves beside it: what the experiment consists of, and where it lies."""


@dataclass(frozen=True)
class Kept:
    """What is kept of an experiment, so that its folder can be read without its config.

    Attributes:
        task, metric: Its task, and the metric that decides.
        classes, colours: By class id.
        runs: All runs; paths are as the run of the workflow saw them.
        manifests: Where its scenes are described.
    """

    task: Task
    metric: str
    classes: list[str]
    colours: list[str]
    runs: list[FinishedRun]
    manifests: list[str]


def keep_experiment(findings: Findings, manifests: Sequence[str], path: Path) -> None:
    """Write what :class:`Results` reads.

    Args:
        findings: The experiment.
        manifests: Where its scenes are described.
        path: JSON to write.
    """
    lists = list(findings.classes), list(findings.colours), list(findings.runs), list(manifests)
    write_json(path, to_json(Kept(findings.task, findings.metric, *lists)))


def open_findings(folder: str | Path) -> Findings:
    """Open an experiment by its folder, from wherever it lies.

    Args:
        folder: The experiment's folder.

    Raises:
        UserError: If there is no report in the folder yet.
    """
    place = Path(folder).resolve()
    found = next((path for name in EXPERIMENT if (path := place / name).is_file()), None)
    if found is None:
        cure = "run `snakemake --cores 1 report` for it first"
        expected = "the folder of an experiment, as results/experiments/<name>"
        raise UserError(Problem("no_report", str(folder), "", "no report in it", expected, cure))
    kept, root = of_json(Kept, read_json(found)), place.parents[2]
    scenes = read_manifests(path for one in kept.manifests if (path := root / one).is_file())
    return Findings(
        place,
        kept.task,
        kept.metric,
        kept.classes,
        kept.colours,
        [_of_run(run, root) for run in kept.runs],
        {facts.id: _of_scene(facts, root) for facts in scenes},
    )


class Results:
    """What an experiment found.

    Args:
        folder: The experiment's, such as ``results/experiments/kampala``: from anywhere, as it lies there.

    Raises:
        UserError: If there is no report in the folder yet.
    """

    def __init__(self, folder: str | Path):
        self._findings = open_findings(folder)

    # --- tables

    @property
    def leaderboard(self) -> pd.DataFrame:
        """A row per trial, the best first; empty as long as there is none."""
        return self._table("leaderboard")

    @property
    def runs(self) -> pd.DataFrame:
        """A row per run: swept values, validation metrics, folders."""
        return self._table("trials")

    @property
    def comparison(self) -> pd.DataFrame:
        """A row per trial that is compared with the winner."""
        return self._table("comparison")

    def _table(self, name: str) -> pd.DataFrame:
        table = self._findings.table(name)
        return pd.DataFrame() if table is None else table

    @cached_property
    def history(self) -> pd.DataFrame:
        """All epochs of all finished runs, in long form: run, trial, seed, epoch, metric, value."""
        parts = [
            self._findings.history(run)
            .melt("epoch", var_name="metric", value_name="value")
            .assign(run=run.name, trial=run.trial, seed=run.seed)
            for run in self._findings.finished
        ]
        columns = ["run", "trial", "seed", "epoch", "metric", "value"]
        return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)

    @cached_property
    def scenes(self) -> gpd.GeoDataFrame:
        """All scenes: split, the best run's score, paths, and as geometry their bounds in WGS 84."""
        findings = self._findings
        scores: dict[str, float | None] = {}
        for split in SPLITS:
            evaluation = findings.evaluation(findings.best, split) if findings.best else None
            of_scenes = evaluation["scenes"] if evaluation else {}
            scores |= {name: score_of_scene(one, findings.metric) for name, one in of_scenes.items()}
        rows = [
            {
                "scene": facts.id,
                "split": facts.split,
                findings.metric: scores.get(facts.id),
                "width": facts.width,
                "height": facts.height,
                "image": facts.image,
                "labels": facts.label_raster,
                "geometry": box(*facts.bounds),
            }
            for facts in findings.scenes.values()
        ]
        return gpd.GeoDataFrame(pd.DataFrame(rows), geometry="geometry", crs="EPSG:4326")

    def confusion(self, split: str | None = None) -> pd.DataFrame:
        """Return the best run's confusion matrix: rows are labels, columns predictions; empty where there is none.

        Args:
            split: test or validation; test scenes, where they have labels, when left out.
        """
        findings = self._findings
        wanted = split or findings.shown_split
        evaluation = findings.evaluation(findings.best, wanted) if findings.best else None
        if not evaluation or "confusion" not in evaluation["overall"]:
            return pd.DataFrame()
        names = list(findings.classes)
        counts = [row[1:] for row in evaluation["overall"]["confusion"]]
        return pd.DataFrame(counts, index=pd.Index(names[1:]), columns=pd.Index(names[1:]))

    # --- rasters

    def image(self, scene: str) -> Any:
        """Open a scene's image: an xarray of bands × rows × columns with CRS, read when it is used."""
        return rioxarray.open_rasterio(self._scene(scene).image)

    def truth(self, scene: str) -> Any:
        """Open a scene's labels as class ids: 0 is no label."""
        raster = self._scene(scene).label_raster
        if raster is None:
            raise KeyError(f"scene {scene!r} has no labels")
        return rioxarray.open_rasterio(raster)

    def prediction(self, scene: str) -> Any:
        """Open the best run's map of a scene: class ids as an xarray, or boxes as a table."""
        folder = self._map(scene)
        if (folder / RASTER).exists():
            return rioxarray.open_rasterio(folder / RASTER)
        return gpd.read_parquet(folder / "boxes.parquet")

    def _scene(self, name: str) -> SceneFacts:
        if name not in self._findings.scenes:
            raise KeyError(f"no scene {name!r}: {did_you_mean(name, list(self._findings.scenes))}")
        return self._findings.scenes[name]

    def _map(self, name: str) -> Path:
        self._scene(name)
        best = self._findings.best
        for split in SPLITS if best else ():
            assert best
            if folder := self._findings.maps(best, split).get(name):
                return folder
        raise KeyError(f"scene {name!r} was not predicted: training scenes are not")

    @property
    def plot(self) -> Plots:
        """The report's figures."""
        return Plots(self, self._findings)


class Plots:
    """An experiment's figures: each method draws into matplotlib axes, and returns them.

    Args:
        results: The experiment's results.
        findings: The same, as the report reads them.
    """

    def __init__(self, results: Results, findings: Findings):
        self._results, self._findings = results, findings

    def curves(self, column: str = "macro_f1", ax: Any = None) -> Any:
        """Draw a column of metrics.csv over the epochs of all finished runs."""
        return draw_curves(ax or plt.subplots()[1], self._findings, column)

    def confusion(self, split: str | None = None, ax: Any = None) -> Any:
        """Draw the best run's confusion matrix, as shares of its rows with counts."""
        findings = self._findings
        evaluation = findings.evaluation(findings.best, split or findings.shown_split) if findings.best else None
        if not evaluation or "confusion" not in evaluation["overall"]:
            raise KeyError("there is no confusion matrix")
        return draw_confusion(ax or plt.subplots()[1], findings.classes, evaluation["overall"]["confusion"])

    def scene(self, name: str, axes: Any = None) -> Any:
        """Draw imagery, labels and prediction of a scene into three axes."""
        facts, folder = self._results._scene(name), self._results._map(name)  # they are one class for readers
        chosen = plt.subplots(1, 3, figsize=(13, 5), layout="constrained")[1] if axes is None else axes
        draw_scene(chosen, facts, folder, self._findings.classes, self._findings.colours)
        return chosen


def _of_run(run: FinishedRun, root: Path) -> FinishedRun:
    return replace(
        run,
        model=str(root / run.model),
        bundle=str(root / run.bundle),
        maps=str(root / run.maps),
        log=str(root / run.log),
        evals={split: str(root / place) for split, place in run.evals.items()},
    )


def _of_scene(facts: SceneFacts, root: Path) -> SceneFacts:
    """Take a scene's paths from where the workflow ran."""

    def there(path: str | None) -> str | None:
        return str(root / path) if path is not None and (root / path).exists() else path

    image = there(facts.image)
    assert image is not None
    return replace(facts, image=image, labels=there(facts.labels), label_raster=there(facts.label_raster))
