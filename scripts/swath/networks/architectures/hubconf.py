"""Networks of segmentation-models-pytorch, timm and torchvision, in the form torch.hub and Raster Vision bundle.

The argument `expects` of each is what first weights expect of their input: `mean` and `std`, one per channel. The
network then begins with (value - mean) / std, so that it takes the same values, 0..1, as one from scratch.
"""

dependencies = ["torch", "torchvision", "segmentation_models_pytorch", "timm", "rastervision"]


def segmentation_model(architecture, encoder, in_channels, classes, expects=None, **arguments):
    """Build a network: input (N, in_channels, H, W) float32 in 0..1, output (N, classes, H, W) logits."""
    import segmentation_models_pytorch

    network = segmentation_models_pytorch.create_model(
        architecture,
        encoder_name=encoder,
        encoder_weights=None,
        in_channels=in_channels,
        classes=classes,
        **arguments,
    )
    return _expecting(network, expects)


def classification_model(encoder, in_channels, classes, expects=None, **arguments):
    """Build a network: input (N, in_channels, H, W) float32 in 0..1, output (N, classes) logits."""
    import timm

    network = timm.create_model(encoder, pretrained=False, in_chans=in_channels, num_classes=classes, **arguments)
    return _expecting(network, expects)


def raster_vision_model(task, backbone, in_channels, classes, expects, **arguments):
    """Build the network that Raster Vision takes from torchvision: DeepLabV3, or a ResNet with a last layer."""
    from rastervision.pytorch_learner import ClassificationModelConfig, SemanticSegmentationModelConfig

    kinds = {
        "semantic_segmentation": SemanticSegmentationModelConfig,
        "chip_classification": ClassificationModelConfig,
    }
    config = kinds[task](backbone=backbone, pretrained=False, extra_args=arguments)
    return _expecting(config.build_default_model(num_classes=classes, in_channels=in_channels), expects)


def detection_model(encoder, in_channels, classes, size, expects=None, img_size=None, anchor_sizes=None, **arguments):
    """Build torchvision's Faster R-CNN on a feature pyramid over the last four scales of a timm network.

    Args:
        encoder: timm's name of a network that gives feature maps.
        in_channels: Number of bands.
        classes: Number of outputs, the background included.
        size: Width and height that images are brought to, pixels.
        expects: What first weights expect of their input.
        img_size: Width and height of images, for an encoder that is made for one size.
        anchor_sizes: Sides of the squares that boxes are looked for around, in pixels: one for each of the five maps,
            from the finest on; torchvision's are 32, 64, 128, 256 and 512.
        arguments: Of torchvision's FasterRCNN.
    """
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    if anchor_sizes is not None:
        if len(anchor_sizes) != 5:
            raise ValueError(f"anchor_sizes has {len(anchor_sizes)} sizes, one for each of five maps is needed")
        arguments["rpn_anchor_generator"] = AnchorGenerator(
            tuple((side,) for side in anchor_sizes), ((0.5, 1.0, 2.0),) * len(anchor_sizes)
        )

    expects = expects or {"mean": [0.0] * in_channels, "std": [1.0] * in_channels}
    return FasterRCNN(
        _feature_pyramid(encoder, in_channels, {} if img_size is None else {"img_size": img_size}),
        num_classes=classes,
        min_size=size,
        max_size=size,
        image_mean=expects["mean"],
        image_std=expects["std"],
        **arguments,
    )


def _feature_pyramid(encoder, in_channels, of_encoder):
    from collections import OrderedDict
    from functools import partial

    import timm
    from torch import nn
    from torchvision.ops import FeaturePyramidNetwork
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

    class FeaturePyramid(nn.Module):
        out_channels = 256

        def __init__(self):
            super().__init__()
            build = partial(
                timm.create_model, encoder, pretrained=False, features_only=True, in_chans=in_channels, **of_encoder
            )
            self.body = build(out_indices=tuple(range(len(build().feature_info)))[-4:])
            self.fpn = FeaturePyramidNetwork(
                self.body.feature_info.channels(), self.out_channels, extra_blocks=LastLevelMaxPool()
            )
            # some networks keep the bands innermost
            self.innermost = getattr(self.body, "output_fmt", None) == "NHWC"

        def forward(self, images):
            maps = self.body(images)
            if self.innermost:
                maps = [one.permute(0, 3, 1, 2).contiguous() for one in maps]
            return self.fpn(OrderedDict((str(place), one) for place, one in enumerate(maps)))

    return FeaturePyramid()


def _expecting(network, expects):
    """Put what first weights expect of their input in front of a network."""
    if expects is None:
        return network
    import torch
    from torch import nn

    class Expecting(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = network
            for name in ("mean", "std"):
                value = torch.tensor(expects[name], dtype=torch.float32)[:, None, None]
                self.register_buffer(name, value, persistent=False)

        def forward(self, images):
            return self.model((images - self.mean) / self.std)

    return Expecting()
