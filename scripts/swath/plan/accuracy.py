"""Which map is compared with which reference points. Read at every parse."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from swath.config.accuracy import Accuracy
from swath.config.load import where
from swath.errors import Problem, UserError
from swath.scenes.paths import as_glob, has_wildcards


@dataclass(frozen=True)
class AccuracyPlan:
    """What is compared.

    Attributes:
        name: Name of the experiment.
        settings: The section `accuracy`.
        maps: Files of the map.
        is_made: Whether this run makes the map, so that it need not be there yet.
    """

    name: str
    settings: Accuracy
    maps: tuple[str, ...]
    is_made: bool

    @property
    def reference(self) -> list[str]:
        """The file of reference points, if it is there: none is needed to draw a sample."""
        path = self.settings.reference
        return [path] if path and Path(path).is_file() else []


def plan_accuracy(
    name: str, settings: Accuracy, results: str, files: Sequence[str | Path], makes_map: bool
) -> AccuracyPlan:
    """Find the map that is to be compared.

    Args:
        name: Name of the experiment.
        settings: The section `accuracy`.
        results: Folder of the results.
        files: The config files.
        makes_map: Whether the config makes a map of new images.

    Raises:
        UserError: For maps that are not there.
    """
    place = where(files, ("accuracy", "map"))
    if settings.map is None:
        own = f"{results}/experiments/{name}/map/map.tif"
        if not makes_map and not Path(own).is_file():
            cure = "make one with `snakemake apply`, or name another in `accuracy.map`"
            raise UserError(Problem("file_missing", place, "accuracy.map", f"{own}: no such file", "a map", cure))
        maps = [own]
    else:
        maps = list(dict.fromkeys(path for entry in settings.map for path in _files_of(entry, place)))
    for field, paths in (("map", maps), ("reference", [settings.reference or ""])):
        for path in paths:
            if set(path) & set("{}"):
                expected = "a path without braces, which Snakemake takes for wildcards"
                where_said = where(files, ("accuracy", field))
                cure = "rename the folder or file"
                raise UserError(Problem("not_file_safe", where_said, f"accuracy.{field}", path, expected, cure))
    return AccuracyPlan(name, settings, tuple(maps), makes_map and settings.map is None)


def _files_of(entry: str, place: str) -> Iterator[str]:
    if has_wildcards(entry) and not Path(entry).exists():
        found = sorted(path for path in glob.glob(as_glob(entry), recursive=True) if Path(path).is_file())
        if not found:
            cure = "check folder, pattern and the folder Snakemake runs in"
            raise UserError(Problem("file_missing", place, "accuracy.map", f"{entry}: no such file", "a map", cure))
        yield from found
        return
    if not Path(entry).is_file():
        cure = f"name the file: {entry.rstrip('/')}/map.tif" if Path(entry).is_dir() else "check the path"
        raise UserError(Problem("file_missing", place, "accuracy.map", f"{entry}: no such file", "a map", cure))
    yield entry


def check_reference(settings: Accuracy, files: Sequence[str | Path] = ()) -> None:
    """Make sure that there are reference points.

    Raises:
        UserError: If there are none.
    """
    path = settings.reference
    if path is None:
        place, expected = where(files, ("accuracy",)), "points with their true class"
        cure = "draw points with `snakemake sample`, label them, and name the file in `accuracy.reference`"
        raise UserError(Problem("setting_needed", place, "accuracy.reference", "nothing", expected, cure))
    if not Path(path).is_file():
        place, cure = where(files, ("accuracy", "reference")), "check the path"
        found = f"{path}: no such file"
        raise UserError(Problem("file_missing", place, "accuracy.reference", found, "reference points", cure))
