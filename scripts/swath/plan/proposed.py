"""What a search has proposed so far: files, ``search/round-<number>.json`` in the experiment's folder."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Any

from swath.config.conditions import ranges_of
from swath.config.experiment import Experiment
from swath.config.sweep import Search
from swath.files import read_state, short_hash
from swath.plan.trials import Proposals


def proposals_file(experiment: str, number: str | int) -> str:
    """Return the file of a round's proposals, from the working directory; rounds are counted from 1."""
    return f"results/experiments/{experiment}/search/round-{number}.json"


def made_for(search: Search) -> str:
    """Name what proposals depend on beside results: those of another search count for nothing."""
    return short_hash(search.model_dump(mode="json", exclude={"rounds"}))


def proposals_of(experiment: Experiment) -> Proposals:
    """Read what the experiment's search has proposed: the rounds up to the first that is not there.

    Args:
        experiment: The checked config.
    """
    search = experiment.sweep.search
    if search is None:
        return ()
    rounds = (_read(experiment.experiment, number, search) for number in range(1, search.rounds + 1))
    return list(takewhile(bool, rounds))


def _read(experiment: str, number: int, search: Search) -> list[dict[str, Any]]:
    content = read_state(Path(proposals_file(experiment, number)))
    if not isinstance(content, dict) or content.get("made_for") != made_for(search):
        return []
    points = [point for point in content["points"] if point and set(point) <= set(search.settings)]
    return [
        {setting: _as_listed(search, setting, point[setting]) for setting in search.settings if setting in point}
        for point in points
    ]


def _as_listed(search: Search, setting: str, value: Any) -> Any:
    """Return the choice that a value is: the order of a mapping's keys, which names trials, is lost in JSON."""
    choices = (choice for ranges in ranges_of(search.settings, setting) for choice in ranges.choices or ())
    return next((choice for choice in choices if choice == value), value)
