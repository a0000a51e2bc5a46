"""Scenes in folders: what path patterns match, and what lies beside it and matches nothing. Standard library only."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from swath.config.scenes import Scenes
from swath.errors import UserError
from swath.scenes.paths import as_glob, is_remote, parts_of, paths_of
from swath.scenes.scene import Scene, problem_of_name
from swath.scenes.states import Files

SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}


def split_of(word: str) -> str | None:
    """Find the split that a word stands for, in any capitalisation."""
    return next((split for split, words in SPLIT_WORDS.items() if word.lower() in words), None)


def match_patterns(scenes: Scenes) -> list[Scene]:
    """Find scenes in folders: the `{scene}` of every image that the pattern matches, split by split, if it has any.

    Raises:
        UserError: For scenes whose name cannot be used, all of them at once.
    """
    assert scenes.image is not None and scenes.labels is not None
    pattern = parts_of(scenes.image)[0]
    matches = (re.fullmatch(_regex(pattern), path) for path in glob.glob(_as_glob(pattern)))
    named = {(match.groupdict().get("split") or "", match["scene"]) for match in matches if match}
    problems = [problem for _, scene in sorted(named) if (problem := problem_of_name(scene, "config: scenes.image"))]
    if problems:
        raise UserError(problems)
    return [_scene(scenes, word, scene) for word, scene in sorted(named)]


def left_over(scenes: Scenes, found: Sequence[Scene]) -> tuple[list[str], list[str]]:
    """List what lies in the folders that the image pattern searches and belongs to no scene.

    Returns:
        Files that are named nearly as the pattern says, and the others.
    """
    if scenes.image is None:
        return [], []
    files = Files()
    entries = {entry for scene in found for entry in (scene.image, scene.labels, scene.aoi)}
    used = {Path(file) for entry in entries for file in files.of(entry)}
    pattern = parts_of(scenes.image)[0]
    folders = glob.glob(_as_glob(str(Path(pattern).parent)))
    lying = {file for folder in folders for file in Path(folder).iterdir() if file.is_file() and file.name[:1] != "."}
    unused = sorted(map(str, lying - used))
    start = re.sub(r"\.tiff?$", "", pattern)
    nearly = re.compile(_regex(start) + ("" if start == pattern else r"\.tiff?"), re.IGNORECASE)
    return [path for path in unused if nearly.fullmatch(path)], [path for path in unused if not nearly.fullmatch(path)]


def _as_glob(pattern: str) -> str:
    """Make a pattern for `glob`, in which any word stands for a placeholder."""
    return as_glob(pattern.replace("{scene}", "*").replace("{split}", "*"))


def _regex(pattern: str) -> str:
    """Make a regular expression of a pattern, in which a placeholder stands for the same wherever it stands."""
    words = sorted((word for words in SPLIT_WORDS.values() for word in words), key=len, reverse=True)
    groups = {"{split}": f"(?P<split>(?i:{'|'.join(words)}))", "{scene}": "(?P<scene>[^/]+?)"}
    again = {"{split}": "(?P=split)", "{scene}": "(?P=scene)"}
    seen: set[str] = set()
    found = ""
    for part in re.split(r"(\{scene\}|\{split\})", pattern):
        if part in groups:
            found += again[part] if part in seen else groups[part]
            seen.add(part)
        else:
            found += re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return f"(?s:{found})"


def _scene(scenes: Scenes, word: str, name: str) -> Scene:
    assert scenes.image is not None
    image = filled(scenes.image, word, name)
    labels, aoi = (_where_it_lies(pattern, word, name) if pattern else None for pattern in (scenes.labels, scenes.aoi))
    split = split_of(word) or ""
    missing = split == "test" and not any(is_remote(p) or Path(p).exists() for p in paths_of(labels))
    return Scene(name, split, image, None if missing else labels, aoi)


def _where_it_lies(pattern: str, word: str, name: str) -> str:
    """Fill a pattern; with the split in another capitalisation or word than the image's, if that leads to a file."""
    ways = (filled(pattern, other, name) for other in _ways_to_write(word))
    there = (way for way in ways if any(is_remote(path) or Path(path).exists() for path in paths_of(way)))
    return next(there, filled(pattern, word, name))


def _ways_to_write(word: str) -> Iterator[str]:
    yield word
    for other in SPLIT_WORDS.get(split_of(word) or "", ()):
        yield from (other, other.capitalize(), other.upper())


def filled(pattern: str, split: str, scene: str) -> str:
    """Put split and scene in the places of a pattern's placeholders."""
    values = {"{split}": split, "{scene}": scene}
    return "".join(values.get(part, part) for part in re.split(r"(\{scene\}|\{split\})", pattern))
