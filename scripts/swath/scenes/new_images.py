"""Images that a model is applied to: what their headers say, as of scenes without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from swath.config.apply import Apply
from swath.config.imagery import Imagery
from swath.errors import UserError
from swath.files import file_name
from swath.scenes.facts import SceneFacts
from swath.scenes.images import read_image
from swath.scenes.paths import paths_of
from swath.scenes.scene import Scene, folder_of_maps
from swath.scenes.states import Files


def describe_images(images: Sequence[Scene], settings: Apply, folder: Path) -> list[SceneFacts]:
    """Read images' headers; where an image is not one plain file, write a virtual raster.

    Args:
        images: The images.
        settings: The section `apply`.
        folder: Where virtual rasters go: ``<folder>/<image>/image.vrt``.

    Returns:
        Facts, in the same order, without the checksums of files.

    Raises:
        UserError: For images that cannot be used, all of them at once.
    """
    found, problems = [], []
    imagery = Imagery(files=settings.files, nodata=settings.nodata)
    for image in images:
        place = folder / file_name(image.id)
        place.mkdir()
        try:
            read = read_image(image.image, imagery, place, place)
        except UserError as error:
            problems += error.problems
            continue
        facts = SceneFacts(
            **vars(read),
            id=image.id,
            split=image.split,
            common_labels=False,
            labels=None,
            label_raster=None,
            aoi=None,
            evaluated=None,
            labelled_pixels=None,
            repaired=0,
            outside_labels=0.0,
            maps=folder_of_maps(Path(paths_of(image.image)[0]).stem, image.image),
            sha256={},
            inputs={"image": {}},
        )
        found.append(facts)
    if problems:
        raise UserError(problems)
    return found


def with_checksums(facts: Sequence[SceneFacts], images: Sequence[Scene]) -> list[SceneFacts]:
    """Add the checksums of their files to the facts of images."""
    files, entries = Files(), {image.id: image.image for image in images}
    known = [replace(one, inputs={"image": files.checksums(entries[one.id], overviews=False)}) for one in facts]
    files.remember()
    return known
