"""Which part of an encoder its first stages are."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import timm
from rastervision.pytorch_learner.object_detection_learner_config import ObjectDetectionModelConfig
from torch import nn

from swath.errors import UserError
from swath.networks.architectures.hubconf import detection_model
from swath.training.stages import first_stages
from swath.training.weights import encoder_of

NETWORKS = {
    "ResNet of segmentation-models-pytorch": lambda: smp.Unet("resnet18", encoder_weights=None),
    "ResNet of timm": lambda: smp.Unet("tu-resnet18", encoder_weights=None),
    "EfficientNet of timm": lambda: smp.Unet("tu-tf_efficientnet_lite0", encoder_weights=None),
    "classifier of timm": lambda: timm.create_model("tf_efficientnet_lite0", num_classes=3),
    "detector": lambda: detection_model("tf_efficientnet_lite0", 3, 2, 64),
    "detector of Raster Vision": lambda: ObjectDetectionModelConfig(
        backbone="resnet18", pretrained=False
    ).build_default_model(1, 3, 64),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_more_stages_hold_more_of_the_encoder_and_never_its_end(kind: str) -> None:
    encoder = encoder_of(NETWORKS[kind]())
    sizes = [parameters_in(first_stages(encoder, number)) for number in (0, 1, 2, 3)]
    whole = sum(parameter.numel() for parameter in encoder.parameters())
    assert sizes[0] == 0 < sizes[1] < sizes[2] < sizes[3] < whole
    bands = next(module for module in encoder.modules() if isinstance(module, nn.Conv2d))
    assert bands in first_stages(encoder, 1)


def parameters_in(modules: list[nn.Module]) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_too_many_stages_are_refused() -> None:
    with pytest.raises(UserError, match="at most 4"):
        first_stages(encoder_of(smp.Unet("resnet18", encoder_weights=None)), 9)
    with pytest.raises(UserError, match="freeze_stages"):
        first_stages(nn.Sequential(nn.Conv2d(3, 3, 1)), 1)
