"""What Snakemake's executor for SLURM is told when a run starts.

The executor (2.8.0) does not know the experiment's name. It waits forever for a job that was preempted and may not be
requeued, for one that accounting calls ``CANCELLED by 1000``, and for one that SLURM has forgotten; it forgets its jobs
when the controller does not answer five times, and counts what it could not submit meanwhile as failed; it looks ever
more seldom, every three minutes in the end, which many short stages spend waiting. It goes on asking for more memory
and time until no node has as much, and sbatch refuses. It asks for the account's validity at every submission, and
fails where nobody keeps accounts. It asks how long SLURM remembers jobs before every look; without an answer it turns
to accounting, which it misreads where there are arrays. Of more equal jobs than may be queued at once it submits none
as an array, and it names logs of arrays that are not there.
"""

from __future__ import annotations

import functools
import re
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

from swath.cluster.site import Nodes, longest, most_memory, request_of
from swath.cluster.slurm import wait_for_controller
from swath.coordination.run_registry import note_name_of_jobs

PLUGIN = "snakemake_executor_plugin_slurm"
LONGEST_NAME = 50
"""Characters of a job name's first part."""
STEP = 10
"""Seconds by which the executor puts off every further look."""
SLOWEST = 6
"""The longest time between two looks, in times of the first (``slurm-init-seconds-before-status-checks``)."""
LAST_WORDS = 3
"""Lines of a failed job's log that are shown."""
FORGOTTEN = 3
"""Answers without a job after which SLURM has forgotten it."""

Answer = tuple[dict[str, str] | None, float | None]
"""Job → state, and how long the answer took; nothing if there was none."""
Query = Callable[..., Awaitable[Answer]]


def prepare_executor(executor: Any, experiment: str, site: Sequence[Nodes]) -> None:
    """Name jobs after the experiment, and have every job that ended without success count as failed, soon.

    Args:
        executor: Snakemake's executor, before it has submitted anything.
        experiment: Name of the experiment.
        site: What the cluster has; no job asks for more memory or time.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", experiment)[:LONGEST_NAME]
    executor.run_uuid = f"{name}-{executor.run_uuid}"
    note_name_of_jobs(executor.run_uuid)
    executor.report_job_submission = with_log_of_array_task(executor.report_job_submission)
    executor.report_job_error = with_last_words(executor.report_job_error)
    plugin = vars(sys.modules[PLUGIN])
    remembered = plugin["get_min_job_age"]()
    plugin["get_min_job_age"] = lambda: remembered
    plugin["query_job_status"] = with_plain_states(executor, plugin["query_job_status"], remembered)
    plugin["get_submit_command"] = within_limits(plugin["get_submit_command"], site, given_up_by(executor))
    plugin["validate_account"] = lambda account, logger: account  # `check_requests` has done that, once
    plugin["pending_jobs_for_rule"] = lambda dag, rule: 0  # none to wait for: those that come later are another array


def given_up_by(executor: Any) -> threading.Event:
    """Have an executor that is cancelled, by Ctrl-C say, tell so before it waits for its last submissions."""
    event, cancel = threading.Event(), executor.cancel

    def tell_and_cancel() -> None:
        event.set()
        cancel()

    executor.cancel = tell_and_cancel
    return event


def within_limits(submit: Callable[..., str], site: Sequence[Nodes], given_up: threading.Event) -> Callable[..., str]:
    """Wrap what writes a job's sbatch line: it waits for a controller that does not answer.

    Memory that grows with every attempt ends at the largest node's, time at the partition's limit.

    Args:
        submit: The executor's own function.
        site: What the cluster has.
        given_up: Set when the run is: nothing is submitted any more.
    """

    @functools.wraps(submit)
    def patient(job: Any, *arguments: Any, **options: Any) -> str:
        request = request_of(job.rule.name, job.resources, job.threads)
        for name, most in (("mem_mb", most_memory(request, site)), ("runtime", longest(request, site))):
            if most and (job.resources.get(name) or 0) > most:
                setattr(job.resources, name, most)
        if not wait_for_controller(given_up):
            raise WorkflowError("Given up before it was submitted.")
        return submit(job, *arguments, **options)

    return patient


def with_log_of_array_task(report: Callable[..., None]) -> Callable[..., None]:
    """Wrap what notes a submitted job: an array's logs are in the rule's folder, not in one per job."""

    @functools.wraps(report)
    def corrected(submitted: Any, **options: Any) -> None:
        log = submitted.aux["slurm_logfile"]
        if "_" in submitted.external_jobid and not log.parent.name.startswith("rule_"):
            submitted.aux["slurm_logfile"] = log.parent.with_name(log.name)
        report(submitted, **options)

    return corrected


def with_last_words(report: Callable[..., None]) -> Callable[..., None]:
    """Wrap what tells of a failed job: how SLURM's log of it ends says why one failed that never came to its work."""

    @functools.wraps(report)
    def with_log(failed: Any, msg: str | None = None, **options: Any) -> None:
        log = (failed.aux or {}).get("slurm_logfile")
        said = log.read_text(errors="replace").split("\n") if log and log.is_file() else []
        last = [line for line in said if line.strip()][-LAST_WORDS:]
        told = "\n".join([f"{msg or 'The job failed.'} Its log ends with:", *(f"    {line}" for line in last)])
        report(failed, told if last else msg, **options)

    return with_log


def with_plain_states(executor: Any, query: Query, remembered: float | None = None) -> Query:
    """Wrap a query for jobs' states: one word each, ``FAILED`` for what was preempted, and the next look in time.

    Args:
        executor: The executor.
        query: Its own query.
        remembered: Seconds that SLURM remembers a job after its end (MinJobAge), if it says so.
    """
    slowest = SLOWEST * executor.workflow.executor_settings.init_seconds_before_status_checks
    if remembered:  # a job that has ended must be seen before it is forgotten
        slowest = min(slowest, remembered / 3)
    missed: Counter[str] = Counter()

    @functools.wraps(query)
    async def plain(*arguments: Any, **options: Any) -> Answer:
        executor.next_seconds_between_status_checks = min(
            executor.next_seconds_between_status_checks, max(slowest - STEP, 0)
        )
        states, seconds = await query(*arguments, **options)
        if states is None:  # the controller did not answer; the executor would forget its jobs
            return {}, 0.0
        absent = missing_in(states, [job.external_jobid for job in executor.active_jobs])
        for number in set(missed) - absent:
            del missed[number]
        missed.update(absent)
        forgotten = {number: "UNKNOWN" for number in absent if missed[number] >= FORGOTTEN}  # its outputs will tell
        return {**forgotten, **{number: plain_state(state) for number, state in states.items()}}, seconds

    return plain


def missing_in(states: Iterable[str], jobs: Iterable[str]) -> set[str]:
    """List jobs that SLURM does not name; of an array it names tasks that wait together, as ``12_[3-5]``.

    Args:
        states: The jobs it names.
        jobs: Those that are looked for.
    """
    named = set(states)
    arrays = {number.partition("_")[0] for number in named}
    return {number for number in jobs if number not in named and number.partition("_")[0] not in arrays}


def plain_state(state: str) -> str:
    """Give a state the executor acts on: a preempted job is submitted anew, as every failed one."""
    word = state.split()[0] if state.split() else state
    return "FAILED" if word == "PREEMPTED" else word
