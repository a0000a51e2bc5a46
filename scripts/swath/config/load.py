"""From YAML to a checked experiment, with every mistake told in the user's words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from swath.config.apply import Application
from swath.config.base import keys_of
from swath.config.experiment import Experiment
from swath.config.plain_yaml import problems_in
from swath.errors import Problem, UserError, did_you_mean

Location = tuple[str | int, ...]
Config = dict[str, Any]
"""A config as it was read from YAML, before it is checked."""
Checked = TypeVar("Checked", bound=BaseModel)


def load_experiment(config: Config, files: Sequence[str | Path] = ()) -> Experiment:
    """Check a config whole.

    Args:
        config: The config as read from YAML.
        files: The file or files it came from, the last one deciding; used to say where a mistake stands.

    Raises:
        UserError: With one problem per mistake.
    """
    return _checked(Experiment, config, files)


def load_application(config: Config, files: Sequence[str | Path] = ()) -> Application:
    """Check a config that trains nothing, as :func:`load_experiment` does."""
    return _checked(Application, config, files)


def trains(config: Config) -> bool:
    """Tell whether a config is one of a training, and not only of new images for a model that is there, or of a map."""
    others = "apply" in config or "accuracy" in config
    return not others or any(config.get(section) for section in ("classes", "scenes", "labels"))


def _checked(kind: type[Checked], config: Config, files: Sequence[str | Path]) -> Checked:
    if misread := problems_in(files):
        raise UserError(misread)
    try:
        return kind.model_validate(without_empty_sections(config))
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
    if not path.exists() or path.is_dir():
        raise UserError(Problem("file_missing", str(path), "", "no such file", "a YAML config file", "check the path"))
    try:
        content = _read_json_or_yaml(path)
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02x}, which is no UTF-8"
        raise UserError(Problem("invalid_yaml", str(path), "", found, "YAML in UTF-8", "save it as UTF-8")) from None
    except yaml.YAMLError as error:
        raise UserError(_no_yaml(path, error)) from None
    if not isinstance(content, dict):
        found, expected = type(content).__name__, "sections such as `classes:`"
        raise UserError(Problem("invalid_yaml", str(path), "", found, expected, "see docs/own-data.md"))
    return content


def _read_json_or_yaml(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    try:
        return json.loads(text)  # also with tabs, which YAML does not allow
    except ValueError:
        return yaml.safe_load(text)


def _no_yaml(path: Path, error: yaml.YAMLError) -> Problem:
    place, found = str(path), " ".join(str(error).split())
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        place, found = f"{path}:{mark.line + 1}", f"column {mark.column + 1}: {error.problem}"
        found += f" ({error.context})" if error.context else ""
    return Problem("invalid_yaml", place, "", found, "valid YAML", "check indentation and colons")


# --- pydantic's errors ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Mistake:
    """One of pydantic's errors, or several at one place, of a value that could be of several types.

    Attributes:
        code: The kind of mistake.
        place: Where it stands in the config.
        found: What stands there.
        expected: What could stand there.
        cure: The next step; to change what stands there, if nothing is said.
        whole: Whether it says all that could stand there, and not what is expected of one type among several.
    """

    code: str
    place: Location
    found: str
    expected: str
    cure: str = ""
    whole: bool = False


OF_TYPE: dict[str, tuple[str, str]] = {
    "literal_error": ("not_a_choice", "{expected}"),
    "greater_than": ("out_of_range", "greater than {gt:g}"),
    "greater_than_equal": ("out_of_range", "greater than or equal to {ge:g}"),
    "less_than": ("out_of_range", "less than {lt:g}"),
    "less_than_equal": ("out_of_range", "less than or equal to {le:g}"),
    "finite_number": ("out_of_range", "a finite number"),
    "too_short": ("nothing_listed", "a list or mapping with {min_length} or more entries"),
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_from_float", "int_parsing_size"), ("wrong_type", "a whole number")
    ),
    **dict.fromkeys(("float_type", "float_parsing"), ("wrong_type", "a number")),
    **dict.fromkeys(("bool_type", "bool_parsing"), ("wrong_type", "true or false")),
    "string_type": ("wrong_type", "text"),
    "list_type": ("wrong_type", "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type"), ("wrong_type", "a mapping")),
}
"""Type of pydantic's error → code, and what is expected, with what pydantic's context says of it."""


def problems_of(
    error: ValidationError, config: Config, files: Sequence[str | Path], prefix: Location = ()
) -> list[Problem]:
    """Turn pydantic's errors into problems: code, file and line, dotted field, found, expected, cure.

    Args:
        error: Pydantic's.
        config: What was validated.
        files: The file or files it came from, the last one deciding.
        prefix: Where what was validated stands in the config.
    """
    found = [_mistake(detail, config) for detail in error.errors(include_url=False)]
    return [_problem(replace(mistake, place=prefix + mistake.place), files) for mistake in _one_per_place(found)]


def _mistake(detail: ErrorDetails, config: Config) -> _Mistake:
    kind, found, context = detail["type"], detail["input"], detail.get("ctx", {})
    place = _place(detail["loc"], kind, config)
    if "field" in context:  # raised by a validator of a section
        inner = tuple(context["field"])
        said = context["found"] or _written(_value_at(found, inner))
        return _Mistake(kind, (*place, *inner), said, context["expected"], context["cure"], whole=True)
    if kind == "extra_forbidden":
        cure = did_you_mean(str(place[-1]), _known_keys(place[:-1]))
        return _Mistake("unknown_key", place, f"unknown key {place[-1]!r}", "", cure)
    if kind == "missing":
        return _Mistake("key_missing", place, "nothing", "a value", f"add `{place[-1]}:`, see docs/reference.md")
    if kind not in OF_TYPE:
        return _Mistake("wrong_value", place, _written(found), detail["msg"])
    code, expected = OF_TYPE[kind]
    keys = f" with keys such as {', '.join(_known_keys(place)[:3])}" if kind == "model_type" else ""
    return _Mistake(code, place, _written(found), expected.format_map(context) + keys)


def _place(location: Location, kind: str, config: Any) -> Location:
    """Drop what pydantic adds for branches of a union and for keys that it checks: that is no key of the config."""
    place: list[str | int] = []
    value = config
    for number, part in enumerate(location, start=1):
        inner = _value_at(value, (part,))
        if inner is not NOTHING:
            place.append(part if isinstance(value, list) else str(part))
            value = inner
        elif kind == "missing" and number == len(location):
            place.append(part)
    return tuple(place)


def _one_per_place(mistakes: Sequence[_Mistake]) -> list[_Mistake]:
    """Join what is said of one place: unions report every branch that did not fit."""
    joined: dict[Location, _Mistake] = {}
    for mistake in mistakes:
        inside = any(
            len(other.place) > len(mistake.place) and other.place[: len(mistake.place)] == mistake.place
            for other in mistakes
        )
        before = joined.get(mistake.place)
        if inside and not mistake.whole:
            continue  # a section where a word could stand too: its own mistakes say more
        if before is None or mistake.whole:
            joined[mistake.place] = mistake
        elif not before.whole:
            joined[mistake.place] = replace(before, expected=f"{before.expected}, or {mistake.expected}")
    return list(joined.values())


def _problem(mistake: _Mistake, files: Sequence[str | Path]) -> Problem:
    field = dotted(mistake.place)
    cure = mistake.cure or f"change `{field}`"
    place = where(files, mistake.place)
    return Problem(mistake.code, place, field, _shortened(mistake.found), mistake.expected, cure)


class _Nothing:
    """Stands for a value that is not there, where None is a value, too."""


NOTHING = _Nothing()


def _value_at(value: Any, place: Location) -> Any:
    """Find what stands at a place; keys that YAML has read as numbers are found by their text, too."""
    for part in place:
        if isinstance(value, Mapping):
            value = (
                value[part]
                if part in value
                else {str(key): inner for key, inner in value.items()}.get(str(part), NOTHING)
            )
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return NOTHING
    return value


def _written(value: Any) -> str:
    if value is NOTHING or value == {}:
        return "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {inner!r}" for key, inner in value.items())
    return repr(value)


def _shortened(text: str, length: int = 160) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def dotted(place: Location) -> str:
    """Write a place the way users do: ``sweep.trials[0].train.epochs``."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _known_keys(place: Location) -> list[str]:
    """List the keys that the section at ``place`` knows; keys of mappings and numbers of list entries lead into it."""
    sections: list[type[BaseModel]] = [Experiment]
    for part in place:
        fields = [field for section in sections if (field := keys_of(section).get(str(part)))]
        if fields:
            sections = [section for field in fields for section in _sections_within(field.annotation)]
    return list(keys_of(sections[0])) if sections else []


def _sections_within(annotation: Any) -> list[type[BaseModel]]:
    """List the sections that a field can hold, at any depth of unions, lists and mappings."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for inner in get_args(annotation) for section in _sections_within(inner)]


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
        node = yaml.compose(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
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
