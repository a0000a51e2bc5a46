"""Which experiments are compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swath.errors import Problem, UserError, did_you_mean
from swath.files import file_name

KEPT = "experiment.json"
"""What the report of an experiment leaves in its folder."""


def compared_experiments(names: Any, results: str, files: Sequence[str | Path] = ()) -> list[str]:
    """Check the names of experiments that are compared.

    Args:
        names: What the config says.
        results: Folder of the results.
        files: The config files.

    Returns:
        The names, in their order.

    Raises:
        UserError: If these are not two or more finished experiments.
    """
    place = str(files[-1]) if files else "config"
    wanted = [str(name) for name in names] if isinstance(names, list) else []
    if len(set(wanted)) < 2 or len(set(wanted)) < len(wanted):
        expected = "two or more experiments, each once"
        raise UserError(
            Problem("settings_conflict", place, "experiments", repr(names), expected, "--config 'experiments=[a, b]'")
        )
    folder = Path(results, "experiments")
    there = sorted(path.parent.name for path in folder.glob(f"*/{KEPT}"))
    missing = [name for name in wanted if name not in there]
    if missing:
        known = f"an experiment with a report in {folder}: {', '.join(there) or 'there is none'}"
        cure = did_you_mean(missing[0], there) or "run it to its end first"
        raise UserError(Problem("no_report", place, "experiments", repr(missing[0]), known, cure))
    return wanted


def name_of_comparison(names: Sequence[str]) -> str:
    """Name the page of a comparison."""
    return file_name("-and-".join(names))
