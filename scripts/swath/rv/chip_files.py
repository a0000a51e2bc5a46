"""Chips as files, by task: how a scene's chips lie among those of all scenes, and how Raster Vision reads them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from swath.config.classes import NULL_CLASS
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.files import write_json

FOLDERS = {"train": "train", "validation": "valid"}
"""Split → its folder in Raster Vision's chip zips."""


class ChipFiles(ABC):
    """How a task's chips lie in a split's folder."""

    @abstractmethod
    def adopt(self, cut: Path, scene: str, target: Path, classes: Sequence[str]) -> int:
        """Move one scene's chips to where all scenes' are, under the scene's name; return how many.

        Args:
            cut: Raster Vision's folder of the chips of one split.
            scene: The scene's id.
            target: The folder of the split's chips.
            classes: Class names by id.
        """

    @abstractmethod
    def join(self, folder: Path) -> None:
        """Bring a split's chips of all scenes into the form that Raster Vision reads."""

    @abstractmethod
    def count(self, folder: Path) -> int:
        """Count a split's chips."""


class SegmentationChips(ChipFiles):
    """An image and a label raster each, in ``img/`` and ``labels/``."""

    def adopt(self, cut: Path, scene: str, target: Path, classes: Sequence[str]) -> int:
        """Move images and label rasters."""
        names = _renamed(list((cut / "img").glob("*")), scene, target / "img")
        _renamed(list((cut / "labels").glob("*")), scene, target / "labels")
        return len(names)

    def join(self, folder: Path) -> None:
        """Leave them where they are: that is where Raster Vision reads them."""

    def count(self, folder: Path) -> int:
        """Count the images."""
        return len(list((folder / "img").glob("*")))


class DetectionChips(ChipFiles):
    """Images in ``img/``, and boxes in COCO's form."""

    def adopt(self, cut: Path, scene: str, target: Path, classes: Sequence[str]) -> int:
        """Move images, and write the boxes on them as ``labels/<scene>.json``, in COCO's form."""
        names = _renamed(list((cut / "img").glob("*")), scene, target / "img")
        coco = json.loads((cut / "labels.json").read_text()) if names else {"images": [], "annotations": []}
        name_of = {image["id"]: names[image["file_name"]] for image in coco["images"]}
        images = [
            {**image, "id": Path(name).stem, "file_name": name}
            for image in coco["images"]
            for name in [name_of[image["id"]]]
        ]
        boxes = [
            {**box, "image_id": Path(name_of[box["image_id"]]).stem}
            for box in coco["annotations"]
            if min(box["bbox"][2:]) >= 1
        ]
        (target / "labels").mkdir(parents=True, exist_ok=True)
        write_json(target / "labels" / f"{scene}.json", {"images": images, "annotations": boxes})
        return len(names)

    def join(self, folder: Path) -> None:
        """Put the boxes of all scenes into one ``labels.json``."""
        parts = [json.loads(file.read_text()) for file in sorted((folder / "labels").glob("*.json"))]
        joined = {kind: [entry for part in parts for entry in part[kind]] for kind in ("images", "annotations")}
        for number, box in enumerate(joined["annotations"]):
            box["id"] = number
        write_json(folder / "labels.json", joined)

    def count(self, folder: Path) -> int:
        """Count the images."""
        return len(list((folder / "img").glob("*")))


class ClassificationChips(ChipFiles):
    """Images, in a folder per class."""

    def adopt(self, cut: Path, scene: str, target: Path, classes: Sequence[str]) -> int:
        """Move the cells' images, by class; unlabelled cells teach nothing."""
        found = 0
        for name in classes:
            if name != NULL_CLASS and (cut / name).is_dir():
                found += len(_renamed(list((cut / name).iterdir()), scene, target / name))
        return found

    def join(self, folder: Path) -> None:
        """Leave them where they are: that is where Raster Vision reads them."""

    def count(self, folder: Path) -> int:
        """Count the cells' images, wherever they lie: a class whose name has a slash is a folder in a folder."""
        return sum(path.is_file() for path in folder.rglob("*"))


CHIP_FILES: Mapping[Task, ChipFiles] = {
    SEGMENTATION: SegmentationChips(),
    DETECTION: DetectionChips(),
    CLASSIFICATION: ClassificationChips(),
}


def _renamed(files: Sequence[Path], scene: str, target: Path) -> dict[str, str]:
    """Move chips to a folder as ``<scene>-<number>``, in the order Raster Vision cut them; old name → new name."""
    target.mkdir(parents=True, exist_ok=True)
    names = {}
    for file in sorted(files, key=lambda file: int(file.stem.rpartition("-")[2])):
        number = int(file.stem.rpartition("-")[2])
        names[file.name] = f"{scene}-{number:05d}{file.suffix}"
        file.rename(target / names[file.name])
    return names
