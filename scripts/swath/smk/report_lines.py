"""What a run says on the terminal: a report, a line for what begins and one for how far it is.

Snakemake's own lines, with inputs, reasons and hashed paths, go to the log of the run as before, which the last line
names; with ``--verbose`` or ``--printshellcmds`` (``-p``) they are on the terminal, too.

Snakemake (9.27.1) hands every event as a record to the handlers of Python's ``logging``. A plugin for logging would
have to be a package of its own, installed beside Snakemake; here its handler for the terminal gets another formatter.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from snakemake.jobs import Job
from snakemake.logging import DefaultFormatter, LogEvent, logger

from swath.job.terminal import CLEAR_LINE
from swath.patches import replace

HANDLER = "DefaultStreamHandler"
"""What Snakemake calls its handler for the terminal."""
TO_BE_CONTINUED = 75
"""The exit status of a script that has stopped in good order."""
MOST_RUNS = 20
"""Runs that the table of a dry run names; the others are added up."""
NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
"""A number in a name."""
SHARED = "for all trials"

HIDDEN = (
    *("Select jobs to execute", "DAG of jobs will be updated", "Updating checkpoint dependencies", "Using shell: "),
    *("Singularity containers: ignored", "Conda environments: ignored", "Handing over execution", "Shutting down, "),
    *("Assuming unrestricted shared", "Group jobs: inactive", "This was a dry-run", "The run involves checkpoint"),
    *("Some jobs were triggered by provenance", "Rules with provenance triggered jobs", "Elapsed time: "),
    *("Exiting because a job execution failed", "Removing output files of failed job", "Reasons:"),
)
"""Beginnings of lines without an event that tell how Snakemake works, not how far the work is."""
HIDDEN_EVENTS = {
    *(LogEvent.WORKFLOW_STARTED, LogEvent.RESOURCES_INFO, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED),
    *(LogEvent.SHELLCMD, LogEvent.GROUP_INFO),
}
PLAIN = (None, LogEvent.ERROR)
"""Events of records that are nothing but text."""
HOW_IT_ENDED = re.compile(r"CalledProcessError in file[\s\S]*(?:non-zero exit status (\d+)|died with <Signals\.(\w+))")
"""What Snakemake says of a script that has failed, before it says which."""
THE_END = "At least one job did not complete successfully"
NOTHING = "Nothing to be done"
NameOfRun = Callable[[str, Mapping[str, str]], str | None]


def report_on_terminal(
    workflow: Any,
    name_of_run: NameOfRun | None,
    costs: Callable[[], str] = str,
    costs_alone: bool = False,
    page: str = "",
) -> None:
    """Have the terminal show a report, unless the user asks for details or for less.

    Args:
        workflow: Snakemake's.
        name_of_run: The readable name of the run that a job belongs to, of a rule and its wildcards; None for a job
            that trials share, or instead of the function where runs are not known before a job has run.
        costs: Says at the end of a dry run what its jobs will take.
        costs_alone: Whether a dry run says nothing else.
        page: What was asked for to be looked at, to be named where it is there already.
    """
    output = workflow.output_settings
    if output.verbose or output.printshellcmds or output.quiet or output.debug_dag:
        return
    for handler in logger.handlers:
        if handler.name == HANDLER and not isinstance(handler.formatter, ReportFormatter):
            formatter = ReportFormatter(name_of_run, output.dryrun, costs, costs_alone, page)
            handler.setFormatter(formatter)
            handler.addFilter(Chosen(handler, formatter))
            if output.dryrun and len(logger.handlers) == 1:
                replace(Job, "log_info", _count)


def look_at(page: str) -> str:
    """Say where a page lies."""
    return f"Open in a browser: {page}"


def say_nothing() -> None:
    """Have Snakemake tell of nothing but what is wrong: not of a plan that is a single look."""
    logger.setLevel(logging.WARNING)


def _count(self: Any, indent: bool = False, printshellcmd: bool = True) -> None:
    """Tell of a planned job what the table of a dry run needs; words and params, which nobody sees, cost time."""
    job = {"rule_name": self.rule.name, "wildcards": self.wildcards_dict}
    logger.info("", extra={"event": LogEvent.JOB_INFO, **job})


class ReportFormatter(DefaultFormatter):
    """Words for a record, of Snakemake's where there are no better ones.

    Args:
        name_of_run: As for :func:`report_on_terminal`.
        dry_run: Whether nothing is done but told.
        costs, costs_alone, page: As for :func:`report_on_terminal`.
    """

    def __init__(
        self,
        name_of_run: NameOfRun | None,
        dry_run: bool,
        costs: Callable[[], str] = str,
        costs_alone: bool = False,
        page: str = "",
    ):
        super().__init__(quiet=(), show_failed_logs=False)
        self.name_of_run, self.dry_run, self.costs, self.page = name_of_run, dry_run, costs, page
        self.planned: dict[str, Counter[str]] = {}
        self.costs_alone, self.told_of_costs = costs_alone, ""
        self.words: dict[int, str] = {}
        self.shown = -1
        self.how: tuple[str | None, str | None] = (None, None)
        self.stops, self.failures = 0, 0
        self.clear = CLEAR_LINE if sys.stderr.isatty() else ""  # a job's bar may stand on the line

    def format(self, record: logging.LogRecord) -> str:
        """Find words for a record."""
        if getattr(record, "event", None) in PLAIN and THE_END in str(record.msg):
            return self.clear + self.farewell()
        if self.page and str(record.msg).startswith(NOTHING):
            return f"{self.clear}{super().format(record)}\n{look_at(self.page)}"
        return self.clear + super().format(record)

    def farewell(self) -> str:
        """Say how a run ends that has not come to its end."""
        if self.stops and not self.failures:
            return "Stopped in good order: nothing is lost, the same command goes on from here."
        what = "One job has failed" if self.failures == 1 else f"{self.failures} jobs have failed"
        return f"{what}: what they said stands above. What was done stays; the same command goes on from here."

    def format_run_info(self, msg: dict[str, Any]) -> str:
        """Show how many jobs there are by rule; at the end of a dry run by trial."""
        if self.dry_run and self.planned:
            end = "This was a dry-run: nothing was done. With -p it shows every job, and why."
            return "\n\n".join(filter(None, [self.table(), self.told_of_costs, end]))
        if self.dry_run:
            self.told_of_costs = self.costs()  # in the end, no job is left to be run
            if self.costs_alone:
                return self.told_of_costs
        return str(msg["msg"])

    def format_job_info(self, msg: dict[str, Any]) -> str:
        """Say in one line what begins."""
        self.words[msg["jobid"]] = msg["rule_msg"] or msg["rule_name"]
        return f"{now()} {self.words[msg['jobid']]}"

    def format_job_error(self, msg: dict[str, Any]) -> str:
        """Say in one line what failed, and where more is said."""
        words = self.words.get(msg["jobid"], msg["rule_name"])
        told = f": {msg['rule_msg']}" if msg["rule_msg"] else ""
        killed = f" (killed by {self.how[1]})" if self.how[1] else ""
        log = f"; its log: {', '.join(msg['log'])}" if msg["log"] else ""
        return f"{now()} Failed: {words}{killed}{told}{log}"

    def table(self) -> str:
        """Draw what a dry run has planned: a row for every run, a column for every rule."""
        runs = {name: self.planned[name] for name in sorted(self.planned, key=_by_value) if name != SHARED}
        rules = list(dict.fromkeys(rule for jobs in runs.values() for rule in jobs))
        rows = [["run", *rules]]
        rows += [[name, *(_number(jobs[rule]) for rule in rules)] for name, jobs in list(runs.items())[:MOST_RUNS]]
        if more := list(runs.values())[MOST_RUNS:]:
            rest: Counter[str] = sum(more, Counter())
            rows.append([f"{len(more):,} more", *(_number(rest[rule]) for rule in rules)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
            for row in rows
        ]
        shared = ", ".join(f"{rule} {_number(number)}" for rule, number in self.planned.get(SHARED, {}).items())
        return "\n".join([*([f"{SHARED}: {shared}", ""] if shared else []), *(lines if runs else [])]).rstrip()


class Chosen(logging.Filter):
    """What of Snakemake's records the terminal shows.

    Args:
        handler: The terminal's.
        formatter: Its formatter, which knows what has been shown.
    """

    def __init__(self, handler: logging.Handler, formatter: ReportFormatter):
        super().__init__()
        self.handler, self.formatter = handler, formatter

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is shown; note what is not."""
        self.handler.last_msg_was_job_info = True  # type: ignore[attr-defined]  # no empty line before a job
        event = getattr(record, "event", None)
        if event in HIDDEN_EVENTS:
            return False
        if event == LogEvent.JOB_INFO:
            return self._is_job_shown(record)
        if event == LogEvent.RUN_INFO:
            return not (self.formatter.costs_alone and self.formatter.planned)
        if event == LogEvent.PROGRESS:
            return self._is_progress_shown(record)
        if event == LogEvent.JOB_ERROR:
            return self._is_failure_shown()
        return event not in PLAIN or not self._is_noise(record)

    def _is_job_shown(self, record: Any) -> bool:
        if self.formatter.dry_run:
            name_of_run = self.formatter.name_of_run
            run = (name_of_run(record.rule_name, record.wildcards) if name_of_run else None) or SHARED
            if record.rule_name != "all":
                self.formatter.planned.setdefault(run, Counter())[record.rule_name] += 1
            return False
        return record.rule_name != "all"

    def _is_progress_shown(self, record: Any) -> bool:
        """Show progress in steps of a hundredth, and the end."""
        percent = 100 * record.done // max(1, record.total)
        if percent == self.formatter.shown and record.done < record.total:
            return False
        self.formatter.shown = percent
        return True

    def _is_failure_shown(self) -> bool:
        """Show a failure, unless a script has stopped in good order, and has said so itself."""
        if self.formatter.how[0] == str(TO_BE_CONTINUED):
            self.formatter.stops += 1
            return False
        self.formatter.failures += 1
        return True

    def _is_noise(self, record: logging.LogRecord) -> bool:
        text = record.getMessage().lstrip() if record.msg else ""
        if found := HOW_IT_ENDED.search(text):
            self.formatter.how = found[1], found[2]
            return True
        return text.startswith(HIDDEN) or bool(re.match(r"Execute \d+ jobs", text))


def _by_value(name: str) -> list[tuple[bool, float, str]]:
    """Order names of runs by the numbers in them: 5e-05 comes before 0.001, and seed 2 before seed 10."""
    parts = NUMBER.split(name)
    return [(bool(index % 2), float(part) if index % 2 else 0.0, part) for index, part in enumerate(parts)]


def now() -> str:
    """Write the time of day, as the lines of a run begin with it."""
    return time.strftime("%H:%M:%S")


def _number(number: int) -> str:
    return f"{number:,}" if number else "-"
