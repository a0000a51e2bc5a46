"""What was predicted of new images, put together: one map or a map for each, polygons, areas, a picture, a catalog."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from swath.config.apply import Apply
from swath.config.tasks import DETECTION
from swath.files import publish_directory, read_json, sha256, write_json
from swath.prediction.apply import margin_of
from swath.report.assembly import Assembly, files_in
from swath.report.map_boxes import assemble_boxes
from swath.report.map_rasters import assemble_rasters
from swath.scenes.neighbours import surroundings
from swath.scenes.new_images import describe_images
from swath.scenes.scene import Scene
from swath.scenes.trained_on import read_bundle, resolved_window


def assemble(
    name: str,
    images: Sequence[Scene],
    manifests: Sequence[str],
    settings: Apply,
    bundles: Sequence[str],
    parts: Path,
    folder: Path,
    manifest: Path,
) -> None:
    """Put a map together.

    Args:
        name: The map's name.
        images: The images, in the order given.
        manifests: What says which parts there are.
        settings: The section `apply`.
        bundles: The models.
        parts: Folder of the parts.
        folder: The map's folder, published whole.
        manifest: JSON to write: file → SHA-256.
    """
    found: dict[str, list[tuple[int, int, Path]]] = defaultdict(list)
    for path in manifests:
        for part in read_json(path)["parts"]:
            first, last = part["rows"]
            if first < last:
                found[part["image"]].append((first, last, parts / part["folder"]))
    model = read_bundle(bundles[0])
    ordered = {image: sorted(found[image]) for image in found}
    with publish_directory(folder) as unfinished, tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for place in ("images", "maps"):
            (work / place).mkdir()
        window, facts = resolved_window(model, settings.predict), describe_images(images, settings, work / "images")
        around = surroundings(facts, [one.id for one in facts], margin_of(model, settings, window))
        assembly = Assembly(name, facts, around, ordered, model, bundles, window, settings, unfinished, folder)
        if model.task == DETECTION:
            assemble_boxes(assembly)
        else:
            assemble_rasters(assembly, work / "maps")
        files = {str(path.relative_to(unfinished)): sha256(path) for path in files_in(unfinished)}
    write_json(manifest, {"files": files})
