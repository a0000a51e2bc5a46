"""Records at the border of a process: frozen dataclasses from JSON values, and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import JsonValue, TypeAdapter

Record = TypeVar("Record")
_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def of_json(kind: type[Record], values: Any) -> Record:
    """Make a record of the JSON values that :func:`to_json` made of one.

    Args:
        kind: A dataclass whose fields are plain values, sections of the config, or such dataclasses again.
        values: The fields; further ones are left out.

    Raises:
        pydantic.ValidationError: If a field is missing or of another type.
    """
    record: Record = _adapter(kind).validate_python(values)
    return record


def to_json(record: Any) -> dict[str, JsonValue]:
    """Write a record as JSON values; of sections of the config, what was said."""
    values: dict[str, JsonValue] = _adapter(type(record)).dump_python(record, mode="json", exclude_unset=True)
    return values
