"""SceneFacts of a scene that no stage has made."""

from __future__ import annotations

from typing import Any

from swath.scenes.facts import ImageHeader, SceneFacts, SceneImage


def as_image(header: ImageHeader, path: str, **changes: Any) -> SceneImage:
    """A header of one file, as that of a scene's image."""
    return SceneImage(**{**vars(header), "image": path, "files": (path,), "named_by_files": (), "paged": (), **changes})


def facts_of(image: SceneImage, **changes: Any) -> SceneFacts:
    """What is known of a training scene without labels."""
    nothing = dict.fromkeys(("labels", "label_raster", "aoi", "evaluated", "labelled_pixels"))
    scene = {"id": "s", "split": "train", "common_labels": False, "maps": "s", "sha256": {}, "inputs": {}}
    counts = {"repaired": 0, "outside_labels": 0.0}
    return SceneFacts(**{**vars(image), **scene, **nothing, **counts, **changes})
