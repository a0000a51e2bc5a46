"""`train`: the training loop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    WithJsonSchema,
    model_validator,
)

from swath.config.base import Section, mistake
from swath.config.library_names import AUGMENTATIONS
from swath.errors import did_you_mean


def _known_augmentations(augmentations: list[str | dict[str, dict[str, Any]]]) -> list[str | dict[str, dict[str, Any]]]:
    for number, entry in enumerate(augmentations):
        names = [entry] if isinstance(entry, str) else list(entry)
        if len(names) != 1:
            raise mistake("several_augmentations", "one augmentation per list entry", field=number)
        if names[0] not in AUGMENTATIONS:
            cure = did_you_mean(names[0], AUGMENTATIONS)
            raise mistake("unknown_augmentation", "a transform of Albumentations", cure, field=number)
    return augmentations


FLIPS: list[str | dict[str, dict[str, Any]]] = ["HorizontalFlip", "VerticalFlip", "RandomRotate90"]
PRESETS: Mapping[str, list[str | dict[str, dict[str, Any]]]] = {
    "aerial": [
        *FLIPS,
        {"Affine": {"scale": [0.8, 1.25], "rotate": [-20, 20], "p": 0.5}},
        {"RandomBrightnessContrast": {"brightness_limit": 0.2, "contrast_limit": 0.2, "p": 0.5}},
        {"HueSaturationValue": {"hue_shift_limit": 8, "sat_shift_limit": 20, "val_shift_limit": 10, "p": 0.3}},
        {"GaussianBlur": {"blur_limit": [3, 3], "p": 0.1}},
    ],
    "satellite": [
        *FLIPS,
        {"RandomBrightnessContrast": {"brightness_limit": 0.1, "contrast_limit": 0.15, "p": 0.5}},
        {"ChannelDropout": {"p": 0.1}},
    ],
}
"""Lists of augmentations by name: for images from aeroplanes in red, green and blue, and for satellites' of any bands,
whose values mean something and whose size on the ground is fixed."""


def _of_preset(augmentations: Any) -> Any:
    if not isinstance(augmentations, str):
        return augmentations
    if augmentations not in PRESETS:
        expected = f"{' or '.join(PRESETS)}, or a list of Albumentations' transforms"
        raise mistake("unknown_augmentation", expected, did_you_mean(augmentations, PRESETS))
    return PRESETS[augmentations]


Augmentations = Annotated[
    list[str | dict[str, dict[str, Any]]],
    BeforeValidator(
        _of_preset, json_schema_input_type=list[str | dict[str, dict[str, Any]]] | Literal["aerial", "satellite"]
    ),
    AfterValidator(_known_augmentations),
]


Loss = Literal["cross_entropy", "focal", "dice", "jaccard"]


def _as_many_as_cores(threads: Any) -> Any:
    return available_cores() if threads == "auto" else threads


def available_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


Threads = Annotated[
    PositiveInt,
    BeforeValidator(_as_many_as_cores),
    WithJsonSchema({"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"const": "auto"}]}, mode="validation"),
]


class Train(Section):
    """The training loop."""

    epochs: PositiveInt = 20
    """Passes over the training chips."""

    batch_size: PositiveInt = 16
    """Chips per step, over all GPUs."""

    accumulate: PositiveInt = 1
    """Steps whose gradients are added up before the weights move: a larger batch than fits into memory."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Adam, AdamW, or stochastic gradient descent with Nesterov momentum 0.9."""

    learning_rate: PositiveFloat = 1.0e-3
    """The learning rate: the highest one, where a schedule moves it."""

    weight_decay: NonNegativeFloat = 0.0
    """Pulls weights towards zero at every step."""

    schedule: Literal["one_cycle", "cosine", "multi_step", "constant"] = "one_cycle"
    """How the learning rate moves: `one_cycle` (a tenth → full → a tenth over the whole training), `cosine` (full → 0),
    `multi_step` (divided by ten at each of `milestones`), or `constant`."""

    milestones: list[PositiveInt] = []
    """`multi_step`: the epochs after which the learning rate is divided by ten."""

    warmup_epochs: NonNegativeFloat = 0.0
    """Epochs, or a part of one, in which the learning rate rises from 0; not with `one_cycle`, which has its own."""

    loss: Loss | Annotated[Mapping[Loss, PositiveFloat], Field(min_length=1)] = "cross_entropy"
    """`cross_entropy`, `focal`, `dice` or `jaccard`, or a weighted sum such as `{cross_entropy: 1, dice: 0.5}`. Chip
    classification takes the first two; Faster R-CNN has losses of its own."""

    class_weights: Literal["balanced"] | dict[str, PositiveFloat] = {}
    """Class → weight in the cross-entropy; classes not named weigh 1. `balanced`: the rarer a class is in the training
    chips, the more it weighs."""

    augmentations: Augmentations = FLIPS
    """Albumentations transforms for training chips, by name or as `{Name: {argument: value}}`; or the name of a list:
    `aerial` (flips, turns, sizes, light and colour of red-green-blue images from aeroplanes) or `satellite` (flips,
    quarter turns, a little light, now and then a band missing; any bands)."""

    freeze_encoder: NonNegativeInt = 0
    """For so many epochs the encoder's weights stay as they are."""

    freeze_stages: NonNegativeInt = 0
    """So many of the encoder's stages, from the first on, never learn, batch statistics included."""

    encoder_rate: PositiveFloat = 1.0
    """The encoder's learning rate, in times of `learning_rate`: 0.1 is usual for first weights that are worth
    keeping."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of every label that the cross-entropy spreads over all classes: for labels that are not all right."""

    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Vision transformers: every layer's learning rate, in times of that of the layer behind it; 0.75 is usual where
    first weights are worth keeping. The layers that come first then change least."""

    sampling: Literal["uniform", "balanced"] = "uniform"
    """`uniform`: every training chip once per epoch. `balanced`: as many chips, drawn the more often the rarer the
    classes on them are; some come twice, others not at all."""

    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of an exponential moving average of the weights, such as 0.999; the average is validated, and is the model.
    It begins with less: after n steps with (1 + n) / (10 + n) at most."""

    clip_gradients: PositiveFloat | None = None
    """The largest norm of all gradients together; larger ones are scaled down to it."""

    monitor: str = "macro_f1"
    """The validation metric that says which epoch is best: macro_f1, accuracy, balanced_accuracy, kappa, mean_iou,
    `f1.`, `iou.`, `precision.` or `recall.` and a class name, or val_loss; for object detection mAP50 (its default) or
    mAP."""

    keep: Literal["best", "last"] = "best"
    """Which epoch's weights are the model: the `best` by `monitor`, or the `last`."""

    patience: PositiveInt | None = None
    """Stop early after so many epochs without a better `monitor`."""

    max_gpu_hours: PositiveFloat | None = None
    """Stop after so many hours on the GPU (hours × GPUs, over all interruptions), with the best model so far. How far
    a training comes then depends on the machine."""

    mixed_precision: Literal["auto", "none", "bf16", "fp16"] = "auto"
    """Compute in 16 bits where it does no harm: faster on GPUs. `auto` is bf16 on GPUs that have it, and none
    elsewhere. On a CPU, bf16 is used where it is asked for and the CPU has instructions for it, fp16 never."""

    channels_last: bool = True
    """Keep bands innermost in memory, in training and prediction: faster. The default is `false` for object detection,
    and with `model.architecture: external`, since not every network of one's own can do with it."""

    compile: bool = False
    """Compile the network with torch.compile: a minute or more at the start, faster steps. Needs a C++ compiler."""

    deterministic: bool = False
    """Ask torch for deterministic GPU kernels, where there are any, and do without those that prove fastest when it
    starts. On a CPU training repeats to the byte anyway."""

    gpus: PositiveInt = 1
    """GPUs that train one model together, exactly so many; on a machine without any, as many processes."""

    seed: NonNegativeInt = 0
    """First weights, order of chips, augmentation. Repeats count up from here."""

    threads: Threads = 2
    """CPU threads that compute, per GPU. Sums in another order are other numbers, so this is part of the result, on
    whatever machine; GPUs do not care. `auto` stands for the number of cores of the machine where Snakemake is started,
    and counts as that number: started on a machine with more or fewer cores, it asks for other models."""

    num_workers: NonNegativeInt = 0
    """Processes that load chips, per GPU; changes speed, not results."""

    cache_gb: NonNegativeFloat = 4.0
    """Memory for decoded chips, which are then read once; changes speed, not results."""

    checkpoint_minutes: NonNegativeFloat | None = None
    """Write a checkpoint every so many minutes, also within an epoch. Left out, one is written after an epoch once
    fifty times as long has passed as the last one took; changes no result."""

    keep_checkpoints: bool = False
    """Keep the checkpoints of a training that is done, with the optimizer's state; they are removed otherwise once the
    model has been read back."""

    @model_validator(mode="after")
    def _milestones_belong_to_multi_step(self) -> Self:
        if bool(self.milestones) != (self.schedule == "multi_step"):
            expected = "epochs with `schedule: multi_step`, and none without: they go together"
            raise mistake("settings_conflict" if self.milestones else "setting_needed", expected, field="milestones")
        return self

    @model_validator(mode="after")
    def _one_cycle_warms_up_by_itself(self) -> Self:
        if self.warmup_epochs and self.schedule == "one_cycle":
            expected = "none with `schedule: one_cycle`, which rises by itself"
            raise mistake("settings_conflict", expected, field="warmup_epochs")
        if self.warmup_epochs >= self.epochs:
            raise mistake("out_of_range", f"fewer than `epochs` ({self.epochs})", field="warmup_epochs")
        return self

    @model_validator(mode="after")
    def _class_weights_need_cross_entropy(self) -> Self:
        if self.class_weights and "cross_entropy" not in loss_weights(self.loss):
            expected = "none without cross_entropy, which `loss` does not have"
            raise mistake("settings_conflict", expected, field="class_weights")
        return self

    @model_validator(mode="after")
    def _smoothing_needs_cross_entropy(self) -> Self:
        if self.label_smoothing and "cross_entropy" not in loss_weights(self.loss):
            expected = "none without cross_entropy, which `loss` does not have"
            raise mistake("settings_conflict", expected, field="label_smoothing")
        return self

    @model_validator(mode="after")
    def _the_encoder_thaws(self) -> Self:
        if self.freeze_encoder >= self.epochs:
            raise mistake("out_of_range", f"fewer than `epochs` ({self.epochs})", field="freeze_encoder")
        return self

    @model_validator(mode="after")
    def _batches_can_be_shared(self) -> Self:
        if self.batch_size % self.gpus:
            expected = f"a number that divides `batch_size` ({self.batch_size})"
            raise mistake("batch_not_divisible", expected, field="gpus")
        return self


def loss_weights(loss: str | Mapping[Any, float]) -> dict[str, float]:
    """Write the setting `loss` as a weighted sum: name → weight."""
    return {loss: 1.0} if isinstance(loss, str) else dict(loss)


RUNTIME_ONLY = ("num_workers", "cache_gb", "checkpoint_minutes", "keep_checkpoints")
"""Settings that change no result: speed, and what stays beside it."""
