"""A run of Snakemake from its first line to its last: what is done beside its jobs, in this order.

The Snakefile calls every function here once, for an experiment in YAML and for a module of the user's own alike.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from snakemake.iocontainers import InputFiles
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from swath.checks.context import CheckRequest
from swath.checksums import damage_of_job, remove_damaged
from swath.cluster.queue import cancel_lost_jobs
from swath.cluster.site import Nodes, Request, check_requests, read_accounts, read_site, request_of
from swath.config.load import trains
from swath.coordination import job_messages
from swath.coordination.process_identity import describe
from swath.coordination.run_registry import live_runs, register_run
from swath.doctor.examine import examine_or_exit
from swath.errors import Problem, UserError, ending_the_program
from swath.files import read_state
from swath.job.mistakes import tell_configs
from swath.patches import WRITTEN_FOR, other_versions
from swath.plan.finished import FinishedRun
from swath.report.links import link_trainings
from swath.search.rungs import promoted
from swath.smk import upstream
from swath.smk.clean_up import clean_up_or_exit
from swath.smk.command_line import check_config_files, words_after
from swath.smk.costs import Costs, check_budget, estimate_or_exit, is_estimate, told_in_dry_run
from swath.smk.folder_sharing import expect_later, share_folder
from swath.smk.fork_server import fork_scripts
from swath.smk.report_lines import NameOfRun, look_at, report_on_terminal, say_nothing
from swath.smk.run import (
    check_again,
    check_container_or_exit,
    check_or_exit,
    describe_run,
    rules_to_run,
    runs_in_container,
)
from swath.smk.watching import STATUS, only_looks, tell_of_trainings, tell_status
from swath.status.watched import Watched
from swath.versions import results_without_versions

TRAININGS = {"train", "train_rung"}
"""Rules that train."""
PAGES = {"preview": "preview.html", "report": "report-so-far.html", "validate": "validation.html"}
"""Rules that are asked for to look at a page."""
UNCHECKED = {
    *("all", "doctor", "verify", "clean_up", "splits", "weights", "status", "estimate"),
    *("encoder_weights", "havel", "havel_chips", "neon_trees"),
    *("apply_part", "assemble", "apply", "sample", "accuracy"),
}
"""Rules that read no scenes: a run of these alone, such as one that fetches data, needs no preflight."""


DECISIONS = ("propose", "rung")
"""Checkpoints that decide which trainings there are."""


@dataclass(frozen=True)
class RunContext:
    """What the hooks have to know of an experiment.

    Attributes:
        name: Name of the experiment.
        folder: Folder of its results.
        repository: Where the program is.
        image: The container.
        examples: Rule → wildcards of one of its jobs, to ask what its jobs ask for; `train` is among them.
        later: Checkpoint → those rules of the examples whose jobs are known once it has run.
        known_after: Checkpoint before which some stages are not known → the file that says which there are.
        unknown_stages: Checkpoint → those stages; all, if nothing is said.
        name_of_run: Tells which run a job belongs to, of its rule and wildcards; None where trials share it.
        weights: Files of first weights.
        request: Tells what the preflight is to check; None where nothing is known before a job has run.
        validation: Where the preflight's report goes.
        read_while_planning: Results that say which jobs there are.
        overtaken: Tells those of them that a budget has cut short which is larger now.
        confirmed: Whether the command says yes to what it would ask.
        made_later: Tells the files of jobs that are only known once a checkpoint has run.
        trainings: Tells the experiment's runs, as far as they are known.
        check_map: Compares new images with what their model was trained on, if there is a map to make.
        watched: Tells what is watched of it.
        costs: What has to be known to say what the experiment takes.
        pending: Ids of scenes that the run has yet to make, once the preflight has found out.
    """

    name: str
    folder: str
    repository: Path
    image: str
    examples: Mapping[str, Mapping[str, Any]]
    later: Mapping[str, Sequence[str]]
    known_after: Mapping[str, str] = field(default_factory=dict)
    unknown_stages: Mapping[str, Sequence[str]] = field(default_factory=dict)
    name_of_run: NameOfRun | None = None
    weights: Sequence[str] = ()
    request: Callable[[], CheckRequest] | None = None
    validation: str = ""
    read_while_planning: Sequence[str] = ()
    overtaken: Callable[[], Sequence[str]] = list
    confirmed: bool = False
    made_later: Callable[[], Sequence[str]] = list
    trainings: Callable[[], Sequence[FinishedRun]] = list
    check_map: Callable[[], None] | None = None
    watched: Callable[[], Watched] | None = None
    costs: Costs | None = None
    pending: list[str] = field(default_factory=list)


def before_planning(workflow: Any) -> None:
    """Patch Snakemake, in a run and in each of its jobs."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # libraries' bars would end up in logs; Swath's own say when they show
    tell_configs(workflow.configfiles)
    upstream.apply(is_job=not workflow.is_main_process)
    upstream.ask_the_same(workflow, "train_rung", "train")
    atexit.register(gc.freeze)  # Python would look for garbage in all that is loaded when the process ends
    if workflow.is_main_process:
        gc.disable()  # a fifth of planning was looking for garbage in a graph that stays
        with ending_the_program():
            check_folder(Path.cwd(), ".snakemake")
        share_folder()
    if workflow.is_main_process and not only_looks(sys.argv[1:]):
        for damage in remove_damaged():
            _tell_of_damage(damage)
        upstream.make_again(damage_of_job, _tell_of_damage)


def check_folder(folder: Path, name: str) -> None:
    """Make sure that a run can write into a folder of its working directory, or make it.

    Args:
        folder: The working directory.
        name: ``.snakemake``, in which a dry run writes as well, or ``results``.

    Raises:
        UserError: If nothing can be written there.
    """
    place = folder / name
    if place.is_symlink() and not place.exists():
        found, expected = f"a link to {place.readlink()}, which is not there", "a link to a folder"
        raise UserError(Problem("folder_not_writable", str(place), "", found, expected, "make that folder"))
    place = place if place.exists() else folder
    if not os.access(place, os.W_OK | os.X_OK):
        expected = "a folder on a disk that can be written to, by this user"
        cure = "work in another folder: cd there, or snakemake --directory, and --snakefile with this Snakefile"
        raise UserError(Problem("folder_not_writable", str(place), "", "nothing can be written", expected, cure))


def rules_for(config: Mapping[str, Any]) -> str:
    """Choose the rules that a config asks for."""
    if "pipeline" in config:
        return "pipelines"
    if "experiments" in config:
        return "compare"
    return "experiment" if trains(dict(config)) else "new_images"


def checked_config(path: Path) -> str:
    """Return a config file's path for Snakemake, which would run the Python in it and has no line for a mistake."""
    with ending_the_program():
        check_config_files([str(path)])
    return str(path)


def after_planning(workflow: Any, context: RunContext) -> None:
    """Claim what the run makes, report on the terminal, and have a cluster use Swath's executor: before `on_start`."""
    expect_later(context.made_later)
    if workflow.is_main_process:
        if only_looks(sys.argv[1:]):
            say_nothing()
        else:
            _forget_unreadable(context.read_while_planning)
            _forget_overtaken(context.overtaken(), workflow.output_settings.dryrun)
        repository = context.repository.resolve()
        if Path(workflow.main_snakefile).resolve().parent in (repository, repository / "workflow"):
            # another workflow's lines are its own affair
            told = partial(told_in_dry_run, workflow, context.costs)
            page = _page_of(sys.argv[1:], context)
            report_on_terminal(workflow, context.name_of_run, told, costs_alone=is_estimate(), page=page)
            _check_until_or_exit(sys.argv[1:], context)  # Snakemake keeps the option to itself until it has parsed
    if workflow.is_main_process and ExecutorPluginRegistry().is_installed("slurm"):
        from swath.smk.executor import use_for  # where the plugin is not installed, there is nothing to derive from

        use_for(context.name)


def _check_until_or_exit(arguments: Sequence[str], context: RunContext) -> None:
    """Refuse `--until` a stage where Snakemake would find "nothing to be done".

    That is a stage that nothing is known of yet; where rungs or rounds decide what there is, always: Snakemake looks
    for the stage before it has taken up what was decided.
    """
    until = set(words_after(("--until", "-U"), arguments))
    for checkpoint, file in context.known_after.items():
        asked = until & set(context.unknown_stages.get(checkpoint, until - {checkpoint}))
        decides = checkpoint in DECISIONS
        if asked and (decides or not Path(file).is_file()):
            with ending_the_program():
                raise UserError(
                    Problem(
                        "stages_unknown",
                        "command line",
                        "--until",
                        ", ".join(sorted(asked)),
                        f"a stage that is known before `{checkpoint}` has run, which says what there is to do",
                        "leave `--until` out: everything is made, rung by rung and round by round"
                        if decides
                        else f"type the command with {file} in place of `--until` first, then as it is",
                    )
                )


def on_start(workflow: Any, context: RunContext) -> None:
    """Check whatever can be checked before the first job starts; what stops the run ends the program."""
    gc.freeze()
    gc.enable()
    rules = rules_to_run(workflow)
    if STATUS in rules:
        tell_status(context.watched() if context.watched else Watched(context.name))
    if rules <= {STATUS}:
        sys.exit(0)  # the run has no more to do, and none of what a run does before its first job
    _tell_of_other_versions(workflow)
    if any(job.output for job in workflow.dag.needrun_jobs()):
        with ending_the_program():
            check_folder(Path.cwd(), "results")
        register_run()
        _tell_of_earlier_results()
    if "doctor" in rules:
        described = describe_run(workflow, context.examples, context.image)
        examine_or_exit(described, list(context.weights), str(context.repository), f"{context.folder}/doctor.txt")
    if "clean_up" in rules:
        clean_up_or_exit(workflow.configfiles, context.confirmed)
    check_container_or_exit(workflow, context.image)
    site = _check_cluster_or_exit(workflow, context)
    if context.request and rules - UNCHECKED:
        context.pending.extend(check_or_exit(context.request(), context.validation))
    if context.costs and rules - UNCHECKED - {"validate"}:
        with ending_the_program():
            check_budget(workflow, context.costs)
    if context.check_map and rules & {"apply_part", "validate"}:
        context.check_map()
    if site is not None:
        _take_over_cluster_or_exit(site)
    if rules & TRAININGS or context.known_after.keys() & rules:
        _link_trainings(context)
        if context.watched:
            tell_of_trainings(context.watched)
    fork_scripts(workflow)


def _link_trainings(context: RunContext) -> None:
    """Link what trainings are going to write; without the links, a run is as good."""
    try:
        link_trainings(Path(context.folder), context.trainings())
    except OSError as error:
        print(f"{context.folder}/trials: no links yet ({error.strerror}).", file=sys.stderr)


def on_success(workflow: Any, context: RunContext) -> None:
    """Say on the terminal where the page lies that was asked for; else what won, or what a map shows, and where."""
    made = {job.rule.name for job in workflow.dag.jobs}
    if "estimate" in made:
        estimate_or_exit(context.request)
        return
    if context.costs:
        context.costs.write()
    if page := _page_of(made, context):
        print(f"\n{look_at(page)}", file=sys.stderr)
        return
    if context.request:
        check_again(context.request(), context.validation, context.pending)
    summary = Path(context.folder) / ("map/summary.txt" if "assemble" in made else "summary.txt")
    if summary.exists() and made - {"sample", "accuracy"}:  # these say themselves what they have found
        print(f"\n{summary.read_text(errors='replace')}", file=sys.stderr)


def _page_of(rules: Collection[str], context: RunContext) -> str:
    """Return the page that one of some rules makes, if any does."""
    return next((f"{context.folder}/{page}" for rule, page in PAGES.items() if rule in rules), "")


def on_error(workflow: Any, context: RunContext) -> None:
    """Say on the terminal what jobs that failed on a cluster have said there; write what all has taken so far."""
    if context.costs:
        context.costs.write()
    if workflow.executor_plugin.name == "slurm":
        for text in job_messages.read_all():
            print(f"\n{text}\n", file=sys.stderr)


def _forget_unreadable(files: Sequence[str]) -> None:
    """Remove what cannot be read: a result that says which jobs there are is then made again before anything else."""
    for file in map(Path, files):
        if file.is_file() and (read_state(file) if file.suffix == ".json" else promoted(file)) is None:
            file.unlink()
            _tell_of_damage(f"{file}: cannot be read")


def _forget_overtaken(files: Sequence[str], dry_run: bool) -> None:
    """Remove decisions that a smaller budget has cut short: they are taken anew, and trainings go on.

    Args:
        files: The decisions.
        dry_run: Whether nothing may be done; what would be is said.
    """
    for file in files:
        if dry_run:
            print(
                f"{file}: the budget is larger now; a run decides it anew, and trains more than is listed.",
                file=sys.stderr,
            )
        else:
            Path(file).unlink()
            print(f"{file}: the budget is larger now, it is decided anew.", file=sys.stderr)


def _tell_of_damage(damage: str) -> None:
    print(f"{damage}: made again where it is needed.", file=sys.stderr)


def _tell_of_other_versions(workflow: Any) -> None:
    """Say which libraries are not those that Swath's patches were written for; the container has its own."""
    here = [name for name in WRITTEN_FOR if name.startswith("snakemake") or not runs_in_container(workflow)]
    for line in other_versions(here):
        print(line, file=sys.stderr)


def _tell_of_earlier_results() -> None:
    """Say that there are results which nothing is taken from, because their stages had no versions."""
    if earlier := results_without_versions("results"):
        print(
            f"results/models holds {earlier} models of an earlier Swath, whose stages had no versions: they stay "
            "as they are, and nothing is taken from them (see CHANGELOG.md).",
            file=sys.stderr,
        )


def _check_cluster_or_exit(workflow: Any, context: RunContext) -> list[Nodes] | None:
    """Make sure that all jobs can start on the cluster; return what it has, None if no job goes to one."""
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    if workflow.executor_plugin.name != "slurm" or not jobs:
        return None
    requests = {_request(workflow, job) for job in jobs}
    rules = rules_to_run(workflow)
    later = {name for checkpoint, names in context.later.items() if checkpoint in rules for name in names}
    if later:
        asked = describe_run(workflow, context.examples, context.image)["resources"]
        requests |= {request_of(rule, asked[rule], asked[rule]["_cores"]) for rule in later}
    with ending_the_program():
        site = read_site()
        check_requests(requests, site, read_accounts())
    return site


def _request(workflow: Any, job: Any) -> Request:
    """Read what a job asks for. A training plans with its time, which therefore has to be there in every attempt."""
    asked = dict(job.resources.items())
    if job.rule.name not in TRAININGS:
        return request_of(job.rule.name, asked, job.threads)
    attempt = (workflow.execution_settings.retries or 0) + 1
    last = job.rule.expand_resources(job.wildcards, InputFiles(), attempt=attempt)
    spec = job.params.get("spec")
    used = int(spec["train"]["gpus"]) if spec else 0
    return request_of(job.rule.name, {**asked, "runtime": last.get("runtime")}, job.threads, used)


def _take_over_cluster_or_exit(site: list[Nodes]) -> None:
    """Clear the queue of what dead runs have left, and tell the executor what the cluster has."""
    from swath.smk.executor import SlurmExecutor

    if others := live_runs():
        print(f"Another run works here, too: {describe(*others)}. Its jobs are left alone.", file=sys.stderr)
    else:
        job_messages.clear_all()
    with ending_the_program():
        cancel_lost_jobs()
    SlurmExecutor.site = site
