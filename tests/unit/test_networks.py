"""Networks: a null class that never speaks, and arguments that reach the architecture."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch
from rastervision.pytorch_learner.object_detection_learner_config import ObjectDetectionModelConfig
from torch.nn import BatchNorm2d
from torchvision.models.segmentation import deeplabv3_resnet50

from swath.networks.architectures.hubconf import segmentation_model
from swath.training.learner import let_all_layers_learn, silence_null_class


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


def test_a_detector_that_learned_from_scratch_is_raster_visions() -> None:
    config = ObjectDetectionModelConfig(backbone="resnet18", pretrained=False)
    theirs, ours = (config.build_default_model(1, 3, 64) for _ in range(2))
    assert not theirs.backbone.body.conv1.weight.requires_grad
    let_all_layers_learn(ours)
    assert all(parameter.requires_grad for parameter in ours.parameters())
    norms = [module for module in ours.modules() if isinstance(module, BatchNorm2d)]
    assert len(norms) == 20
    ours.train().backbone(torch.rand(4, 3, 64, 64))  # moves the statistics
    assert norms[0].running_mean.abs().max() > 0
    theirs.load_state_dict(ours.state_dict())
    images = [torch.rand(3, 64, 64)]
    with torch.inference_mode():
        for one, other in zip(
            ours.eval().backbone(images[0][None]).values(),
            theirs.eval().backbone(images[0][None]).values(),
            strict=True,
        ):
            assert torch.allclose(one, other, atol=1e-5)
