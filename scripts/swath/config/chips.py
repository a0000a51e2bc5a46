"""`chips`: the training windows."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from swath.config.base import Section


class Chips(Section):
    """How training and validation windows are cut."""

    size: PositiveInt = 256
    """Width and height in pixels."""

    sampling: Literal["random", "sliding"] = "random"
    """`random` windows, or a `sliding` window that covers the scene."""

    per_scene: PositiveInt = 50
    """Random sampling: windows drawn per scene."""

    stride: PositiveInt | None = None
    """Sliding: step in pixels; the chip size when left out."""

    padding: NonNegativeInt = 0
    """Random sampling: by how many pixels windows may reach over the scene's edge."""

    min_labelled: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Chips with a smaller share of labelled pixels are dropped."""

    max_nodata: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Chips with this share of pixels without data, or more, are dropped."""

    within_aoi: bool = True
    """Scenes with an area of interest: take windows that lie wholly inside (`true`) or that touch it."""

    seed: NonNegativeInt = 0
    """Where random windows fall."""

    @model_validator(mode="after")
    def _stride_belongs_to_sliding(self) -> Self:
        if self.stride is not None and self.sampling != "sliding":
            raise ValueError("`stride` belongs to `sampling: sliding`")
        return self
