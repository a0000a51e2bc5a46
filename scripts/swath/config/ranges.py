"""Where the values of a drawn or searched setting lie."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

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

    when: Annotated[dict[str, Any], Field(min_length=1)] | None = None
    """Only for trials in which other settings have these values, such as `{model.encoder: resnet50}`, or one of several
    in a list. Without, for all; a trial for which nothing holds keeps the config's own value."""

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


Settings = Annotated[dict[str, Distribution | Annotated[list[Distribution], Field(min_length=1)]], Field(min_length=1)]
"""Dotted setting → where its values lie: a range, or several, of which the first counts whose `when` holds."""
