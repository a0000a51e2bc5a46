"""Images that a model is applied to: what their headers say, as of scenes without labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from swath.config.apply import Apply
from swath.config.imagery import Imagery
from swath.config.records import of_json, to_json
from swath.errors import UserError
from swath.files import file_name, publish_directory, read_json, write_json
from swath.scenes.facts import SceneFacts
from swath.scenes.images import read_image
from swath.scenes.neighbours import Surroundings, write_surroundings
from swath.scenes.scene import Scene, folder_of_maps
from swath.scenes.states import Files


def describe_images(images: Sequence[Scene], settings: Apply, margin: int, folder: Path, manifest: Path) -> None:
    """Read images' headers; where an image is not one plain file, or not alone, write a virtual raster.

    Args:
        images: The images.
        settings: The section `apply`.
        margin: How far around an image of a mosaic others matter, pixels; 0 if they do not.
        folder: Where virtual rasters are published: ``<folder>/images/<image>/image.vrt``, and
            ``<folder>/around/<image>.vrt``.
        manifest: JSON to write: image → facts, and image → surroundings.

    Raises:
        UserError: For images that cannot be used, all of them at once.
    """
    found = _read_headers(images, settings, folder / "images")
    around: dict[str, Surroundings] = {}
    with publish_directory(folder / "around") as temporary:
        if settings.mosaic and margin:
            around = write_surroundings(found, settings, margin, temporary, folder / "around")
    write_json(
        manifest,
        {
            "scenes": {facts.id: to_json(facts) for facts in found},
            "around": {name: to_json(one) for name, one in around.items()},
        },
    )


def read_surroundings(manifest: str | Path) -> dict[str, Surroundings]:
    """Read what lies around images: image → surroundings, of those that do not lie alone."""
    return {name: of_json(Surroundings, one) for name, one in read_json(manifest)["around"].items()}


def _read_headers(images: Sequence[Scene], settings: Apply, folder: Path) -> list[SceneFacts]:
    """Read headers, and publish virtual rasters of images that are more or other than one file."""
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
    return list(found.values())
