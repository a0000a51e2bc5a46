"""How far a prediction is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from swath.job.terminal import terminal_for_bar
from swath.training.progress import in_words

EVERY = 30.0
"""Seconds between two lines in a log."""

log = logging.getLogger("swath.predict")


class Progress:
    """Counts windows, and says how many are done.

    Args:
        name: What is predicted.
        total: Windows.
    """

    def __init__(self, name: str, total: int):
        self._name, self._total, self._done = name, total, 0
        self._begun = self._told = time.monotonic()

    def __enter__(self) -> Self:
        stream = terminal_for_bar()
        self._bar = tqdm(
            total=self._total, desc=self._name, unit=" windows", file=stream, leave=False, disable=not stream
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def add(self, windows: int) -> None:
        """Note that some more windows are done."""
        self._done += windows
        self._bar.update(windows)
        now = time.monotonic()
        if windows and self._bar.disable and now - self._told >= EVERY:
            self._told = now
            left = (now - self._begun) * (self._total - self._done) / self._done
            share = 100 * self._done // self._total
            log.info("%s: %d %% of %d windows, about %s to go", self._name, share, self._total, in_words(left))
