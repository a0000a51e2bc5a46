"""Networks: a null class that never speaks, and arguments that reach the architecture."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch
from torchvision.models.segmentation import deeplabv3_resnet50

from swath.training.architectures.hubconf import segmentation_model
from swath.training.learner import silence_null_class


@pytest.mark.parametrize("architecture", ["unet", "fpn", "deeplabv3plus", "segformer", "linknet"])
def test_the_null_class_is_never_predicted(architecture: str) -> None:
    network = segmentation_model(architecture, "resnet18", in_channels=5, classes=4)
    silence_null_class(network, 4)
    with torch.inference_mode():
        output = network.eval()(torch.rand(1, 5, 64, 64))
    assert output.shape == (1, 4, 64, 64)
    assert output.softmax(1)[:, 0].max() == 0


def test_the_null_class_is_never_predicted_by_torchvision_either() -> None:
    network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=3)
    silence_null_class(network, 3)
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 3, 64, 64))["out"].softmax(1)[:, 0].max() == 0


def test_arguments_reach_the_architecture() -> None:
    network = segmentation_model("unet", "mobilenet_v2", 3, 2, encoder_depth=3, decoder_channels=(8, 8, 8))
    assert isinstance(network, smp.Unet)
    assert len(network.decoder.blocks) == 3
