"""`model`: architecture and backbone."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, NonNegativeInt, model_validator

from swath.config.base import FileSafeName, Section, mistake
from swath.config.library_names import (
    ARCHITECTURES,
    ENCODERS,
    EXTERNAL,
    PLACEHOLDERS,
    SENTINEL2_ENCODER,
    SENTINEL2_WEIGHTS,
    TORCHVISION_BACKBONES,
)
from swath.errors import did_you_mean

NAMED_WEIGHTS = ("none", "imagenet", *SENTINEL2_WEIGHTS)
SENTINEL2_SHORT = {"sentinel2-6b": "sentinel2-6b-l2a", "sentinel2-4b": "sentinel2-4b-l2a"}
"""Without the processing level, that of surface reflectances is meant."""
WEIGHT_FILES = (".pth", ".pt", ".ckpt", ".safetensors", ".zip")


class TrialWeights(Section):
    """A trained trial, whose weights another training starts with."""

    experiment: FileSafeName | None = None
    """Another experiment, which has been run in the same folder; this one when left out."""

    trial: str
    """The trial's name without its seed, as in `results/experiments/<experiment>/trials/`."""

    seed: NonNegativeInt | None = None
    """The repeat; the seed of the training that starts with it when left out."""


def _known_weights(weights: str) -> str:
    if weights in SENTINEL2_SHORT:
        return SENTINEL2_SHORT[weights]
    if weights not in NAMED_WEIGHTS and not weights.endswith(WEIGHT_FILES):
        expected = f"{', '.join(NAMED_WEIGHTS)}, a file ({', '.join(WEIGHT_FILES)}) or {{trial: ...}}"
        raise mistake("unknown_weights", expected, did_you_mean(weights, NAMED_WEIGHTS))
    return weights


class Model(Section):
    """The network."""

    architecture: str = "unet"
    """Semantic segmentation: `deeplabv3` (torchvision's, as Raster Vision has it), or one of
    segmentation-models-pytorch: unet, unetplusplus, manet, linknet, fpn, pspnet, pan, deeplabv3plus, upernet,
    segformer, dpt, smp-deeplabv3. Object detection: `faster_rcnn`. Chip classification: `classifier`. The last two are
    their tasks' defaults. For all tasks: `external`, a network of your own: see `definition` and `entrypoint`."""

    encoder: str = "resnet18"
    """The backbone: resnet50 or resnet101 with `deeplabv3`; resnet18, 34, 50, 101 or 152 with `faster_rcnn` and
    `classifier`; else any encoder of segmentation-models-pytorch. Except with torchvision's `deeplabv3`: also `tu-` and
    the name of any timm model. Not with `external`."""

    weights: Annotated[str, AfterValidator(_known_weights)] | TrialWeights = "none"
    """The first weights: `none` (random), `imagenet` (the encoder's), `sentinel2-6b-l2a`, `sentinel2-6b-l1c`,
    `sentinel2-4b-l2a` or `sentinel2-4b-l1c` (a U-Net trained on Sentinel-2, with `encoder: efficientnet-b4`;
    `sentinel2-6b` and `sentinel2-4b` are those of level L2A), a file (state dict, or a Raster Vision bundle), or a
    trained trial, `{trial: learning_rate=0.001}`, of this or, with `experiment:`, of another experiment. Those with a
    name are fetched once, by `snakemake --cores 1 weights`."""

    arguments: dict[str, Any] = {}
    """Further arguments of the architecture, such as `encoder_depth: 4`. With `external`, all arguments of the
    entrypoint, in which `"{classes}"`, `"{bands}"` and `"{size}"` stand for the number of outputs the network needs,
    the number of input bands, and the chips' size."""

    definition: str | None = None
    """With `external`: a folder with a `hubconf.py`, as torch.hub has it; docs/training.md says what the network has to
    be like. The folder travels in the bundle."""

    entrypoint: str | None = None
    """With `external`: the function of `hubconf.py` that builds the network."""

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        if self.architecture == EXTERNAL:
            return self
        backbones = TORCHVISION_BACKBONES.get(self.architecture)
        if backbones:
            timm = self.architecture != "deeplabv3" and self.encoder.startswith("tu-")
            if self.encoder not in backbones and not timm:
                expected = f"{' or '.join(backbones)}, with {self.architecture}"
                raise mistake("unknown_encoder", expected, field="encoder", found=repr(self.encoder))
            return self
        if self.architecture not in ARCHITECTURES:
            cure = did_you_mean(self.architecture, [*TORCHVISION_BACKBONES, *ARCHITECTURES, EXTERNAL])
            raise mistake("unknown_architecture", "a network that docs/reference.md names", cure, field="architecture")
        if self.encoder not in ENCODERS and not self.encoder.startswith("tu-"):
            expected = "an encoder of segmentation-models-pytorch, or `tu-` and the name of a timm model"
            raise mistake("unknown_encoder", expected, did_you_mean(self.encoder, ENCODERS), field="encoder")
        return self

    @model_validator(mode="after")
    def _weights_fit_the_encoder(self) -> Self:
        if self.weights in SENTINEL2_WEIGHTS and self.encoder != SENTINEL2_ENCODER:
            expected = f"`encoder: {SENTINEL2_ENCODER}`, to which the weights belong"
            cure = f"set `model.encoder: {SENTINEL2_ENCODER}`, or other weights"
            raise mistake("weights_do_not_fit", expected, cure, field="weights")
        return self

    @model_validator(mode="after")
    def _external_networks_are_defined(self) -> Self:
        if self.architecture != EXTERNAL:
            for name in ("definition", "entrypoint"):
                if getattr(self, name) is not None:
                    expected = "nothing without `architecture: external`"
                    raise mistake("settings_conflict", expected, "leave it out", field=name)
            return self
        if self.definition is None:
            cure = "add `definition:`, `architecture: external` needs it"
            raise mistake("setting_needed", "a folder with a hubconf.py", cure, field="definition")
        if self.entrypoint is None:
            cure = "add `entrypoint:`, `architecture: external` needs it"
            raise mistake("setting_needed", "a function of hubconf.py", cure, field="entrypoint")
        if "encoder" in self.model_fields_set:
            expected = "nothing with `architecture: external`, whose network is whole"
            cure = "leave it out (if its entrypoint takes such a name, put it into `model.arguments`)"
            raise mistake("settings_conflict", expected, cure, field="encoder")
        if self.weights in NAMED_WEIGHTS[1:]:
            expected = "none, a file or a trial with `architecture: external`"
            raise mistake("settings_conflict", expected, "fetch the weights into a file", field="weights")
        for name, value in self.arguments.items():
            _check_placeholders(("arguments", name), value)
        return self


def _check_placeholders(field: tuple[str, ...], value: Any) -> None:
    """Refuse what looks like a placeholder and is none."""
    if isinstance(value, list):
        for entry in value:
            _check_placeholders(field, entry)
    if isinstance(value, dict) and len(value) == 1 and list(value.values()) == [None]:  # {classes} without quotes
        cure = f'write "{{{next(iter(value))}}}"'
        raise mistake("placeholder_unquoted", "a placeholder in quotes", cure, field=field)
    looks_so = isinstance(value, str) and value.startswith("{") and value.endswith("}")
    if looks_so and value not in PLACEHOLDERS:
        expected, cure = ", ".join(PLACEHOLDERS), did_you_mean(value, PLACEHOLDERS)
        raise mistake("unknown_placeholder", expected, cure, field=field)
