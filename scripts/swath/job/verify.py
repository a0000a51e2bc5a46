"""`snakemake verify`: every result against the checksum that was written down when it was made."""

from __future__ import annotations

import logging

from swath.checksums import Record, read_records, verify
from swath.errors import Problem, UserError

log = logging.getLogger("swath.verify")


def verify_results() -> None:
    """Compare all results in the folder, and say which are whole and which are made again by the next run.

    Raises:
        UserError: If one is lost or damaged.
    """
    files, problems = 0, []
    for record in read_records():
        wrong = verify(record)
        files += len(record.files)
        problems += [_problem(record, line) for line in wrong]
    log.info("%d files compared: %d lost or damaged", files, len(problems))
    if problems:
        raise UserError(problems)


def _problem(record: Record, line: str) -> Problem:
    name, _, found = line.partition(": ")
    more = f" and {len(record.outputs) - 1} more" if len(record.outputs) > 1 else ""
    cure = f"type the experiment's command again: it makes {record.outputs[0]}{more} anew, where it is needed"
    return Problem("result_damaged", name, "", found, "the file as it was written", cure)
