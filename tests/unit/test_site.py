"""What a SLURM site offers, read from its own words, and what can never start there."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.common.tbdstring import TBDString
from snakemake.iocontainers import ResourceList
from snakemake_interface_common.exceptions import WorkflowError

from swath.cluster import slurm
from swath.cluster.site import Request, check_requests, gpus_of, minutes_of, nodes_of, request_of
from swath.coordination import run_registry
from swath.errors import UserError
from swath.smk import executor as cluster_executor
from swath.smk.executor import (
    given_up_by,
    missing_in,
    prepare_executor,
    with_last_words,
    with_log_of_array_task,
    with_plain_states,
    within_limits,
)

SITE = [
    nodes_of("cpu|1-00:00:00|48|190000|20|(null)"),
    nodes_of("gpu|8:00:00|32|512000|4|gpu:a100:4(S:0-1)"),
    nodes_of("gpu|8:00:00|16|96000|2|gpu:v100:2,nvme:1"),
    nodes_of("mig|infinite|64|512000|1|gpu:a100_1g.10gb:7(S:0,2-3)"),
]
FINE = [
    Request("chip", "", "cpu", 60, 1, 3000),
    Request("chip", "", "", 60, 1, 3000),
    Request("train", "", "gpu", 480, 8, 9000, gpu=1),
    Request("train", "", "gpu", 480, 8, 9000, gpu=4),
    Request("train", "", "gpu", 480, 8, 9000, gpu=4, used=4),
    Request("train", "", "cpu", 60, 1, 3000, used=2),
    Request("train", "", "gpu", 480, 8, 9000, gpu=2, model="v100"),
    Request("train", "", "mig", 90000, 8, 9000, gres="gpu:a100_1g.10gb:1"),
    Request("train", "", "mig", 150, 8, 9000, gres="gpu:1"),
    Request("train", "", "gpu", 480, 8, 9000, model="a100"),
    Request("train", "", "mig,gpu", 480, 8, 9000, gpu=4),
    Request("train", "", "gpu", 480, 8, 9000, gpu=1, gres="lscratch:100"),
    Request("chip", "", "cpu", 60, 1, 3000, gpu=0),
    Request("predict", "", "faraway", 90000, gpu=8, model="h100", cluster="elsewhere"),
]
WRONG = {
    "partition": (Request("chip", "", "cpus"), "chip: slurm_partition", "cpus", "cpu, gpu, mig", "did you mean 'cpu'?"),
    "type": (Request("train", "", "gpu", gpu=1, model="h100"), "train: gpu_model", "1 × h100", "4 × a100", "a type"),
    "no gpu": (Request("train", "", "cpu", gpu=1), "train: gpu", "1 × gpu", "cpu: 20 nodes without GPUs", "with GPUs"),
    "none of a type": (Request("train", "", "gpu", gpu=0, model="a100"), "train: gpu", "0, of", "a number", "`gpu: 1`"),
    "a rule without": (Request("chip", "", "gpu", gpu=1), "chip: gpu", "1", "does not use any", "`default-resources`"),
    "hyphens": (
        Request("train", "", "gpu", gpu=1, model="a100-sxm4"),
        "train: gpu_model",
        "a100-sxm4",
        "letters, digits",
        '`slurm_extra: "--gpus-per-node=a100-sxm4:1"`',
    ),
    "two kinds": (
        Request("train", "", "gpu", gres="gpu:a100:1,lscratch:10"),
        "train: gres",
        "lscratch",
        "letters, digits",
        "`slurm_extra:",
    ),
    "no gpu of two": (
        Request("train", "", "gpu", gres="nvme:1,lscratch:10"),
        "train: gres",
        "nvme",
        "letters",
        "remove",
    ),
    "gres type": (
        Request("train", "", "mig", gres="gpu:a100:1"),
        "train: gres",
        "gpu:a100:1",
        "7 × a100_1g.10gb",
        "type",
    ),
    "number": (Request("train", "", "gpu", gpu=5), "train: gpu", "5 × gpu", "4 × a100", "fewer (`train.gpus`)"),
    "number of a type": (
        Request("train", "", "gpu", gpu=3, model="v100"),
        "train: gpu",
        "3 × v100",
        "2 × v100",
        "fewer",
    ),
    "misspelt": (
        Request("chip", unknown=("slurm_acount",)),
        "chip: slurm_acount",
        "no resource",
        "slurm_account",
        "did you mean 'slurm_account'?",
    ),
    "both": (
        Request("train", "", "gpu", gpu=1, gres="gpu:a100:1"),
        "train: gres",
        "adds them up",
        "one way",
        "`gpu: 0`",
    ),
    "used": (Request("train", "", "gpu", gpu=3, used=1), "train: gpu", "3", "1 GPU, as `train.gpus`", "as are used"),
    "used by GRES": (
        Request("train", "", "gpu", gres="gpu:a100:1", used=2),
        "train: gres",
        "gpu:a100:1",
        "2 GPUs, as `train.gpus` says",
        "change `train.gpus`",
    ),
    "time": (Request("train", "", "gpu", 481), "train: runtime", "481 minutes", "gpu: 480 minutes", "less time"),
    "cores": (Request("train", "", "gpu", 1, 33), "train: threads", "33 cores", "gpu: 32 cores", "fewer cores"),
    "memory": (
        Request("train", "", "gpu", 1, 20, 600000),
        "train: mem_mb",
        "600000 MB",
        "gpu: 512000 MB",
        "less memory",
    ),
}


@pytest.mark.parametrize("request_", FINE)
def test_a_job_that_can_start(request_: Request) -> None:
    check_requests([request_], SITE, [])


@pytest.mark.parametrize("name", WRONG)
def test_a_job_that_can_never_start(name: str) -> None:
    request, field, found, expected, cure = WRONG[name]
    with pytest.raises(UserError) as caught:
        check_requests([request], SITE, [])
    (problem,) = caught.value.problems
    assert problem.field == field
    assert found in problem.found
    assert expected in problem.expected
    assert cure in problem.cure


def test_an_account_that_is_not_the_users() -> None:
    check_requests([Request("chip", "forest"), Request("chip")], SITE, ["forest", "fields"])
    check_requests([Request("chip", "elsewhere")], SITE, [])
    check_requests([Request("chip", "Forest,fields")], SITE, ["forest"])
    with pytest.raises(UserError) as caught:
        check_requests([Request("chip", "forrest"), Request("eval", "forrest")], SITE, ["forest", "fields"])
    (problem,) = caught.value.problems
    assert problem.field == "slurm_account"
    assert problem.expected == "an account of yours: fields, forest"
    assert problem.cure == "did you mean 'forest'?"


@pytest.mark.parametrize(
    ("limit", "minutes"), [("1-12:30:00", 2190), ("8:00:00", 480), ("30:00", 30), ("1:30", 2), ("infinite", 10**9)]
)
def test_times(limit: str, minutes: int) -> None:
    assert minutes_of(limit) == minutes


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("gpu", {"": 1}),
        ("gpu:2", {"": 2}),
        ("gpu:tesla", {"tesla": 1}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:a100:2,gpu:v100:1(S:0)", {"a100": 2, "v100": 1}),
        ("craynetwork:4,gpu:1", {"": 1}),
        ("gpu:2080ti:8", {"2080ti": 8}),
        ("gpu:3090:4(S:0-1)", {"3090": 4}),
        ("gpu:1g.10gb:7", {"1g.10gb": 7}),
        ("gpu:a100-sxm4-80gb:4,gpu:rtx-6000:2", {"a100-sxm4-80gb": 4, "rtx-6000": 2}),
    ],
)
def test_gpus(gres: str, gpus: dict[str, int]) -> None:
    assert gpus_of(gres) == gpus


@pytest.fixture
def executor() -> Any:
    """What of the executor is touched."""
    settings = SimpleNamespace(init_seconds_before_status_checks=10)
    workflow = SimpleNamespace(executor_settings=settings)
    return SimpleNamespace(
        run_uuid="abc",
        next_seconds_between_status_checks=180,
        workflow=workflow,
        active_jobs=[],
        report_job_submission=lambda job: None,
        report_job_error=lambda job, msg: None,
        cancel=lambda: None,
    )


def test_states_the_executor_does_not_know(executor: Any) -> None:
    async def query(command: str) -> tuple[dict[str, str], float]:
        return {"1": "CANCELLED by 1000", "2": "PREEMPTED", "3": "RUNNING", "4": ""}, 0.1

    states, _ = asyncio.run(with_plain_states(executor, query)("squeue"))
    assert states == {"1": "CANCELLED", "2": "FAILED", "3": "RUNNING", "4": ""}
    assert executor.next_seconds_between_status_checks == 50  # the executor adds ten


def test_jobs_are_named_after_the_experiment(executor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def query() -> tuple[None, None]:
        return None, None

    plugin = SimpleNamespace(query_job_status=query, get_min_job_age=lambda: 300, get_submit_command=None)
    monkeypatch.setitem(sys.modules, "snakemake_executor_plugin_slurm", plugin)
    prepare_executor(executor, "land use, 2", SITE)
    assert executor.run_uuid == "land-use-2-abc"
    assert run_registry.names_of_dead_runs() == set()
    assert [file.stem for file in run_registry.NAMES_OF_JOBS.iterdir()] == ["land-use-2-abc"]
    assert asyncio.run(plugin.query_job_status()) == ({}, 0.0)  # no answer: all jobs are as they were


@pytest.mark.parametrize(("remembered", "seconds"), [(None, 50), (300, 50), (60, 10), (15, 0)])
def test_the_queue_is_looked_at_before_it_forgets(executor: Any, remembered: float | None, seconds: float) -> None:
    async def query() -> tuple[dict[str, str], float]:
        return {}, 0.1

    asyncio.run(with_plain_states(executor, query, remembered)())
    assert executor.next_seconds_between_status_checks == seconds


def submitted(resources: dict[str, Any], given_up: threading.Event | None = None) -> str:
    job = SimpleNamespace(rule=SimpleNamespace(name="train"), resources=ResourceList(fromdict=resources), threads=1)

    def submit(job: Any, params: str) -> str:
        return f"{job.resources.get('mem_mb')} {job.resources.get('runtime')} {params}"

    return within_limits(submit, SITE, given_up or threading.Event())(job, "params")


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the controller answers, one after the other."""
    answers: list[str] = []
    monkeypatch.setattr(slurm, "ask", lambda *command, missing: answers.pop(0) if answers else "is UP")
    monkeypatch.setattr(slurm, "PAUSE", 0.0)
    return answers


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"slurm_partition": "cpu", "mem_mb": 3000, "runtime": 60}, "3000 60"),
        ({"slurm_partition": "cpu", "mem_mb": 10_000_000, "runtime": 60}, "190000 60"),
        ({"slurm_partition": "gpu", "mem_mb": 10_000_000, "gpu_model": "a100"}, "512000 None"),
        ({"slurm_partition": "cpu", "mem_mb": 3000, "runtime": 2000}, "3000 1440"),
        ({"slurm_partition": "mig", "mem_mb": 3000, "runtime": 2000}, "3000 2000"),
        ({"slurm_partition": "elsewhere", "mem_mb": 10_000_000}, "10000000 None"),  # refused before
        ({"cluster": "elsewhere", "mem_mb": 10_000_000, "runtime": 90000}, "10000000 90000"),
        ({"slurm_partition": "cpu"}, "None None"),
    ],
)
@pytest.mark.usefixtures("controller")
def test_memory_and_time_grow_as_far_as_there_are_nodes(resources: dict[str, Any], expected: str) -> None:
    assert submitted(resources) == f"{expected} params"


def test_nothing_is_submitted_to_a_controller_that_does_not_answer(
    controller: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    controller += ["", "Slurmctld(primary) at head is DOWN", "Slurmctld(primary) at head is UP", "left"]
    submitted({})
    assert controller == ["left"]
    assert capsys.readouterr().err.count("does not answer") == 1


def test_nothing_is_submitted_for_a_run_that_was_given_up(executor: Any, controller: list[str]) -> None:
    """Ctrl-C while the controller does not answer: Snakemake waits for its submissions."""
    controller += ["", "", ""]
    given_up = given_up_by(executor)
    executor.cancel()
    with pytest.raises(WorkflowError, match="Given up"):
        submitted({}, given_up)


def test_a_job_that_slurm_has_forgotten_is_looked_for_among_the_outputs(executor: Any) -> None:
    answers = [{"1": "RUNNING", "7_[2-3]": "PENDING"}] * cluster_executor.FORGOTTEN

    async def query() -> tuple[dict[str, str], float]:
        return answers.pop(), 0.1

    executor.active_jobs = [SimpleNamespace(external_jobid=number) for number in ("1", "2", "7_1", "7_2")]
    plain = with_plain_states(executor, query)
    while answers:
        states, _ = asyncio.run(plain())
        assert states is not None
        assert ("2" in states) == (not answers)
    assert states == {"1": "RUNNING", "7_[2-3]": "PENDING", "2": "UNKNOWN"}


def test_tasks_of_arrays_that_wait_together_are_there() -> None:
    assert missing_in(["1", "7_1", "7_[2-3]", "9"], ["1", "2", "7_1", "7_3", "9_4", "8_1"]) == {"2", "8_1"}


@pytest.mark.parametrize(
    ("number", "log", "there"),
    [
        ("7_2", "logs/rule_train/abc/7_2.log", "logs/rule_train/7_2.log"),
        ("7_2", "logs/rule_train/7_2.log", "logs/rule_train/7_2.log"),
        ("7", "logs/rule_train/abc/7.log", "logs/rule_train/abc/7.log"),
    ],
)
def test_where_logs_of_arrays_are(number: str, log: str, there: str) -> None:
    told = []
    job = SimpleNamespace(external_jobid=number, aux={"slurm_logfile": Path(log)})
    with_log_of_array_task(told.append)(job)
    assert told == [job]
    assert job.aux["slurm_logfile"] == Path(there)


def test_a_failed_job_has_the_last_word(tmp_path: Path) -> None:
    told: list[str] = []
    log = tmp_path / "7.log"
    report = with_last_words(lambda job, msg, **options: told.append(msg))
    report(SimpleNamespace(aux={"slurm_logfile": log}), "failed.", aux_logs=[])
    log.write_text("one\n\ntwo\nthree\nslurm_script: module: not found\n")
    report(SimpleNamespace(aux={"slurm_logfile": log}), "failed.", aux_logs=[])
    report(SimpleNamespace(aux=None), msg="sbatch failed.")
    assert told == [
        "failed.",
        "failed. Its log ends with:\n    two\n    three\n    slurm_script: module: not found",
        "sbatch failed.",
    ]


def test_resources_are_read_as_snakemake_names_them() -> None:
    asked = {"slurm_acount": "a", "gpu": 0, "gres": "gpu:2", "clusters": "far", "tmpdir": TBDString()}
    request = request_of("train", ResourceList(fromdict=asked), 2)
    assert (request.unknown, request.gpus, request.cluster) == (("slurm_acount",), {"": 2}, "far")
    assert request_of("train", {"gpu_model": "a100"}, 1).gpus == {"a100": 1}
    assert request_of("train", {"gpu_model": "a100", "gpu": 0}, 1).gpus == {}
