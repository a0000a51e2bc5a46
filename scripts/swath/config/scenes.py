"""`scenes`: which images, labels and splits there are."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from swath.config.base import Section


class Scenes(Section):
    """Either a table with one row per scene, or path patterns."""

    table: str | None = None
    """CSV or GeoParquet file with the columns scene, image, labels, split and, optionally, aoi.
    Paths in it start at the table's folder. A cell can hold several paths with `;` between them, and wildcards: see
    `imagery.files`. Test scenes can do without labels: they are predicted, not evaluated."""

    image: str | None = None
    """Instead of a table: the images' paths with `{split}` and `{scene}` as placeholders, such as
    `data/{split}/img{scene}.tif`. `{split}` finds folders named train, val (or validation, valid) and test."""

    labels: str | None = None
    """The labels' paths with the same placeholders; or one path without them: a file with the labels of many scenes,
    of which each takes what touches it. Beside a table, for rows without labels of their own."""

    aoi: str | None = None
    """Optional: the areas of interest's paths with the same placeholders."""

    @model_validator(mode="after")
    def _table_or_patterns(self) -> Self:
        if (self.table is None) == (self.image is None):
            raise ValueError("give either `table` or the patterns `image` and `labels`")
        if self.table is not None and self.aoi:
            raise ValueError("`aoi` is a pattern; with a `table` it is its column")
        if self.image is not None and self.labels is None:
            raise ValueError("the pattern `labels` is missing beside `image`")
        for pattern in (self.image, self.aoi):
            if pattern is not None and ("{scene}" not in pattern or "{split}" not in pattern):
                raise ValueError(f"{pattern!r} needs both placeholders, {{split}} and {{scene}}")
        return self
