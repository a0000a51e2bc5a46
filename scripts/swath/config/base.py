"""What every section of the config has in common."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

DESCRIBED = "SWATH_DESCRIBED" in os.environ
"""Whether fields know their docstrings: ``make reference`` needs them; jobs of a cluster would read sources in vain."""


class Section(BaseModel):
    """A part of the config: no unknown keys, no silent conversions, no changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=DESCRIBED)


FileSafeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A name that can be a file's name on every system: letters, digits, dot, dash, underscore."""


def settings(section: Section, *leave_out: str) -> dict[str, Any]:
    """Return a section as plain JSON values, without the settings that cannot change a result."""
    return section.model_dump(mode="json", exclude=set(leave_out))
