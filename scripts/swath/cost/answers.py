"""What a probe says: of every sample of scenes what was cut of it, of every kind of training what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swath.cost.prices import Time


@dataclass(frozen=True)
class Done:
    """What a stage took.

    Attributes:
        time: All of it together.
        work: How much work it was, in the rule's unit (see :mod:`swath.cost.work`).
    """

    time: Time
    work: float


@dataclass(frozen=True)
class Cut:
    """Some scenes, prepared and cut.

    Attributes:
        windows, chips: Split → how many windows were looked at, and how many chips they gave.
        scenes, analyze, chip: What the stages took.
        zipped: Bytes of the chips.
    """

    windows: Mapping[str, int]
    chips: Mapping[str, int]
    scenes: Done
    analyze: Done
    chip: Done
    zipped: int


@dataclass(frozen=True)
class Tried:
    """A training, of which some batches were learned from and some windows predicted.

    Attributes:
        chip, validation: A chip that is learned from, or validated on.
        epoch: An epoch beside its chips.
        fixed: What comes before and after all epochs.
        window: A pixel of a window that is predicted.
        batches, windows: How many were tried.
        size: Pixels of a chip's side.
        bytes: Of the model.
        gpu: Whether a GPU has computed.
    """

    chip: Time
    validation: Time
    epoch: Time
    fixed: Time
    window: Time
    batches: int
    windows: int
    size: int
    bytes: int
    gpu: bool


@dataclass(frozen=True)
class Answer:
    """All that a probe says.

    Attributes:
        start: Until torch and Raster Vision are there.
        samples: Key of chips → what was cut.
        trainings: Kind → what it takes, or why it could not be tried, in words.
    """

    start: Time
    samples: Mapping[str, Cut]
    trainings: Mapping[str, Tried | str]
