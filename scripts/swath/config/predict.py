"""`predict`: the sliding window over whole scenes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from swath.config.base import Section, mistake


class Predict(Section):
    """How a trained model is run over whole scenes."""

    chip_size: PositiveInt | None = None
    """Window size in pixels; the training chips' size when left out."""

    stride: PositiveInt | None = None
    """Step in pixels; the window size when left out, half of it for object detection. Smaller steps see every pixel
    several times."""

    crop: Annotated[int, Field(ge=0)] | Literal["auto"] = 0
    """Pixels cut off every window's edge before it counts; `auto` is half of what windows overlap."""

    smooth: bool = False
    """Average the class scores of overlapping windows, instead of counting votes."""

    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Object detection: boxes with a smaller score are left out of maps, counts and F1."""

    merge_threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Object detection: of two boxes that overlap by more than this share of their union, the better one stays."""

    batch_size: PositiveInt = 16
    """Windows per step; changes speed, not results."""

    @model_validator(mode="after")
    def _windows_meet(self) -> Self:
        if self.chip_size and self.stride and self.stride > self.chip_size:
            expected = f"no more than `chip_size` ({self.chip_size}): pixels would be left out"
            raise mistake("windows_apart", expected, field="stride")
        return self


class Window(Section):
    """The prediction window of an experiment, resolved; what its task does not have is None."""

    chip_size: PositiveInt
    """Width and height in pixels."""

    stride: PositiveInt
    """Step in pixels."""

    crop: Annotated[int, Field(ge=0)] | None = None
    """Semantic segmentation: pixels cut off every window's edge."""

    smooth: bool | None = None
    """Semantic segmentation: whether scores are averaged."""

    score_threshold: float | None = None
    """Object detection: the least score of a box that counts."""

    merge_threshold: float | None = None
    """Object detection: the overlap from which on two boxes are one."""
