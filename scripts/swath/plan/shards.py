"""Shards: groups of scenes that one job works on, so that a process's start is paid for once.

How many there are is the profile's business and changes no result. Where the shards of another number have all been
made, those are taken: the same results, looked at from a laptop and from a cluster, are not made twice.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

from swath.files import short_hash
from swath.scenes.scene import Scene

NAME = r"\d+-of-\d+-[0-9a-f]{6}"
"""What a shard's name looks like, as a regular expression."""


def shards(scenes: Sequence[Scene], number: int) -> dict[str, list[Scene]]:
    """Spread scenes over at most ``number`` shards.

    A scene's shard follows from a hash of its id, so that a new scene disturbs one shard only. A shard's name
    carries a hash of what it holds, so that another table never overwrites it. Empty shards are left out.
    """
    return {name: list(held) for name, held in _spread(tuple(scenes), number)}


@cache  # thousands of models cut, or predict, the same scenes
def _spread(scenes: tuple[Scene, ...], number: int) -> list[tuple[str, list[Scene]]]:
    members: dict[int, list[Scene]] = {}
    for scene in scenes:
        digest = hashlib.sha256(scene.id.encode()).digest()
        members.setdefault(int.from_bytes(digest[:8], "big") % number, []).append(scene)
    return [
        (f"{index + 1}-of-{number}-{short_hash([scene.row() for scene in held], 6)}", held)
        for index, held in sorted(members.items())
    ]


def shards_to_use(parts: Sequence[Sequence[Scene]], number: int, made: Collection[str] = ()) -> dict[str, list[Scene]]:
    """Spread scenes over about ``number`` shards, none of which holds scenes of two parts.

    Args:
        parts: The scenes, in parts that stay together.
        number: How many shards are wanted for all of them.
        made: Names of shards that are there already.

    Returns:
        Name → scenes. A part all of whose shards have been made with another number has those.
    """
    each = -(-number // max(len(parts), 1))
    others = sorted({number_in(name) for name in made} - {each})
    chosen: dict[str, list[Scene]] = {}
    for part in parts:
        ways = [shards(part, count) for count in (each, *others)]
        chosen |= next((way for way in ways if set(way) <= set(made)), ways[0])
    return chosen


def scenes_in_shard(name: str, parts: Sequence[Sequence[Scene]]) -> list[Scene]:
    """Return the scenes of a shard.

    Args:
        name: Name of the shard; it says how many there are.
        parts: Parts of scenes, one of which the shard belongs to.

    Raises:
        KeyError: If the shard holds no scenes of these parts.
    """
    for part in parts:
        if held := shards(part, number_in(name)).get(name):
            return held
    raise KeyError(name)


def number_in(name: str) -> int:
    """Read from a shard's name how many shards there are."""
    return int(name.split("-")[2])


def shards_made(folder: str, pattern: str) -> set[str]:
    """Find the names of the shards that have been made.

    Args:
        folder: The folder of a key.
        pattern: What a shard's file is called there, ``{}`` in the place of its name: ``train-{}.zip``.
    """
    before, after = map(re.escape, pattern.split("{}"))
    files = os.listdir(folder) if Path(folder).is_dir() else []
    found = (re.fullmatch(f"{before}({NAME}){after}", file) for file in files)
    return {match[1] for match in found if match}
