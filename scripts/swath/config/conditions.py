"""Conditions of a sweep's settings: ranges that hold only for trials with certain values of other settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from swath.config.base import Key, mistake
from swath.config.ranges import Distribution, Settings
from swath.errors import did_you_mean

Values = Mapping[str, Any]
"""Dotted setting → value."""


def ranges_of(settings: Settings, setting: str) -> list[Distribution]:
    """List the ranges of a setting, the first of which that holds counts."""
    ranges = settings[setting]
    return list(ranges) if isinstance(ranges, list) else [ranges]


def range_in_use(settings: Settings, setting: str, values: Values) -> int | None:
    """Tell which of a setting's ranges holds for a trial; None if it has none, and keeps the config's own value.

    Args:
        settings: All settings that are drawn or searched.
        setting: One of them.
        values: The trial's values of those that come before it, by :func:`in_order`.
    """
    for number, distribution in enumerate(ranges_of(settings, setting)):
        conditions = (distribution.when or {}).items()
        if all(name in values and values[name] in _wanted(settings, name, said) for name, said in conditions):
            return number
    return None


def assembled(settings: Settings, value_of: Callable[[str, int, Distribution], Any]) -> dict[str, Any]:
    """Make a trial: the values of the settings that it has, as they stand.

    Args:
        settings: All settings that are drawn or searched.
        value_of: Makes a value, of the setting, the number of its range in use, and that range.
    """
    values: dict[str, Any] = {}
    for setting in in_order(settings):
        number = range_in_use(settings, setting, values)
        if number is not None:
            values[setting] = value_of(setting, number, ranges_of(settings, setting)[number])
    return {setting: values[setting] for setting in settings if setting in values}


def in_order(settings: Settings) -> list[str]:
    """List settings so that each comes after those that its conditions name; as they stand, where there are none."""
    found: list[str] = []
    while len(found) < len(settings):
        ready = [name for name in settings if name not in found and _parents(settings, name) <= set(found)]
        if not ready:
            break  # conditions in a circle, which are refused
        found.append(ready[0])
    return found


def ways_to(settings: Settings, distribution: Distribution) -> list[dict[str, Any]]:
    """List the values of other settings with which a range holds, in all combinations."""
    ways: list[dict[str, Any]] = [{}]
    for name, said in (distribution.when or {}).items():
        choices = [
            {**before, name: value}
            for value in _wanted(settings, name, said)
            for other in ranges_of(settings, name)
            if value in (other.choices or ())
            for before in ways_to(settings, other)
        ]
        ways = [{**one, **other} for one in ways for other in choices]
    return ways


def check_conditions(settings: Settings) -> None:
    """Make sure that conditions name settings and values that there are.

    Raises:
        PydanticCustomError: If they do not.
    """
    for setting, ranges in settings.items():
        several = ranges_of(settings, setting)
        for number, distribution in enumerate(several):
            place: tuple[Key, ...] = ("settings", setting)
            place += (number,) if isinstance(ranges, list) else ()
            if distribution.when is None and number < len(several) - 1:
                expected = "a range with `when`: those behind it would never be taken"
                raise mistake("settings_conflict", expected, "put it last", field=place, found="a range without `when`")
            for name, said in (distribution.when or {}).items():
                _check_condition(settings, setting, (*place, "when", name), name, said)
    if circle := [name for name in settings if name not in in_order(settings)]:
        expected = "conditions that do not go in a circle"
        raise mistake("settings_conflict", expected, field=("settings", circle[0]), found=", ".join(circle))


def _check_condition(settings: Settings, setting: str, place: tuple[Key, ...], name: str, said: Any) -> None:
    others = [other for other in settings if other != setting]
    if name not in others:
        expected = "another setting of the same `settings`, whose values differ between trials"
        found = f"unknown setting {name!r}" if name != setting else f"the setting itself, {name!r}"
        raise mistake("unknown_setting", expected, did_you_mean(name, others), field=place, found=found)
    choices = _choices(settings, name)
    if not choices:
        expected = f"a setting with `choices`; {name} has a range, of which no value comes up twice"
        raise mistake("wrong_value", expected, f"give `choices` to {name}", field=place, found=repr(said))
    for value in _wanted(settings, name, said):
        if value not in choices:
            expected = f"one of the choices of {name}: {', '.join(map(str, choices))}"
            cure = did_you_mean(str(value), list(map(str, choices)))
            raise mistake("not_a_choice", expected, cure, field=place, found=repr(value))


def _choices(settings: Settings, setting: str) -> list[Any]:
    return [value for distribution in ranges_of(settings, setting) for value in distribution.choices or ()]


def _wanted(settings: Settings, name: str, said: Any) -> Sequence[Any]:
    """List the values that a condition names: a choice, or a list of some; choices can be lists themselves."""
    return said if isinstance(said, list) and said not in _choices(settings, name) else [said]


def _parents(settings: Settings, setting: str) -> set[str]:
    return {name for one in ranges_of(settings, setting) for name in one.when or () if name in settings}
