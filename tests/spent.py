"""How long something takes, however much else the machine has to do."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Spent:
    """Seconds on the wall, and those that processes started by this one have computed."""

    wall: float
    computed: float

    @classmethod
    def now(cls) -> Spent:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(time.monotonic(), children.ru_utime + children.ru_stime)

    def since(self, start: Spent) -> float:
        """What it takes on a machine that has nothing else to do: the less of both."""
        return min(self.wall - start.wall, self.computed - start.computed)
