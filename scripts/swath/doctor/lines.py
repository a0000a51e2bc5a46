"""The doctor's table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from swath.errors import Problem, UserError

FINE, WARNING, ERROR = "fine", "warning", "error"


@dataclass(frozen=True)
class Line:
    """One point.

    Attributes:
        level: fine, warning or error.
        what: What was looked at.
        found: What is the case.
        cure: What to do, unless it is fine.
    """

    level: str
    what: str
    found: str
    cure: str = ""


def lines_of(what: str, error: UserError) -> Iterator[Line]:
    """Turn problems into lines."""
    for problem in error.problems:
        expected = f"; expected: {problem.expected}" if problem.expected else ""
        yield Line(ERROR, what, f"{problem.field}: {problem.found}{expected}", problem.cure)


def table(lines: Iterable[Line]) -> str:
    """Write the points below each other, cures under what they cure."""
    rows = []
    for line in lines:
        rows.append(f"{line.level:<8} {line.what:<18} {line.found}")
        if line.cure:
            rows += textwrap.wrap(
                line.cure, 92, break_on_hyphens=False, initial_indent=" " * 28 + "→ ", subsequent_indent=" " * 30
            )
    return "\n".join(rows)


def end_with(lines: Iterable[Line]) -> str:
    """Sum up.

    Raises:
        UserError: If there is an error among the lines.
    """
    levels = [line.level for line in lines]
    counts = {level: levels.count(level) for level in (ERROR, WARNING)}
    told = ", ".join(f"{number} {level}{'s' * (number > 1)}" for level, number in counts.items() if number)
    if counts[ERROR]:
        raise UserError(Problem("doctor_found_errors", "doctor", "", told, "no errors", "see the arrows above"))
    return f"{told or 'All is fine'}: jobs can be queued."
