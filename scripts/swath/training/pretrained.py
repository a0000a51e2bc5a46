"""ImageNet weights of encoders, fetched once by the libraries that know them and kept in a file with a checksum."""

from __future__ import annotations

import io
import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

import timm
import torch
import torchvision
from huggingface_hub import constants, get_session
from segmentation_models_pytorch.encoders import TimmViTEncoder, encoders, get_encoder
from torch import Tensor

from swath.errors import Problem, UserError
from swath.files import sha256, write_json

LIBRARIES = ("torch", "torchvision", "segmentation-models-pytorch", "timm", "huggingface_hub")
DEEPEST = 5  # no encoder of segmentation-models-pytorch has more stages
PATIENCE = 10.0  # seconds without an answer
Weights = Mapping[str, Tensor]
Loader = Callable[[], Weights]
Builder = Callable[[bool], torch.nn.Module]
log = logging.getLogger("swath.weights")


def fetch_weights(name: str, output: Path, record: Path) -> None:
    """Fetch an encoder's ImageNet weights: the state dict of the encoder for three bands, without its head.

    The libraries download what they do not find in their own caches.

    Args:
        name: As :func:`swath.config.library_names.weights_name` gives it.
        output: The state dict to write, by torch; the same weights give the same bytes, whatever the file's name.
        record: The JSON to write: ``weights`` (the name), ``source``, ``libraries`` (versions), ``sha256``.

    Raises:
        UserError: If the encoder is unknown or has no ImageNet weights, or if they could not be fetched.
    """
    library, _, encoder = name.partition("-")
    known = {"torchvision": _torchvision, "smp": _smp, "timm": _timm}
    if library not in known:
        raise _refusal(name, f"library {library!r}", f"<library>-<encoder> with one of {', '.join(known)}")
    source, load = known[library](encoder)
    log.info("%s: from %s", name, source)
    try:
        with _impatience():
            weights = load()
    except Exception as error:  # network, hub, cache: each library fails in its own ways
        raise _not_fetched(name, source, error) from error
    output.write_bytes(_bytes(weights))
    versions = {library: version(library) for library in LIBRARIES}
    write_json(record, {"weights": name, "source": source, "libraries": versions, "sha256": sha256(output)})


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

    def load() -> Weights:
        state: Weights = weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
        return {layer: value for layer, value in state.items() if not layer.startswith("fc.")}

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
    return f"{source['repo_id']}@{source['revision']}", lambda: build(True).state_dict()


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
    return source, lambda: build(True).state_dict()


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


def _bytes(weights: Weights) -> bytes:
    """Serialise in memory: in a file, torch would write the file's name into it."""
    plain = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in weights.items()}
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    return buffer.getvalue()


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
