"""Checks of the networks' sizes, where `sweep.limits` has something to say of them: before anything is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from swath.checks.context import Survey
from swath.checks.processes import answer_of
from swath.checks.readings import SurveyedImage
from swath.config.records import to_json
from swath.errors import Problem, UserError
from swath.files import read_state, short_hash, write_json
from swath.scenes.manifest import channel_order
from swath.search.limits import Network, over_limits, without_a_trial

SIZES = Path(".snakemake/swath-networks.json")
"""How large networks are that were built once, with these libraries."""
LIBRARIES = ("torch", "torchvision", "timm", "segmentation-models-pytorch", "rastervision-pytorch-learner")
MOST_NAMED = 5
Size = Mapping[str, Any]
"""Limit → value; of a network that cannot be built, the fields of a :class:`Problem`."""


def within_limits(survey: Survey) -> Iterator[Problem]:
    """Find trials whose network is over the limits, or cannot be built."""
    request = survey.request
    image = next((header for _, header in survey.with_header()), None)
    if not request.networks or image is None or find_spec("torch") is None:  # the container has it: steps judge, then
        return
    sizes = _sizes(request.networks, image)
    over: dict[str, str] = {}
    for trial, size in sizes.items():
        if not_built := _problem_of(size):
            yield replace(not_built, file=survey.place("model")) if not_built.file == "config" else not_built
        elif said := over_limits(request.limits, size):
            over[trial] = said
    place, named = survey.place("sweep", "limits"), [f"{trial}: {said}" for trial, said in over.items()]
    if over and len(over) == len(sizes) and not request.proposes:
        yield without_a_trial(f"none of {len(sizes)} trials", named, place)
    elif over:
        more = f" and {len(over) - MOST_NAMED} more" if len(over) > MOST_NAMED else ""
        found = "; ".join(named[:MOST_NAMED]) + more
        yield Problem("network_over_limits", place, "sweep.limits", found, "trials that can win", "")


def _sizes(networks: Mapping[str, Network], image: SurveyedImage) -> dict[str, Size]:
    """Have the networks of trials built in a process of its own, each once; those of a user's own code every time."""
    asked: dict[str, tuple[JsonValue, int]] = {}
    for trial, network in networks.items():
        with contextlib.suppress(UserError):  # the image lacks such a band, which another check says
            asked[trial] = to_json(network), len(channel_order(image, network.bands))
    libraries = [version(name) for name in LIBRARIES]
    keys = {trial: short_hash([request, libraries]) for trial, request in asked.items()}
    known: dict[str, Size] = read_state(SIZES) or {}
    new = {keys[trial]: asked[trial] for trial in asked if keys[trial] not in known}
    if new:
        known |= dict(zip(new, _built(list(new.values())), strict=True))
        own = {keys[trial] for trial in asked if networks[trial].model.get("definition")}
        write_json(SIZES, {key: size for key, size in known.items() if key not in own and not _problem_of(size)})
    return {trial: known[key] for trial, key in keys.items()}


def _problem_of(size: Size) -> Problem | None:
    return Problem(**size) if "code" in size else None


def _built(asked: Sequence[tuple[JsonValue, int]]) -> list[Size]:
    found: list[Size] = answer_of("swath.rv.network_sizes", asked)
    return found


CHECKS = (within_limits,)
