"""What a bundle says of its model: the window it was bundled with, and what the training scenes were like."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swath.config.classes import NULL_CLASS, NULL_CLASS_ID
from swath.config.experiment import DEEPEST, divisor_of_windows
from swath.config.imagery import Imagery
from swath.config.predict import Predict, Window
from swath.config.records import of_json
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.errors import Problem, UserError
from swath.scenes.facts import SceneImage
from swath.scenes.manifest import channel_order

DESCRIPTION = "swath.json"
"""What Swath adds to Raster Vision's bundle."""
PIPELINE, STATISTICS = "pipeline-config.json", "analyze/stats/train_scenes/stats.json"
TASKS: dict[str, Task] = {
    "semantic_segmentation": SEGMENTATION,
    "object_detection": DETECTION,
    "chip_classification": CLASSIFICATION,
}
"""Raster Vision's kinds of pipelines."""

OF_TASK = {
    SEGMENTATION: ("chip_size", "stride", "crop", "smooth", "flips", "scores", "uncertainty", "mixed_precision"),
    DETECTION: ("chip_size", "stride", "score_threshold", "merge_threshold"),
    CLASSIFICATION: ("chip_size", "flips", "mixed_precision"),
}
"""Settings of `predict` that a task has."""


@dataclass(frozen=True)
class TrainedOn:
    """What the training scenes of a model were like.

    Attributes:
        bands: Names of the bands that the model sees, as far as the first scene's had some.
        dtypes: Types of pixels.
        metres: The smallest and the largest side of a pixel on the ground.
        crs: Coordinate reference systems, as WKT.
        nodata: Nodata values as text; none where a scene declares none.
        scaling: Scale and offset of the bands that the model sees, in the first scene.
    """

    bands: tuple[str | None, ...]
    dtypes: tuple[str, ...]
    metres: tuple[float, float]
    crs: tuple[str, ...]
    nodata: tuple[str, ...]
    scaling: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ModelDescription:
    """What Swath adds to a bundle.

    Attributes:
        imagery: The `imagery` settings that the model was trained with.
        window: The resolved prediction window.
        background: Id of the class that lies outside every label; the null class's if there is none.
        channels_last, deterministic: How the training computed.
        trained_on: The training scenes.
    """

    imagery: Imagery
    window: Window
    background: int
    channels_last: bool
    deterministic: bool
    trained_on: TrainedOn


@dataclass(frozen=True)
class BundledModel:
    """A bundle, as far as its texts tell.

    Attributes:
        path: The zip.
        task: The task.
        classes: Class names; the null class first.
        colours: Their colours.
        order: The model's own number of each of these classes; None for a null class that it does not know.
        window: The prediction window.
        bands: 0-based indices of the bands in the images that the model was trained on; None for all.
        channels: How many bands the model sees; None if that is not said.
        network: Name of the network, as far as it is said.
        divisor: What the sides of windows must be divisible by.
        description: What Swath has added; None in a bundle that Raster Vision itself has made.
        statistics: Mean and standard deviation of every band the model sees; empty without.
    """

    path: str
    task: Task
    classes: tuple[str, ...]
    colours: tuple[str, ...]
    order: tuple[int | None, ...]
    window: Window
    bands: tuple[int, ...] | None
    channels: int | None
    network: str
    divisor: int
    description: ModelDescription | None
    statistics: tuple[tuple[float, float], ...] = ()

    def wanted_bands(self, said: Sequence[str | int] | None) -> Sequence[str | int] | None:
        """Return the bands that are read of a new image, by name or 1-based number; None for all.

        Args:
            said: Those that the user names.
        """
        if said is not None:
            return said
        if self.description:
            return self.description.imagery.bands
        return None if self.bands is None else [index + 1 for index in self.bands]

    @property
    def background(self) -> int:
        """Id of the class that lies outside every label; the null class's if that is not known."""
        return self.description.background if self.description else NULL_CLASS_ID


def describe_scenes(scenes: Sequence[SceneImage], imagery: Imagery, metres: Sequence[float]) -> TrainedOn:
    """Say what training scenes are like.

    Args:
        scenes: The scenes.
        imagery: Says which bands the model sees.
        metres: The side of each scene's pixels.
    """
    first = scenes[0]
    seen = channel_order(first, imagery.bands)
    declared = {value for scene in scenes for value in scene.nodata_of_bands if value is not None}
    return TrainedOn(
        bands=tuple(first.bands[index] for index in seen),
        dtypes=tuple(sorted({scene.dtype for scene in scenes})),
        metres=(min(metres), max(metres)),
        crs=tuple(sorted({scene.crs for scene in scenes})),
        nodata=tuple(sorted(declared)),
        scaling=tuple(first.scaling[index] for index in seen),
    )


def read_bundle(path: str | Path) -> BundledModel:
    """Read what a bundle says of its model: Swath's, or one that Raster Vision itself has made.

    Raises:
        UserError: For a file that is no such bundle.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            texts = {
                name: json.loads(archive.read(name))
                for name in (PIPELINE, DESCRIPTION, STATISTICS, "learner-config.json")
                if name in names
            }
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(_no_bundle(path, f"no zip that can be read: {error}")) from None
    if PIPELINE not in texts:
        inside = "a train bundle, which says nothing of windows and bands" if "learner-config.json" in names else ""
        raise UserError(_no_bundle(path, inside or f"a zip without {PIPELINE}"))
    try:
        return _of_texts(str(path), texts)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise UserError(_no_bundle(path, f"a {PIPELINE} without {error}")) from None


def _no_bundle(path: str | Path, found: str) -> Problem:
    expected = "a bundle: what the stage `bundle` of Swath or Raster Vision makes"
    return Problem("bundle_unusable", str(path), "apply.model", found, expected, "name its bundle/model-bundle.zip")


def _of_texts(path: str, texts: dict[str, Any]) -> BundledModel:
    config = texts[PIPELINE]
    if config["type_hint"] not in TASKS:
        raise UserError(_no_bundle(path, f"a pipeline of the kind {config['type_hint']!r}"))
    task = TASKS[config["type_hint"]]
    scene = template(config)
    source = scene["raster_source"]
    if source["type_hint"] != "rasterio_source":
        cure = "predict with `rastervision predict`, or train on one raster per scene"
        found = f"a model of several sources per scene ({source['type_hint']})"
        raise UserError(Problem("bundle_unusable", path, "apply.model", found, "one raster per scene", cure))
    named = config["dataset"]["class_config"]
    names, colours, null = list(named["names"]), list(named["colors"]), named.get("null_class")
    own = list(range(len(names)))
    order: list[int | None] = [names.index(null) if null in names else None, *own]
    order = [order[0], *(number for number in own if number != order[0])]
    description = of_json(ModelDescription, texts[DESCRIPTION]) if DESCRIPTION in texts else None
    measured = texts.get(STATISTICS, {})
    bands = source.get("channel_order")
    return BundledModel(
        path=path,
        task=task,
        classes=(NULL_CLASS, *(names[number] for number in order[1:] if number is not None)),
        colours=("#000000", *(_as_text(colours[number]) for number in order[1:] if number is not None)),
        order=tuple(order),
        window=description.window if description else _window(task, config, scene),
        bands=None if bands is None else tuple(bands),
        channels=config["backend"]["data"].get("img_channels") or (len(bands) if bands else None),
        network=_network(config["backend"]["model"]),
        divisor=_divisor(config["backend"]["model"]),
        description=description,
        statistics=tuple(zip(measured.get("means", ()), measured.get("stds", ()), strict=False)),
    )


def template(config: dict[str, Any]) -> dict[str, Any]:
    """Return the scene of a bundle's pipeline whose source says how images are read, as Raster Vision chooses it."""
    dataset = config["dataset"]
    scene: dict[str, Any] = (dataset["validation_scenes"] or dataset["train_scenes"])[0]
    return scene


def _network(model: dict[str, Any]) -> str:
    """Name a network: by architecture and encoder, or entrypoint, or backbone."""
    external = model.get("external_def") or {}
    arguments = external.get("entrypoint_kwargs") or {}
    if not external:
        return str(model.get("backbone"))
    words = (arguments.get("architecture") or external.get("entrypoint"), arguments.get("encoder"))
    return " ".join(str(word) for word in words if word)


def _divisor(model: dict[str, Any]) -> int:
    arguments = (model.get("external_def") or {}).get("entrypoint_kwargs") or {}
    return divisor_of_windows(str(arguments.get("architecture")), arguments.get("encoder_depth", DEEPEST))


def _as_text(colour: Any) -> str:
    """Write a colour as PIL reads it: Raster Vision has names, hexadecimal ones, and lists of numbers."""
    return colour if isinstance(colour, str) else "#{:02x}{:02x}{:02x}".format(*colour)


def _window(task: Task, config: dict[str, Any], scene: dict[str, Any]) -> Window:
    """Return the window that Raster Vision would take."""
    options = config["predict_options"]
    size = options["chip_sz"]
    stride = options.get("stride") or size
    if task == DETECTION:
        thresholds = {"score_threshold": options["score_thresh"], "merge_threshold": options["merge_thresh"]}
        return Window(chip_size=size, stride=options.get("stride") or size // 2, **thresholds)
    if task == CLASSIFICATION:
        return Window(chip_size=size, stride=size)
    crop = options.get("crop_sz")
    most = max((size - stride) // 2, 0)
    crop = most if crop == "auto" else min(crop or 0, most)
    return Window(
        chip_size=size, stride=stride, crop=crop, smooth=bool((scene.get("label_store") or {}).get("smooth_output"))
    )


def resolved_window(model: BundledModel, predict: Predict) -> Window:
    """Return a bundle's window, with what the user says differently.

    Args:
        model: The bundle.
        predict: The section of the config: only what stands in it counts.
    """
    said = {name: getattr(predict, name) for name in predict.model_fields_set if name in OF_TASK[model.task]}
    if model.task == CLASSIFICATION:
        said |= {"stride": said["chip_size"]} if "chip_size" in said else {}
        said.pop("crop", None)
    known = model.window
    size = said.get("chip_size") or known.chip_size
    if "chip_size" in said or "stride" in said:  # what was fit to another size does not hold
        said["stride"] = said.get("stride") or max(size // 2, 1)
    if said.get("crop") == "auto":
        del said["crop"]
    said = {name: None if value in ("none", False) and name != "smooth" else value for name, value in said.items()}
    window = known.model_copy(update={**said, "chip_size": size})
    if model.task != SEGMENTATION:
        return window
    most = 0 if window.smooth else max((size - window.stride) // 2, 0)
    follows = {"stride", "chip_size", "smooth"} & set(said) and "crop" not in said
    crop = most if follows else min(window.crop or 0, max((size - window.stride) // 2, 0))
    return window.model_copy(update={"crop": crop})
