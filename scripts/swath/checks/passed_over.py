"""What the config, the scene table and the folders hold that nothing came of: it may have been meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from swath.checks.context import Survey
from swath.errors import Problem
from swath.scenes.rows import COLUMNS

MOST_EXAMPLES = 5


def check_files(survey: Survey) -> Iterator[Problem]:
    """Tell of files in the searched folders that belong to no scene."""
    place, files = survey.place("scenes", "image"), survey.request.passed_over
    expected = "files named as `scenes.image` says"
    if files.nearly:
        cure = "rename them, or change the pattern"
        yield Problem("scenes_left_out", place, "scenes.image", _counted(files.nearly), expected, cure)
    if files.others:
        yield Problem("files_left_over", place, "scenes.image", _counted(files.others), expected, "")


def check_columns(survey: Survey) -> Iterator[Problem]:
    """Tell of columns that look like one which is not there."""
    place = survey.place("scenes", "table")
    for column, meant in survey.request.passed_over.columns.items():
        found, expected = f"a column {column!r}, which nobody reads", "the columns " + ", ".join(COLUMNS)
        yield Problem("unread_column", place, column, found, expected, f"did you mean {meant!r}? Rename it if so")


def check_trials(survey: Survey) -> Iterator[Problem]:
    """Tell of trials that are there more than once."""
    for trial, number in survey.request.twice.items():
        yield Problem("trials_twice", survey.place("sweep"), "sweep", f"{trial}, {number} times", "each trial once", "")


def _counted(paths: Sequence[str]) -> str:
    number = "1 file that belongs" if len(paths) == 1 else f"{len(paths)} files that belong"
    more = ", …" if len(paths) > MOST_EXAMPLES else ""
    return f"{number} to no scene: {', '.join(paths[:MOST_EXAMPLES])}{more}"


CHECKS = (check_files, check_columns, check_trials)
