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
    """Step in pixels; half the window size when left out. Smaller steps see every pixel several times: half a window
    takes four times as long as a whole one, with which maps show a grid of seams."""

    crop: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Pixels cut off every window's edge before it counts, since a network sees little around what lies there; `auto`
    is half of what windows overlap, and none with `smooth`."""

    smooth: bool | Literal["tapered"] = False
    """Average the class scores of overlapping windows, instead of counting votes. With `tapered`, scores count less
    towards a window's edge, so that seams vanish; Raster Vision's own `predict`, which a bundle is for, averages
    plainly then, and knows nothing of `flips` and `mixed_precision`."""

    flips: bool = False
    """Predict every window eight times, mirrored and in right-angle turns, and average: eight times the work."""

    scores: bool = False
    """Write `scores.tif` beside every map: a band for each class, from 0 to 1; with `smooth`."""

    uncertainty: Literal["none", "entropy", "margin"] = "none"
    """Write `uncertainty.tif` beside every map, from 0 (certain) to 1: the entropy of the scores, or how close the two
    highest ones are; with `smooth`."""

    mixed_precision: Literal["none", "bf16", "fp16"] = "none"
    """Compute in 16 bits: faster on GPUs; maps differ in a few pixels."""

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

    smooth: bool | Literal["tapered"] | None = None
    """Semantic segmentation: whether scores are averaged."""

    flips: bool | None = None
    """Not for object detection: whether to predict in all turns, too; None for no."""

    scores: bool | None = None
    """Semantic segmentation: whether to write a score per class; None for no."""

    uncertainty: Literal["entropy", "margin"] | None = None
    """Semantic segmentation: how uncertainty is measured, if it is written."""

    mixed_precision: Literal["bf16", "fp16"] | None = None
    """Not for object detection: the 16 bits to compute in; None for 32."""

    score_threshold: float | None = None
    """Object detection: the least score of a box that counts."""

    merge_threshold: float | None = None
    """Object detection: the overlap from which on two boxes are one."""
