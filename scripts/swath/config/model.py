"""`model`: architecture and backbone."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from swath.config.base import Section
from swath.config.names import ARCHITECTURES, ENCODERS, TORCHVISION_BACKBONES
from swath.errors import did_you_mean


class Model(Section):
    """The network."""

    architecture: str = "unet"
    """`deeplabv3` (torchvision's, as Raster Vision has it), or one of segmentation-models-pytorch: unet,
    unetplusplus, manet, linknet, fpn, pspnet, pan, deeplabv3plus, upernet, segformer, dpt, smp-deeplabv3."""

    encoder: str = "resnet18"
    """The backbone: resnet50 or resnet101 with `deeplabv3`; else any encoder of segmentation-models-pytorch,
    or `tu-` and the name of any timm model."""

    weights: Literal["none", "imagenet"] = "none"
    """The encoder's first weights: random, or ImageNet's (downloaded by torch when training starts)."""

    arguments: dict[str, Any] = {}
    """Further arguments of the architecture, such as `encoder_depth: 4`."""

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        if self.architecture == "deeplabv3":
            if self.encoder not in TORCHVISION_BACKBONES:
                raise ValueError(
                    f"encoder {self.encoder!r} does not go with deeplabv3; takes {' or '.join(TORCHVISION_BACKBONES)}"
                )
            return self
        if self.architecture not in ARCHITECTURES:
            hint = did_you_mean(self.architecture, ["deeplabv3", *ARCHITECTURES])
            raise ValueError(f"unknown architecture {self.architecture!r}; {hint}")
        if self.encoder not in ENCODERS and not self.encoder.startswith("tu-"):
            raise ValueError(f"unknown encoder {self.encoder!r}; {did_you_mean(self.encoder, ENCODERS)}")
        return self
