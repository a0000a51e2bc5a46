"""Files that hold weights: state dicts (torch's, safetensors), Raster Vision's bundles; how they name layers."""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

import psutil
import torch
from rastervision.pytorch_learner.learner import BUNDLE_MODEL_WEIGHTS_FILENAME
from safetensors.torch import load_file
from torch import Tensor

from swath.errors import Problem, UserError
from swath.files import read_json, sha256

WEIGHTS = "weights: a state dict (.pth, .pt, .ckpt, .safetensors) or a Raster Vision bundle (.zip)"
"""What is expected of a file, in words."""

LEARNER_CONFIG = "learner-config.json"
"""What Raster Vision calls the description of the network in a train bundle."""

NESTED_BUNDLE = "model-bundle.zip"
"""What Raster Vision calls the train bundle inside a deployable bundle."""

COUNTERS = "num_batches_tracked"
"""How the names of batch normalisation's counters end: they change no result, and many files do without."""

WRAPPERS = frozenset({"module", "model", "encoder", "backbone", "body", "_orig_mod"})
"""Words that stand before a layer's name because of what holds the network: DDP, Lightning, a whole model, ..."""


def check_weights(path: Path, record: Path) -> None:
    """Compare fetched weights with the checksum that was written down when they came.

    Raises:
        UserError: If the file is another one, or one of the two files cannot be read.
    """
    try:
        found, expected = sha256(path), str(read_json(record)["sha256"])
    except (OSError, UserError, KeyError, TypeError) as error:
        found = error.problems[0].found if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        expected = f"weights, and their SHA-256 in {record}"
    if found != expected:
        cure = f"remove {path} and {record}, and run `snakemake --cores 1 weights` once on a node with network"
        raise UserError(Problem("checksum_mismatch", str(path), "SHA-256", found, expected, cure))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file's layers by name, without the counters of batch normalisation; no code in it is run.

    Raises:
        UserError: If there is no such file, or it is damaged, or holds other things than weights.
    """
    readers: Mapping[str, Callable[[Path], Any]] = {".safetensors": load_file, ".zip": _read_bundle}
    try:
        _check_size(path)
        content = readers.get(path.suffix, _read_state_dict)(path)
        return {name: value for name, value in _layers(content) if not name.endswith(COUNTERS)}
    except FileNotFoundError:
        cure = "correct the path; relative paths start at the working directory"
        problem = Problem("file_missing", str(path), "model.weights", "no such file", WEIGHTS, cure)
    except Exception as error:  # a damaged file makes the readers fail in any way
        # torch explains at length what it refuses; the reason is the error that it was handling
        cause = (isinstance(error, pickle.UnpicklingError) and error.__context__) or error
        reason = (str(cause).strip().splitlines() or ["no reason given"])[0]
        found = f"not readable as weights: {type(error).__name__}: {reason}"
        cure = (
            "fetch or copy the file again; if it is whole, holds more than weights and comes from where you trust, "
            'save the weights alone: torch.save(torch.load(file, weights_only=False)["state_dict"], "weights.pth")'
        )
        problem = Problem("weights_unreadable", str(path), "model.weights", found, WEIGHTS, cure)
    raise UserError(problem)


def _check_size(file: Path | IO[bytes]) -> None:
    """Make sure that what a zip unpacks to fits into memory: a few bytes can promise a terabyte."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        size, room = sum(entry.file_size for entry in archive.infolist()), psutil.virtual_memory().available
    if size > room:
        raise ValueError(f"{size / 1e9:,.1f} GB when unpacked, where {room / 1e9:,.1f} GB of memory are free")


def _read_state_dict(file: Path | IO[bytes]) -> Any:
    return torch.load(file, map_location="cpu", weights_only=True)


def _read_bundle(file: Path | IO[bytes]) -> Any:
    """Read the weights in a train bundle, or in the train bundle in a deployable bundle."""
    with zipfile.ZipFile(file) as archive:
        members = {PurePosixPath(name).name: name for name in archive.namelist()}
        for name, read in ((BUNDLE_MODEL_WEIGHTS_FILENAME, _read_state_dict), (NESTED_BUNDLE, _read_bundle)):
            if name in members:
                content = io.BytesIO(archive.read(members[name]))
                _check_size(content)
                content.seek(0)
                return read(content)
    raise ValueError(f"no {BUNDLE_MODEL_WEIGHTS_FILENAME} and no {NESTED_BUNDLE} in the zip")


def expected_by_bundle(file: Path | IO[bytes]) -> dict[str, list[float]] | None:
    """Return what the network in a bundle does first: `mean` and `std` per channel; None if it has no such layer."""
    with zipfile.ZipFile(file) as archive:
        members = {PurePosixPath(name).name: name for name in archive.namelist()}
        if LEARNER_CONFIG in members:
            model = json.loads(archive.read(members[LEARNER_CONFIG])).get("model") or {}
            arguments = (model.get("external_def") or {}).get("entrypoint_kwargs") or {}
            expects: dict[str, list[float]] | None = arguments.get("expects")
            return expects
        nested = members.get(NESTED_BUNDLE)
        return expected_by_bundle(io.BytesIO(archive.read(nested))) if nested else None


def _layers(content: Any) -> list[tuple[str, Tensor]]:
    """Find the state dict in what a file holds: itself, or under the names Lightning and others give it."""
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    layers = [(str(k), v) for k, v in content.items() if isinstance(v, Tensor)] if isinstance(content, Mapping) else []
    if not layers:
        raise ValueError(f"no layers with names in it, but a {type(content).__name__}")
    return layers


def spellings(names: Iterable[str], encoder: str) -> Iterator[dict[str, str]]:
    """Give ways to spell a file's names: without a wrapper's prefix, with the prefix of the network's own wrapper.

    Args:
        names: The names of the file's layers.
        encoder: What stands before the names of the encoder's layers in the network: `encoder.`, or nothing.

    Yields:
        The file's names by their other spelling; names without the prefix that is taken off are left out.
    """
    names = list(names)
    for old in sorted({prefix for name in names for prefix in _wrappers(name)}, key=len):
        bare = {name.removeprefix(old): name for name in names if name.startswith(old)}
        # as a feature extractor, timm's network has `stages_0.` where its weights have `stages.0.`
        flat = {re.sub(r"^([a-z_]+)\.(\d+)\.", r"\1_\2.", new): name for new, name in bare.items()}
        for new in dict.fromkeys(("", "model.", encoder, f"{encoder}model.", f"{encoder}body.")):
            for spelled in (bare, flat):
                yield {new + name: file_name for name, file_name in spelled.items()}


def _wrappers(name: str) -> Iterator[str]:
    """Give the prefixes that could be taken off a name: none, `module.`, `module.model.`, ..."""
    prefix = ""
    yield prefix
    for word in name.split("."):
        if word not in WRAPPERS:
            return
        prefix += f"{word}."
        yield prefix
