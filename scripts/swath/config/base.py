"""What every section of the config has in common."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

DESCRIBED = "SWATH_DESCRIBED" in os.environ
"""Whether fields know their docstrings: ``make reference`` needs them; jobs of a cluster would read sources in vain."""


class Section(BaseModel):
    """A part of the config: no unknown keys, no silent conversions, no changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=DESCRIBED)


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


FILE_SAFE = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


def _file_safe(name: str) -> str:
    if not re.fullmatch(FILE_SAFE, name):
        raise mistake("not_file_safe", "letters, digits, `.`, `_`, `-`, the first one a letter or digit")
    return name


FileSafeName = Annotated[
    str, AfterValidator(_file_safe), WithJsonSchema({"type": "string", "pattern": FILE_SAFE}, mode="validation")
]
"""A name that can be a file's name on every system: letters, digits, dot, dash, underscore."""


def settings(section: Section, *leave_out: str) -> dict[str, Any]:
    """Return a section as plain JSON values, without the settings that cannot change a result."""
    return section.model_dump(mode="json", exclude=set(leave_out))
