"""`snakemake verify`: every result against the checksum that was written down when it was made."""

from __future__ import annotations

import logging

from swath.checksums import Record, read_records, verify
from swath.errors import Problem, UserError

SHOWN = 3
"""Files of a job that a message names."""

log = logging.getLogger("swath.verify")


def verify_results() -> None:
    """Compare all results in the folder, and say which are whole and which are made again by the next run.

    Raises:
        UserError: If one is lost or damaged.
    """
    files, wrong, problems = 0, 0, []
    for record in read_records():
        files += len(record.files)
        if found := verify(record):
            wrong += len(found)
            problems.append(_problem(record, found))
    log.info("%d files compared: %d lost or damaged", files, wrong)
    if problems:
        raise UserError(problems)


def _problem(record: Record, wrong: list[str]) -> Problem:
    more = len(wrong) - SHOWN
    found = "; ".join(wrong[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
    cure = "type the experiment's command again: it makes this anew, where it is needed"
    return Problem("result_damaged", record.outputs[0], "", found, "all that was made with it, as it was written", cure)
