"""The table that the first stage, `configure`, writes: which stages a run has, their keys, the files that they read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from swath.config.records import of_json
from swath.files import read_json

OUTPUTS = {
    "analyze": "manifest.json",
    "chip": "chips.zip",
    "train": "model-bundle.zip",
    "predict": "manifest.json",
    "eval": "validation.json",
    "bundle": "model-bundle.zip",
}
"""Raster Vision's stages → the file that says a stage is done, in the folder of its key."""


@dataclass(frozen=True)
class ConfiguredRun:
    """What `configure` has found out about a run.

    Attributes:
        config: Number of its config.
        seed: Its seed.
        custom: Whether the module defines config classes, and has to be imported before a config can be read.
        splits: Splits with labelled scenes.
        workers: Processes that load chips.
        keys: Stage → key, for the stages that have something to do.
    """

    config: int
    seed: int
    custom: bool
    splits: list[str]
    workers: int
    keys: dict[str, str]


@dataclass(frozen=True)
class Table:
    """What `configure` writes.

    Attributes:
        runs: Run → what is known of it.
        files: Stage → key → files on this machine that the stage reads.
    """

    runs: dict[str, ConfiguredRun]
    files: dict[str, dict[str, list[str]]]


@lru_cache(maxsize=2)
def _read_table(path: str, changed: int) -> Table:
    return of_json(Table, read_json(path))


def read_table(path: str) -> Table:
    """Read the table that `configure` wrote."""
    return _read_table(path, Path(path).stat().st_mtime_ns)


def run_with(table: Table, stage: str, key: str) -> ConfiguredRun:
    """Return the first run that uses a stage's key."""
    return next(run for run in table.runs.values() if run.keys.get(stage) == key)


def folders_of(run: ConfiguredRun, results: str) -> dict[str, str]:
    """Return the folders of a run's stages, by stage."""
    return {stage: f"{results}/pipelines/{stage}/{key}" for stage, key in run.keys.items()}


def targets(table: Table, results: str) -> list[str]:
    """List what all stages of all runs make."""
    made = (
        f"{folder}/{OUTPUTS[stage]}"
        for run in table.runs.values()
        for stage, folder in folders_of(run, results).items()
    )
    return list(dict.fromkeys(made))
