"""Snakemake's executor for SLURM (snakemake-executor-plugin-slurm 2.8.0), and what it lacks.

Each method says which fault of the plugin's it answers. What no method reaches is in :mod:`swath.smk.slurm_upstream`.
"""

from __future__ import annotations

import os
import re
import shlex
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from snakemake_executor_plugin_slurm import Executor
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from swath.cluster.site import CLUSTERS, Nodes, longest, most_memory, request_of
from swath.cluster.slurm import wait_for_controller
from swath.coordination.run_registry import end_if_taken_over, note_name_of_jobs
from swath.smk import slurm_upstream

REPOSITORY = Path(__file__).resolve().parents[3]
LONGEST_NAME = 50
"""Characters of a job name's first part."""
SLOWEST = 6
"""The longest time between two looks, in times of the first (``slurm-init-seconds-before-status-checks``)."""
LAST_WORDS = 3
"""Lines of a failed job's log that are shown."""
FORGOTTEN = 3
"""Answers without a job after which SLURM has forgotten it."""


def use_for(experiment: str) -> None:
    """Have Snakemake build this executor where a profile says ``executor: slurm``.

    Snakemake reads the class from its registry of plugins when a run starts, after it has parsed the Snakefile.

    Args:
        experiment: What the run's jobs are named after.
    """
    SlurmExecutor.experiment = experiment
    ExecutorPluginRegistry().get_plugin("slurm").executor = SlurmExecutor


class SlurmExecutor(Executor):
    """The plugin's executor, whose jobs have a readable name, and whose runs end whatever becomes of a job.

    Attributes:
        experiment: What jobs are named after. There is one run in a process: what concerns it belongs to the class.
        site: What the cluster has, known before the first job is submitted; no job asks for more memory or time.
    """

    experiment: ClassVar[str] = ""
    site: ClassVar[Sequence[Nodes]] = ()

    # the plugin's own, which comes without types
    run_uuid: str
    array_jobs: set[str]
    next_seconds_between_status_checks: float

    def __post_init__(self, test_mode: bool = False) -> None:
        """Name the run's jobs after the experiment: the plugin gives them a random number alone."""
        self.given_up = threading.Event()
        self._is_noted = False
        self._absent: Counter[str] = Counter()
        self._looked_for: set[str] = set()
        super().__post_init__(test_mode)
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", self.experiment)[:LONGEST_NAME]
        self.run_uuid = f"{name}-{self.run_uuid}"
        self._rules_as_arrays, self.array_jobs = self.array_jobs, set()  # see `run_jobs`
        os.environ["SQUEUE_ALL"] = "1"  # jobs in hidden partitions, too, which would otherwise be forgotten ones
        self._remembered = slurm_upstream.ask_once_how_long_jobs_are_remembered()
        slurm_upstream.correct_states(self.correct)

    def cancel(self) -> None:
        """Give up what waits for the controller: the plugin waits for its last submissions when it is cancelled."""
        self.given_up.set()
        super().cancel()

    # --- submitting ---------------------------------------------------------------------------------------------------

    def run_jobs(self, jobs: list[Any]) -> None:
        """Submit jobs; those of a rule that are ready together are an array where the profile says so.

        The plugin waits until all are there, and drops what comes before: where there are more than may be queued at
        once it submits none. So it is told of no arrays; what comes later is another array.
        """
        if not self._is_noted:  # before any is submitted, so that the next run finds those of a dead one
            note_name_of_jobs(self.run_uuid)
            self._is_noted = True
        by_rule: dict[str, list[Any]] = {}
        for job in jobs:
            self._limit(job)
            if not job.is_group() and self._rules_as_arrays & {"all", job.rule.name}:
                by_rule.setdefault(job.rule.name, []).append(job)
        arrays = [ready for ready in by_rule.values() if len(ready) > 1]
        in_arrays = {id(job) for ready in arrays for job in ready}
        super().run_jobs([job for job in jobs if id(job) not in in_arrays])
        for ready in arrays:
            self._submit_array_jobs(ready)

    def run_job(self, job: Any) -> None:
        """Submit a job when the controller answers: the plugin counts what it could not submit as failed."""
        if wait_for_controller(self.given_up):
            super().run_job(job)

    def run_array_jobs(self, jobs: list[Any]) -> None:
        """Submit an array when the controller answers."""
        if wait_for_controller(self.given_up):
            super().run_array_jobs(jobs)

    def _limit(self, job: Any) -> None:
        """End memory that grows with every attempt at the largest node's, and time at the partition's limit.

        The plugin goes on asking for more until no node has as much, and sbatch refuses.
        """
        request = request_of(job.name, job.resources, job.threads)
        for name, most in (("mem_mb", most_memory(request, self.site)), ("runtime", longest(request, self.site))):
            asked = job.resources.get(name)
            if most and isinstance(asked, int) and asked > most:
                setattr(job.resources, name, most)

    def get_account_arg(self, job: Any) -> Iterator[str]:
        """Take accounts as they are given, since they have been checked once for all jobs.

        The plugin asks whether an account is valid at every submission, and fails where nobody keeps accounts.
        """
        given = [name for name in re.split(r"[,\s]+", str(job.resources.get("slurm_account") or "")) if name]
        if given:
            yield from (f" -A {shlex.quote(name)}" for name in given)
        else:
            yield from super().get_account_arg(job)

    def get_job_args(self, job: Any) -> str:
        """Have a job of Swath's that fails not remove its outputs: they can be those of the job that has taken over.

        Snakemake removes them on the job's node. The job's own are not there then: outputs are published whole, in the
        end. This is no setting of the profile's, which would concern the rules of another workflow, too.
        """
        is_ours = not job.is_group() and REPOSITORY in Path(job.rule.snakefile).resolve().parents
        return f"{super().get_job_args(job)}{' --keep-incomplete' if is_ours else ''}"

    # --- what becomes of jobs -----------------------------------------------------------------------------------------

    def report_job_submission(self, job_info: SubmittedJobInfo, register_job: bool = True) -> None:
        """Correct where the log of an array's task is: in the rule's folder; the plugin looks for it in another."""
        log = (job_info.aux or {}).get("slurm_logfile")
        if log and "_" in job_info.external_jobid and not log.parent.name.startswith("rule_"):
            job_info.aux["slurm_logfile"] = log.parent.with_name(log.name)
        super().report_job_submission(job_info, register_job=register_job)

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        """Add how SLURM's log of a failed job ends: it says why one failed that never came to its work.

        A run that has been taken over, say because its machine slept, ends here: the outputs, which Snakemake would
        remove, are another run's by now.
        """
        end_if_taken_over()
        log = (job_info.aux or {}).get("slurm_logfile")
        said = log.read_text(errors="replace").split("\n") if log and log.is_file() else []
        if last := [line for line in said if line.strip()][-LAST_WORDS:]:
            msg = "\n".join([f"{msg or 'The job failed.'} Its log ends with:", *(f"    {line}" for line in last)])
        super().report_job_error(job_info, msg=msg, **kwargs)

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncIterator[SubmittedJobInfo]:
        """Look again soon: the plugin looks ever more seldom, every three minutes in the end.

        Short stages would spend their time waiting, and SLURM could have forgotten a job by then.
        """
        here = [job for job in active_jobs if not any(job.job.resources.get(name) for name in CLUSTERS)]
        self._looked_for = {job.external_jobid for job in here}
        async for job in super().check_active_jobs(active_jobs):
            yield job
        if active_jobs:
            slowest = SLOWEST * self.workflow.executor_settings.init_seconds_before_status_checks
            if self._remembered:  # a job that has ended must be seen before it is forgotten
                slowest = min(slowest, self._remembered / 3)
            self.next_seconds_between_status_checks = min(self.next_seconds_between_status_checks, slowest)

    def correct(self, command: str, states: dict[str, str] | None) -> dict[str, str]:
        """Give every job's state in a word that the plugin acts on (see :mod:`swath.smk.slurm_upstream`).

        Args:
            command: What SLURM was asked.
            states: Job → state; None if SLURM did not answer, so that all jobs are as they were.
        """
        if states is None:
            return {}
        absent = missing_in(states, self._looked_for) if command.startswith("squeue") else set()
        for number in set(self._absent) - absent:
            del self._absent[number]
        self._absent.update(absent)
        # what has become of a job that is forgotten, its outputs tell
        forgotten = {number: "UNKNOWN" for number in absent if self._absent[number] >= FORGOTTEN}
        return {**forgotten, **{number: plain_state(state) for number, state in states.items()}}


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
    """Give a state the plugin acts on: a preempted job is submitted anew, as every failed one."""
    word = state.split()[0] if state.split() else state
    return "FAILED" if word == "PREEMPTED" else word
