"""What is taken for granted of Snakemake where its scripts are forked; and when they are not."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake
from snakemake import benchmark
from snakemake.script import PythonScript, ScriptBase

from swath.smk import fork_server

EXECUTE, TIMER = PythonScript.execute_script, benchmark.BenchmarkTimer


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    PythonScript.execute_script, benchmark.BenchmarkTimer = EXECUTE, TIMER


def test_the_version_is_the_known_one() -> None:
    assert snakemake.__version__ == fork_server.KNOWN


def test_a_script_is_run_by_one_command_that_begins_with_python() -> None:
    assert list(inspect.signature(EXECUTE).parameters) == ["self", "fname", "edit"]
    words = " ".join(inspect.getsource(EXECUTE).split())
    assert 'self._execute_cmd( "{py_exec} {fname:q}", py_exec=py_exec, fname=fname, is_python_script=True )' in words
    assert words.count("py_exec = sys.executable") == 1
    assert {"container_img", "conda_env", "env_modules"} <= set(inspect.signature(ScriptBase).parameters)


def test_a_benchmark_observes_a_process_and_its_children() -> None:
    assert list(inspect.signature(TIMER).parameters) == ["pid", "bench_record", "interval"]
    assert "chain((self.main,), self.main.children(recursive=True))" in inspect.getsource(TIMER)
    assert "= BenchmarkTimer(int(pid or os.getpid()), result, interval)" in inspect.getsource(benchmark.benchmarked)


@pytest.mark.parametrize(
    ("wanted", "main", "executor", "forked"),
    [
        ("1", True, "local", True),
        ("0", True, "local", False),
        (None, True, "local", True),
        (None, False, "local", False),
        ("1", False, "local", False),  # a job of a cluster
        ("1", True, "slurm", False),
    ],
)
def test_only_this_machines_scripts_are_forked_and_not_when_that_is_forbidden(
    wanted: str | None, main: bool, executor: str, forked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wanted:
        monkeypatch.setenv(fork_server.VARIABLE, wanted)
    else:
        monkeypatch.delenv(fork_server.VARIABLE, raising=False)
    fork_server.fork_scripts(SimpleNamespace(is_main_process=main, executor_plugin=SimpleNamespace(name=executor)))
    assert (PythonScript.execute_script is not EXECUTE) == forked
    assert (benchmark.BenchmarkTimer is not TIMER) == forked


def test_on_another_version_of_snakemake_a_run_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(fork_server.VARIABLE, "1")
    monkeypatch.setattr(snakemake, "__version__", "9.99.0")
    fork_server.fork_scripts(SimpleNamespace(is_main_process=True, executor_plugin=SimpleNamespace(name="local")))
    assert PythonScript.execute_script is EXECUTE
    assert (
        capsys.readouterr().err
        == "SWATH_FORK_SERVER is for Snakemake 9.27.1 on Linux, this is 9.99.0 on linux: not used.\n"
    )


def test_a_folder_without_a_server_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(fork_server.VARIABLE, str(tmp_path))
    with pytest.raises(SystemExit):
        fork_server.fork_scripts(SimpleNamespace(is_main_process=True, executor_plugin=SimpleNamespace(name="local")))
    assert (
        f"SWATH_FORK_SERVER\n  found:    {tmp_path}\n  expected: 0 to start every step anew" in capsys.readouterr().err
    )


def test_where_no_server_can_be_started_every_script_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise OSError(95, "Operation not supported")

    started: list[str] = []
    monkeypatch.delenv(fork_server.VARIABLE, raising=False)
    monkeypatch.setattr(fork_server, "ForkServer", fails)
    monkeypatch.setattr(fork_server, "_execute_script", lambda script, fname, edit: started.append(fname))
    fork_server.fork_scripts(SimpleNamespace(is_main_process=True, executor_plugin=SimpleNamespace(name="local")))
    script: Any = SimpleNamespace(container_img=None, conda_env=None, env_modules=None)
    for name in ("one.py", "two.py", "three.py"):
        fork_server._execute_forked(script, name)
    assert started == ["one.py", "two.py", "three.py"]
    assert capsys.readouterr().err.count("steps are started one by one") == 1
