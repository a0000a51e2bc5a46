"""`checks`: what the preflight finds and the user knows about."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from swath.config.base import Section, mistake
from swath.error_codes import MEANING
from swath.errors import did_you_mean


def _warning(name: str) -> str:
    if name not in MEANING["warning"]:
        raise mistake("unknown_warning", "the code of a warning", did_you_mean(name, MEANING["warning"]))
    return name


class Checks(Section):
    """What `snakemake validate`, which also runs before everything else, finds and the user allows."""

    allow: list[Annotated[str, AfterValidator(_warning)]] = []
    """Warnings, by code, that do not stop a run, such as `spatial_overlap`; docs/checks.md lists them all."""
