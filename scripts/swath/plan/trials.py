"""The trials of a sweep: its points, each with the whole experiment's settings and a readable name."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from swath.config.base import Section
from swath.config.conditions import assembled, ranges_of, ways_to
from swath.config.experiment import Experiment
from swath.config.load import Config, Location, problems_of, where, without_empty_sections
from swath.config.ranges import Distribution, Settings
from swath.config.sweep import Search, Sweep
from swath.errors import Problem, UserError, did_you_mean
from swath.files import cut_to_bytes, short_hash

MOST_BYTES = 120
"""Of a trial's name, in a file system that takes 255: fold, seed, endings and temporary names come behind it."""
SEARCHED: Location = ("sweep", "search", "settings")
Proposals = Sequence[Sequence[dict[str, JsonValue]]]
"""Round → its points: dotted setting → value."""
SWEEPABLE = ("imagery", "labels", "chips", "model", "train", "predict")


@dataclass(frozen=True)
class Trial:
    """One point of the sweep.

    Attributes:
        name: Its values, readable: ``learning_rate=0.001,size=128``.
        values: Dotted setting → value, as swept.
        settings: The whole experiment with these values.
        round: Of the search, in which it is trained; 1 without a search.
    """

    name: str
    values: dict[str, JsonValue]
    settings: Experiment
    round: int = 1


def trials_of(
    experiment: Experiment, config: Config, files: Sequence[str | Path], proposed: Proposals = ()
) -> tuple[list[Trial], dict[str, int]]:
    """Make the trials of an experiment's sweep, in the order given; and tell how often points are there more than once.

    Args:
        experiment: The checked config.
        config: The config as read, into which swept values are put.
        files: The config's files, to say where a mistake stands.
        proposed: What the search has proposed so far, by round.

    Raises:
        UserError: For swept settings or values that the config does not allow.
    """
    first = list(sweep_points(experiment.sweep))
    search = experiment.sweep.search
    settings = [(SEARCHED, dict.fromkeys(search.settings))] if search else []
    problems = [problem for place, values in [*first, *settings] for problem in _unknown_settings(place, values, files)]
    if problems:
        raise UserError(problems)
    if search:
        _check_limits(experiment, config, files, search)
        own = assembled(search.settings, lambda name, *_: _value_of(experiment, name))
        first = [(place, values or own) for place, values in first]
    points = [(place, values, 1) for place, values in first]
    points += [(SEARCHED, values, number) for number, round_ in enumerate(proposed, 1) for values in round_]
    swept = sorted({setting for _, values, _ in points for setting in values})
    trials: dict[str, Trial] = {}
    twice: dict[str, int] = {}
    values_of: dict[str, str] = {}  # name → values: the same name for other values gets a hash
    for place, values, number in points:
        resolved = _with_values(experiment, config, files, place, values)
        values = {setting: _value_of(resolved, setting) for setting in values}
        canonical = short_hash(values, 64)
        if canonical in trials:
            if place != SEARCHED:
                twice[canonical] = twice.get(canonical, 1) + 1
            continue
        name = trial_name(values, swept)
        if values_of.setdefault(name, canonical) != canonical:
            name = f"{cut_to_bytes(name, MOST_BYTES - 9)}~{short_hash(values, 8)}"
        trials[canonical] = Trial(name, values, resolved, number)
    return list(trials.values()), {trials[key].name: number for key, number in twice.items()}


def sweep_points(sweep: Sweep) -> Iterator[tuple[Location, dict[str, JsonValue]]]:
    """List a sweep's points with the place each comes from: grid, then listed, then random ones."""
    if sweep.grid:
        for values in itertools.product(*sweep.grid.values()):
            yield ("sweep", "grid"), dict(zip(sweep.grid, values, strict=True))
    for number, trial in enumerate(sweep.trials):
        yield ("sweep", "trials", number), dict(trial)
    if sweep.random:
        generator = random.Random(sweep.random.seed)
        for _ in range(sweep.random.samples):
            yield ("sweep", "random", "settings"), drawn(generator, sweep.random.settings)
    if not (sweep.grid or sweep.trials or sweep.random):
        yield ("sweep",), {}


def _check_limits(experiment: Experiment, config: Config, files: Sequence[str | Path], search: Search) -> None:
    """Make sure that the config allows what a search can propose: the ends of every range, and every choice."""
    for setting in search.settings:
        for distribution in ranges_of(search.settings, setting):
            ends = distribution.choices or [value_at(0.0, distribution), value_at(1.0, distribution)]
            for others in ways_to(search.settings, distribution):
                for value in ends:
                    _with_values(experiment, config, files, SEARCHED, {**others, setting: value})


def drawn(generator: random.Random, settings: Settings) -> dict[str, JsonValue]:
    """Draw a trial."""
    return assembled(settings, lambda setting, number, distribution: draw(generator, distribution))


def draw(generator: random.Random, distribution: Distribution) -> JsonValue:
    """Draw a value; numbers are rounded to four significant digits, to be readable."""
    if distribution.choices is not None:
        choice: JsonValue = generator.choice(distribution.choices)
        return choice
    assert distribution.min is not None and distribution.max is not None
    if distribution.log:
        value = math.exp(generator.uniform(math.log(distribution.min), math.log(distribution.max)))
    else:
        value = generator.uniform(distribution.min, distribution.max)
    return readable_number(value, distribution)


def value_at(share: float, distribution: Distribution) -> JsonValue:
    """Return the value that lies at a share, 0 to below 1, of a range or of the choices."""
    if distribution.choices is not None:
        choice: JsonValue = distribution.choices[int(share * len(distribution.choices))]
        return choice
    assert distribution.min is not None and distribution.max is not None
    if distribution.log:
        low, high = math.log(distribution.min), math.log(distribution.max)
        return readable_number(math.exp(low + share * (high - low)), distribution)
    return readable_number(distribution.min + share * (distribution.max - distribution.min), distribution)


def readable_number(value: float, distribution: Distribution) -> int | float:
    """Round a drawn number, to four significant digits or to a whole one; it stays in its range."""
    assert distribution.min is not None and distribution.max is not None
    rounded = round(value) if distribution.integer else float(f"{value:.4g}")
    return min(max(rounded, distribution.min), distribution.max) if not distribution.integer else rounded


def _unknown_settings(
    place: Location, values: Mapping[str, JsonValue], files: Sequence[str | Path]
) -> Iterator[Problem]:
    for setting in values:
        head, _, rest = setting.partition(".")
        if head not in SWEEPABLE or rest.split(".")[0] not in _fields(head):
            known = [f"{section}.{name}" for section in SWEEPABLE for name in _fields(section)]
            position = (*place, setting)
            yield Problem(
                "unknown_setting",
                where(files, position),
                f"{'.'.join(str(part) for part in place)}: {setting}",
                f"unknown setting {setting!r}",
                "a dotted setting of " + ", ".join(SWEEPABLE),
                did_you_mean(setting, known),
            )


def _fields(section: str) -> list[str]:
    annotation = Experiment.model_fields[section].annotation
    assert isinstance(annotation, type) and issubclass(annotation, Section)
    return list(annotation.model_fields)


def _with_values(
    experiment: Experiment,
    config: Config,
    files: Sequence[str | Path],
    place: Location,
    values: Mapping[str, JsonValue],
) -> Experiment:
    if not values:
        return experiment
    # without the sweep, which says nothing of a trial, and would be read and copied for each of thousands
    changed = deepcopy({name: held for name, held in without_empty_sections(config).items() if name != "sweep"})
    for setting, value in values.items():
        *parents, last = setting.split(".")
        target = changed
        for parent in parents:
            if not isinstance(target.get(parent), dict):
                target[parent] = {}
            target = target[parent]
        target[last] = value
    try:
        return Experiment.model_validate(changed).model_copy(update={"sweep": experiment.sweep})
    except ValidationError as error:
        problems = problems_of(error, changed, files)
        point = ", ".join(f"{setting}={value!r}" for setting, value in values.items())
        raise UserError(
            [
                replace(
                    problem,
                    file=where(files, place),
                    field=f"{'.'.join(map(str, place))} → {problem.field}",
                    cure=f"{problem.cure} (trial {point})",
                )
                for problem in problems
            ]
        ) from None


def _value_of(experiment: Experiment, setting: str) -> JsonValue:
    value: Any = experiment
    for part in setting.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value.model_dump(mode="json") if isinstance(value, Section) else value


def trial_name(values: Mapping[str, JsonValue], swept: Sequence[str] = ()) -> str:
    """Write swept values as a folder name: ``learning_rate=0.001,size=128``; long ones are cut and hashed."""
    last = [setting.rpartition(".")[2] for setting in swept]
    parts = []
    for setting, value in values.items():
        short = setting.rpartition(".")[2]
        parts.append(f"{short if last.count(short) <= 1 else setting}={readable(value)}")
    name = ",".join(parts) or "default"
    long = len(name.encode()) > MOST_BYTES
    return f"{cut_to_bytes(name, 100)}~{short_hash(dict(values), 6)}" if long else name


def readable(value: JsonValue) -> str:
    """Write a swept value as a word that can stand in a folder's name."""
    if isinstance(value, float):
        text = f"{value:g}"
        return text if float(text) == value else repr(value)
    if isinstance(value, Mapping):
        value = "+".join(f"{key}-{readable(entry)}" for key, entry in value.items() if entry is not None) or "none"
    elif isinstance(value, list | tuple):
        value = "+".join(readable(entry) for entry in value) or "none"
    text = str(value)
    return "".join(character if character.isalnum() or character in "._+-" else "_" for character in text)
