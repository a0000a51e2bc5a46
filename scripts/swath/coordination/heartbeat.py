"""Signs of life: a file that changes while somebody watches. Clocks of different machines are never compared."""

from __future__ import annotations

import threading
from collections.abc import Callable

HEARTBEAT = 10.0
"""Seconds between two signs of life, of runs and of trainings."""
SILENCE = 90.0
"""Seconds without one after which a process elsewhere counts as dead; longer than file systems cache attributes."""


class Heartbeat:
    """A thread that gives a sign of life again and again.

    Args:
        beat: Gives the sign; returns whether to go on. An ``OSError`` is passed over: a full disk or a server that
            hangs is no reason to stop.
        seconds: Time between two signs; ``HEARTBEAT`` where none is named.
    """

    def __init__(self, beat: Callable[[], bool], seconds: float | None = None):
        self.seconds = seconds or HEARTBEAT
        self._beat = beat
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for a sign that is just being given."""
        self._ended.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._ended.wait(self.seconds):
            try:
                if not self._beat():
                    return
            except OSError:
                continue
