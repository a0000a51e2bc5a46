"""What a budget leaves room for: how many trials may go on, and by which limits that was decided.

It is decided once, when a rung or a round is, and written into its file; everybody reads it from there. What jobs take
is measured, and measured anew it would be something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swath.config.budget import Budget
from swath.config.load import where
from swath.config.records import of_json
from swath.errors import Problem, UserError
from swath.files import read_state

LIMITS = {"gpu_hours": "GPU hours", "cpu_hours": "CPU hours"}
"""Limits of `budget`, and what they are called in a sentence."""


@dataclass(frozen=True)
class Room:
    """What a budget leaves room for.

    Attributes:
        number: How many of those that were to go on.
        reason: Why not all; empty if all do.
        limits: The limits that were in the way: setting of `budget` → hours.
    """

    number: int
    reason: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)


def written(limits: Mapping[str, float]) -> str:
    """Write limits into a cell of a table: ``gpu_hours=40``."""
    return " ".join(f"{name}={limit!r}" for name, limit in limits.items())


def read_limits(text: str) -> dict[str, float]:
    """Read what :func:`written` wrote; what is torn is passed over."""
    parts = (word.partition("=") for word in text.split())
    return {name: float(limit) for name, _, limit in parts if name in LIMITS and limit}


def is_larger(budget: Budget, limits: Mapping[str, float]) -> bool:
    """Tell whether a budget allows more than all limits by which something was decided: it is decided anew then."""
    now = {name: getattr(budget, name) for name in limits}
    return bool(now) and all(now[name] is None or now[name] > limit for name, limit in limits.items())


def ended_before(proposals: Path, made_for: str | None = None) -> Room | None:
    """Read whether the budget, or limits, have ended the search before a round; None if not, or that is not known.

    Args:
        proposals: The file of the round's proposals, of which there are none then.
        made_for: The search, as :func:`swath.plan.proposed.made_for` names it; of any search, if not said.
    """
    content = read_state(proposals)
    if not isinstance(content, dict) or not content.get("ended") or made_for not in (None, content.get("made_for")):
        return None
    return of_json(Room, content["ended"])


def check_room(room: Room | None, configs: Sequence[str]) -> None:
    """Make sure that the budget leaves room for one trial, where none has got to its end yet.

    Args:
        room: What it leaves room for.
        configs: Config files, to say where the budget stands.

    Raises:
        UserError: If it does not.
    """
    if room is None or room.number:
        return
    name, limit = next(iter(room.limits.items()))
    raise UserError(
        Problem(
            "over_budget",
            where(configs, ("budget", name)),
            f"budget.{name}",
            f"{room.reason}: not even the best trial can be trained to its end",
            f"more than {limit:g}",
            "raise it: trainings go on from where they are",
        )
    )
