"""What jobs that failed on other machines have said, for the run that waits for them.

A job on a cluster node speaks into SLURM's log. What a user has to know belongs on the user's terminal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from swath.files import publish, short_hash

FOLDER = Path(".snakemake/swath-messages")


def write(outputs: Iterable[str], text: str) -> None:
    """Keep a failed job's message; a later attempt's takes its place."""
    with publish(_file(outputs)) as file:
        file.write_text(text, encoding="utf-8")


def clear(outputs: Iterable[str]) -> None:
    """Drop a job's message: the job has succeeded."""
    _file(outputs).unlink(missing_ok=True)


def clear_all() -> None:
    """Drop what earlier runs were told."""
    for file in FOLDER.glob("*.txt"):
        file.unlink(missing_ok=True)


def read_all() -> list[str]:
    """List the messages of jobs that have failed for good, each once."""
    found = []
    for file in sorted(FOLDER.glob("*.txt")):
        with contextlib.suppress(OSError, UnicodeDecodeError):  # what a power cut has left says nothing
            found.append(file.read_text(encoding="utf-8"))
    return [text for text in dict.fromkeys(found) if text.strip()]


def read(outputs: Iterable[str]) -> tuple[str, Path] | None:
    """Return what a job has said when it failed last, and the file that says so; None where it has not failed."""
    file = _file(outputs)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8"), file
    return None


def _file(outputs: Iterable[str]) -> Path:
    return FOLDER / f"{short_hash(sorted(outputs))}.txt"
