"""`imagery`: which bands the model sees, and on which scale."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from swath.config.base import Section


class Range(Section):
    """A fixed range of values, stretched to 0..255; values outside are clipped."""

    min: float
    """The value that becomes 0."""

    max: float
    """The value that becomes 255."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min ({self.min}) has to be smaller than max ({self.max})")
        return self


class Imagery(Section):
    """What is read from the images."""

    bands: Annotated[list[str | int], Field(min_length=1)] | None = None
    """Band names (the images' band descriptions) or 1-based numbers, in the model's order.
    All bands when left out."""

    normalize: Literal["statistics", "none"] | Range = "statistics"
    """How values become 0..255: `statistics` (mean ± 3 standard deviations of the training scenes, by band),
    `{min: 0, max: 10000}` (a fixed range), or `none` (8-bit imagery only). 8-bit imagery stays as it is."""
