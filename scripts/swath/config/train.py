"""`train`: the training loop."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from swath.config.base import Section
from swath.config.names import AUGMENTATIONS
from swath.errors import did_you_mean


def _known_augmentations(augmentations: list[str | dict[str, dict[str, Any]]]) -> list[str | dict[str, dict[str, Any]]]:
    for entry in augmentations:
        names = [entry] if isinstance(entry, str) else list(entry)
        if len(names) != 1:
            raise ValueError(f"{entry!r}: one augmentation per list entry")
        if names[0] not in AUGMENTATIONS:
            raise ValueError(f"unknown augmentation {names[0]!r}; {did_you_mean(names[0], AUGMENTATIONS)}")
    return augmentations


Augmentations = Annotated[list[str | dict[str, dict[str, Any]]], AfterValidator(_known_augmentations)]


class Train(Section):
    """The training loop."""

    epochs: PositiveInt = 20
    """Passes over the training chips."""

    batch_size: PositiveInt = 16
    """Chips per step."""

    learning_rate: PositiveFloat = 1.0e-3
    """Adam's learning rate: the peak with `one_cycle`."""

    schedule: Literal["one_cycle", "multi_step", "constant"] = "one_cycle"
    """How the learning rate moves: `one_cycle` (a tenth → full → a tenth over the whole training),
    `multi_step` (divided by ten at each of `milestones`), or `constant`."""

    milestones: list[PositiveInt] = []
    """`multi_step`: the epochs after which the learning rate is divided by ten."""

    augmentations: Augmentations = ["HorizontalFlip", "VerticalFlip", "RandomRotate90"]
    """Albumentations transforms for training chips, by name or as `{Name: {argument: value}}`."""

    class_weights: dict[str, PositiveFloat] = {}
    """Class → weight in the loss; classes not named weigh 1."""

    keep: Literal["best", "last"] = "best"
    """Which epoch's weights are the model: the `best` by validation macro-F1, or the `last`."""

    seed: NonNegativeInt = 0
    """First weights, order of chips, augmentation. Repeats count up from here."""

    threads: PositiveInt = 2
    """CPU threads that compute. Sums in another order are other numbers, so this is part of the result, on whatever
    machine; GPUs do not care."""

    num_workers: NonNegativeInt = 0
    """Processes that load chips; changes speed, not results."""

    @model_validator(mode="after")
    def _milestones_belong_to_multi_step(self) -> Self:
        if bool(self.milestones) != (self.schedule == "multi_step"):
            raise ValueError("`milestones` and `schedule: multi_step` go together")
        return self
