"""Splits for scenes that have none: by shares, in folds, by blocks on the ground. Deterministic, and fast to parse."""

from __future__ import annotations

import csv
import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path

from swath.config.scenes import Split
from swath.errors import Problem, UserError
from swath.scenes.blocks import blocks_of
from swath.scenes.paths import paths_of
from swath.scenes.scene import Scene

DRAWS = 100
"""How many orders of uneven groups are tried before the best of them is taken."""


def split_scenes(scenes: Sequence[Scene], split: Split, source: str) -> list[Scene]:
    """Give a split, or a fold, to every scene that has none.

    Args:
        scenes: All scenes; a split that is said stays.
        split: The settings.
        source: The table or config the scenes come from, for messages.

    Returns:
        The scenes in the same order. Those that take turns in folds count as training scenes and have a `fold`.

    Raises:
        UserError: If there is nothing to deal out, too little for all parts, blocks that hold scenes of several
            named splits, or images whose place on the ground is not known.
    """
    if all(scene.split for scene in scenes):
        raise UserError(
            Problem(
                "nothing_to_deal_out",
                source,
                "split",
                "a split for every scene",
                "scenes without one, which `scenes.split` would deal out",
                "empty the entries of the column split, or take `split:` out of the config",
            )
        )
    blocks = blocks_of({scene.id: paths_of(scene.image) for scene in scenes}, split.block) if split.block else {}
    groups = {scene.id: blocks.get(scene.id, scene.id) for scene in scenes}
    named = _named_groups(scenes, groups, source)
    sizes = Counter(groups[scene.id] for scene in scenes if groups[scene.id] not in named)
    _check_number(len(sizes), split, source)
    parts = deal(sizes, split.shares(), split.seed)
    return [_placed(scene, named, parts, groups[scene.id], blocks.get(scene.id)) for scene in scenes]


def _placed(scene: Scene, named: Mapping[str, str], parts: Mapping[str, str], group: str, block: str | None) -> Scene:
    if scene.split:
        return replace(scene, block=block)
    part = named.get(group) or parts[group]
    if part.isdigit():
        return replace(scene, split="train", fold=int(part), block=block)
    return replace(scene, split=part, block=block)


def _named_groups(scenes: Sequence[Scene], groups: Mapping[str, str], source: str) -> dict[str, str]:
    """Say which groups hold scenes with a split: the others of such a group follow."""
    splits: dict[str, set[str]] = {}
    for scene in scenes:
        if scene.split:
            splits.setdefault(groups[scene.id], set()).add(scene.split)
    undecided = {groups[scene.id]: scene.id for scene in reversed(scenes) if not scene.split}
    problems = [
        Problem(
            "block_in_two_splits",
            source,
            f"split of scene {undecided[group]}",
            f"none, in a block ({group}) with scenes of {' and '.join(sorted(found))}",
            "a block whose scenes belong to one split",
            "write the split of all of the block's scenes into the table, or choose a smaller `scenes.split.block`",
        )
        for group, found in splits.items()
        if len(found) > 1 and group in undecided
    ]
    if problems:
        raise UserError(problems)
    return {group: next(iter(found)) for group, found in splits.items()}


def _check_number(number: int, split: Split, source: str) -> None:
    wanted = [part for part, share in split.shares().items() if share > 0]
    if number >= len(wanted):
        return
    field, kind = ("scenes.split.folds", "folds") if split.folds else ("scenes.split", "splits")
    things = f"blocks of {split.block:g} m" if split.block else "scenes"
    parts = ", ".join(reversed(wanted))
    if split.folds:
        parts = f"{split.folds} folds" + (" and a test split" if split.test else "")
    smaller = ", or choose a smaller `block` (scenes that overlap stay together whatever it is)" if split.block else ""
    raise UserError(
        Problem(
            "too_few_scenes",
            source,
            field,
            f"{number} {things} without a split",
            f"at least {len(wanted)}: one for each of {parts}",
            f"add scenes, or ask for fewer {kind}{smaller}",
        )
    )


def deal(sizes: Mapping[str, int], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Deal groups of scenes out to parts.

    Groups are put in an order that hashes of seed and name give; each part takes a stretch of it, as near to its
    share of the scenes as whole groups allow, and one group at least. With groups of one scene a new scene makes at
    most one other cross each border between two parts. Where groups are uneven, orders are drawn until no part is
    further from its share than half the largest group.

    Args:
        sizes: Group → number of scenes; at least as many groups as parts with a share.
        shares: Part → share; they add up to 1.
        seed: Another seed, another order.

    Returns:
        Group → part.
    """
    wanted = {part: share for part, share in shares.items() if share > 0}
    total, enough = sum(sizes.values()), max(1.0, max(sizes.values()) / 2)
    best, least = {}, float("inf")
    for draw in range(DRAWS):
        order = sorted(sizes, key=lambda name: hashlib.sha256(f"{seed}/{draw}/{name}".encode()).digest())
        borders = _borders([sizes[name] for name in order], [share * total for share in wanted.values()])
        stretches = [order[start:end] for start, end in pairwise(borders)]
        taken = dict(zip(wanted, stretches, strict=True))
        off = max(abs(sum(sizes[name] for name in taken[part]) - share * total) for part, share in wanted.items())
        if off < least:
            best, least = {name: part for part, stretch in taken.items() for name in stretch}, off
        if least <= enough:
            break
    return best


def _borders(sizes: Sequence[int], wanted: Sequence[float]) -> list[int]:
    """Find where to cut a row of groups into stretches of about the wanted sizes, none of them empty."""
    ends = [0, *accumulate(sizes)]
    borders = [0]
    for number, target in enumerate(list(accumulate(wanted))[:-1], start=1):
        border = min(bisect_left(ends, target), len(sizes))
        if border and target - ends[border - 1] <= ends[border] - target:
            border -= 1
        borders.append(min(max(border, borders[-1] + 1), len(sizes) - len(wanted) + number))
    return [*borders, len(sizes)]


COLUMNS = ("scene", "split", "fold", "block")


def split_table(scenes: Sequence[Scene]) -> list[dict[str, str | int]]:
    """List what :func:`write_splits` writes, a row per scene."""
    return [
        {
            "scene": scene.id,
            "split": scene.split if scene.fold is None else "",
            "fold": "" if scene.fold is None else scene.fold,
            "block": scene.block or "",
        }
        for scene in scenes
    ]


def write_splits(rows: Sequence[Mapping[str, str | int]], path: Path) -> None:
    """Write the CSV of splits: scene, split, fold (of scenes that take turns, whose split is empty), block."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def in_split(row: Mapping[str, str], split: str, fold: int | None) -> bool:
    """Say whether a row of the CSV is a scene of a split, in a fold."""
    if not row["fold"]:
        return row["split"] == split
    return split == ("validation" if row["fold"] == str(fold) else "train")


def read_split(path: str | Path, split: str, fold: int | None) -> list[str]:
    """Read from the CSV of splits which scenes a split has, in a fold."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [row["scene"] for row in csv.DictReader(file) if in_split(row, split, fold)]
