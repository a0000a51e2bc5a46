"""The executor for SLURM: what the plugin still does wrong, and that it is put right.

Both are built by Snakemake, for a real workflow; the programs of SLURM that they start are planted, because what counts
is what they do when one of them fails. What they do on a real cluster is in tests/cluster. Where "still" fails for a
new version, what it names can go.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import snakemake_executor_plugin_slurm as plugin
from snakemake.api import SnakemakeApi
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.enums import Quietness
from snakemake.settings.types import DAGSettings, OutputSettings, ResourceSettings
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from swath.cluster import slurm
from swath.cluster.site import nodes_of
from swath.coordination import run_registry
from swath.smk import slurm_upstream
from swath.smk.executor import FORGOTTEN, SlurmExecutor, missing_in, use_for

SITE = [nodes_of("cpu|1-00:00:00|48|190000|20|(null)"), nodes_of("gpu|8:00:00|32|512000|4|gpu:a100:4(S:0-1)")]
SNAKEFILE = """
rule all:
    input: expand("out/{n}", n=range(5))

rule train:
    output: "out/{n}"
    resources: slurm_partition="cpu", slurm_account="forest", mem_mb=3000, runtime=60
    shell: "touch {output}"
"""
PROGRAM = """#!/bin/sh
here=$(dirname "$0")/..
name=$(basename "$0")
echo "$name $*${SQUEUE_ALL:+ (hidden partitions, too)}" >> "$here/calls"
for said in "$here/$name-$1.says" "$here/$name.says"; do
    [ -f "$said" ] && cat "$said" && exit 0
done
echo "$name: no answer" >&2
exit 1
"""
CAN_GO = "is mended: remove what answers it, and this test"


class Programs:
    """SLURM's programs, planted: they answer as they are told, or fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        for name in ("sbatch", "squeue", "sacct", "sacctmgr", "sshare", "scontrol", "scancel"):
            (folder / "bin" / name).write_text(PROGRAM)
            (folder / "bin" / name).chmod(0o755)
        self.answer("sbatch", "7")
        self.answer("scontrol-ping", "Slurmctld(primary) at head is UP")
        self.answer("scontrol-show", "MaxArraySize = 1001\nMinJobAge = 300 sec")

    def answer(self, program: str, text: str | None) -> None:
        """Have a program say something from now on, or fail."""
        file = self.folder / f"{program}.says"
        if text is None:
            file.unlink()
        else:
            file.write_text(f"{text}\n")

    def calls(self, program: str) -> list[str]:
        """How a program was called so far."""
        file = self.folder / "calls"
        return [line for line in file.read_text().splitlines() if line.startswith(program)] if file.exists() else []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    planted = Programs(tmp_path / "slurm")
    monkeypatch.setenv("SQUEUE_ALL", "")
    monkeypatch.setenv("PATH", str(planted.folder / "bin"), prepend=":")
    monkeypatch.setattr(slurm, "PAUSE", 0.05)
    return planted


Build = Callable[..., Any]


@pytest.fixture
def build(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Have Snakemake build an executor, the plugin's own or ours, for five jobs."""
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").write_text(SNAKEFILE)
    registered = ExecutorPluginRegistry().get_plugin("slurm")
    monkeypatch.setattr(registered, "executor", plugin.Executor)
    for name in ("query_job_status", "get_min_job_age"):
        monkeypatch.setattr(plugin, name, getattr(plugin, name))
    monkeypatch.setattr(SlurmExecutor, "experiment", "")
    monkeypatch.setattr(SlurmExecutor, "site", SITE)
    schedulers: list[JobScheduler] = []
    monkeypatch.setattr(JobScheduler, "schedule", lambda self: bool(schedulers.append(self)) or True)
    handler = signal.getsignal(signal.SIGTERM)

    def built(ours: bool, **settings: Any) -> Any:
        if ours:
            use_for("land use, 2")
        settings = {"status_command": "squeue", "init_seconds_before_status_checks": 1, **settings}
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            workflow = api.workflow(resource_settings=ResourceSettings(nodes=4), snakefile=Path("Snakefile"))
            workflow.dag(DAGSettings()).execute_workflow("slurm", executor_settings=plugin.ExecutorSettings(**settings))
        executor = schedulers[-1]._executor
        assert type(executor) is (SlurmExecutor if ours else plugin.Executor)
        return executor

    yield built
    signal.signal(signal.SIGTERM, handler)
    for scheduler in schedulers:
        scheduler._executor.wait = False  # the thread that looks at the queue ends by itself


def trainings(executor: Any) -> list[Any]:
    """The five jobs."""
    jobs = [job for job in executor.workflow.dag.needrun_jobs() if job.rule.name == "train"]
    return sorted(jobs, key=attrgetter("wildcards.n"))


def submit(executor: Any, number: int = 1, **resources: Any) -> None:
    """Submit some of the jobs, and wait until that is done."""
    jobs = trainings(executor)[:number]
    for job in jobs:
        for name, value in resources.items():
            setattr(job.resources, name, value)
    executor.run_jobs(jobs)
    executor._job_submission_executor.shutdown(wait=True)


def failed(executor: Any) -> list[Any]:
    return list(executor.workflow.scheduler._toerror)


def look(executor: Any, number: str = "1") -> str:
    """Look for a job once, and say what the executor makes of it."""
    scheduler, job = executor.workflow.scheduler, trainings(executor)[0]
    submitted = SubmittedJobInfo(job, external_jobid=number, aux={"slurm_logfile": Path("7.log")})

    async def active() -> list[Any]:
        return [still async for still in executor.check_active_jobs([submitted])]

    waits = asyncio.run(active()) == [submitted]
    said = {"waits": waits, "failed": job in scheduler._toerror, "done": job in scheduler._tofinish}
    return ", ".join(name for name, true in said.items() if true) or "forgotten"


# --- the subclass itself ------------------------------------------------------------------------------------------


def test_methods_take_what_the_plugins_take() -> None:
    functions = {name: value for name, value in vars(SlurmExecutor).items() if inspect.isfunction(value)}
    overridden = {name for name in functions if hasattr(plugin.Executor, name)} - {"__init__"}
    for name in overridden:
        theirs = inspect.signature(getattr(plugin.Executor, name)).parameters
        assert list(inspect.signature(functions[name]).parameters) == list(theirs), name
    assert functions.keys() - overridden == {"_limit", "correct"}, "the plugin has a method less, or of one's own name"
    assert overridden >= {"__post_init__", "run_jobs", "run_job", "run_array_jobs", "get_account_arg", "cancel"}
    assert overridden >= {"report_job_submission", "report_job_error", "check_active_jobs", "get_job_args"}


def test_a_profiles_keys_are_the_plugins() -> None:
    use_for("any")
    registered = ExecutorPluginRegistry().get_plugin("slurm")
    try:
        assert (registered.settings_cls, registered.common_settings) == (
            plugin.ExecutorSettings,
            plugin.common_settings,
        )
        assert registered.executor is SlurmExecutor
    finally:
        registered.executor = plugin.Executor


# --- names --------------------------------------------------------------------------------------------------------


def test_jobs_are_still_named_by_a_number_alone(build: Build) -> None:
    assert re.fullmatch(r"[0-9a-f-]{36}", build(False).run_uuid), f"the name {CAN_GO}"


def test_jobs_are_named_after_the_experiment(build: Build, programs: Programs) -> None:
    executor = build(True)
    assert re.fullmatch(r"land-use-2-[0-9a-f-]{36}", executor.run_uuid)
    assert not run_registry.NAMES_OF_JOBS.exists()
    submit(executor)
    assert [file.stem for file in run_registry.NAMES_OF_JOBS.iterdir()] == [executor.run_uuid]
    assert run_registry.names_of_dead_runs() == set()
    assert f"--job-name {executor.run_uuid} " in programs.calls("sbatch")[0]


def test_a_prefix_of_the_profiles_is_part_of_the_name(build: Build) -> None:
    assert build(True, jobname_prefix="lab").run_uuid.startswith("land-use-2-lab_")


# --- submitting ---------------------------------------------------------------------------------------------------


def test_what_a_dead_controller_does_not_take_still_fails(build: Build, programs: Programs) -> None:
    programs.answer("sbatch", None)
    executor = build(False, no_requeue=True)
    submit(executor, slurm_account="")
    assert failed(executor), f"run_job {CAN_GO}"


def test_nothing_is_submitted_to_a_controller_that_does_not_answer(
    build: Build, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    programs.answer("scontrol-ping", "Slurmctld(primary) at head is DOWN")
    executor = build(True)
    back = threading.Timer(0.5, programs.answer, ["scontrol-ping", "Slurmctld(primary) at head is UP"])
    back.start()
    submit(executor)
    assert len(programs.calls("scontrol ping")) > 1
    assert len(programs.calls("sbatch")) == 1
    assert not failed(executor)
    assert capsys.readouterr().err.count("does not answer") == 1


@pytest.mark.parametrize("number", [1, 2])
def test_nothing_is_submitted_for_a_run_that_was_given_up(build: Build, programs: Programs, number: int) -> None:
    """Ctrl-C while the controller does not answer: Snakemake waits for its submissions."""
    programs.answer("scontrol-ping", None)
    executor = build(True, array_jobs="train")
    executor.run_jobs(trainings(executor)[:number])
    time.sleep(0.3)
    executor.cancel()
    assert programs.calls("sbatch") == []


def test_memory_still_grows_beyond_what_nodes_have(build: Build, programs: Programs) -> None:
    submit(build(False), mem_mb=10_000_000, slurm_account="")
    assert "--mem 10000000" in programs.calls("sbatch")[0], f"_limit {CAN_GO}"


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"mem_mb": 3000, "runtime": 60}, "-t 60 --mem 3000"),
        ({"mem_mb": 10_000_000}, "-t 60 --mem 190000"),
        ({"slurm_partition": "gpu", "mem_mb": 10_000_000, "gpu_model": "a100", "gpu": 1}, "-t 60 --mem 512000"),
        ({"runtime": 2000}, "-t 1440 --mem 3000"),
        ({"slurm_partition": "elsewhere", "mem_mb": 10_000_000}, "-t 60 --mem 10000000"),  # refused before
        ({"cluster": "far", "mem_mb": 10_000_000, "runtime": 90000}, "-t 90000 --mem 10000000"),
    ],
)
@pytest.mark.parametrize("number", [1, 2])
def test_memory_and_time_grow_as_far_as_there_are_nodes(
    build: Build, programs: Programs, resources: dict[str, Any], expected: str, number: int
) -> None:
    submit(build(True, array_jobs="train", disable_memory_fudge=True), number, **resources)
    (line,) = programs.calls("sbatch")
    assert f"{expected} --" in line
    assert ("--array=1-2" in line) == (number == 2)


def test_an_account_is_still_asked_for_at_every_submission(build: Build, programs: Programs) -> None:
    executor = build(False)
    submit(executor, 2)
    assert len(programs.calls("sacctmgr")) == 2, f"get_account_arg {CAN_GO}"
    assert len(failed(executor)) == 2, f"get_account_arg {CAN_GO}"  # nobody keeps accounts here


@pytest.mark.parametrize(
    ("given", "argument"), [("forest", "-A forest"), ("Forest, fields", "-A Forest"), (17, "-A 17")]
)
def test_accounts_are_taken_as_they_are_given(build: Build, programs: Programs, given: Any, argument: str) -> None:
    executor = build(True)
    submit(executor, slurm_account=given)
    assert f" {argument} " in programs.calls("sbatch")[0]
    assert programs.calls("sacctmgr") == []


def test_an_account_that_is_not_given_is_left_to_the_plugin(build: Build, programs: Programs) -> None:
    executor = build(True)
    submit(executor, slurm_account="")
    assert " -A " not in programs.calls("sbatch")[0]
    assert not failed(executor)


# --- arrays -------------------------------------------------------------------------------------------------------


def test_arrays_still_wait_for_jobs_that_may_not_be_queued(build: Build, programs: Programs) -> None:
    executor = build(False, array_jobs="train")
    submit(executor, 2, slurm_account="")
    assert programs.calls("sbatch") == [], f"run_jobs {CAN_GO}"
    assert not failed(executor)


@pytest.mark.parametrize("rules", ["train", "all", "eval;train"])
def test_jobs_that_are_ready_together_are_an_array(build: Build, programs: Programs, rules: str) -> None:
    executor = build(True, array_jobs=rules)
    submit(executor, 2)
    (line,) = programs.calls("sbatch")
    assert "--array=1-2" in line
    assert sorted(job.external_jobid for job in executor.active_jobs) == ["7_1", "7_2"]


@pytest.mark.parametrize(("rules", "number"), [("train", 1), ("eval", 2), (None, 2)])
def test_other_jobs_are_submitted_one_by_one(build: Build, programs: Programs, rules: str | None, number: int) -> None:
    submit(build(True, array_jobs=rules), number)
    assert len(programs.calls("sbatch")) == number
    assert not [line for line in programs.calls("sbatch") if "--array" in line]


def log_of(executor: Any) -> Path:
    """Where the log of the first submitted job is said to be."""
    programs_say = executor.active_jobs[0].aux["slurm_logfile"]
    assert isinstance(programs_say, Path)
    return programs_say


def test_the_log_of_an_arrays_task_is_still_looked_for_elsewhere(build: Build, programs: Programs) -> None:
    executor = build(False, array_jobs="train")
    submit(executor, 5, slurm_account="")
    assert "rule_train/%A_%a.log " in programs.calls("sbatch")[0]
    assert log_of(executor).parent.name != "rule_train", f"report_job_submission {CAN_GO}"


@pytest.mark.parametrize(("number", "log"), [(2, "rule_train/7_1.log"), (1, "rule_train/0/7.log")])
def test_where_logs_are(build: Build, number: int, log: str) -> None:
    executor = build(True, array_jobs="train", logdir=Path("logs"))
    submit(executor, number)
    assert log_of(executor) == Path.cwd() / "logs" / log


# --- what becomes of jobs -----------------------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What is said of jobs that failed."""
    said: list[str | None] = []
    monkeypatch.setattr("snakemake.jobs.Job.log_error", lambda self, msg=None, **options: said.append(msg))
    return said


def test_how_a_failed_jobs_log_ends_is_still_not_told(build: Build, told: list[str | None], tmp_path: Path) -> None:
    executor, log = build(False), tmp_path / "7.log"
    log.write_text("module: not found\n")
    executor.report_job_error(SubmittedJobInfo(trainings(executor)[0], "7", {"slurm_logfile": log}), msg="failed. ")
    assert told[0] and "module: not found" not in told[0], f"report_job_error {CAN_GO}"


def test_a_failed_job_has_the_last_word(build: Build, told: list[str | None], tmp_path: Path) -> None:
    executor, log = build(True), tmp_path / "7.log"
    job = trainings(executor)[0]
    executor.report_job_error(SubmittedJobInfo(job, "7", {"slurm_logfile": log}), "failed. ", aux_logs=[])
    log.write_text("one\n\ntwo\nthree\nslurm_script: module: not found\n")
    executor.report_job_error(SubmittedJobInfo(job, "7", {"slurm_logfile": log}), "failed.", aux_logs=[])
    executor.report_job_error(SubmittedJobInfo(job), msg="sbatch failed. ")
    hint = "For further error details"
    assert [str(text).partition(hint)[0] for text in told] == [
        "failed. ",
        "failed. Its log ends with:\n    two\n    three\n    slurm_script: module: not found",
        "sbatch failed. ",
    ]
    assert failed(executor) == [job, job, job]


def test_snakemake_still_removes_the_outputs_of_failed_jobs_whoever_made_them(build: Build) -> None:
    executor = build(False)
    assert not is_kept(executor), f"get_job_args {CAN_GO}"


@pytest.mark.parametrize(("repository", "kept"), [(Path.cwd, True), (lambda: Path("/elsewhere"), False)])
def test_outputs_of_swaths_jobs_are_kept_on_their_nodes(
    build: Build, monkeypatch: pytest.MonkeyPatch, repository: Callable[[], Path], kept: bool
) -> None:
    executor = build(True)
    monkeypatch.setattr("swath.smk.executor.REPOSITORY", repository())
    assert (" --keep-incomplete " in executor.format_job_exec(trainings(executor)[0])) == kept


def is_kept(executor: Any) -> bool:
    """Whether an output is still there after its job has failed."""
    job = trainings(executor)[0]
    output = Path(str(job.output[0]))
    output.parent.mkdir(exist_ok=True)
    output.touch()
    asyncio.run(job.postprocess(error=True))
    return output.exists()


# --- states -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["CANCELLED by 1000", "PREEMPTED"])
def test_some_jobs_are_still_waited_for_forever(build: Build, programs: Programs, state: str) -> None:
    programs.answer("squeue", f"1|{state}")
    assert look(build(False)) == "waits", f"plain_state {CAN_GO}"


@pytest.mark.parametrize(
    ("state", "becomes"),
    [
        ("CANCELLED by 1000", "failed"),
        ("CANCELLED", "failed"),
        ("PREEMPTED", "failed"),
        ("TIMEOUT", "failed"),
        ("RUNNING", "waits"),
        ("PENDING", "waits"),
        ("COMPLETED", "done"),
        ("", "waits"),
    ],
)
def test_what_becomes_of_a_job(build: Build, programs: Programs, state: str, becomes: str) -> None:
    programs.answer("squeue", f"1|{state}")
    assert look(build(True)) == becomes


def test_a_job_that_slurm_has_forgotten_is_still_waited_for_forever(build: Build, programs: Programs) -> None:
    programs.answer("squeue", "2|RUNNING")
    executor = build(False)
    assert [look(executor) for _ in range(FORGOTTEN + 1)] == ["waits"] * (FORGOTTEN + 1), f"FORGOTTEN {CAN_GO}"


def test_a_job_that_slurm_has_forgotten_is_looked_for_among_the_outputs(build: Build, programs: Programs) -> None:
    executor = build(True)
    programs.answer("squeue", "2|RUNNING")
    assert [look(executor) for _ in range(FORGOTTEN - 1)] == ["waits"] * (FORGOTTEN - 1)
    programs.answer("squeue", "1|RUNNING")
    assert look(executor) == "waits"  # it was there all the time
    programs.answer("squeue", "2|RUNNING")
    assert [look(executor) for _ in range(FORGOTTEN)] == ["waits"] * (FORGOTTEN - 1) + ["done"]


def test_jobs_in_hidden_partitions_are_looked_for(build: Build, programs: Programs) -> None:
    programs.answer("squeue", "1|RUNNING")
    assert look(build(True)) == "waits"
    assert programs.calls("squeue")[0].endswith("(hidden partitions, too)")


def test_tasks_of_an_array_that_wait_together_are_there(build: Build, programs: Programs) -> None:
    executor = build(True)
    programs.answer("squeue", "7_1|RUNNING\n7_[2-3]|PENDING")
    assert {look(executor, "7_3") for _ in range(FORGOTTEN + 1)} == {"waits"}
    assert missing_in(["1", "7_1", "7_[2-3]", "9"], ["1", "2", "7_1", "7_3", "9_4", "8_1"]) == {"2", "8_1"}


def test_what_accounting_does_not_know_yet_is_not_forgotten(build: Build, programs: Programs) -> None:
    executor = build(True, status_command="sacct")
    programs.answer("sacct", "2|RUNNING")
    assert {look(executor) for _ in range(FORGOTTEN + 1)} == {"waits"}
    assert programs.calls("squeue") == []


def test_what_is_in_another_clusters_queue_is_not_forgotten(build: Build, programs: Programs) -> None:
    executor = build(True)
    trainings(executor)[0].resources.cluster = "far"
    programs.answer("squeue", "2|RUNNING")
    assert {look(executor) for _ in range(FORGOTTEN + 1)} == {"waits"}


def test_jobs_are_still_forgotten_when_the_controller_does_not_answer(build: Build, programs: Programs) -> None:
    assert look(build(False, status_attempts=2)) == "forgotten", f"correct_states {CAN_GO}"
    assert len(programs.calls("squeue")) == 2


def test_no_answer_leaves_all_jobs_as_they_are(build: Build) -> None:
    executor = build(True)
    assert {look(executor) for _ in range(FORGOTTEN + 2)} == {"waits"}


def test_the_plugin_still_looks_ever_more_seldom(build: Build, programs: Programs) -> None:
    programs.answer("squeue", "1|RUNNING")
    executor = build(False)
    for _ in range(60):  # a busy machine's slow answers make the plugin begin anew
        look(executor)
        if executor.next_seconds_between_status_checks == 180:
            break
    assert executor.next_seconds_between_status_checks == 180, f"check_active_jobs {CAN_GO}"


@pytest.mark.parametrize(("remembered", "seconds"), [("300 sec", 60), ("60 sec", 20), ("", 60)])
def test_the_queue_is_looked_at_before_it_forgets(
    build: Build, programs: Programs, remembered: str, seconds: float
) -> None:
    programs.answer("scontrol-show", f"MaxArraySize = 1001\nMinJobAge = {remembered}")
    for program in ("squeue", "sacct"):
        programs.answer(program, "1|RUNNING")
    executor = build(True, init_seconds_before_status_checks=10)
    for _ in range(20):
        look(executor)
    assert executor.next_seconds_between_status_checks == seconds


def test_how_long_jobs_are_remembered_is_still_asked_every_time(build: Build, programs: Programs) -> None:
    programs.answer("squeue", "1|RUNNING")
    executor = build(False)
    before = len(programs.calls("scontrol show"))
    for _ in range(3):
        look(executor)
    assert len(programs.calls("scontrol show")) == before + 3, f"ask_once_how_long_jobs_are_remembered {CAN_GO}"


def test_how_long_jobs_are_remembered_is_asked_once(build: Build, programs: Programs) -> None:
    programs.answer("squeue", "1|RUNNING")
    executor = build(True)
    before = len(programs.calls("scontrol show"))
    programs.answer("scontrol-show", None)
    for _ in range(3):
        assert look(executor) == "waits"
    assert len(programs.calls("scontrol show")) == before
    assert programs.calls("sacct ") == []  # which a plugin without an answer turns to


def test_a_plugin_that_asks_otherwise_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def another(command: str) -> dict[str, str]:
        return {}

    monkeypatch.setattr(plugin, "query_job_status", another)
    monkeypatch.delattr(plugin, "get_min_job_age")
    slurm_upstream.correct_states(lambda command, states: states or {})
    assert plugin.query_job_status is another
    assert slurm_upstream.ask_once_how_long_jobs_are_remembered() is None
