"""How far a job is: a bar on a terminal, a line now and then in a log; and times in words."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from swath.job.terminal import LOG_ALONE, terminal_for_bar

EVERY = 30.0
"""Seconds between two lines in a log."""
MANY = 10
"""Of more parts than these, the terminal is told how many are done, and the log alone of each."""


class Progress:
    """Counts what is done, and says how much of all that is.

    Args:
        log: Gets the lines; a stage's own.
        name: What is being worked on.
        total: How much there is to do.
        unit: Of what: windows, chips, scenes.
    """

    def __init__(self, log: logging.Logger, name: str, total: int, unit: str):
        self._log, self._name, self._total, self._unit, self._done = log, name, total, unit, 0
        self._begun = self._told = time.monotonic()

    def __enter__(self) -> Self:
        stream = terminal_for_bar()
        self._bar = tqdm(
            total=self._total, desc=self._name, unit=f" {self._unit}", file=stream, leave=False, disable=not stream
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    @property
    def of_a_part(self) -> dict[str, bool]:
        """What a line about one part has as its ``extra``."""
        return {LOG_ALONE: self._total > MANY}

    def add(self, number: int = 1) -> None:
        """Note that some more is done."""
        self._done += number
        self._bar.update(number)
        now = time.monotonic()
        if number and self._done < self._total and self._bar.disable and now - self._told >= EVERY:
            self._told = now
            left = (now - self._begun) * (self._total - self._done) / self._done
            share = 100 * self._done // self._total
            self._log.info(
                "%s: %d %% of %d %s, about %s to go", self._name, share, self._total, self._unit, in_words(left)
            )


def in_words(seconds: float) -> str:
    """Write a time that is left, roughly."""
    for limit, unit, name in ((90, 1, "second"), (90 * 60, 60, "minute"), (48 * 3600, 3600, "hour")):
        if seconds < limit:
            number = max(1, round(seconds / unit))
            return f"{number} {name}{'s' * (number != 1)}"
    return f"{round(seconds / 86400)} days"
