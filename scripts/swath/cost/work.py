"""How much work a job is, in a unit of its rule's: by it, what a job has taken tells what another one will take.

Jobs write it down when they begin (:func:`swath.job.attempts.note_work`); the plan says it of jobs that are to come.
The units: ``scenes``: scenes. ``analyze``, ``eval``: pixels of scenes. ``chip``: pixels of windows that are looked at.
``predict``: pixels of windows, of all turns. Of a training, its history says more than a number could.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

from swath.config.chips import Chips
from swath.config.predict import Window

TURNS = 8
"""Orientations in which a window is predicted with `predict.flips`."""


class Sized(Protocol):
    """What has a width and a height, in pixels."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def height(self) -> int:
        """Rows."""


def pixels_of(images: Iterable[Sized]) -> float:
    """Add up the pixels of some images."""
    return float(sum(image.width * image.height for image in images))


def windows_for_chips(image: Sized, chips: Chips) -> int:
    """Count the windows of an image that are looked at for chips; some of them can be dropped."""
    if chips.sampling == "random":
        return chips.per_scene
    return _windows(image, chips.size, chips.stride or chips.size)


def chip_work(images: Iterable[Sized], chips: Chips) -> float:
    """Count the pixels of all windows that are looked at for chips."""
    return float(sum(windows_for_chips(image, chips) for image in images) * chips.size**2)


def prediction_work(images: Iterable[Sized], window: Window) -> float:
    """Count the pixels of all windows that a model sees."""
    number = sum(_windows(image, window.chip_size, window.stride) for image in images)
    return float(number * window.chip_size**2 * (TURNS if window.flips else 1))


def _windows(image: Sized, size: int, stride: int) -> int:
    return math.prod(math.ceil(max(side - size, 0) / stride) + 1 for side in (image.width, image.height))
