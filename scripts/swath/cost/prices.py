"""What jobs of a kind take, in seconds, CPU seconds and bytes, and from where that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from swath.files import short_hash

Source = Literal["measured", "probed", "typical", "unknown"]
"""Of earlier jobs; of a sample on this machine; of small experiments elsewhere; not at all."""
BY_NUMBER = ("scenes", "analyze", "chip", "eval")
"""Rules whose jobs say how much work they are, and whose kind is the rule."""
TRAININGS = ("train", "train_rung")
"""Rules that train: to the end, or for some epochs."""
NEEDS_GPU = (*TRAININGS, "predict")
"""Rules that compute on a GPU, if there is one."""
NOT_OF_SPEED = ("weights",)
"""Settings of a network that say nothing of how fast it is."""
OF_SPEED = (
    *("threads", "gpus", "channels_last", "mixed_precision", "compile", "deterministic"),
    *("freeze_encoder", "freeze_stages"),
)
"""Settings of a training that say how fast a network learns."""


class Time(NamedTuple):
    """How long something takes.

    Attributes:
        seconds: By the clock.
        cpu: CPU seconds.
    """

    seconds: float = 0.0
    cpu: float = 0.0

    def times(self, number: float) -> Time:
        """Return so much of it."""
        return Time(self.seconds * number, self.cpu * number)

    def plus(self, other: Time) -> Time:
        """Return both together."""
        return Time(self.seconds + other.seconds, self.cpu + other.cpu)


NOTHING = Time()
FORK = Time(0.4, 0.3)
"""Until a job works that is forked from a process that has imported the libraries."""


@dataclass(frozen=True)
class Work:
    """How much work a job is.

    Attributes:
        amount: In a unit of the rule's (see :mod:`swath.cost.work`); of a training, the pixels of its chips.
        validation: Of a training, the pixels of its validation chips.
        epochs: How often that is gone through.
        is_most: Whether it can be less.
    """

    amount: float = 0.0
    validation: float = 0.0
    epochs: int = 1
    is_most: bool = False


@dataclass(frozen=True)
class Price:
    """What jobs of a kind take.

    Attributes:
        start: Until a job's work begins; of jobs whose work has no number, all of it.
        unit, validation: A unit of work.
        epoch: An epoch of a training, beside its chips.
        imports: How much of `start` goes into importing libraries.
        bytes: What a job publishes, whatever its work.
        bytes_of_unit: What it publishes of a unit of work.
        source: From where this is known.
    """

    start: Time
    unit: Time = NOTHING
    validation: Time = NOTHING
    epoch: Time = NOTHING
    imports: Time = NOTHING
    bytes: float = 0.0
    bytes_of_unit: float = 0.0
    source: Source = "measured"

    def time_of(self, work: Work) -> Time:
        """Say how long a job takes."""
        of_epoch = self.unit.times(work.amount).plus(self.validation.times(work.validation)).plus(self.epoch)
        return self.start.plus(of_epoch.times(work.epochs))

    def bytes_of(self, work: Work) -> float:
        """Say how much a job publishes."""
        return self.bytes + self.bytes_of_unit * work.amount

    def on_machine(self, imports: Time) -> Price:
        """Return a typical price as it is on a machine where importing the libraries takes so long."""
        seconds, cpu = imports.seconds / IMPORTS.seconds, imports.cpu / IMPORTS.cpu
        parts = (self.start, self.unit, self.imports)
        start, unit, imported = (Time(one.seconds * seconds, one.cpu * cpu) for one in parts)
        return replace(self, start=start, unit=unit, imports=imported)

    def forked(self) -> Price:
        """Return the price where jobs are forked from a process that has imported the libraries."""
        if self.source == "measured":
            return self
        left = self.start.plus(self.imports.times(-1))
        return replace(self, start=Time(max(left.seconds, FORK.seconds), max(left.cpu, FORK.cpu)), imports=NOTHING)


Prices = Mapping[str, Price]
"""Kind of job → its price."""


def kind_of_training(task: str, spec: Mapping[str, Any], bands: Any, on_gpu: bool) -> str:
    """Name what trainings have in common whose chips take as long, but for their size.

    Args:
        task: The task.
        spec: Of the model.
        bands: The setting `imagery.bands`.
        on_gpu: Whether a GPU computes.
    """
    computing = {name: spec["train"][name] for name in OF_SPEED if name in spec["train"]}
    return short_hash(["train", task, _network(spec), computing, bands, on_gpu])


def kind_of_prediction(task: str, spec: Mapping[str, Any], window: Mapping[str, Any], bands: Any, on_gpu: bool) -> str:
    """Name what predictions have in common whose windows take as long, but for their size.

    Args:
        task, bands, on_gpu: As of :func:`kind_of_training`.
        spec: Of the model.
        window: The resolved prediction window.
    """
    computing = [spec["train"].get("channels_last"), window.get("mixed_precision")]
    return short_hash(["predict", task, _network(spec), computing, bands, on_gpu])


def _network(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in spec["model"].items() if name not in NOT_OF_SPEED}


def _typical(cpu: float, made: float = 0.0, unit: float = 0.0) -> Price:
    """Price a job that has a core to itself: CPU seconds, bytes, CPU seconds for a unit of work."""
    start = Time(1.1 * cpu, cpu)
    imports = Time(min(start.seconds, IMPORTS.seconds), min(start.cpu, IMPORTS.cpu))
    return Price(start, Time(1.1 * unit, unit), imports=imports, bytes=made, source="typical")


IMPORTS = Time(7.2, 6.5)
"""How long it takes to import torch and Raster Vision on the machine that `TYPICAL` was measured on."""
TYPICAL: Prices = {
    "splits": _typical(0.3, 500),
    "encoder_weights": _typical(4.5, 5e7),
    "eval": _typical(7.0, 25_000, unit=1.8e-6),
    "bundle": _typical(7.4, 600_000),
    "leaderboard": _typical(1.3, 5000),
    "select": _typical(1.1, 500),
    "rung": _typical(1.1, 500),
    "propose": _typical(1.1, 500),
    "summary": _typical(2.1, 2.7e6),
    "final_report": _typical(6.2, 2.4e6),
    "havel": _typical(3.6, 1.5e7),
    "havel_chips": _typical(3.0, 1e6),
    "neon_trees": _typical(2.2, 2.5e7),
}
"""Rule → what its jobs take in the demos, for want of anything better; what a bundle holds is the model's, too."""
