"""The stages of an encoder, from the bands to the coarsest map: those that come first can be kept as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from swath.errors import Problem, UserError

RESNET = ("layer1", "layer2", "layer3", "layer4")
"""What torchvision's, segmentation-models-pytorch's and timm's ResNets call their stages."""


@dataclass(frozen=True)
class Stages:
    """A part of an encoder.

    Attributes:
        parameters: What is learned in it.
        modules: Its largest modules: those all of whose parameters are in it.
    """

    parameters: list[nn.Parameter] = field(default_factory=list)
    modules: list[nn.Module] = field(default_factory=list)


def first_stages(encoder: nn.Module, number: int) -> Stages:
    """Return an encoder's first stages, with whatever comes before them.

    Args:
        encoder: As :func:`swath.training.weights.encoder_of` finds it.
        number: How many stages.

    Raises:
        UserError: If so many stages are not known of.
    """
    if not number:
        return Stages()
    network = _innermost(encoder)
    ends = _ends(network)
    if number > len(ends):
        known = f"{len(ends)} stages" if ends else "no stages that are known"
        raise UserError(
            Problem(
                "setting_needs_another_network",
                "config",
                "train.freeze_stages",
                f"{number}, and {type(network).__name__} with {known}",
                f"at most {len(ends)}" if ends else "a ResNet, or an encoder of timm (`tu-…`)",
                "freeze fewer stages, or the whole encoder for some epochs: `train.freeze_encoder`",
            )
        )
    named = list(network.named_parameters())
    last = max(place for place, (name, _) in enumerate(named) if _is_in(name, ends[number - 1]))
    parameters = [parameter for _, parameter in named[: last + 1]]
    inside = {id(parameter) for parameter in parameters}
    return Stages(parameters, _largest_within(network, inside))


def _innermost(encoder: nn.Module) -> nn.Module:
    """Unwrap the network itself: feature pyramids have it as ``body``, segmentation-models-pytorch as ``model``."""
    for name in ("body", "model"):
        inner = getattr(encoder, name, None)
        if isinstance(inner, nn.Module):
            return _innermost(inner)
    return encoder


def _ends(network: Any) -> list[str]:
    """Name the module that ends each stage; one that only ends the stem is none."""
    known: Any = getattr(network, "feature_info", None)
    if all(hasattr(network, name) for name in RESNET[:-1]):
        ends = [name for name in RESNET if hasattr(network, name)]
    elif isinstance(known, list):  # timm's whole networks
        ends = [stage["module"] for stage in known]
    elif hasattr(known, "module_name"):  # timm's networks with feature maps, cut to these or not
        ends = list(getattr(network, "return_layers", None) or known.module_name())
    else:
        ends = []
    matrices = [name for name, parameter in network.named_parameters() if parameter.ndim > 1]
    return [end for end in ends if sum(_is_in(name, end) for name in matrices) > 1]


def _is_in(name: str, module: str) -> bool:
    return name.startswith(f"{module}.")


def _largest_within(module: nn.Module, inside: set[int]) -> list[nn.Module]:
    own = [id(parameter) for parameter in module.parameters()]
    if not own:
        return []
    if inside.issuperset(own):
        return [module]
    return [one for child in module.children() for one in _largest_within(child, inside)]
