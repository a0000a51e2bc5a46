"""What is told of a step's failure: where a setting stands, and a full disk behind an error of a library's."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from swath.errors import Problem, UserError

CONFIG = "config"
"""What a mistake in a setting has for a file where the step that finds it knows no more."""
CONFIGS = "SWATH_CONFIGS"
"""Tells a run's jobs its config files, one a line."""
FULL = (errno.ENOSPC, errno.EDQUOT)


def tell_configs(files: Iterable[str | Path]) -> None:
    """Tell the jobs of this run where its settings stand."""
    os.environ[CONFIGS] = "\n".join(map(str, files))


def with_lines(error: UserError) -> UserError:
    """Say in which file and line settings stand that a step knows by their names alone."""
    from swath.config.load import where  # most of a second, and seldom needed

    configs = os.environ.get(CONFIGS, "").splitlines()

    def found(problem: Problem) -> Problem:
        return replace(problem, file=where(configs, tuple(problem.field.split("."))))

    return UserError(found(problem) if problem.file == CONFIG else problem for problem in error.problems)


def unwritten(error: BaseException) -> UserError | None:
    """Find a full or read-only disk, or a quota, behind an error; libraries hide them behind errors of their own."""
    then = "then type the same command again: nothing that was done is lost"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (*FULL, errno.EROFS):
            place, found = str(cause.filename or "results"), os.strerror(cause.errno)
            if cause.errno in FULL:
                found += f"; temporary files go to {tempfile.gettempdir()}"
                return UserError(
                    Problem("disk_full", place, "", found, "room for what is written", f"make room, {then}")
                )
            cure = f"have the disk mounted as it was, {then}"
            return UserError(Problem("folder_not_writable", place, "", found, "a disk that can be written to", cure))
        cause = cause.__cause__ or cause.__context__
    return None
