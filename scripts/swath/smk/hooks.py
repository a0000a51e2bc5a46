"""A run of Snakemake that is about to begin, or has ended badly: what is done beside its jobs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snakemake.iocontainers import InputFiles

from swath.cluster.queue import cancel_lost_jobs
from swath.cluster.site import Nodes, Request, check_requests, read_accounts, read_site, request_of
from swath.coordination import job_messages
from swath.coordination.process_identity import describe
from swath.coordination.run_registry import live_runs, register_run
from swath.errors import ending_the_program
from swath.smk.executor import prepare_executor
from swath.versions import results_without_versions


def announce_run(workflow: Any) -> None:
    """Note that a run is here, if it makes anything.

    Args:
        workflow: Snakemake's, with its jobs planned.
    """
    if any(job.output for job in workflow.dag.needrun_jobs()):
        register_run()
        if earlier := results_without_versions("results"):
            print(
                f"results/models holds {earlier} models of an earlier Swath, whose stages had no versions: they stay "
                "as they are, and nothing is taken from them (see CHANGELOG.md).",
                file=sys.stderr,
            )


def check_cluster_or_exit(workflow: Any, later: Mapping[str, Mapping[str, Any]]) -> list[Nodes]:
    """Make sure that all jobs can start on the cluster, if there is one.

    Args:
        workflow: Snakemake's, with its jobs planned.
        later: Rules whose jobs are not known yet, with what they ask for.

    Returns:
        What the cluster has.
    """
    jobs = _jobs_of_cluster(workflow)
    if not jobs:
        return []
    requests = {_request(workflow, job) for job in jobs}
    requests |= {request_of(rule, asked, asked["_cores"]) for rule, asked in later.items()}
    with ending_the_program():
        site = read_site()
        check_requests(requests, site, read_accounts())
    return site


def prepare_cluster_or_exit(workflow: Any, experiment: str, site: list[Nodes]) -> None:
    """Clear the queue of what dead runs have left, and tell Snakemake's executor what it lacks.

    Args:
        workflow: Snakemake's, with its jobs planned.
        experiment: Name of the experiment.
        site: What the cluster has.
    """
    if not _jobs_of_cluster(workflow):
        return
    if others := live_runs():
        print(f"Another run works here, too: {describe(*others)}. Its jobs are left alone.", file=sys.stderr)
    else:
        job_messages.clear_all()
    with ending_the_program():
        cancel_lost_jobs()
    _keep_outputs_of_failed_jobs(workflow, True)
    prepare_executor(workflow.scheduler._executor, experiment, site)


def print_messages_of_failed_jobs(workflow: Any) -> None:
    """Say on the terminal what jobs that failed have said elsewhere."""
    if workflow.executor_plugin.name == "slurm":
        _keep_outputs_of_failed_jobs(workflow, False)
        for text in job_messages.read_all():
            print(f"\n{text}\n", file=sys.stderr)


def _jobs_of_cluster(workflow: Any) -> list[Any]:
    if workflow.executor_plugin.name != "slurm":
        return []
    return [job for job in workflow.dag.needrun_jobs() if not job.is_local]


def _request(workflow: Any, job: Any) -> Request:
    """Read what a job asks for. A training plans with its time, which therefore has to be there in every attempt."""
    asked = dict(job.resources.items())
    if job.rule.name != "train":
        return request_of(job.rule.name, asked, job.threads)
    attempt = (workflow.execution_settings.retries or 0) + 1
    last = job.rule.expand_resources(job.wildcards, InputFiles(), attempt=attempt)
    spec = job.params.get("spec")
    used = int(spec["train"]["gpus"]) if spec else 0
    return request_of(job.rule.name, {**asked, "runtime": last.get("runtime")}, job.threads, used)


def _keep_outputs_of_failed_jobs(workflow: Any, keep: bool) -> None:
    """Have a job that fails not remove its outputs: by then they can be those of the job that has taken over.

    Its own are not there: outputs are published whole, in the end. It is no user's setting, since Snakemake would warn
    in the end of incomplete files that do not exist.
    """
    workflow.execution_settings = replace(workflow.execution_settings, keep_incomplete=keep)
