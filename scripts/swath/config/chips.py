"""`chips`: the training windows."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from swath.config.base import Section, mistake


class Chips(Section):
    """How training and validation windows are cut."""

    size: PositiveInt = 256
    """Width and height in pixels; for chip classification, of a cell."""

    sampling: Literal["random", "sliding"] = "random"
    """`random` windows, or a `sliding` window that covers the scene. Chip classification: `sliding`, if not said
    otherwise."""

    per_scene: PositiveInt = 50
    """Random sampling: windows drawn per scene."""

    stride: PositiveInt | None = None
    """Sliding: step in pixels; the chip size when left out."""

    padding: NonNegativeInt = 0
    """Random sampling: by how many pixels windows may reach over the scene's edge."""

    min_labelled: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Semantic segmentation: chips with a smaller share of labelled pixels are dropped."""

    max_nodata: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Chips with this share of pixels without data, or more, are dropped."""

    negative_ratio: NonNegativeFloat | None = None
    """Object detection, random sampling: windows without boxes for every window drawn around one. Left out, windows
    fall anywhere."""

    min_box_overlap: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Object detection: a box counts on a chip that shows at least this share of it, and in a scene that holds it; the
    rest is cut off."""

    max_negative_overlap: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Object detection: a window without boxes may show up to this share of one."""

    within_aoi: bool = True
    """Scenes with an area of interest: take windows that lie wholly inside (`true`) or that touch it."""

    seed: NonNegativeInt = 0
    """Where random windows fall."""

    @model_validator(mode="after")
    def _stride_belongs_to_sliding(self) -> Self:
        if self.stride is not None and self.sampling != "sliding":
            expected = "nothing: it belongs to `sampling: sliding`"
            raise mistake("settings_conflict", expected, "leave it out, or set `sampling: sliding`", field="stride")
        return self
