"""From YAML to a checked experiment, with every mistake told in the user's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from swath.config.experiment import Experiment
from swath.errors import Problem, UserError, did_you_mean

Location = tuple[str | int, ...]
Config = dict[str, Any]
"""A config as it was read from YAML, before it is checked."""


def load_experiment(config: Config, files: Sequence[str | Path] = ()) -> Experiment:
    """Check a config whole.

    Args:
        config: The config as read from YAML.
        files: The file or files it came from, the last one deciding; used to say where a mistake stands.

    Raises:
        UserError: With one problem per mistake.
    """
    try:
        return Experiment.model_validate(without_empty_sections(config))
    except ValidationError as error:
        raise UserError(problems_of(error, config, files)) from None


def without_empty_sections(config: Config) -> Config:
    """Leave out sections whose keys are all comments: YAML reads them as null."""
    return {key: value for key, value in config.items() if value is not None}


def read_yaml(path: str | Path) -> Config:
    """Read a YAML file whose top level is a mapping.

    Raises:
        UserError: If the file is missing, not YAML, or not a mapping.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(Problem(str(path), "", "no such file", "a YAML config file", "check the path"))
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(
            Problem(str(path), "", " ".join(str(error).split()), "valid YAML", "check indentation and colons")
        ) from None
    if not isinstance(content, dict):
        raise UserError(Problem(str(path), "", type(content).__name__, "sections such as `classes:`", "see README"))
    return content


def problems_of(
    error: ValidationError, config: Config, files: Sequence[str | Path], prefix: Location = ()
) -> list[Problem]:
    """Turn pydantic's errors into problems: file and line, dotted field, found, expected, cure."""
    return [_problem(detail, config, files, prefix) for detail in _without_other_branches(error)]


def _without_other_branches(error: ValidationError) -> list[Any]:
    """Keep one error per place: unions report every branch that did not fit."""
    details = error.errors(include_url=False)
    places = [_place(detail["loc"]) for detail in details]
    seen: dict[Location, Any] = {}
    for detail, place in zip(details, places, strict=True):
        inside = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        if detail["type"] in ("literal_error", "string_type") and isinstance(detail["input"], dict) and inside:
            continue  # a section where a word could stand too: its own mistakes say more
        if place in seen:
            seen[place]["msg"] += f", or {detail['msg'][0].lower()}{detail['msg'][1:]}"
        else:
            seen[place] = dict(detail)
    return list(seen.values())


def _place(location: Location) -> Location:
    """Drop what pydantic adds for union branches and constrained types, which is no key of the YAML."""
    return tuple(part for part in location if not (isinstance(part, str) and _is_branch(part)))


def _is_branch(part: str) -> bool:
    return "[" in part or part in ("str", "int", "float", "bool", "Range", "TrialWeights", "constrained-int", "none")


def _problem(detail: Any, config: Config, files: Sequence[str | Path], prefix: Location) -> Problem:
    place = prefix + _place(detail["loc"])
    field, message = dotted(place), detail["msg"].removeprefix("Value error, ")
    kind, found = detail["type"], f"{detail['input']!r}"
    expected, cure = f"{message[0].lower()}{message[1:]}", ""
    if kind == "extra_forbidden":
        found, expected = f"unknown key {place[-1]!r}", ""
        cure = did_you_mean(str(place[-1]), _known_keys(place[:-1]))
    elif kind == "missing":
        found, expected, cure = "nothing", "a value", f"add `{place[-1]}:`, see docs/reference.md"
    elif kind == "value_error":
        head, _, rest = message.partition(": ")
        if head.count(".") and " " not in head:
            field, expected = head, rest
            place = tuple(head.split("."))
            found = f"{_value_at(config, place)!r}"
        elif isinstance(detail["input"], dict):
            found = ", ".join(f"{key}: {value!r}" for key, value in detail["input"].items()) or "nothing"
        expected, _, cure = expected.partition("; ")
    return Problem(where(files, place), field, _shortened(found), expected, cure or f"change `{field}`")


def _shortened(text: str, length: int = 160) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def dotted(place: Location) -> str:
    """Write a place the way users do: ``sweep.trials[0].train.epochs``."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _value_at(config: Any, place: Location) -> Any:
    for part in place:
        if not isinstance(config, Mapping) or part not in config:
            return None
        config = config[part]
    return config


def _known_keys(place: Location) -> list[str]:
    """List the keys that the section at ``place`` knows."""
    section: type[BaseModel] = Experiment
    for part in place:
        field = section.model_fields.get(str(part))
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        sections = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not sections:
            return []
        section = sections[0]
    return list(section.model_fields)


def where(files: Sequence[str | Path], place: Location) -> str:
    """Name the last config file that has a place, with its line: ``config.yaml:12``."""
    for length in range(len(place), -1, -1):
        for file in reversed(files):
            line = _line_of(Path(file), place[:length])
            if line is not None and length:
                return f"{file}:{line}"
    return str(files[-1]) if files else "config"


def _line_of(file: Path, place: Location) -> int | None:
    try:
        node = yaml.compose(file.read_text())
    except (OSError, yaml.YAMLError):
        return None
    line = None
    for part in place:
        if isinstance(node, yaml.MappingNode):
            entry = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if entry is None:
                return None
            line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return None
    return line
