"""Patches of Snakemake, written for 9.27.1; tests/unit/test_smk_upstream.py says when each can go."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import snakemake.api  # its modules import one another: this is where they can be begun with
from snakemake.deployment.singularity import Image
from snakemake.exceptions import WorkflowError
from snakemake.persistence import PersistenceBase
from snakemake.scheduling.job_scheduler import JobScheduler

from swath.patches import replace, takes


def apply(is_job: bool) -> None:
    """Apply the patches to this process of Snakemake.

    Args:
        is_job: Whether the process is a job of a run, not a run itself.
    """
    _leave_timers_behind()
    _hide_dropped_questions()
    _look_at_functions_once()
    _look_for_scripts_once()
    if is_job:
        _pass_sigterm_on()
    else:
        _plan_without_apptainer()


def lock_with(lock: Callable[[Any], Any], note_made: Callable[[Any], None]) -> bool:
    """Have Snakemake lock a run's files in another way than its own.

    Snakemake's lock ends the second of two runs that need the same file. It does not say whose it is, outlives a kill,
    and the run that ends first removes that of all others.

    Args:
        lock: What is entered once the plan is made: a context manager of Snakemake's persistence, called `self`.
        note_made: Called with every job that is done.

    Returns:
        Whether it was replaced.
    """
    finished: Any = getattr(PersistenceBase, "finished", None)

    async def finish(self: Any, job: Any) -> None:
        await finished(self, job)
        note_made(job)

    return (
        takes(finished, "self", "job")
        and replace(PersistenceBase, "lock", lock)
        and replace(PersistenceBase, "finished", finish)
    )


def ask_the_same(workflow: Any, rule: str, other: str) -> None:
    """Have a rule's jobs ask for what profile and command line say of another rule, unless they name it, too.

    Args:
        workflow: Snakemake's, before its rules are read.
        rule: The rule that is not named.
        other: The rule that is.
    """
    settings = workflow.resource_settings
    for asked in (settings._parsed_overwrite_resources, settings._parsed_overwrite_threads):
        if other in asked:
            asked.setdefault(rule, asked[other])


def make_again(damage_of: Callable[[Any], str | None], tell: Callable[[str], None]) -> bool:
    """Have jobs run again whose results are damaged, though what the rules declare is there.

    To Snakemake a file is there or not, whatever it holds, and it knows of no others than rules declare. It asks of
    every job what is unfinished, before it decides which jobs have to run.

    Args:
        damage_of: Says of a job's outputs what is wrong; None if nothing is.
        tell: Gets what was said.

    Returns:
        Whether it was replaced.
    """
    unfinished: Any = getattr(PersistenceBase, "incomplete", None)
    told: set[str] = set()

    async def incomplete(self: Any, job: Any) -> list[Any]:
        if damage := damage_of(list(map(str, job.output))):
            self.dag.forcefiles.update(job.output)  # as what is unfinished, whether or not there is `rerun-incomplete`
            if damage not in told:
                told.add(damage)
                tell(damage)
        return list(await unfinished(self, job))

    return takes(unfinished, "self", "job") and replace(PersistenceBase, "incomplete", incomplete)


def _leave_timers_behind() -> None:
    """Have no process of Snakemake wait for a timer when its work is done.

    With ``max-jobs-per-timespan`` set, which by default it is, the scheduler starts a timer in every round, in a thread
    that Python waits for: every process of Snakemake, and so every job, lasts up to a second longer than its work.
    """
    replace(JobScheduler, "_schedule_reevalutation", _schedule_reevaluation)


def _schedule_reevaluation(self: Any, delay: int) -> None:
    timer = threading.Timer(delay, self._open_jobs.release)
    timer.daemon = True
    timer.start()


def _plan_without_apptainer() -> None:
    """Have a run plan where there is no Apptainer, or another one: a dry run needs none.

    Snakemake asks for the program before it knows what is to be done, and has no cure to offer; a real run is told by
    `swath.smk.run.check_container_or_exit`. Jobs, which need it where they run, still ask.
    """
    replace(Image, "pull", _pull)


def _pull(self: Any, dryrun: bool = False) -> None:
    with contextlib.suppress(WorkflowError):  # the image is a file: there is nothing to fetch
        self.singularity.check()


def _look_at_functions_once() -> None:
    """Have Snakemake look at the arguments of a rule's functions once, not for every job and every resource of it.

    In a plan of 15,000 jobs it asks Python more than 300,000 times, which is a tenth of the time of planning.
    """
    if not hasattr(snakemake.common.get_function_params, "cache_info"):
        asked = functools.lru_cache(maxsize=4096)(snakemake.common.get_function_params)
        for module in (snakemake.common, snakemake.rules, snakemake.jobs):  # each has a name of its own for it
            replace(module, "get_function_params", asked)


def _look_for_scripts_once() -> None:
    """Have Snakemake look once whether a rule's script is there, and not read it for every job."""
    look: Any = getattr(snakemake.dag.ScriptProcessor, "process_job", None)
    seen: set[tuple[str, str]] = set()

    def process_job(self: Any, job: Any) -> None:
        script = (job.rule.name, str(job.rule.script))
        if (
            script not in seen or not job.is_script or "{" in script[1]
        ):  # with wildcards, jobs have scripts of their own
            look(self, job)
            seen.add(script)

    replace(snakemake.dag.ScriptProcessor, "process_job", process_job)


def _pass_sigterm_on() -> None:
    """Have a job's Snakemake pass SIGTERM on to its script.

    SLURM sends SIGTERM to the one process it has started itself, which is Snakemake's. That only waits for its script,
    which knows of nothing, until SLURM kills both.
    """
    replace(JobScheduler, "exit_gracefully", _with_sigterm_for_scripts(getattr(JobScheduler, "exit_gracefully", None)))


def _with_sigterm_for_scripts(exit_gracefully: Callable[..., None] | None) -> Callable[..., None]:
    def exit_with_scripts(self: Any, *args: Any) -> None:
        for script in scripts_below(psutil.Process()):
            with contextlib.suppress(psutil.NoSuchProcess):
                script.send_signal(signal.SIGTERM)
        if exit_gracefully:
            exit_gracefully(self, *args)

    return exit_with_scripts


def scripts_below(process: psutil.Process) -> Iterator[psutil.Process]:
    """Find the first Python on every branch below a process: shells and containers between would die of a signal."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in process.children():
            if child.name().startswith("python"):
                yield child
            else:
                yield from scripts_below(child)


def _hide_dropped_questions() -> None:
    """Hide a warning of Python's that says nothing to a user.

    For params that look at resources, Snakemake evaluates these in the middle of its own event loop, where it cannot
    ask for the sizes of files (``input.size_mb``): it drops the coroutine, and asks again later. Python warns of that.
    """
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
