"""`labels`: how vector labels and label rasters become classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from swath.config.base import Section, mistake
from swath.config.classes import NULL_CLASS_ID, Colour


def _colours_as_text(colours: Any) -> Any:
    """Take colours for text, which YAML may have read as numbers."""
    return {str(key): value for key, value in colours.items()} if isinstance(colours, dict) else colours


class Labels(Section):
    """How vector labels become classes, or the values or colours of label rasters."""

    model_config = ConfigDict(coerce_numbers_to_str=True)  # class codes in attributes are often numbers

    attribute: str | None = None
    """The attribute of vector labels that holds the class. Left out: every feature is of `default_class`."""

    mapping: dict[str, str | None] = {}
    """Value of the attribute → class. What is mapped to `null` counts as unlabelled (see `unlabelled`), and hides
    larger polygons below. Values that are class names already need no entry. Without `attribute`, the labels are
    rasters and these are their values."""

    colours: Annotated[dict[Colour, str | None], BeforeValidator(_colours_as_text)] = {}
    """For label rasters that hold colours: colour → class, such as `{"#ff0000": building}`; `null` is unlabelled."""

    colour_tolerance: Annotated[int, Field(ge=0, le=255)] = 0
    """By how much red, green and blue may each differ from one of `colours`, of which the nearest is meant: for label
    rasters that somebody has compressed or resampled."""

    default_class: str | None = None
    """The class of features, values and colours without a class of their own."""

    layer: str | None = None
    """The layer to read, where a file has several."""

    where: str | None = None
    """Which features count: an SQL condition on their attributes, such as `area > 100 AND status = 'built'`."""

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
    Not for object detection, where it is background in any case. Where the image has no data, and under features whose
    attribute is empty, nothing is labelled in either case."""

    @property
    def are_rasters(self) -> bool:
        """Whether labels are rasters: values or colours have classes, and there is no attribute to hold them."""
        return self.attribute is None and bool(self.mapping or self.colours)

    def unlabelled_id(self, classes: Sequence[str]) -> int:
        """Return the class id that unlabelled pixels get: the null class's, if they are ignored.

        Args:
            classes: Class names by id.
        """
        return NULL_CLASS_ID if self.unlabelled == "ignore" else list(classes).index(self.unlabelled)

    @model_validator(mode="after")
    def _has_a_class(self) -> Self:
        if self.attribute is None and self.default_class is None and not self.are_rasters:
            expected = "`attribute` (where the class stands) or `default_class` (one class for everything)"
            raise mistake("setting_needed", expected, "give one of them; for label rasters, `mapping` or `colours`")
        if self.colours and (self.attribute or self.mapping):
            expected = "`colours` alone: they are a label raster's"
            raise mistake("settings_conflict", expected, "leave `attribute` and `mapping` out")
        if self.colour_tolerance and not self.colours:
            expected = "nothing: it goes with `colours`"
            raise mistake("settings_conflict", expected, "leave it out", field="colour_tolerance")
        vectors = [name for name in ("layer", "where", "buffer") if getattr(self, name)]
        if self.are_rasters and vectors:
            expected = "nothing: it is for vector labels, and `mapping` or `colours` without `attribute` for rasters"
            raise mistake("settings_conflict", expected, "leave it out, or name the `attribute`", field=vectors[0])
        return self
