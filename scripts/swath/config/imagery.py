"""`imagery`: what is read from the images, and on which scale."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from swath.config.base import Section, mistake

Limits = float | Annotated[list[float], Field(min_length=1)]
MEASURED = ("statistics", "min_max")
"""Kinds of normalisation that the training scenes' pixels decide."""


class Range(Section):
    """A fixed range of values, stretched to 0..255; values outside are clipped."""

    min: Limits
    """The value that becomes 0; a list has one value per band, in the order of `bands`."""

    max: Limits
    """The value that becomes 255; a list has one value per band."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.limits()
        if len(low) != len(high):
            found = f"{len(low)} values in `min`, {len(high)} in `max`"
            raise mistake("limits_per_band", "as many in both", "give one per band in both", found=found)
        for smaller, larger in zip(low, high, strict=True):
            if not smaller < larger:
                found = f"min {smaller:g}, max {larger:g}"
                raise mistake("range_upside_down", "a `min` that is smaller than `max`", found=found)
        return self

    def limits(self) -> tuple[list[float], list[float]]:
        """Return minima and maxima: one of each for all bands, or one per band."""
        low, high = ([value] if isinstance(value, float | int) else value for value in (self.min, self.max))
        if len(low) != len(high) and 1 in (len(low), len(high)):
            low, high = (values * max(len(low), len(high)) if len(values) == 1 else values for values in (low, high))
        return list(low), list(high)


def _as_word(value: Any) -> Any:
    """Write YAML's not-a-number as the word: it equals itself, and a spec can hold it."""
    return "nan" if isinstance(value, float) and math.isnan(value) else value


class Imagery(Section):
    """What is read from the images."""

    files: Literal["mosaic", "bands"] | None = None
    """How several files of one scene belong together: `mosaic` (tiles of one image, on one grid; where they overlap,
    the last one is seen; bands are joined by name where all tiles have names, else by number) or `bands` (bands in
    separate files, stacked on the finest file's grid, coarser ones by nearest neighbour). A scene has several files
    where its image is a list with `;` between the paths, or a path with `*` or `?`, which stands for the files sorted
    by name, numbers as numbers: B2 before B10."""

    nodata: Annotated[float | Literal["nan"] | None, BeforeValidator(_as_word)] = None
    """The value of pixels without data, instead of what the files say: a number, or `nan`. In floating-point images,
    NaN is no data in any case."""

    bands: Annotated[list[str | int], Field(min_length=1)] | None = None
    """Band names (the images' band descriptions) or 1-based numbers, in the model's order.
    All bands when left out, but for transparency."""

    normalize: Literal["statistics", "min_max", "none"] | Range = "statistics"
    """How values become 0..255: `statistics` (mean ± 3 standard deviations of the training scenes, by band),
    `min_max` (from the training scenes' smallest to their largest value, by band), `{min: 0, max: 10000}` (a fixed
    range; lists give one value per band), or `none` (8-bit imagery only). 8-bit imagery stays as it is with
    `statistics`, and is stretched like any other with a range or `min_max`. What has no data becomes 0, and a pixel of
    value 0 is taken for one without data, as Raster Vision does."""

    @model_validator(mode="after")
    def _a_limit_per_band(self) -> Self:
        if self.bands and isinstance(self.normalize, Range):
            number = len(self.normalize.limits()[0])
            if number not in (1, len(self.bands)):
                found = f"{number} limits for {len(self.bands)} bands"
                raise mistake("limits_per_band", "one for all, or one per band", field="normalize", found=found)
        return self
