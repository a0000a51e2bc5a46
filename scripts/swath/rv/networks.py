"""Networks, by task, in Raster Vision's words: with random weights, for Swath loads others from files itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import JsonValue
from rastervision.pytorch_learner import SemanticSegmentationModelConfig
from rastervision.pytorch_learner.classification_learner_config import ClassificationModelConfig
from rastervision.pytorch_learner.learner_config import ModelConfig
from rastervision.pytorch_learner.object_detection_learner_config import ObjectDetectionModelConfig

from swath.config.library_names import EXTERNAL
from swath.config.model import Model
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task


@dataclass(frozen=True)
class NetworkShape:
    """A network's inputs and outputs.

    Attributes:
        bands: Number of input channels.
        classes: Number of classes, the null class included.
        size: Width and height of the chips in pixels.
    """

    bands: int
    classes: int
    size: int


@dataclass(frozen=True)
class InputScaling:
    """What a network's first layer makes of values of 0..1: (value − mean) / std, channel by channel."""

    mean: list[float]
    std: list[float]


class Networks(ABC):
    """The networks of a task.

    Attributes:
        config: Raster Vision's config of them.
        background: Outputs that a network has before those of the classes.
    """

    config: type[ModelConfig]
    background: int = 0

    def describe(self, model: Model, shape: NetworkShape, definition: str, expects: InputScaling | None) -> ModelConfig:
        """Describe a network.

        Args:
            model: The `model` settings.
            shape: Its inputs and outputs.
            definition: Folder with ``hubconf.py``; it travels in the bundle.
            expects: What first weights expect of the network's input, if that is known.
        """
        if model.architecture != EXTERNAL:
            return self.describe_known(model, shape, definition, {"expects": asdict(expects)} if expects else {})
        values = {"{classes}": shape.classes + self.background, "{bands}": shape.bands, "{size}": shape.size}
        arguments = {name: _filled(value, values) for name, value in model.arguments.items()}
        return self.defined(definition, str(model.entrypoint), arguments)

    @abstractmethod
    def describe_known(
        self, model: Model, shape: NetworkShape, definition: str, expects: dict[str, JsonValue]
    ) -> ModelConfig:
        """Describe one of the networks that Swath knows; see :meth:`describe`.

        Args:
            model, shape, definition: As there.
            expects: The argument `expects` of ``hubconf.py``'s functions, if there is something to expect.
        """

    def of_torchvision(self, model: Model) -> ModelConfig:
        """Describe a network that Raster Vision takes from torchvision."""
        return self.config(backbone=model.encoder, pretrained=False, extra_args=model.arguments)

    def of_raster_vision(
        self, model: Model, task: Task, shape: NetworkShape, definition: str, expects: dict[str, JsonValue]
    ) -> ModelConfig:
        """Describe the same, with what first weights expect of its input in front of it, if they expect something."""
        if not expects:
            return self.of_torchvision(model)
        arguments = {
            "task": task,
            "backbone": model.encoder,
            "in_channels": shape.bands,
            "classes": shape.classes,
            **expects,
            **model.arguments,
        }
        return self.defined(definition, "raster_vision_model", arguments)

    def defined(self, definition: str, entrypoint: str, arguments: dict[str, JsonValue]) -> ModelConfig:
        """Describe a network that a ``hubconf.py`` builds."""
        external = {"uri": definition, "name": "swath", "entrypoint": entrypoint, "entrypoint_kwargs": arguments}
        return self.config(pretrained=False, external_def=external)


class SegmentationNetworks(Networks):
    """DeepLabV3, and what segmentation-models-pytorch has."""

    config = SemanticSegmentationModelConfig

    def describe_known(
        self, model: Model, shape: NetworkShape, definition: str, expects: dict[str, JsonValue]
    ) -> ModelConfig:
        """Describe torchvision's DeepLabV3, or a network of segmentation-models-pytorch by its hubconf.py."""
        if model.architecture == "deeplabv3":
            return self.of_raster_vision(model, SEGMENTATION, shape, definition, expects)
        arguments = {
            "architecture": model.architecture.removeprefix("smp-"),
            "encoder": model.encoder,
            "in_channels": shape.bands,
            "classes": shape.classes,
            **expects,
            **model.arguments,
        }
        return self.defined(definition, "segmentation_model", arguments)


class DetectionNetworks(Networks):
    """Faster R-CNN."""

    config = ObjectDetectionModelConfig
    background = 1  # torchvision's detectors have theirs first

    def describe_known(
        self, model: Model, shape: NetworkShape, definition: str, expects: dict[str, JsonValue]
    ) -> ModelConfig:
        """Describe torchvision's Faster R-CNN: Raster Vision's on a ResNet, or one on a network of timm.

        Raster Vision's own scales its input as torchvision's weights expect it.
        """
        if not model.encoder.startswith("tu-"):
            return self.of_torchvision(model)
        arguments = {
            "encoder": model.encoder.removeprefix("tu-"),
            "in_channels": shape.bands,
            "classes": shape.classes + self.background,
            "size": shape.size,
            **expects,
            **model.arguments,
        }
        return self.defined(definition, "detection_model", arguments)


class ClassificationNetworks(Networks):
    """ResNets, and what timm has."""

    config = ClassificationModelConfig

    def describe_known(
        self, model: Model, shape: NetworkShape, definition: str, expects: dict[str, JsonValue]
    ) -> ModelConfig:
        """Describe a ResNet of torchvision, or a network of timm by its hubconf.py."""
        if not model.encoder.startswith("tu-"):
            return self.of_raster_vision(model, CLASSIFICATION, shape, definition, expects)
        arguments = {
            "encoder": model.encoder.removeprefix("tu-"),
            "in_channels": shape.bands,
            "classes": shape.classes,
            **expects,
            **model.arguments,
        }
        return self.defined(definition, "classification_model", arguments)


NETWORKS: Mapping[Task, Networks] = {
    SEGMENTATION: SegmentationNetworks(),
    DETECTION: DetectionNetworks(),
    CLASSIFICATION: ClassificationNetworks(),
}


def _filled(value: Any, values: Mapping[str, int]) -> Any:
    """Put numbers in the place of placeholders, also within lists."""
    if isinstance(value, list):
        return [_filled(entry, values) for entry in value]
    return values.get(value, value) if isinstance(value, str) else value
