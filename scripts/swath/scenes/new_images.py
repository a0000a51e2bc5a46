"""Images that a model is applied to: what their headers say, as of scenes without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from swath.config.apply import Apply
from swath.config.imagery import Imagery
from swath.config.records import to_json
from swath.errors import UserError
from swath.files import file_name, publish_directory, write_json
from swath.scenes.facts import SceneFacts
from swath.scenes.images import read_image
from swath.scenes.scene import Scene, folder_of_maps
from swath.scenes.states import Files


def describe_images(images: Sequence[Scene], settings: Apply, folder: Path, manifest: Path) -> list[SceneFacts]:
    """Read images' headers; where an image is not one plain file, write a virtual raster.

    Args:
        images: The images.
        settings: The section `apply`, of which `files` and `nodata` count.
        folder: Where virtual rasters are published, all at once: ``<folder>/<image>/image.vrt``.
        manifest: JSON to write: image → facts.

    Raises:
        UserError: For images that cannot be used, all of them at once.
    """
    found, problems, files = {}, [], Files()
    imagery = Imagery(files=settings.files, nodata=settings.nodata)
    with publish_directory(folder) as temporary:
        for image in images:
            name = file_name(image.id)
            inputs = files.checksums(image.image, overviews=False)
            (temporary / name).mkdir()
            try:
                read = read_image(image.image, imagery, temporary / name, folder / name)
            except UserError as error:
                problems += error.problems
                continue
            found[image.id] = SceneFacts(
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
                maps=folder_of_maps(image.id, image.image),
                sha256={},
                inputs={"image": inputs},
            )
        if problems:
            raise UserError(problems)
    files.remember()
    write_json(manifest, {"scenes": {name: to_json(facts) for name, facts in found.items()}})
    return list(found.values())
