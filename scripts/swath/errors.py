"""A user's mistake, told in one message: of which kind, where, what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from swath.error_codes import LEVEL_OF, Level


@dataclass(frozen=True)
class Problem:
    """One mistake.

    Attributes:
        code: The kind of mistake, as in :mod:`swath.error_codes`: the word that stays when sentences change.
        file: The file it stands in, with a line number where known (``config.yaml:12``).
        field: The setting, column or property, dotted (``train.learning_rate``).
        found: What stands there.
        expected: What could stand there.
        cure: The next step.
    """

    code: str
    file: str
    field: str
    found: str
    expected: str
    cure: str

    @property
    def level(self) -> Level:
        """Whether nothing may start, nothing but what is allowed, or all is well: the code's level."""
        return LEVEL_OF[self.code]

    def __str__(self) -> str:
        return self.told()

    def told(self, remark: str = "") -> str:
        """Write the message: level and code, the place, and what there is to say of it.

        Args:
            remark: What stands behind the code.
        """
        lines = [f"{self.level.upper()} {self.code}{remark}", f"{self.file}: {self.field}" if self.field else self.file]
        for name in ("found", "expected", "cure"):
            text = getattr(self, name)
            if text:
                lines.append(f"  {name + ':':<10}{text}")
        return "\n".join(lines)


class UserError(Exception):
    """Mistakes of the user, all that were seen; shown without a traceback."""

    def __init__(self, problems: Problem | Iterable[Problem]):
        found = [problems] if isinstance(problems, Problem) else problems
        self.problems = list(dict.fromkeys(found))  # what was seen from two sides is told once
        super().__init__("\n\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[UserError], tuple[list[Problem]]]:
        return type(self), (self.problems,)


class ToBeContinuedError(Exception):
    """Work has stopped before its end, in a state from which the same command goes on."""


@contextmanager
def ending_the_program() -> Iterator[None]:
    """Have a user's mistakes printed, and the program end with exit status 1."""
    try:
        yield
    except UserError as error:
        print(f"\n{error}\n", file=sys.stderr)
        sys.exit(1)


def did_you_mean(word: str, candidates: Iterable[str], otherwise: str = "") -> str:
    """Name the candidate nearest to ``word``, as a question; else say ``otherwise``, or list them all."""
    known = sorted(candidates)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if otherwise:
        return otherwise
    return "known: " + ", ".join(known) if known else ""
