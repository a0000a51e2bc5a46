"""`sweep`: the trials of an experiment."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from swath.config.base import Section, mistake


class Distribution(Section):
    """Where a random setting is drawn from: a range, or choices."""

    min: float | None = None
    """The smallest value."""

    max: float | None = None
    """The largest value."""

    log: bool = False
    """Draw evenly on a logarithmic scale."""

    integer: bool = False
    """Round to whole numbers."""

    choices: Annotated[list[Any], Field(min_length=1)] | None = None
    """Instead of a range: draw one of these."""

    @model_validator(mode="after")
    def _range_or_choices(self) -> Self:
        has_range = self.min is not None and self.max is not None
        if has_range == (self.choices is not None):
            expected = "either `min` and `max`, or `choices`"
            raise mistake("settings_conflict" if has_range else "setting_needed", expected, f"give {expected}")
        if self.min is not None and self.max is not None:
            if self.min >= self.max:
                found = f"min {self.min:g}, max {self.max:g}"
                raise mistake("range_upside_down", "a `min` that is smaller than `max`", found=found)
            if self.log and self.min <= 0:
                raise mistake("out_of_range", "above 0 on a logarithmic scale", field="min")
        return self


class RandomSearch(Section):
    """Trials drawn at random."""

    samples: PositiveInt
    """How many trials."""

    seed: NonNegativeInt = 0
    """The same seed draws the same trials."""

    settings: Annotated[dict[str, Distribution], Field(min_length=1)]
    """Dotted setting → where its values are drawn from."""


class Select(Section):
    """How the winner is found."""

    metric: str = "macro_f1"
    """The validation metric that decides: macro_f1, accuracy, balanced_accuracy, kappa, mean_iou, or `f1.`, `iou.`,
    `precision.` or `recall.` and a class name; for object detection mAP50 (its default), mAP, macro_f1, or `f1.`,
    `precision.` or `recall.` and a class name. The largest wins."""


class Sweep(Section):
    """The trials: the grid's points, the listed ones and the random ones, each with `repeats` seeds."""

    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    """Dotted setting → values; every combination is a trial."""

    trials: list[Annotated[dict[str, Any], Field(min_length=1)]] = []
    """Trials one by one, each with its dotted settings."""

    random: RandomSearch | None = None
    """Trials drawn at random from ranges."""

    repeats: PositiveInt = 1
    """How often each trial is trained, with seeds counting up from `train.seed`."""

    select: Select = Select()
    """How the winner is found."""
