"""What the Snakefile asks for while it is parsed: the plan or a clear word, memory and time."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from snakemake.iocontainers import InputFiles, Wildcards

from swath.checks.context import CheckRequest
from swath.config.apply import Application
from swath.config.experiment import Experiment
from swath.config.load import Config, load_application, load_experiment
from swath.errors import UserError, ending_the_program
from swath.job.container import check_image, check_program, mount
from swath.plan.accuracy import AccuracyPlan, check_reference, plan_accuracy
from swath.plan.apply import ApplyPlan, plan_map
from swath.plan.compared import compared_experiments
from swath.plan.inputs import check_definitions, check_paths, check_weights
from swath.plan.plan import Plan, make_plan
from swath.scenes.table import read_scenes

MOST_TIMES = 3
"""Memory and time grow with the first attempts; a training that only goes on in the next job needs no more."""


def plan_or_exit(config: Config, files: Sequence[str | Path]) -> Plan:
    """Make the plan; a user's mistakes end the program."""
    with ending_the_program():
        experiment = load_experiment(config, files)
        plan = make_plan(experiment, read_scenes(experiment.scenes), config, files)
        check_paths(plan, files)
        check_weights(plan, files)
        check_definitions(plan, files)
    return plan


def application_or_exit(config: Config, files: Sequence[str | Path]) -> Application:
    """Check a config that trains nothing; a user's mistakes end the program."""
    with ending_the_program():
        return load_application(config, files)


def compared_or_exit(names: Any, results: str, files: Sequence[str | Path]) -> list[str]:
    """Check which experiments are compared; a user's mistakes end the program."""
    with ending_the_program():
        return compared_experiments(names, results, files)


def map_or_exit(application: Application, files: Sequence[str | Path], results: str) -> ApplyPlan | None:
    """Plan the map of a config that trains nothing, if it makes one; a user's mistakes end the program."""
    if application.apply is None:
        return None
    with ending_the_program():
        allow = application.checks.allow
        return plan_map(application.experiment, application.apply, allow, results, files, trains=False)


def map_of_experiment_or_exit(
    experiment: Experiment, files: Sequence[str | Path], results: str, is_main: bool
) -> ApplyPlan | None:
    """Plan the map that the config of a training describes, if it does.

    A user's mistakes end the program where the map is asked for; a training need not wait for new images.

    Args:
        experiment: The checked config.
        files: The config files.
        results: Folder of the results.
        is_main: Whether this is the run, and not one of its jobs.
    """
    if experiment.apply is None:
        return None
    try:
        allow = experiment.checks.allow
        return plan_map(experiment.experiment, experiment.apply, allow, results, files, trains=True)
    except UserError:
        if is_main and not set(sys.argv) & {"apply", "validate"}:
            return None
        with ending_the_program():
            raise


def accuracy_or_exit(
    config: Experiment | Application, files: Sequence[str | Path], results: str, is_main: bool
) -> AccuracyPlan | None:
    """Plan the comparison of a map with reference points, if the config asks for one.

    A user's mistakes end the program where it is asked for; nothing else need wait for a map or points.

    Args:
        config: The checked config.
        files: The config files.
        results: Folder of the results.
        is_main: Whether this is the run, and not one of its jobs.
    """
    if config.accuracy is None:
        return None
    alone = isinstance(config, Application) and config.apply is None
    try:
        plan = plan_accuracy(config.experiment, config.accuracy, results, files, makes_map=config.apply is not None)
        if is_main and ("accuracy" in sys.argv or (alone and config.accuracy.reference and "sample" not in sys.argv)):
            check_reference(config.accuracy, files)
    except UserError:
        if not alone and not (is_main and set(sys.argv) & {"accuracy", "sample"}):
            return None
        with ending_the_program():
            raise
    return plan


def check_map_or_exit(plan: ApplyPlan, bundles: Sequence[str]) -> None:
    """Compare new images with what their model was trained on; what stops the run ends the program."""
    if find_spec("rasterio") is None:
        print("No rasterio here: the images are checked by the first job.", file=sys.stderr)
        return
    from swath.checks.new_images import check_before  # not while parsing: it takes its time

    with ending_the_program():
        print(f"{check_before(plan, bundles)}\n", file=sys.stderr)


def check_or_exit(request: CheckRequest, report: str) -> list[str]:
    """Run the preflight; what stops the run ends the program.

    Returns:
        Ids of scenes that the run has yet to make.
    """
    if find_spec("rasterio") is None:
        print("No rasterio here: `snakemake validate` checks the scenes in the container.", file=sys.stderr)
        return []
    from swath.checks.preflight import preflight  # not while parsing: it takes its time

    with ending_the_program():
        passed = preflight(request, Path(report))
    print(f"{passed.summary}\n", file=sys.stderr)
    return passed.pending


def check_again(request: CheckRequest, report: str, pending: Collection[str]) -> None:
    """Check an experiment once the scenes are there that the preflight has found missing: the run has made them.

    Args:
        request: What is to be checked.
        report: The HTML page to write.
        pending: Ids of those scenes.
    """
    made = [scene for scene in request.scenes if scene.id in pending]
    if not made or find_spec("rasterio") is None:
        return
    from swath.checks.findings import PreflightError
    from swath.checks.preflight import is_there, preflight

    if any(map(is_there, made)):
        try:
            print(f"\n{preflight(request, Path(report)).summary}", file=sys.stderr)
        except (PreflightError, UserError, OSError) as error:  # the run is over, and has what it was to make
            print(f"\n{error}", file=sys.stderr)


def rules_to_run(workflow: Any) -> set[str]:
    """Name the rules whose jobs are about to run."""
    return {job.rule.name for job in workflow.dag.needrun_jobs()}


def runs_in_container(workflow: Any) -> bool:
    """Tell whether stages run in a container."""
    return "apptainer" in {str(method) for method in workflow.deployment_settings.deployment_method}


def scratch_of(workflow: Any) -> list[str]:
    """Name the folder for temporary files that the profile's ``tmpdir`` says, if it says one."""
    resource = (workflow.resource_settings.default_resources or {}).get("tmpdir")
    said = os.path.expandvars(str(resource.raw if resource else ""))
    if not said.startswith("/"):  # quoted, as Snakemake asks for, or an expression: then wherever the node says
        try:
            said = ast.literal_eval(said)
        except (SyntaxError, ValueError):
            said = ""
    return [said] if said else []


def mount_or_exit(workflow: Any, repository: Path, places: Iterable[str | Path]) -> None:
    """Where stages run in a container: make sure that it sees what they read.

    Args:
        workflow: Snakemake's.
        repository: Where the program is.
        places: Files and folders that stages read or write.
    """
    if runs_in_container(workflow):
        with ending_the_program():
            mount(repository, [*places, *scratch_of(workflow)])


def check_container_or_exit(workflow: Any, image: str) -> None:
    """Where stages run in a container: make sure that it and its program are there before any does."""
    if runs_in_container(workflow) and rules_to_run(workflow) - {"doctor"}:
        with ending_the_program():
            check_program()
            check_image(Path(image))


def describe_run(workflow: Any, rules: Mapping[str, Any], image: str) -> dict[str, Any]:
    """Tell the doctor how jobs are going to run.

    Args:
        workflow: Snakemake's.
        rules: Rule → wildcards of one of its jobs; what training asks for must be among them.
        image: The container.

    Returns:
        Whether SLURM is used, what rules ask for, the container or None, its arguments, the shell command before a job,
        folders for temporary files, quality of service and reservation.
    """
    return {
        "slurm": workflow.executor_plugin.name == "slurm",
        "resources": {name: _asked(workflow.get_rule(name), Wildcards(fromdict=of)) for name, of in rules.items()},
        "image": image if runs_in_container(workflow) else None,
        "container_arguments": workflow.deployment_settings.apptainer_args,
        "before": workflow.remote_execution_settings.precommand or "",
        "scratch": scratch_of(workflow),
        "submission": {name: getattr(workflow.executor_settings, name, None) for name in ("qos", "reservation")},
    }


def time_limit_in(workflow: Any) -> Callable[..., int | None]:
    """Make the function of a job's time limit: minutes after which a cluster ends it; nobody ends it elsewhere."""

    def minutes_of_job(wildcards: Any, input: Any, resources: Any) -> int | None:
        return resources.get("runtime") if workflow.remote_exec else None

    return minutes_of_job


def _asked(rule: Any, wildcards: Any) -> dict[str, Any]:
    """Evaluate what a rule's first attempt asks for, before its input."""
    resources = rule.expand_resources(wildcards, InputFiles(), attempt=1)
    return {name: value for name, value in resources.items() if isinstance(value, int | str)}


def size_mb(files: Iterable[str]) -> float:
    """Add up the sizes of files, in MB; what ``input.size_mb`` says, which takes an event loop for every job.

    Raises:
        FileNotFoundError: If one has yet to be made: Snakemake then asks again when it is there.
    """
    return sum(Path(str(file)).stat().st_size for file in files) / 2**20


Resource = Callable[[Any, Any, int], int]


def memory(base: int, per_input: float = 0.0) -> Resource:
    """Ask for memory that grows with the input and with every attempt.

    Args:
        base: MB that the process needs by itself.
        per_input: MB per MB of input files.
    """

    def mem_mb(wildcards: Any, input: Any, attempt: int) -> int:
        size = size_mb(input) if per_input else 0.0  # asked for where it counts: before a checkpoint it is unknown
        return int((base + per_input * size) * min(attempt, MOST_TIMES))

    return mem_mb


def minutes(base: int, per_input: float = 0.0) -> Resource:
    """Ask for time that grows with the input and with every attempt.

    Args:
        base: Minutes without input.
        per_input: Minutes per MB of input files.
    """

    def runtime(wildcards: Any, input: Any, attempt: int) -> int:
        size = size_mb(input) if per_input else 0.0  # asked for where it counts: before a checkpoint it is unknown
        return int((base + per_input * size) * min(attempt, MOST_TIMES))

    return runtime
