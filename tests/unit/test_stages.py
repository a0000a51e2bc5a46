"""Which part of an encoder its first stages are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import segmentation_models_pytorch as smp
import timm
from rastervision.pytorch_learner.object_detection_learner_config import ObjectDetectionModelConfig
from torch import nn
from torchvision.models.segmentation import deeplabv3_resnet50

from swath.errors import UserError
from swath.networks.architectures.hubconf import detection_model
from swath.training.stages import first_stages
from swath.training.weights import encoder_of

NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "ResNet of segmentation-models-pytorch": (lambda: smp.Unet("resnet18", encoder_weights=None), "layer1.", "layer2."),
    "ResNet of timm": (lambda: smp.Unet("tu-resnet18", encoder_weights=None), "layer1.", "layer2."),
    "EfficientNet of timm": (
        lambda: smp.Unet("tu-tf_efficientnet_lite0", encoder_weights=None),
        "blocks.0.",
        "blocks.1.",
    ),
    "ConvNeXt of timm": (lambda: smp.Unet("tu-convnext_atto", encoder_weights=None), "stages_0.", "stages_1."),
    "Swin of timm": (
        lambda: smp.Unet("tu-swin_tiny_patch4_window7_224", encoder_weights=None, img_size=64),
        "layers_0.",
        "layers_1.",
    ),
    "classifier of timm": (
        lambda: timm.create_model("tf_efficientnet_lite0", num_classes=3),
        "blocks.0.",
        "blocks.1.",
    ),
    "detector": (lambda: detection_model("tf_efficientnet_lite0", 3, 2, 64), "blocks.1.", "blocks.2."),
    "detector of Raster Vision": (
        lambda: ObjectDetectionModelConfig(backbone="resnet18", pretrained=False).build_default_model(1, 3, 64),
        "layer1.",
        "layer2.",
    ),
    "DeepLabV3 of torchvision": (
        lambda: deeplabv3_resnet50(weights=None, weights_backbone=None, aux_loss=True),
        "layer1.",
        "layer2.",
    ),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_first_stage_is_all_that_comes_before_the_second(kind: str) -> None:
    """With whatever lies directly in it, such as scales and position tables; and in modules that can be set to rest."""
    build, first, second = NETWORKS[kind]
    encoder = encoder_of(build())
    stage = first_stages(encoder, 1)
    inside = {id(parameter) for parameter in stage.parameters}
    names = {name: id(parameter) in inside for name, parameter in encoder.named_parameters()}
    of_first = [frozen for name, frozen in names.items() if f".{first}" in f".{name}"]
    of_second = [frozen for name, frozen in names.items() if f".{second}" in f".{name}"]
    assert all(of_first) and of_first
    assert not any(of_second) and of_second
    assert list(names.values()) == sorted(names.values(), reverse=True)  # what comes before is frozen as well
    in_modules = {id(parameter) for module in stage.modules for parameter in module.parameters()}
    beside = inside - in_modules
    assert in_modules <= inside
    assert len(beside) <= 2  # a position table of the network itself
    assert len(first_stages(encoder, 2).parameters) > len(stage.parameters)


def test_position_tables_of_a_vision_transformer_stay_as_they_are() -> None:
    network = timm.create_model("vit_tiny_patch16_224", num_classes=3)
    inside = {id(parameter) for parameter in first_stages(network, 2).parameters}
    assert {id(network.pos_embed), id(network.cls_token), id(network.blocks[1].attn.qkv.weight)} <= inside
    assert id(network.blocks[2].attn.qkv.weight) not in inside


@pytest.mark.parametrize("encoder", ["mit_b0", "inceptionresnetv2", "xception", "vgg11", "densenet121"])
def test_stages_are_not_guessed(encoder: str) -> None:
    with pytest.raises(UserError, match="no stages that are known"):
        first_stages(encoder_of(smp.Unet(encoder, encoder_weights=None)), 1)


def test_too_many_stages_are_refused() -> None:
    with pytest.raises(UserError, match="at most 4"):
        first_stages(encoder_of(smp.Unet("resnet18", encoder_weights=None)), 9)
    assert first_stages(nn.Sequential(nn.Conv2d(3, 3, 1)), 0).parameters == []
