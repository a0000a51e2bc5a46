"""`labels`: how vector labels become classes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from swath.config.base import Section


class Labels(Section):
    """How vector labels become classes."""

    model_config = ConfigDict(coerce_numbers_to_str=True)  # class codes in attributes are often numbers

    attribute: str | None = None
    """The attribute that holds the class. Left out: every feature is of `default_class`."""

    mapping: dict[str, str | None] = {}
    """Value of the attribute → class. A value mapped to `null` counts as unlabelled. Values that are
    class names already need no entry."""

    default_class: str | None = None
    """The class of features without a class of their own."""

    buffer: Annotated[float, Field(ge=0)] = 0.0
    """Lines and points are widened to polygons by this many metres on every side."""

    cells: Literal["inferred", "given"] = "inferred"
    """Chip classification: the cells' classes are `inferred` from polygons, or the labels are `given` cells of the
    chips' size, which are cut where they are."""

    min_overlap: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Chip classification: a polygon counts for a cell from this share of overlap on."""

    overlap_of: Literal["cell", "polygon"] = "cell"
    """Chip classification: whether `min_overlap` is a share of the `cell` or of the `polygon`."""

    pick: Literal["largest", "first"] = "largest"
    """Chip classification: of several classes in a cell, that with the `largest` overlap, or the `first` in `classes`
    among them."""

    unlabelled: str = "ignore"
    """What lies outside every label: `ignore` (left out of loss and evaluation), or a class, such as background.
    Not for object detection, where it is background in any case."""

    @model_validator(mode="after")
    def _has_a_class(self) -> Self:
        if self.attribute is None and self.default_class is None:
            raise ValueError("give `attribute` (where the class stands) or `default_class` (one class for everything)")
        if self.mapping and self.attribute is None:
            raise ValueError("`mapping` needs `attribute`, whose values it maps")
        return self
