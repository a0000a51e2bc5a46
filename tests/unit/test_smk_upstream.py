"""The patches of Snakemake. Where a test here fails for a new version, the patch it names can go."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import snakemake.api
from snakemake.exceptions import WorkflowError
from snakemake.scheduling.job_scheduler import JobScheduler

from swath.smk import upstream
from swath.smk.upstream import scripts_below

CAN_GO = "can go: remove it from swath.smk.upstream, and this test"
SCRIPT = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print(flush=True); signal.pause()"

SNAKEFILE = """
def memory(wildcards, input):
    return int(input.size_mb) + 1

def limit(wildcards, input, resources):
    return resources.get("mem_mb")

rule all:
    input: "Snakefile"
    output: "done"
    resources: mem_mb=memory
    params: limit=limit
    shell: "touch {output}"
"""


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What of a scheduler its methods touch; the methods are Snakemake's own again afterwards."""
    for name in ("_schedule_reevalutation", "exit_gracefully"):
        monkeypatch.setattr(JobScheduler, name, getattr(JobScheduler, name))
    return SimpleNamespace(_open_jobs=threading.Semaphore(0), _lock=threading.Lock(), _user_kill=None)


@pytest.fixture
def script() -> Iterator[subprocess.Popen[bytes]]:
    """A script of this process's, below a shell which a signal would end; it ends well when it is told to."""
    command = f'"{sys.executable}" -c "{SCRIPT}"; exit $?'
    with subprocess.Popen(["sh", "-c", f"({command})"], stdout=subprocess.PIPE) as shell:
        assert shell.stdout
        shell.stdout.readline()
        (below,) = scripts_below(psutil.Process(shell.pid))
        yield shell
        with contextlib.suppress(psutil.NoSuchProcess):
            below.kill()


def timers(scheduler: SimpleNamespace) -> list[threading.Timer]:
    """The timers that a round of scheduling leaves behind."""
    before = set(threading.enumerate())
    JobScheduler._schedule_reevalutation(scheduler, 1)
    found = [thread for thread in threading.enumerate() if thread not in before]
    assert all(isinstance(thread, threading.Timer) for thread in found)
    return found  # type: ignore[return-value]


def test_snakemake_still_waits_for_its_timers(scheduler: SimpleNamespace) -> None:
    (timer,) = timers(scheduler)
    timer.cancel()
    assert not timer.daemon, f"_leave_timers_behind {CAN_GO}"


def test_a_timer_does_not_keep_a_process_alive_and_still_does_its_work(scheduler: SimpleNamespace) -> None:
    upstream.apply(is_job=False)
    (timer,) = timers(scheduler)
    assert timer.daemon
    assert scheduler._open_jobs.acquire(timeout=10)


def test_snakemake_still_keeps_sigterm_from_its_scripts(
    scheduler: SimpleNamespace, script: subprocess.Popen[bytes]
) -> None:
    JobScheduler.exit_gracefully(scheduler)
    with contextlib.suppress(subprocess.TimeoutExpired):
        script.wait(timeout=1)
    assert script.returncode is None, f"_pass_sigterm_on {CAN_GO}"
    assert scheduler._user_kill == "graceful"


def test_a_jobs_snakemake_passes_sigterm_on(scheduler: SimpleNamespace, script: subprocess.Popen[bytes]) -> None:
    upstream.apply(is_job=True)
    JobScheduler.exit_gracefully(scheduler, signal.SIGTERM, None)
    assert script.wait(timeout=10) == 7
    assert scheduler._user_kill == "graceful"


def test_a_runs_own_snakemake_ends_its_jobs_by_itself(scheduler: SimpleNamespace) -> None:
    before = JobScheduler.exit_gracefully
    upstream.apply(is_job=False)
    assert JobScheduler.exit_gracefully is before


def test_the_script_is_found_below_shells_which_a_signal_would_end(script: subprocess.Popen[bytes]) -> None:
    (found,) = scripts_below(psutil.Process(script.pid))
    found.send_signal(signal.SIGTERM)
    assert script.wait(timeout=10) == 7
    assert list(scripts_below(found)) == []


def test_snakemake_still_drops_questions_for_sizes(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "was never awaited" in done.stderr, f"_hide_dropped_questions {CAN_GO}"


def test_snakemake_plans_only_where_apptainer_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    spec = importlib.util.find_spec("snakemake.deployment.singularity")
    assert spec is not None and spec.loader is not None
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)  # as Snakemake has it, whatever other tests have patched
    dag = SimpleNamespace(workflow=SimpleNamespace(persistence=SimpleNamespace(container_img_path=str(tmp_path))))
    image = fresh.Image(str(tmp_path / "swath.sif"), dag, False)
    with pytest.raises(WorkflowError, match="has to be available"):
        image.pull(dryrun=True)  # if it does not: see CAN_GO
    upstream._pull(image, dryrun=True)


def test_snakemake_still_looks_at_a_function_for_every_job() -> None:
    """Where it remembers by itself, `_look_at_functions_once` can go."""
    code = (
        "import snakemake.api; from snakemake import rules; assert not hasattr(rules.get_function_params, 'cache_info')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, CAN_GO


def test_a_function_is_looked_at_once_and_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    for module in (snakemake.common, snakemake.rules, snakemake.jobs):
        monkeypatch.setattr(module, "get_function_params", lambda func: looked.append(func) or {"a": 1})
    upstream._look_at_functions_once()
    for module in (snakemake.rules, snakemake.jobs):  # where Snakemake asks
        assert module.get_function_params(len) == {"a": 1}
    assert looked == [len]
    once = snakemake.common.get_function_params
    upstream._look_at_functions_once()
    assert snakemake.common.get_function_params is once


def test_a_script_is_looked_for_once_unless_jobs_have_scripts_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    monkeypatch.setattr(snakemake.dag.ScriptProcessor, "process_job", lambda self, job: looked.append(job.rule.script))
    upstream._look_for_scripts_once()
    for script in ("a.py", "a.py", "b.py", "{kind}.py", "{kind}.py"):
        job = SimpleNamespace(rule=SimpleNamespace(name="rule", script=script), is_script=True)
        snakemake.dag.ScriptProcessor.process_job(None, job)
    assert looked == ["a.py", "b.py", "{kind}.py", "{kind}.py"]


def test_snakemake_still_looks_for_the_script_of_every_job() -> None:
    """Where it remembers rules' scripts, `_look_for_scripts_once` can go."""
    code = "import inspect, snakemake.api; from snakemake import dag; print(inspect.getsource(dag.ScriptProcessor))"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "script.get_source(" in told and "cache" not in told.replace("sourcecache", ""), CAN_GO
