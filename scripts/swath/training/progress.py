"""How far a training is, in words: for logs and terminals without a bar."""

from __future__ import annotations

import time

FIRST = 10
"""Steps after which the first line comes."""
EVERY = 180.0
"""Seconds between two lines within an epoch."""


class Progress:
    """Says when a line about a training's progress is due, and what it says.

    Args:
        epochs: Of the whole training.
        has_bar: Whether a bar is on the terminal, which shows the rest.
    """

    def __init__(self, epochs: int, has_bar: bool):
        self.epochs, self.has_bar = epochs, has_bar
        self._begun = self._told = time.monotonic()
        self._steps = 0

    def line(self, epoch: int, step: int, steps: int) -> str | None:
        """Note a step; return what is to be said after it, mostly nothing.

        Args:
            epoch: The epoch it is part of, from 1.
            step: The step within the epoch, from 1.
            steps: Steps of an epoch.
        """
        self._steps += 1
        now = time.monotonic()
        is_first = self._steps == min(FIRST, steps)
        if not is_first and (self.has_bar or now - self._told < EVERY):
            return None
        self._told = now
        each = (now - self._begun) / self._steps
        left = each * (steps - step + steps * (self.epochs - epoch))
        return (
            f"epoch {epoch}/{self.epochs}, step {step} of {steps}, {seconds(each)} each, about {in_words(left)} to go"
        )


def seconds(number: float) -> str:
    """Write a step's time."""
    return f"{number:.1f} s" if number >= 1 else f"{1000 * number:.0f} ms"


def in_words(number: float) -> str:
    """Write a time that is left, roughly."""
    for limit, unit, name in ((90, 1, "seconds"), (90 * 60, 60, "minutes"), (48 * 3600, 3600, "hours")):
        if number < limit:
            return f"{max(1, round(number / unit))} {name}"
    return f"{round(number / 86400)} days"


def speed(chips_per_second: float) -> str:
    """Write how many chips are learned from in a second; in a minute where that is less than one."""
    if chips_per_second >= 1:
        return f"{chips_per_second:.3g} chips/s"
    return f"{60 * chips_per_second:.2g} chips/minute"
