"""A scene: one image with its labels, as a row of the scene table names it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from pydantic import JsonValue

from swath.errors import Problem
from swath.files import file_name, short_hash

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Scene:
    """One image with its labels.

    Attributes:
        id: Unique name; what cannot stand in a file's name is replaced where one is made of it.
        split: train, validation or test; train for scenes that take turns in folds.
        image: Path of the image, from the working directory; or several paths with `;` between them, and wildcards.
        labels: The same of the labels; None for a test scene that is predicted, but not evaluated.
        aoi: The same of the area of interest, if there is one.
        common_labels: Whether other scenes have the same labels files.
        fold: The fold in which it is a validation scene, if scenes take turns.
        block: Name of its block on the ground, if the config asks for blocks.
    """

    id: str
    split: str
    image: str
    labels: str | None
    aoi: str | None = None
    common_labels: bool = False
    fold: int | None = None
    block: str | None = None

    def row(self) -> dict[str, JsonValue]:
        """Return the scene as plain JSON values: what it is known by, however it came to its split."""
        return {name: value for name, value in vars(self).items() if name not in ("fold", "block")}


def folder_of_maps(scene: str, image: str) -> str:
    """Name a scene's folder among the maps of a model: experiments can share a model, and mean different scenes.

    Args:
        scene: The scene's id.
        image: Its image, as the scene table names it.
    """
    return f"{file_name(scene)}-{short_hash(image, 6)}"


def problem_of_name(scene: str, place: str) -> Problem | None:
    """Say what keeps a scene's name from being one: nearly all that a file system allows can be used."""
    reason = ""
    if not scene:
        reason = "an empty name"
    elif any(character in scene for character in "/;"):
        reason = "a `/` or `;`, which separate folders and files"
    elif any(unicodedata.category(character) == "Cc" for character in scene):
        reason = "a line break, tab or another control character"
    elif any("\ud800" <= character <= "\udfff" for character in scene):
        reason = "bytes that are no UTF-8"
    if not reason:
        return None
    shown = scene.encode(errors="backslashreplace").decode()
    return Problem("not_file_safe", place, "scene", f"{shown!r}: {reason}", "a name without them", "rename the scene")
