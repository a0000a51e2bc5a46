"""Networks, by task, in Raster Vision's words: with random weights, for Swath loads others from files itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue
from rastervision.pytorch_learner import SemanticSegmentationModelConfig
from rastervision.pytorch_learner.classification_learner_config import ClassificationModelConfig
from rastervision.pytorch_learner.learner_config import ModelConfig
from rastervision.pytorch_learner.object_detection_learner_config import ObjectDetectionModelConfig

from swath.config.library_names import EXTERNAL
from swath.config.model import Model
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task


class Networks(ABC):
    """The networks of a task.

    Attributes:
        config: Raster Vision's config of them.
        background: Outputs that a network has before those of the classes.
    """

    config: type[ModelConfig]
    background: int = 0

    def describe(self, model: Model, bands: int, classes: int, size: int, definition: str) -> ModelConfig:
        """Describe a network.

        Args:
            model: The `model` settings.
            bands: Number of input channels.
            classes: Number of classes, the null class included.
            size: Width and height of the chips in pixels.
            definition: Folder with ``hubconf.py``; it travels in the bundle.
        """
        if model.architecture != EXTERNAL:
            return self.describe_known(model, bands, classes, definition)
        values = {"{classes}": classes + self.background, "{bands}": bands, "{size}": size}
        arguments = {name: _filled(value, values) for name, value in model.arguments.items()}
        return self.defined(definition, str(model.entrypoint), arguments)

    @abstractmethod
    def describe_known(self, model: Model, bands: int, classes: int, definition: str) -> ModelConfig:
        """Describe one of the networks that Swath knows; see :meth:`describe`."""

    def of_torchvision(self, model: Model) -> ModelConfig:
        """Describe a network that Raster Vision takes from torchvision."""
        return self.config(backbone=model.encoder, pretrained=False, extra_args=model.arguments)

    def defined(self, definition: str, entrypoint: str, arguments: dict[str, JsonValue]) -> ModelConfig:
        """Describe a network that a ``hubconf.py`` builds."""
        external = {"uri": definition, "name": "swath", "entrypoint": entrypoint, "entrypoint_kwargs": arguments}
        return self.config(pretrained=False, external_def=external)


class SegmentationNetworks(Networks):
    """DeepLabV3, and what segmentation-models-pytorch has."""

    config = SemanticSegmentationModelConfig

    def describe_known(self, model: Model, bands: int, classes: int, definition: str) -> ModelConfig:
        """Describe torchvision's DeepLabV3, or a network of segmentation-models-pytorch by its hubconf.py."""
        if model.architecture == "deeplabv3":
            return self.of_torchvision(model)
        arguments = {
            "architecture": model.architecture.removeprefix("smp-"),
            "encoder": model.encoder,
            "in_channels": bands,
            "classes": classes,
            **model.arguments,
        }
        return self.defined(definition, "segmentation_model", arguments)


class DetectionNetworks(Networks):
    """Faster R-CNN."""

    config = ObjectDetectionModelConfig
    background = 1  # torchvision's detectors have theirs first

    def describe_known(self, model: Model, bands: int, classes: int, definition: str) -> ModelConfig:
        """Describe torchvision's Faster R-CNN."""
        return self.of_torchvision(model)


class ClassificationNetworks(Networks):
    """ResNets, and what timm has."""

    config = ClassificationModelConfig

    def describe_known(self, model: Model, bands: int, classes: int, definition: str) -> ModelConfig:
        """Describe a ResNet of torchvision, or a network of timm by its hubconf.py."""
        if not model.encoder.startswith("tu-"):
            return self.of_torchvision(model)
        encoder = model.encoder.removeprefix("tu-")
        arguments = {"encoder": encoder, "in_channels": bands, "classes": classes, **model.arguments}
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
