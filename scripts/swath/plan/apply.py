"""The plan of a map: which images there are, which models, and what each job works on. Read at every parse."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from swath.config.apply import Apply, TrainedModel
from swath.config.load import where
from swath.errors import Problem, UserError, did_you_mean
from swath.files import read_state, short_hash
from swath.plan.shards import number_in, shards_to_use
from swath.scenes.paths import SEPARATOR, as_glob, by_number, each_part, has_wildcards, local_paths_of
from swath.scenes.rows import read_rows
from swath.scenes.scene import Scene
from swath.scenes.stac import is_stac, stac_images
from swath.scenes.states import Files

TABLES = (".csv", ".tsv", ".txt", ".parquet", ".geoparquet")
PARTED = "rows"
"""What is hashed into the name of a shard that is a part of one image."""


@dataclass(frozen=True)
class Shard:
    """What one job predicts.

    Attributes:
        images: The images.
        part: Which part of their rows, from 1.
        parts: How many parts there are.
    """

    images: tuple[Scene, ...]
    part: int = 1
    parts: int = 1


@dataclass(frozen=True)
class ApplyPlan:
    """What a map is made of.

    Attributes:
        name: The map's name.
        settings: The section `apply`.
        images: The images, in the order given.
        bundles: The models' bundles; empty where they are those of the experiment that the config itself describes.
        allow: Warnings that are allowed.
    """

    name: str
    settings: Apply
    images: tuple[Scene, ...]
    bundles: tuple[str, ...]
    allow: tuple[str, ...]

    @property
    def settings_of_parts(self) -> dict[str, JsonValue]:
        """What of the settings a part depends on: not which other images there are, and what becomes of polygons."""
        others = {"images", "polygons", "model"}
        return self.settings.model_dump(mode="json", exclude_unset=True, exclude=others)

    @property
    def key(self) -> str:
        """A name for what all parts have in common: another model or other settings are other parts."""
        model = self.settings.model_dump(mode="json", include={"model"})
        return short_hash([model, list(self.bundles), self.settings_of_parts])


def plan_map(
    name: str, settings: Apply, allow: Sequence[str], results: str, files: Sequence[str | Path], trains: bool
) -> ApplyPlan:
    """Plan a map.

    Args:
        name: Its name.
        settings: The section `apply`.
        allow: Warnings that are allowed.
        results: Folder of the results.
        files: The config files.
        trains: Whether the config describes a training, too, whose models are not there yet.

    Raises:
        UserError: For images and models that are not there.
    """
    is_own = trains and isinstance(settings.model, TrainedModel) and settings.model.experiment in (None, name)
    bundles = [] if is_own else find_models(settings.model, results, files)
    return ApplyPlan(name, settings, tuple(find_images(settings, files)), tuple(bundles), tuple(allow))


def own_bundles(
    model: TrainedModel, bundles: Mapping[str, str], winner: tuple[str, str] | None, files: Sequence[str | Path] = ()
) -> list[str]:
    """Return the bundles of the experiment that the config itself describes.

    Args:
        model: The setting.
        bundles: Name of a run → its bundle.
        winner: Trial and run; None where the setting names a trial.
        files: The config files.

    Raises:
        UserError: For a trial that the experiment does not have.
    """
    trial, single = winner or (str(model.trial), None)
    chosen = {name: path for name, path in bundles.items() if re.fullmatch(_runs_of(trial), name)}
    if model.seed is not None:
        chosen = {name: path for name, path in chosen.items() if name.endswith(f",seed={model.seed}")}
    if not chosen:
        place, cure = where(files, ("apply", "model")), did_you_mean(trial, bundles)
        raise UserError(Problem("unknown_trial", place, "apply.model.trial", trial, "a trial of this experiment", cure))
    if model.repeats == "all":
        return list(chosen.values())
    return [chosen[single] if single in chosen else next(iter(chosen.values()))]


def find_images(settings: Apply, files: Sequence[str | Path] = ()) -> list[Scene]:
    """Find the images that `apply.images` names, in its order.

    Args:
        settings: The section.
        files: The config files.

    Raises:
        UserError: For paths and patterns that lead to no file, tables without a column image, and images named twice.
    """
    place = where(files, ("apply", "images"))
    entries = [found for entry in settings.images for found in _images_of(entry, place)]
    twice = [entry for entry, count in Counter(entries).items() if count > 1]
    missing = [path for entry in entries for path in local_paths_of(entry) if not Path(path).exists()]
    problems = [
        Problem("image_listed_twice", place, "apply.images", entry, "every image once", "name it once")
        for entry in twice[:5]
    ]
    problems += [
        Problem("file_missing", place, "apply.images", f"{path}: no such file", "an image", "check the path")
        for path in missing[:5]
    ]
    if problems:
        raise UserError(problems)
    return [Scene(name, "test", entry, None) for name, entry in zip(_names(entries), entries, strict=True)]


def _images_of(entry: str, place: str) -> Iterator[str]:
    """Go through the images that one entry stands for: a table's, a STAC document's, a pattern's, or itself."""
    if SEPARATOR not in entry and entry.lower().endswith(TABLES):
        yield from _of_table(Path(entry), place)
    elif SEPARATOR not in entry and is_stac(entry):
        yield from stac_images(Path(entry), place)
    elif SEPARATOR not in entry and has_wildcards(entry) and not Path(entry).exists():
        found = sorted(path for path in glob.glob(as_glob(entry), recursive=True) if Path(path).is_file())
        if not found:
            cure = "check folder, pattern and the folder Snakemake runs in"
            raise UserError(Problem("no_images", place, "apply.images", f"{entry}: no file", "images", cure))
        yield from found
    else:
        yield entry


def _of_table(table: Path, place: str) -> Iterator[str]:
    if not table.is_file():
        raise UserError(
            Problem("file_missing", place, "apply.images", f"{table}: no such file", "a table", "check the path")
        )
    columns, rows = read_rows(table)
    if "image" not in (column.lower() for column in columns):
        found, cure = "columns " + ", ".join(columns), did_you_mean("image", columns)
        raise UserError(Problem("column_missing", str(table), "image", found, "a column image", cure))
    if not rows:
        raise UserError(Problem("table_empty", str(table), "", "no rows", "one row per image", "add images"))
    empty = [row.number for row in rows if not row.entries["image"]]
    if empty:
        expected, cure = "the path of an image", "fill in the column, or remove the row"
        raise UserError(Problem("entry_empty", f"{table}:{empty[0]}", "image", "an empty entry", expected, cure))
    for row in rows:
        yield each_part(row.entries["image"], lambda path: os.path.normpath(table.parent / path))


def _names(entries: Sequence[str]) -> list[str]:
    """Name images by their files: by as many folders above them as it takes to tell them apart."""
    paths = [re.sub(r"\.[A-Za-z0-9]{1,5}$", "", entry.split(SEPARATOR)[0].strip()) for entry in entries]
    parts = [[part for part in path.split("/") if part not in ("", ".", "..")] for path in paths]
    names = ["/".join(part[-1:]) for part in parts]
    depth = 1
    while len(set(names)) < len(names) and depth < max(map(len, parts)):
        depth += 1
        counts = Counter(names)
        names = ["_".join(part[-depth:]) if counts[name] > 1 else name for name, part in zip(names, parts, strict=True)]
    counts = Counter(names)
    return [
        f"{name}~{short_hash(entry, 6)}" if counts[name] > 1 else name
        for name, entry in zip(names, entries, strict=True)
    ]


# --- models -----------------------------------------------------------------------------------------


def find_models(model: TrainedModel | str | list[str], results: str, files: Sequence[str | Path] = ()) -> list[str]:
    """Find the bundles of models that are there already.

    Args:
        model: The setting.
        results: Folder of the results.
        files: The config files.

    Returns:
        Paths of bundles.

    Raises:
        UserError: For bundles and experiments that are not there.
    """
    place = where(files, ("apply", "model"))
    if isinstance(model, TrainedModel):
        return _of_experiment(model, Path(results, "experiments"), place)
    bundles = [model] if isinstance(model, str) else model
    for bundle in bundles:
        if not Path(bundle).is_file():
            expected, cure = "a bundle, such as …/winner/model-bundle.zip", "check the path"
            if Path(bundle).is_dir():
                cure = f"name the zip: {bundle.rstrip('/')}/model-bundle.zip"
            raise UserError(Problem("file_missing", place, "apply.model", f"{bundle}: no such file", expected, cure))
    return bundles


def _of_experiment(model: TrainedModel, experiments: Path, place: str) -> list[str]:
    if model.experiment is None:
        expected = "an experiment, or a bundle: this config trains no model"
        raise UserError(Problem("setting_needed", place, "apply.model", "nothing", expected, "add `model:`"))
    folder = experiments / model.experiment
    there = sorted(path.name for path in experiments.glob("*") if (path / "trials").is_dir())
    if model.experiment not in there:
        cure = did_you_mean(model.experiment, there, "") or f"run {model.experiment} first"
        found = f"{model.experiment}, which has no results in {experiments}"
        raise UserError(
            Problem("trial_not_trained", place, "apply.model.experiment", found, "a trained experiment", cure)
        )
    made = {path.parent.name: path for path in folder.glob("trials/*/model-bundle.zip") if path.exists()}
    runs = {name: made[name] for name in sorted(made, key=by_number)}
    if model.trial is None:
        winner = read_state(folder / "winner.json", trial=str, run=str)
        if winner is None or winner["run"] not in runs:
            cure = f"let {model.experiment} come to its end, or name one of its trials"
            found = f"{model.experiment}, which has no winner yet"
            raise UserError(
                Problem("trial_not_trained", place, "apply.model", found, "an experiment that is done", cure)
            )
        trial, single = winner["trial"], winner["run"]
    else:
        trial, single = model.trial, None
    of_trial = {name: path for name, path in runs.items() if re.fullmatch(_runs_of(trial), name)}
    if model.seed is not None:
        of_trial = {name: path for name, path in of_trial.items() if name.endswith(f",seed={model.seed}")}
    if not of_trial:
        wanted = trial if model.seed is None else f"{trial},seed={model.seed}"
        cure = did_you_mean(wanted, runs)
        raise UserError(
            Problem(
                "trial_not_trained", place, "apply.model.trial", wanted, "a trained trial", cure or "train it first"
            )
        )
    if model.repeats == "all":
        return [str(path) for path in of_trial.values()]
    return [str(of_trial[single] if single in of_trial else next(iter(of_trial.values())))]


def _runs_of(trial: str) -> str:
    """Make a regular expression of the names of a trial's runs."""
    return re.escape(trial) + r"(,fold=\d+)?,seed=\d+"


# --- who predicts what ------------------------------------------------------------------------------


def shards_of(images: Sequence[Scene], number: int, made: Collection[str] = ()) -> dict[str, Shard]:
    """Spread images over about so many jobs.

    An image whose files are larger than a job's share of all of them is cut into parts of rows; the others share jobs,
    as scenes do. An image more disturbs only the job that gets it.

    Args:
        images: The images.
        number: How many jobs are wanted.
        made: Names of shards that are there already; an image that has been made in other parts keeps them.

    Returns:
        Name → shard.
    """
    sizes = _sizes(images)
    total = sum(sizes.values())
    chosen: dict[str, Shard] = {}
    small = []
    for image in images:
        share = number * sizes[image.id] / total
        if parts := _made_parts(image, made) or (_parts(image, round(share)) if share >= 1.5 else {}):
            chosen |= parts
        else:
            small.append(image)
    held = shards_to_use([small], number, made) if small else {}
    return chosen | {name: Shard(tuple(scenes)) for name, scenes in held.items()}


def _made_parts(image: Scene, made: Collection[str]) -> dict[str, Shard]:
    """Return the parts that an image has been made in; none if there are none, or not all."""
    ways = (_parts(image, number) for number in sorted({number_in(name) for name in made}))
    return next((way for way in ways if set(way) <= set(made)), {})


def _parts(image: Scene, number: int) -> dict[str, Shard]:
    mark = short_hash([image.row(), PARTED], 6)
    return {f"{part}-of-{number}-{mark}": Shard((image,), part, number) for part in range(1, number + 1)}


def _sizes(images: Sequence[Scene]) -> Mapping[str, int]:
    """Return the bytes of images' files, those behind virtual rasters included; the mean of all for unknown ones."""
    files = Files()
    known = {
        image.id: sum(Path(file).stat().st_size for file in files.of(image.image) if Path(file).is_file())
        for image in images
    }
    sizes = [size for size in known.values() if size]
    mean = max(sum(sizes) // max(len(sizes), 1), 1)
    return {name: size or mean for name, size in known.items()}
