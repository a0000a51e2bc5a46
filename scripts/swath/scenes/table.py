"""The scene table: which image, labels and split every scene has. Standard library only: read at every parse."""

from __future__ import annotations

import csv
import glob
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from swath import demo
from swath.config.scenes import Scenes
from swath.errors import Problem, UserError, did_you_mean

SPLITS = ("train", "validation", "test")
SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
COLUMNS = ("scene", "image", "labels", "split", "aoi")
SCENE_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


@dataclass(frozen=True)
class Scene:
    """One image with its labels.

    Attributes:
        id: Unique name, usable as a file name.
        split: train, validation or test.
        image: Path of the image, from the working directory.
        labels: Path of the labels.
        aoi: Path of the area of interest, if there is one.
    """

    id: str
    split: str
    image: str
    labels: str
    aoi: str | None = None

    def row(self) -> dict[str, Any]:
        """Return the scene as plain JSON values: what it is known by."""
        return asdict(self)


def read_scenes(scenes: Scenes) -> list[Scene]:
    """Read the scene table, or find the scenes that the patterns match; sorted by id.

    Raises:
        UserError: For a missing table or column, an unknown split, an unusable or double id, missing files,
            and for a split train or validation without scenes.
    """
    if scenes.table is not None:
        source, found = scenes.table, _read_table(Path(scenes.table))
    else:
        source, found = "config: scenes", list(_match_patterns(scenes))
    problems = [*_double_ids(source, found), *_missing_files(source, found)]
    if not problems:
        problems = _empty_splits(source, found, scenes)
    if problems:
        raise UserError(problems)
    return sorted(found, key=lambda scene: scene.id)


def _read_table(table: Path) -> list[Scene]:
    file = demo.SETS[str(table)].shipped_table if not table.exists() and str(table) in demo.SETS else table
    if not file.is_file():
        raise UserError(
            Problem(
                "config", "scenes.table", f"{table}: no such file", "a CSV or GeoParquet scene table", "check the path"
            )
        )
    rows = _parquet_rows(file) if file.suffix in (".parquet", ".geoparquet") else _csv_rows(file)
    if not rows:
        raise UserError(Problem(str(table), "", "no rows", "one row per scene", "add scenes"))
    missing = [column for column in COLUMNS[:4] if column not in rows[0]]
    if missing:
        has = [str(column) for column in rows[0]]
        cure = "; ".join(f"{column}: {did_you_mean(column, has)}" for column in missing)
        raise UserError(
            Problem(
                str(table), ", ".join(missing), "columns " + ", ".join(has), "columns scene, image, labels, split", cure
            )
        )
    scenes, problems = [], []
    for number, row in enumerate(rows, start=2):
        split = _split_of(row["split"])
        if split is None:
            problems.append(
                Problem(
                    f"{table}:{number}", "split", repr(row["split"]), "train, validation or test", "correct the row"
                )
            )
        elif not SCENE_ID.match(row["scene"]):
            problems.append(
                Problem(
                    f"{table}:{number}",
                    "scene",
                    repr(row["scene"]),
                    "letters, digits, `.`, `_`, `-`",
                    "rename the scene",
                )
            )
        else:
            paths = {key: _beside(table, row.get(key)) for key in ("image", "labels", "aoi")}
            if not paths["image"] or not paths["labels"]:
                problems.append(
                    Problem(f"{table}:{number}", "image, labels", "an empty cell", "a path", "fill in both columns")
                )
                continue
            scenes.append(Scene(row["scene"], split, paths["image"], paths["labels"], paths["aoi"]))
    if problems:
        raise UserError(problems)
    return scenes


def _csv_rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        return [{key: (value or "").strip() for key, value in row.items() if key} for row in csv.DictReader(stream)]


def _parquet_rows(file: Path) -> list[dict[str, str]]:
    import pyarrow.parquet

    names = [name for name in pyarrow.parquet.read_schema(file).names if name in COLUMNS]
    rows = pyarrow.parquet.read_table(file, columns=names).to_pylist()
    return [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows]


def _split_of(word: str) -> str | None:
    return next((split for split, words in SPLIT_WORDS.items() if word.lower() in words), None)


def _beside(table: Path, path: str | None) -> str | None:
    """Name a table's file from the working directory; one of a demo as its rule does, without `..`."""
    if not path:
        return None
    beside = str(table.parent / path)
    plain = os.path.normpath(beside)
    return plain if plain in demo.made_files() else beside


def _match_patterns(scenes: Scenes) -> Iterable[Scene]:
    """Find scenes in folders: the `{scene}` of every image that the pattern matches, split by split."""
    assert scenes.image is not None and scenes.labels is not None
    for split, words in SPLIT_WORDS.items():
        for word in words:
            pattern = scenes.image.replace("{split}", word)
            head, _, tail = pattern.partition("{scene}")
            matcher = re.compile(re.escape(head) + "(?P<scene>[^/]+?)" + _rest_of(tail) + "$")
            for image in sorted(glob.glob(glob.escape(head) + "*" + glob.escape(tail).replace("{scene}", "*"))):
                match = matcher.match(image)
                if match and SCENE_ID.match(match["scene"]):
                    fill = {"split": word, "scene": match["scene"]}
                    aoi = scenes.aoi.format(**fill) if scenes.aoi else None
                    yield Scene(match["scene"], split, image, scenes.labels.format(**fill), aoi)


def _rest_of(tail: str) -> str:
    return re.escape(tail).replace(re.escape("{scene}"), "(?P=scene)")


def _double_ids(source: str, scenes: list[Scene]) -> list[Problem]:
    first: dict[str, Scene] = {}
    problems = []
    for scene in scenes:
        other = first.setdefault(scene.id, scene)
        if other is not scene:
            found = f"{scene.id!r} stands for {other.image} ({other.split}) and for {scene.image} ({scene.split})"
            problems.append(Problem(source, "scene", found, "one scene per id", "rename one of the two"))
    return problems


def _missing_files(source: str, scenes: list[Scene], most: int = 5) -> list[Problem]:
    missing = [
        (scene.id, field, path)
        for scene in scenes
        for field, path in (("image", scene.image), ("labels", scene.labels), ("aoi", scene.aoi))
        if path and path not in demo.made_files() and not Path(path).exists()
    ]
    problems = [
        Problem(source, f"{field} of scene {scene}", f"{path}: no such file", "an existing file", "check the path")
        for scene, field, path in missing[:most]
    ]
    if len(missing) > most:
        problems.append(Problem(source, "", f"{len(missing) - most} more missing files", "", "check the folder"))
    return problems


def _empty_splits(source: str, scenes: list[Scene], config: Scenes) -> list[Problem]:
    counts = {split: sum(scene.split == split for scene in scenes) for split in SPLITS}
    found = ", ".join(f"{number} {split}" for split, number in counts.items()) + " scenes"
    cure = "give some scenes that split"
    if config.image is not None:
        folders = ", ".join(config.image.replace("{split}", words[0]) for words in SPLIT_WORDS.values())
        cure = f"looked for {folders}; see docs/reference.md for other folder names"
    return [
        Problem(source, f"split {split}", found, f"at least one {split} scene", cure)
        for split in ("train", "validation")
        if not counts[split]
    ]
