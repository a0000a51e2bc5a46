"""What a check finds: a name, a level, and the problem in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from swath.checks.catalog import LEVEL_OF, LEVELS, Level
from swath.errors import Problem, UserError


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        name: The check's name, as in the catalogue; warnings are allowed by it.
        problem: File, field, what was found, what was expected, what to do.
        allowed: A warning that the config allows.
    """

    name: str
    problem: Problem
    allowed: bool = False

    @property
    def level(self) -> Level:
        """The level of the check."""
        return LEVEL_OF[self.name]

    @property
    def stops(self) -> bool:
        """Whether nothing may start."""
        return self.level == "error" or (self.level == "warning" and not self.allowed)


@dataclass(frozen=True)
class Group:
    """Findings that say the same of several files.

    Attributes:
        finding: The first of them.
        files: All their files.
    """

    finding: Finding
    files: tuple[str, ...]


class PreflightError(UserError):
    """The preflight has found what must be cured; its text is the whole list."""

    def __init__(self, findings: Iterable[Finding], text: str):
        super().__init__([finding.problem for finding in findings])
        self.text = text

    def __str__(self) -> str:
        return self.text


def sorted_findings(findings: Iterable[Finding], allow: Collection[str]) -> list[Finding]:
    """Mark what is allowed, drop what was said before, and sort: what stops the run first."""
    marked = (replace(finding, allowed=finding.name in allow) for finding in findings)
    unique = list(dict.fromkeys(marked))
    return sorted(unique, key=lambda finding: (LEVELS.index(finding.level), finding.allowed, finding.name))


def grouped(findings: Iterable[Finding]) -> list[Group]:
    """Put together what differs in the file alone."""
    groups: dict[Finding, list[str]] = {}
    for finding in findings:
        same = replace(finding, problem=replace(finding.problem, file=""))
        groups.setdefault(same, []).append(finding.problem.file)
    return [
        Group(replace(same, problem=replace(same.problem, file=files[0])), tuple(files))
        for same, files in groups.items()
    ]


def tally(findings: Iterable[Finding]) -> str:
    """Count findings by level: ``1 error, 2 warnings (1 allowed), 3 notes``."""
    found = list(findings)
    parts = []
    for level in LEVELS:
        number = sum(finding.level == level for finding in found)
        allowed = sum(finding.level == level and finding.allowed for finding in found)
        if number:
            parts.append(f"{number} {level}{'s' * (number > 1)}" + (f" ({allowed} allowed)" if allowed else ""))
    return ", ".join(parts) or "nothing found"


def text_of(findings: Iterable[Finding], most: int = 3) -> str:
    """Write findings for the terminal, one paragraph per group.

    Args:
        findings: Sorted.
        most: How many files of a group are named.
    """
    paragraphs = []
    for group in grouped(findings):
        finding, problem = group.finding, group.finding.problem
        title = f"{finding.level.upper()} {finding.name}{' (allowed)' if finding.allowed else ''}"
        more = [f"  also:     {file}" for file in group.files[1:most]]
        if len(group.files) > most:
            more.append(f"  also:     {len(group.files) - most} more, see the report")
        paragraphs.append("\n".join([title, str(problem), *more]))
    return "\n\n".join(paragraphs)
