"""Paths of scenes: several in one entry, wildcards, files that are not on this machine. Standard library only."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable
from pathlib import Path

SEPARATOR = ";"
WILDCARDS = ("*", "?")


def is_remote(path: str) -> bool:
    """Tell whether a path is no file of this machine's: ``s3://…``, ``https://…``, ``zip://…``, GDAL's ``/vsi…``."""
    return "://" in path or path.startswith("/vsi")


def has_wildcards(path: str) -> bool:
    """Tell whether a path stands for whatever files it matches."""
    return not is_remote(path) and any(character in path for character in WILDCARDS)


def parts_of(entry: str) -> list[str]:
    """Split an entry of the scene table into its paths, wildcards left as they are."""
    return [part.strip() for part in entry.split(SEPARATOR) if part.strip()]


def each_part(entry: str, change: Callable[[str], str]) -> str:
    """Change every path of an entry that is a local one."""
    return SEPARATOR.join(part if is_remote(part) else change(part) for part in parts_of(entry))


def paths_of(entry: str | None) -> list[str]:
    """List the files an entry stands for, each once, in the order given; those a wildcard matches sorted by name.

    Numbers in names are sorted as numbers: B2 stands before B10.

    A path that matches nothing stays as it is, so that somebody misses the file.
    """
    found: list[str] = []
    for part in parts_of(entry or ""):
        if has_wildcards(part) and not Path(part).exists():
            found += sorted(glob.glob(as_glob(part)), key=by_number) or [part]
        else:
            found.append(part)
    return list(dict.fromkeys(found))


def by_number(path: str) -> list[tuple[bool, int, str]]:
    """Return what sorts names with numbers in them as numbers: B2 before B10."""
    words = re.split(r"(\d+)", path)
    return [(word.isdecimal(), int(word) if word.isdecimal() else 0, word) for word in words]


def local_paths_of(entry: str | None) -> list[str]:
    """List the files an entry stands for that lie on this machine."""
    return [path for path in paths_of(entry) if not is_remote(path)]


def as_glob(path: str) -> str:
    """Make a pattern for `glob` in which brackets are no wildcards: they are common in names and rarely meant."""
    return re.sub(r"\[", "[[]", path)
