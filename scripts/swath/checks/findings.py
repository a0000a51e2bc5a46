"""What the checks have found, judged: what stops the run, what is allowed, what is said of several files at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from swath.error_codes import LEVELS, Level
from swath.errors import Problem, UserError


@dataclass(frozen=True)
class Finding:
    """A problem, and whether the config allows it.

    Attributes:
        problem: What was found.
        allowed: A warning that the config allows.
    """

    problem: Problem
    allowed: bool = False

    @property
    def level(self) -> Level:
        """The problem's level."""
        return self.problem.level

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
    """The preflight has found what must be cured; its text is what the terminal shows."""

    def __init__(self, findings: Iterable[Finding], text: str):
        super().__init__([finding.problem for finding in findings])
        self.text = text

    def __str__(self) -> str:
        return self.text


def judged(problems: Iterable[Problem], allow: Collection[str]) -> list[Finding]:
    """Mark what is allowed, say of other warnings how to allow them, drop what was said before, and sort.

    Args:
        problems: What the checks have found.
        allow: Codes of the warnings that the config allows.

    Returns:
        What stops the run first.
    """
    findings = (_judged(problem, problem.level == "warning" and problem.code in allow) for problem in problems)
    unique = list(dict.fromkeys(findings))
    return sorted(unique, key=lambda finding: (LEVELS.index(finding.level), finding.allowed, finding.problem.code))


def _judged(problem: Problem, allowed: bool) -> Finding:
    if problem.level == "warning" and not allowed:
        way = f"allow it: checks: {{allow: [{problem.code}]}}"
        problem = replace(problem, cure=f"{problem.cure}; or, if it is meant, {way}")
    return Finding(problem, allowed)


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
    """Write findings for the terminal: one paragraph for all that say the same but for where and what was found.

    Args:
        findings: Sorted.
        most: How many files are named in a paragraph, and how many paragraphs there are of one code, but for errors.
    """
    kinds: dict[Finding, list[Problem]] = {}
    for finding in findings:
        kind = replace(finding, problem=replace(finding.problem, file="", found=""))
        kinds.setdefault(kind, []).append(finding.problem)
    paragraphs, shown, left_out = [], Counter[str](), Counter[str]()
    for kind, problems in kinds.items():
        code = kind.problem.code
        if shown[code] < most or kind.level == "error":
            shown[code] += 1
            paragraphs.append(_paragraph(problems, kind.allowed, most))
        else:
            left_out[code] += len(problems)
    paragraphs += [f"{code}: {number} more of this kind, see the report" for code, number in left_out.items()]
    return "\n\n".join(paragraphs)


def _paragraph(problems: Sequence[Problem], allowed: bool, most: int) -> str:
    first = problems[0]
    lines = [first.told(" (allowed)" if allowed else "")]
    for problem in problems[1:most]:
        differs = f": {problem.found}" if problem.found != first.found else ""
        lines.append(f"  also:     {problem.file}{differs}")
    if len(problems) > most:
        lines.append(f"  also:     {len(problems) - most} more, see the report")
    return "\n".join(lines)
