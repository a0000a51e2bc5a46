"""A config file that leaves the experiment to a Raster Vision module: `pipeline: path/to/config.py`."""

from __future__ import annotations

from typing import Self

from pydantic import JsonValue, NonNegativeInt, model_validator

from swath.config.base import FileSafeName, Section, mistake
from swath.config.sweep import Sweep


class PipelineExperiment(Section):
    """An experiment whose scenes, model and options a module says; nothing else stands beside these keys."""

    experiment: FileSafeName
    """The experiment's name; its results appear in `results/experiments/<name>/`."""

    pipeline: str
    """A Python file with Raster Vision's `get_config(runner, ...)`."""

    arguments: dict[str, JsonValue] = {}
    """Arguments of `get_config` besides the first. `root_uri` is given by itself: results lie in keyed folders."""

    seed: NonNegativeInt = 0
    """First weights, order of chips, augmentation. Repeats count up from here."""

    sweep: Sweep = Sweep()
    """The trials, over dotted arguments: `arguments.learning_rate`."""

    @model_validator(mode="after")
    def _trials_run_to_their_end(self) -> Self:
        if self.sweep.halving:
            expected = "nothing: a module's own trainings are not stopped early"
            raise mistake("settings_conflict", expected, "leave it out", field=("sweep", "halving"))
        if self.sweep.search:
            expected = "nothing: what a module is to be called with has to be known before it is called"
            raise mistake("settings_conflict", expected, "take `random`", field=("sweep", "search"))
        if self.sweep.limits.are_set:
            expected = "nothing: what a module's trials need is not known"
            raise mistake("settings_conflict", expected, "leave it out", field=("sweep", "limits"))
        return self

    @model_validator(mode="after")
    def _metric_is_known(self) -> Self:
        metric = self.sweep.select.metric
        if metric not in ("macro_f1", "accuracy") and not metric.startswith("f1."):
            expected = "macro_f1, accuracy or f1.<class>"
            raise mistake("unknown_metric", expected, field=("sweep", "select", "metric"), found=repr(metric))
        return self
