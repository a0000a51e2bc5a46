"""The scene table: which image, labels and split every scene has. Standard library only: read at every parse."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from swath.config.scenes import Scenes
from swath.demo import data_sets
from swath.errors import Problem, UserError, did_you_mean
from swath.scenes.paths import each_part, local_paths_of
from swath.scenes.patterns import SPLIT_WORDS, filled, left_over, match_patterns, split_of
from swath.scenes.rows import COLUMNS, read_rows, unread_columns
from swath.scenes.scene import SPLITS, Scene, problem_of_name
from swath.scenes.splits import split_scenes


@dataclass(frozen=True)
class PassedOver:
    """What lies where scenes are looked for, and is none.

    Attributes:
        nearly: Files that are named nearly as the image pattern says.
        others: Other files in the folders that it searches.
        columns: Column of the table that nobody reads → the one that it looks like.
    """

    nearly: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)


def read_scenes(scenes: Scenes) -> list[Scene]:
    """Read the scene table, or find the scenes that the patterns match; sorted by id.

    Scenes without a split get one as `scenes.split` says.

    Raises:
        UserError: For a missing table or column, an unknown split, an unusable or double id, missing files,
            for a split train or validation without scenes, and as :func:`swath.scenes.splits.split_scenes`.
    """
    if scenes.table is not None:
        source, found = scenes.table, _read_table(Path(scenes.table), scenes.labels, scenes.split is not None)
    else:
        source, found = "config: scenes", match_patterns(scenes)
    found = _with_common_labels(found)
    problems = [*_double_ids(source, found), *_missing_files(source, found)]
    if not problems and scenes.split is not None and found:
        found = split_scenes(found, scenes.split, source)
    if not problems:
        problems = _empty_splits(source, found, scenes)
    if problems:
        raise UserError(problems)
    return sorted(found, key=lambda scene: scene.id)


def passed_over(scenes: Scenes, found: Sequence[Scene]) -> PassedOver:
    """Tell what no scene came of: columns of the table that nobody reads, files in the folders that match nothing."""
    if scenes.table is None:
        nearly, others = left_over(scenes, found)
        return PassedOver(tuple(nearly), tuple(others))
    return PassedOver(columns=unread_columns(read_rows(_file_of(Path(scenes.table)))[0]))


def _with_common_labels(scenes: Sequence[Scene]) -> list[Scene]:
    uses = Counter(scene.labels or "" for scene in scenes)
    return [replace(scene, common_labels=bool(scene.labels) and uses[scene.labels or ""] > 1) for scene in scenes]


def _read_table(table: Path, labels: str | None, splits_later: bool) -> list[Scene]:
    file = _file_of(table)
    if not file.is_file():
        raise UserError(
            Problem(
                "file_missing",
                "config",
                "scenes.table",
                f"{table}: no such file",
                "a CSV or GeoParquet scene table",
                "check the path",
            )
        )
    has, rows = read_rows(file)
    if not rows:
        raise UserError(Problem("table_empty", str(table), "", "no rows", "one row per scene", "add scenes"))
    optional = {"labels": labels is not None, "split": splits_later}
    wanted = [column for column in COLUMNS[:4] if not optional.get(column)]
    missing = [column for column in wanted if column not in rows[0].entries]
    if missing:
        cure = "; ".join(f"{column}: {did_you_mean(column, has)}" for column in missing)
        if "split" in missing:
            cure += "; or let `scenes.split` in the config deal the scenes out"
        raise UserError(
            Problem(
                "column_missing",
                str(table),
                ", ".join(missing),
                "columns " + ", ".join(has),
                "columns " + ", ".join(wanted),
                cure,
            )
        )
    scenes, problems = [], []
    for number, row in ((row.number, row.entries) for row in rows):
        word = row.get("split", "")
        split = "" if splits_later and not word else split_of(word)
        if split is None:
            cure = "correct the row" if word else "fill the entry, or let `scenes.split` in the config deal it out"
            problems.append(
                Problem("unknown_split", f"{table}:{number}", "split", repr(word), "train, validation or test", cure)
            )
        elif problem := problem_of_name(row["scene"], f"{table}:{number}"):
            problems.append(problem)
        else:
            scene = _scene_of_row(table, row, split, labels)
            if not scene.image or (not scene.labels and split != "test"):
                expected = "a path" if split == "test" else "a path; only test scenes can do without labels"
                problems.append(
                    Problem(
                        "entry_empty",
                        f"{table}:{number}",
                        "image, labels",
                        "an empty entry",
                        expected,
                        "fill in both columns",
                    )
                )
                continue
            scenes.append(scene)
    if problems:
        raise UserError(problems)
    return scenes


def _file_of(table: Path) -> Path:
    """Return the file to read: of a demo's table that is not there yet, the one that it will be."""
    return data_sets.SETS[str(table)].shipped_table if not table.exists() and str(table) in data_sets.SETS else table


def _scene_of_row(table: Path, row: Mapping[str, str], split: str, labels: str | None) -> Scene:
    """Make a scene of a row; ``labels`` are the config's, for rows that name none."""
    beside = {key: _beside(table, row.get(key)) for key in ("image", "labels", "aoi")}
    common = filled(labels, split, row["scene"]) if labels else None
    return Scene(row["scene"], split, beside["image"] or "", beside["labels"] or common, beside["aoi"])


def _beside(table: Path, entry: str | None) -> str | None:
    return each_part(entry, lambda path: _named(table, path)) if entry else None


def _named(table: Path, path: str) -> str:
    """Name a table's file from the working directory; one of a demo as its rule does, without `..`."""
    beside = str(table.parent / path)
    plain = os.path.normpath(beside)
    return plain if plain in data_sets.made_files() else beside


def _double_ids(source: str, scenes: list[Scene]) -> list[Problem]:
    first: dict[str, Scene] = {}
    problems = []
    for scene in scenes:
        other = first.setdefault(scene.id, scene)
        if other is not scene:
            both = [f"{one.image} ({one.split})" if one.split else one.image for one in (other, scene)]
            found = f"{scene.id!r} stands for {both[0]} and for {both[1]}"
            problems.append(
                Problem("scene_id_twice", source, "scene", found, "one scene per id", "rename one of the two")
            )
    return problems


def _missing_files(source: str, scenes: list[Scene], most: int = 5) -> list[Problem]:
    missing = [
        (scene.id, field, path)
        for scene in scenes
        for field, entry in (("image", scene.image), ("labels", scene.labels), ("aoi", scene.aoi))
        for path in local_paths_of(entry)
        if path not in data_sets.made_files() and not Path(path).exists()
    ]
    problems = [
        Problem(
            "file_missing",
            source,
            f"{field} of scene {scene}",
            f"{path}: no such file",
            "an existing file",
            "check the path",
        )
        for scene, field, path in missing[:most]
    ]
    if len(missing) > most:
        problems.append(
            Problem("file_missing", source, "", f"{len(missing) - most} more missing files", "", "check the folder")
        )
    return problems


def _empty_splits(source: str, scenes: list[Scene], config: Scenes) -> list[Problem]:
    counts = {split: sum(scene.split == split for scene in scenes) for split in SPLITS}
    found = ", ".join(f"{number} {split}" for split, number in counts.items()) + " scenes"
    cure = "give some scenes that split"
    if config.split is not None and scenes:
        cure += ", or `scenes.split` a share or folds for it"
    elif config.image is not None:
        folders = ", ".join(dict.fromkeys(config.image.replace("{split}", words[0]) for words in SPLIT_WORDS.values()))
        cure = f"looked for {folders}; see docs/reference.md for other folder names"
    return [
        Problem("split_empty", source, f"split {split}", found, f"at least one {split} scene", cure)
        for split in ("train", "validation")
        if not counts[split] and not (split == "validation" and any(scene.fold is not None for scene in scenes))
    ]
