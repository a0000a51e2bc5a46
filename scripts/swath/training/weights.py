"""First weights from a file into a network: whole or its encoder, for any number of bands and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import VisionTransformer

from swath.errors import Problem, UserError
from swath.training.weight_files import COUNTERS, read_weights, spellings

HEADS = ("fc", "classifier", "head", "heads")
"""What torchvision calls the last part of its classification networks."""

SHOWN = 5
Shape = tuple[int, ...]


@dataclass
class WeightsReport:
    """What became of a file's weights. Names are the network's, those in `unexpected` the file's.

    Attributes:
        file: The file.
        part: `encoder` or `model`: where the weights were to go.
        taken: Layers that have the file's values.
        adapted: First convolutions that have the file's values, fitted to another number of bands.
        missing: Layers that the file does not have; they stay as initialised.
        unexpected: Layers of the file that have no place in this part of the network.
        other_shape: Name, found shape and expected shape of layers that stay as initialised for their shape.
    """

    file: str
    part: str
    taken: list[str] = field(default_factory=list)
    adapted: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    other_shape: list[tuple[str, Shape, Shape]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Give a readable report: a line for each fate, with the number of layers and up to five names."""
        shapes = [f"{name} {found} instead of {expected}" for name, found, expected in self.other_shape]
        fates = [
            ("taken", self.taken),
            ("fitted to the number of bands", self.adapted),
            ("not in the file, left as initialised", self.missing),
            ("of another shape, left as initialised", shapes),
            ("in the file alone, left out", self.unexpected),
        ]
        told = [f"  {len(names)} {fate}: {_some(names)}" for fate, names in fates if names]
        return [f"weights of the {self.part} from {self.file}", *told]


def load_weights(model: torch.nn.Module, path: Path, part: str, channels: Sequence[int] | None = None) -> WeightsReport:
    """Load weights from a file into a network, in place; nothing is changed when an error is raised.

    Layers go by their names, with the prefixes of wrappers taken off or put on where that makes most of them fit.
    A file that holds nothing but an encoder goes into the encoder, also as a `model`.

    Args:
        model: The network.
        path: A state dict (.pth, .pt, .ckpt, .safetensors) or a Raster Vision bundle (.zip).
        part: `encoder` or `model`: the part of the network that gets the weights.
        channels: The file's band for each of the network's, 0-based; in turn, if nothing is said.

    Raises:
        UserError: If the file cannot be read, no layer fits, or `part` is `encoder` and the network has none.
    """
    found = read_weights(path)
    encoder = encoder_of(model) if part == "encoder" else _find_encoder(model)
    slots = _slots(model, encoder if part == "encoder" else None)
    names = _matched_names(found, slots, _prefix(model, encoder))
    report = WeightsReport(str(path), part)
    values = _sorted_out(report, found, slots, names, channels)
    if not values:
        raise _nothing_fits(path, found, slots)
    with torch.no_grad():
        for name, value in values.items():
            slots[name].copy_(value)
    return report


def encoder_of(model: torch.nn.Module) -> torch.nn.Module:
    """Find the part of a network that extracts features.

    Returns:
        segmentation-models-pytorch's `encoder`, the `backbone` of torchvision's segmentation and detection networks
        (also within Raster Vision's adapter), or a classification network itself: all but its head is the encoder.

    Raises:
        UserError: If there is no such part.
    """
    encoder = _find_encoder(model)
    if encoder is not None:
        return encoder
    found = ", ".join(name for name, _ in model.named_children()) or "no parts"
    raise UserError(
        Problem(
            "no_encoder",
            "config",
            "model.weights",
            f"{type(model).__name__} with {found}",
            f"a network with an encoder, a backbone or a classification head ({', '.join(HEADS)})",
            "load the weights into the whole model, or change `model.architecture`",
        )
    )


@dataclass(frozen=True)
class EncoderParts:
    """What of a network's encoder extracts features, and nothing that is its task's.

    Attributes:
        whole: The encoder, as :func:`encoder_of` finds it.
        modules: Its modules but for a classifier's last layers and a detector's feature pyramid.
        parameters: What is learned in these, and beside them.
    """

    whole: torch.nn.Module
    modules: list[torch.nn.Module]
    parameters: list[torch.nn.Parameter]


def encoder_parts(model: torch.nn.Module) -> EncoderParts:
    """Find what extracts features in a network.

    Raises:
        UserError: If there is no such part.
    """
    whole = encoder_of(model)
    body = getattr(whole, "body", None)
    if isinstance(body, torch.nn.Module):
        return EncoderParts(whole, [body], list(body.parameters()))
    heads = {name.split(".")[0] for name in _heads_of(whole)}
    if not heads:
        return EncoderParts(whole, [whole], list(whole.parameters()))
    modules = [module for name, module in whole.named_children() if name not in heads]
    parameters = [value for name, value in whole.named_parameters() if name.split(".")[0] not in heads]
    return EncoderParts(whole, modules, parameters)


def adapt_first_convolution(weight: Tensor, in_channels: int, channels: Sequence[int] | None = None) -> Tensor:
    """Fit a first convolution to other bands so that its response keeps its size.

    Bands are taken as `channels` says, else repeated in turn, and scaled by old/new number; a single band gets the sum.
    This is what segmentation-models-pytorch (`patch_first_conv`) and timm (`adapt_input_conv`) do with three bands.

    Args:
        weight: Floating point, (out, in, k, k).
        in_channels: The new number of bands.
        channels: The old band for each new one, 0-based.

    Returns:
        The same dtype, (out, in_channels, k, k).
    """
    exact, bands = weight.float(), weight.shape[1]
    if in_channels == 1:
        return exact.sum(1, keepdim=True).to(weight.dtype)
    turns = torch.tensor(channels) if channels is not None else torch.arange(in_channels) % bands
    return (exact[:, turns] * (bands / in_channels)).to(weight.dtype)


def _heads_of(network: torch.nn.Module) -> tuple[str, ...]:
    """Name a classification network's last layers; timm's networks know theirs."""
    told = (getattr(network, "pretrained_cfg", None) or {}).get("classifier")
    known = (told,) if isinstance(told, str) else tuple(told or HEADS)
    return tuple(name for name in known if hasattr(network, name.split(".")[0]))


def _find_encoder(model: torch.nn.Module) -> torch.nn.Module | None:
    for network in (model, getattr(model, "model", None)):
        backbone, encoder = getattr(network, "backbone", None), getattr(network, "encoder", None)
        if isinstance(backbone, torch.nn.Module):
            return backbone
        # torchvision's vision transformer calls its blocks so, but the first convolution is not among them
        if isinstance(encoder, torch.nn.Module) and not isinstance(network, VisionTransformer):
            return encoder
        if isinstance(network, torch.nn.Module) and _heads_of(network):
            return network
    return None


def _prefix(model: torch.nn.Module, part: torch.nn.Module | None) -> str:
    """Give what stands before the names of a part's layers: `encoder.`, or nothing for the network itself."""
    name = next((name for name, module in model.named_modules() if module is part), "")
    return f"{name}." if name else ""


def _slots(model: torch.nn.Module, encoder: torch.nn.Module | None) -> dict[str, Tensor]:
    """List the network's layers, or its encoder's alone, by the network's names: views, to be written into."""
    layers = {n: v for n, v in model.state_dict().items() if isinstance(v, Tensor) and not n.endswith(COUNTERS)}
    if encoder is None:
        return layers
    prefix = _prefix(model, encoder)
    heads = tuple(f"{prefix}{head}." for head in _heads_of(encoder))
    return {name: value for name, value in layers.items() if name.startswith(prefix) and not name.startswith(heads)}


def _matched_names(found: Mapping[str, Tensor], slots: Mapping[str, Tensor], encoder: str) -> dict[str, str]:
    """Map names in the network to names in the file, in that spelling in which most layers fit."""

    def fits(names: Mapping[str, str]) -> tuple[int, int]:
        common = names.keys() & slots.keys()
        return sum(found[names[name]].shape == slots[name].shape for name in common), len(common)

    return max(spellings(found, encoder), key=fits)


def _sorted_out(
    report: WeightsReport,
    found: Mapping[str, Tensor],
    slots: Mapping[str, Tensor],
    names: Mapping[str, str],
    channels: Sequence[int] | None,
) -> dict[str, Tensor]:
    """Decide what becomes of every layer, fill the report, and return the values to be written, by name."""
    values = {}
    spelled = {name: found[names[name]] for name in slots if name in names}
    first = _first_convolution(spelled, slots)
    bands = _channels(spelled[first], slots[first]) if first else None
    reordered = first if channels is not None and list(channels) != list(range(len(channels))) else None
    for name, slot in slots.items():
        value = spelled.get(name)
        if value is None:
            report.missing.append(name)
        elif value.shape == slot.shape and name != reordered:
            report.taken.append(name)
            values[name] = value
        elif name == reordered or (bands and _channels(value, slot) == bands):
            report.adapted.append(name)
            values[name] = adapt_first_convolution(value, slot.shape[1], channels)
        else:
            report.other_shape.append((name, tuple(value.shape), tuple(slot.shape)))
    used = {names[name] for name in spelled}
    report.unexpected = [name for name in found if name not in used]
    return values


def _first_convolution(found: Mapping[str, Tensor], slots: Mapping[str, Tensor]) -> str | None:
    """Name the layer that sees the bands, if it differs from the file's in their number alone.

    It is the first layer with four dimensions; where it fits as it is, nothing is to be adapted. Networks with
    branches from the start (MobileOne) have several first convolutions: they differ by the same numbers.
    """
    first = next((name for name, slot in slots.items() if slot.ndim == 4), None)
    if first is None or first not in found:
        return None
    value, slot = found[first], slots[first]
    alike = value.ndim == 4 and value.shape[0] == slot.shape[0] and value.shape[2:] == slot.shape[2:]
    return first if alike else None


def _channels(value: Tensor, slot: Tensor) -> tuple[int, int] | None:
    """Give the input channels of two convolutions that differ in nothing else."""
    same = value.ndim == slot.ndim == 4 and value.shape[0] == slot.shape[0] and value.shape[2:] == slot.shape[2:]
    return (value.shape[1], slot.shape[1]) if same and value.shape[1] != slot.shape[1] else None


def _nothing_fits(path: Path, found: Mapping[str, Tensor], slots: Mapping[str, Tensor]) -> UserError:
    described = [[f"{n} {tuple(v.shape)}" for n, v in layers.items()] for layers in (found, slots)]
    return UserError(
        Problem(
            "weights_do_not_fit",
            str(path),
            "model.weights",
            f"{len(found)} layers, none of which fits: {_some(described[0])}",
            f"layers such as {_some(described[1])}",
            "give weights of the same architecture and encoder, or set `model` to those of the file",
        )
    )


def _some(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
