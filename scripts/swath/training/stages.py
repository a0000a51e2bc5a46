"""The stages of an encoder, from the bands to the coarsest map: those that come first can be kept as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from swath.errors import Problem, UserError

STAGE = re.compile(r"(layer|stage|block|features?)_?[0-9]+")
"""What networks that say nothing of their stages call them."""


def first_stages(encoder: nn.Module, number: int) -> list[nn.Module]:
    """Return the innermost modules of an encoder's first stages, with whatever comes before them.

    Args:
        encoder: As :func:`swath.training.weights.encoder_of` finds it.
        number: How many stages.

    Raises:
        UserError: If so many stages are not known of.
    """
    network = _innermost(encoder)
    leaves = [(name, module) for name, module in network.named_modules() if not list(module.children())]
    places = [_last_within(end, leaves) for end in _ends(network)]
    ends = [place for place in places if place is not None]
    if number > len(ends):
        found = (
            f"{type(network).__name__} with {len(ends)} stages" if ends else f"{type(network).__name__}, of no known"
        )
        raise UserError(
            Problem(
                "setting_needs_another_network",
                "config",
                "train.freeze_stages",
                f"{number}, and {found}{'' if ends else ' stages'}",
                f"at most {len(ends)}" if ends else "an encoder of timm (`tu-…`), or a ResNet",
                "freeze fewer stages, or the whole encoder for some epochs: `train.freeze_encoder`",
            )
        )
    if not number:
        return []
    return [module for _, module in leaves[: ends[number - 1] + 1]]


def _last_within(end: str, leaves: list[tuple[str, nn.Module]]) -> int | None:
    inside = (place for place, (name, _) in enumerate(leaves) if name == end or name.startswith(f"{end}."))
    return max(inside, default=None)


def _innermost(encoder: nn.Module) -> nn.Module:
    """Unwrap the network itself: feature pyramids have it as ``body``, segmentation-models-pytorch as ``model``."""
    for name in ("body", "model"):
        inner = getattr(encoder, name, None)
        if isinstance(inner, nn.Module):
            return _innermost(inner)
    return encoder


def _ends(network: Any) -> Iterator[str]:
    """Name the module that ends each stage."""
    known: Any = getattr(network, "feature_info", None)
    if returned := getattr(network, "return_layers", None):  # timm's and torchvision's networks cut to feature maps
        yield from returned
    elif isinstance(known, list):  # timm's whole networks
        yield from (stage["module"] for stage in known)
    elif hasattr(known, "module_name"):  # timm's networks with feature maps of their own
        yield from known.module_name()
    else:
        yield from (name for name, _ in network.named_children() if STAGE.fullmatch(name))
