"""How far a training is, in words: for logs and terminals without a bar."""

from __future__ import annotations

import time

from swath.job.progress import in_words

FIRST = 10
"""Steps after which the first line comes, if an epoch has more."""
PARTS = 4
"""Of an epoch: a line may come at the end of each."""
LEAST, MOST = 60.0, 600.0
"""Seconds between two lines: no part of an epoch has one sooner, and none is without one for longer."""


class Progress:
    """Says when a line about a training's progress is due, and what it says.

    Args:
        epochs: Of the whole training.
        has_bar: Whether a bar is on the terminal, which shows the rest.
    """

    def __init__(self, epochs: int, has_bar: bool):
        self.epochs, self.has_bar = epochs, has_bar
        self._told = time.monotonic()
        self._steps = self._part = 0

    def end_epoch(self) -> None:
        """Note that a line of its own has told of an epoch."""
        self._told, self._part = time.monotonic(), 0

    def line(self, epoch: int, step: int, steps: int, each: float, left: float) -> str | None:
        """Note a step; return what is to be said after it, mostly nothing.

        Args:
            epoch: The epoch it is part of, from 1.
            step: The step within the epoch, from 1.
            steps: Steps of an epoch.
            each: Seconds that a step takes.
            left: Seconds that the rest of the training takes.
        """
        self._steps += 1
        now, part = time.monotonic(), PARTS * step // steps
        silent = now - self._told
        due = silent >= MOST or (silent >= LEAST and part > self._part)
        self._part = part
        is_first = self._steps == FIRST
        if step == steps or (not is_first and (self.has_bar or not due)):  # the epoch's own line comes next
            return None
        self._told = now
        where = f"epoch {epoch}/{self.epochs}, step {step} of {steps} ({100 * step // steps} %)"
        return f"{where}, {seconds(each)} each, about {in_words(left)} to go"


def seconds(number: float) -> str:
    """Write a step's time."""
    return f"{number:.1f} s" if number >= 1 else f"{1000 * number:.0f} ms"


def speed(chips_per_second: float) -> str:
    """Write how many chips are learned from in a second; in a minute where that is less than one."""
    if chips_per_second >= 1:
        return f"{chips_per_second:.3g} chips/s"
    return f"{60 * chips_per_second:.2g} chips/minute"
