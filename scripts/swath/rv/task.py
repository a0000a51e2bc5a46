"""What differs between the tasks: how labels, chips, networks and predictions look in Raster Vision and in files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rastervision.core.box import Box
from rastervision.core.data import ClassConfig, LabelSourceConfig, LabelStoreConfig, Scene
from rastervision.core.data.label import Labels
from rastervision.core.rv_pipeline import ChipOptions, PredictOptions, RVPipelineConfig
from rastervision.pytorch_backend.pytorch_learner_backend_config import PyTorchLearnerBackendConfig
from rastervision.pytorch_learner.learner_config import ImageDataConfig, ModelConfig

from swath.config.classes import NULL_CLASS_ID
from swath.scenes.manifest import SceneFacts

FOR_RASTER_VISION = "raster-vision.json"
"""Boxes or cells of a predicted scene, as Raster Vision reads them."""


@dataclass(frozen=True)
class SceneOptions:
    """What turns a scene's facts into a Raster Vision scene.

    Attributes:
        task: The experiment's task.
        imagery: The `imagery` settings.
        stats: Path of stats.json, or None when values stay as they are.
        labels: The `labels` settings, where labels are read.
        unlabelled: Class id of what lies outside every label.
        cell: Chip classification: side of a cell in pixels, where labels are read.
    """

    task: str
    imagery: Mapping[str, Any]
    stats: str | None
    labels: Mapping[str, Any] = field(default_factory=dict)
    unlabelled: int = NULL_CLASS_ID
    cell: int | None = None


@dataclass(frozen=True)
class Prediction:
    """A predicted scene, about to become files.

    Attributes:
        facts: The scene's facts.
        scene: The scene, as Raster Vision built it; its label store writes to a temporary folder.
        labels: Raster Vision's predicted labels.
        class_config: Names of the classes.
        colours: Colours by class id.
        bands: 0-based indices of the bands the model sees.
        window: The resolved prediction window.
    """

    facts: SceneFacts
    scene: Scene
    labels: Labels
    class_config: ClassConfig
    colours: Sequence[str]
    bands: Sequence[int]
    window: Mapping[str, Any]

    @property
    def classes(self) -> list[str]:
        """Class names by id."""
        return list(self.class_config.names)

    def save(self, labels: Labels, folder: Path) -> None:
        """Write labels of boxes or cells as the GeoJSON that Raster Vision reads."""
        path, crs_transformer = str(folder / FOR_RASTER_VISION), self.scene.raster_source.crs_transformer
        labels.save(path, class_config=self.class_config, crs_transformer=crs_transformer)


class Task(ABC):
    """One of Raster Vision's tasks.

    Attributes:
        pipeline, backend, data, model: Raster Vision's configs for it.
        ignores_null: Whether training and evaluation leave something out that carries no label.
        candidates: What is otherwise in the prediction window, so that evaluation sees what the threshold leaves out.
        background: Outputs that a network has before those of the classes.
    """

    pipeline: type[RVPipelineConfig]
    backend: type[PyTorchLearnerBackendConfig]
    data: type[ImageDataConfig]
    model: type[ModelConfig]
    candidates: Mapping[str, Any] = MappingProxyType({})
    background: int = 0
    ignores_null: bool = True

    @abstractmethod
    def label_source(self, facts: SceneFacts, options: SceneOptions) -> LabelSourceConfig:
        """Describe where a scene's labels come from."""

    @abstractmethod
    def label_store(self, folder: str, window: Mapping[str, Any] | None = None) -> LabelStoreConfig:
        """Describe where a scene's predictions lie: a folder of the scene's own."""

    @abstractmethod
    def chip_options(self, chips: Mapping[str, Any], facts: SceneFacts, classes: Sequence[str]) -> ChipOptions:
        """Turn the `chips` settings into Raster Vision's, for one scene."""

    def prepare_scene(self, scene: Scene, chips: ChipOptions, options: SceneOptions) -> Sequence[Box] | None:
        """Get a scene ready to be cut.

        Returns:
            The windows to cut, where they are not to be sampled.
        """
        return None

    @abstractmethod
    def predict_options(self, window: Mapping[str, Any], batch_size: int) -> PredictOptions:
        """Turn the resolved prediction window into Raster Vision's options."""

    @abstractmethod
    def model_config(self, model: Mapping[str, Any], bands: int, classes: int, definition: str) -> ModelConfig:
        """Describe the network with random weights: Swath loads others from files, so that no stage needs the network.

        Args:
            model: The `model` settings.
            bands: Number of input channels.
            classes: Number of classes, the null class included.
            definition: Folder with ``hubconf.py``; it travels in the bundle.
        """

    def external_config(
        self, model: Mapping[str, Any], bands: int, classes: int, size: int, definition: str
    ) -> ModelConfig:
        """Describe a network of the user's own, with random weights.

        Args:
            model: The `model` settings.
            bands: Number of input channels.
            classes: Number of classes, the null class included.
            size: Width and height of the chips in pixels.
            definition: Folder with ``hubconf.py``; it travels in the bundle.
        """
        values = {"{classes}": classes + self.background, "{bands}": bands, "{size}": size}
        arguments = {name: _filled(value, values) for name, value in model["arguments"].items()}
        return self.model(pretrained=False, external_def=external_model(definition, model["entrypoint"], arguments))

    @abstractmethod
    def adopt_chips(self, cut: Path, scene: str, target: Path, classes: Sequence[str]) -> int:
        """Move one scene's chips to where all scenes' are, under the scene's name; return how many.

        Args:
            cut: Raster Vision's folder of the chips of one split.
            scene: The scene's id.
            target: The folder of the split's chips.
            classes: Class names by id.
        """

    @abstractmethod
    def join_chips(self, folder: Path) -> None:
        """Bring a split's chips of all scenes into the form that Raster Vision reads."""

    @abstractmethod
    def count_chips(self, folder: Path) -> int:
        """Count a split's chips."""

    @abstractmethod
    def write_products(self, prediction: Prediction, folder: Path) -> None:
        """Write a scene's predictions as maps or tables."""

    @abstractmethod
    def metrics(
        self, result: Mapping[str, Any], scenes: Sequence[Scene], maps: Mapping[str, Path], classes: Sequence[str]
    ) -> dict[str, Any]:
        """Compute the metrics that matter.

        Args:
            result: The content of Raster Vision's eval.json.
            scenes: The evaluated scenes, as Raster Vision built them.
            maps: Scene id → folder of its maps.
            classes: Class names by id, the null class first.

        Returns:
            ``overall`` and, by scene id, ``scenes``: `macro_f1` (mean over the classes that occur in the labels), `f1`,
            `precision`, `recall` by class (None where undefined), `labelled` (how many) and what is the task's own.
        """


def renamed(files: Sequence[Path], scene: str, target: Path) -> dict[str, str]:
    """Move chips to a folder as ``<scene>-<number>``, in the order Raster Vision cut them; old name → new name."""
    target.mkdir(parents=True, exist_ok=True)
    names = {}
    for file in sorted(files, key=lambda file: int(file.stem.rpartition("-")[2])):
        number = int(file.stem.rpartition("-")[2])
        names[file.name] = f"{scene}-{number:05d}{file.suffix}"
        file.rename(target / names[file.name])
    return names


def sampling_options(chips: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the `chips` settings into Raster Vision's options for sampling windows."""
    options = {"method": chips["sampling"], "size": chips["size"], "within_aoi": chips["within_aoi"]}
    if chips["sampling"] == "random":
        return options | {"max_windows": chips["per_scene"], "padding": chips["padding"]}
    return options | {"stride": chips["stride"] or chips["size"]}


def _filled(value: Any, values: Mapping[str, int]) -> Any:
    """Put numbers in the place of placeholders, also within lists."""
    if isinstance(value, list):
        return [_filled(entry, values) for entry in value]
    return values.get(value, value) if isinstance(value, str) else value


def external_model(definition: str, entrypoint: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a network that a ``hubconf.py`` builds."""
    return {
        "uri": definition,
        "name": "swath",
        "entrypoint": entrypoint,
        "entrypoint_kwargs": dict(arguments),
    }
