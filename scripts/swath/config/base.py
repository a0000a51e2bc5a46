"""What every section of the config has in common."""

from __future__ import annotations

import os
import re
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, WithJsonSchema, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

DESCRIBED = "SWATH_DESCRIBED" in os.environ
"""Whether fields know their docstrings: ``make reference`` needs them; jobs of a cluster would read sources in vain."""


class Section(BaseModel):
    """A part of the config: no unknown keys, no silent conversions, no changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=DESCRIBED, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what pydantic would quietly convert: true for 1, and 1, "yes" or "on" for true."""
        kinds = _kinds_of(cls, str(info.field_name))
        if bool not in kinds and kinds & {int, float} and _holds_truth(value):
            raise mistake("wrong_type", "a number" if str not in kinds else "a number or text", "give one")
        if bool in kinds and Any not in kinds and not isinstance(value, bool | None):
            words = sorted(kind for kind in kinds if isinstance(kind, str))
            if value not in words:
                expected = " or ".join([", ".join(["true", "false", *words][:-1]), ["true", "false", *words][-1]])
                cure = "write true or false, without quotes"
                raise mistake("wrong_type", expected, f"{cure}, or {words[0]}" if words else cure)
        return value


@cache
def _kinds_of(section: type[BaseModel], field: str) -> set[Any]:
    """Collect the plain types and words that a field's values can be, at any depth; not those of inner sections."""
    waiting, found = [section.model_fields[field].annotation], set()
    while waiting:
        kind = waiting.pop()
        inner = get_args(kind)
        waiting += inner
        found |= set() if inner else {kind}
    return {kind for kind in found if kind in (bool, int, float, str, Any) or isinstance(kind, str)}


def _holds_truth(value: Any) -> bool:
    """Tell whether a value is true or false, or a list of some."""
    return isinstance(value, bool) or (isinstance(value, list) and any(map(_holds_truth, value)))


Key = str | int
"""A key of a mapping, or the number of a list's entry."""


def mistake(
    code: str, expected: str, cure: str = "", *, field: Key | tuple[Key, ...] = (), found: str | None = None
) -> PydanticCustomError:
    """Make what a validator raises: a mistake in parts, of which :mod:`swath.config.load` makes a message.

    Args:
        code: The kind of mistake, as in :mod:`swath.error_codes`.
        expected: What could stand there.
        cure: The next step; to change the field, if nothing is said.
        field: Where it stands within what the validator checks: a key, or several, one inside the other.
        found: What stands there; the field's value, if nothing is said.
    """
    place = field if isinstance(field, tuple) else (field,)
    parts = {"field": place, "found": found, "expected": expected, "cure": cure}
    return PydanticCustomError(code, "expected: {expected}; cure: {cure}", parts)


FILE_SAFE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def _file_safe(name: str) -> str:
    if not re.fullmatch(FILE_SAFE, name):
        expected = "letters, digits, `.`, `_`, `-`, the first one a letter or digit, at most 100"
        raise mistake("not_file_safe", expected)
    return name


FileSafeName = Annotated[
    str, AfterValidator(_file_safe), WithJsonSchema({"type": "string", "pattern": FILE_SAFE}, mode="validation")
]
"""A name that can be a file's name on every system: letters, digits, dot, dash, underscore."""


def keys_of(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return a section's fields by the keys that stand in the config: Python keeps some words to itself."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def as_list(value: Any) -> Any:
    """Make a list of a single text, where a setting takes one or several."""
    return [value] if isinstance(value, str) else value


def settings(section: Section, *leave_out: str) -> dict[str, Any]:
    """Return a section as plain JSON values, without the settings that cannot change a result."""
    return section.model_dump(mode="json", exclude=set(leave_out))
