"""Rules' scripts forked from a server instead of started, on one machine; SWATH_FORK_SERVER=0 switches it off.

Snakemake 9.27.1 has no setting for what runs a script: ``PythonScript.execute_script`` calls Python. Here it calls the
fork server's client instead, for jobs of this machine that have no container and no environment of their own. What
runs a script is the client's process then, and the benchmark of a job has to count the one that works for it, too.
Both patches can go when Snakemake lets a workflow name the program that runs its scripts.
"""

from __future__ import annotations

import atexit
import os
import shlex
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import snakemake
from snakemake import benchmark
from snakemake.script import PythonScript

from swath.errors import Problem, UserError, ending_the_program
from swath.forking.start import ForkServer, client_command, process_of

KNOWN = "9.27.1"
"""The version of Snakemake whose scripts can be forked."""
VARIABLE = "SWATH_FORK_SERVER"
"""Nothing or 1 for a server of the run's own; the folder of another's; 0 for none."""

_execute_script = PythonScript.execute_script
_Timer = benchmark.BenchmarkTimer
_starting = threading.Lock()
_folders: list[Path] = []  # that of the server in use, once a job has asked for it
_begun: list[str] = []  # scripts of this run
_cannot: list[OSError] = []  # why no server can be started


def fork_scripts(workflow: Any) -> None:
    """Have the scripts of this run forked, unless the environment forbids it or a cluster runs them.

    Args:
        workflow: Snakemake's, about to run.
    """
    PythonScript.execute_script, benchmark.BenchmarkTimer = _execute_script, _Timer
    _folders.clear()
    _begun.clear()
    _cannot.clear()
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "0" or not workflow.is_main_process or workflow.executor_plugin.name != "local":
        return
    if not _can_fork():
        if wanted:
            found = f"{snakemake.__version__} on {sys.platform}"
            print(f"{VARIABLE} is for Snakemake {KNOWN} on Linux, this is {found}: not used.", file=sys.stderr)
        return
    if wanted not in ("", "1") and not (Path(wanted) / "socket").is_socket():
        expected = "0 to start every step anew; 1, or nothing, to fork them; or the folder of a fork server that runs"
        with ending_the_program():
            raise UserError(Problem("wrong_value", VARIABLE, "", wanted, expected, f"{VARIABLE}=0 snakemake …"))
    PythonScript.execute_script, benchmark.BenchmarkTimer = _execute_forked, ForkedTimer


def forks_scripts(executor: str) -> bool:
    """Tell whether scripts outside containers are forked where this executor runs them."""
    return executor == "local" and os.environ.get(VARIABLE) != "0" and _can_fork()


def _can_fork() -> bool:
    return snakemake.__version__ == KNOWN and sys.platform == "linux"


def _folder(script: str) -> Path | None:
    """Return the folder of the server for a script; None for the first of a run, as many runs have no second."""
    wanted = os.environ.get(VARIABLE, "")
    with _starting:  # jobs are threads
        _begun.append(script)
        if not wanted and len(_begun) == 1:
            return None
        if not _folders and wanted not in ("", "1"):
            _folders.append(Path(wanted))
        elif not _folders:
            if _cannot:
                return None
            sys.stderr.write("Importing torch and Raster Vision once for all steps.\n")  # whole: other jobs write, too
            try:
                server = ForkServer()
            except OSError as error:  # a temporary folder without sockets, or without room
                _cannot.append(error)
                sys.stderr.write(f"That cannot be done here ({error}): steps are started one by one.\n")
                return None
            atexit.register(server.stop)
            _folders.append(server.folder)
        return _folders[0]


def _execute_forked(script: PythonScript, fname: str, edit: bool = False) -> None:
    """Run a script as ``PythonScript.execute_script`` does, with another program in the place of Python."""
    as_usual = script.container_img is not None or script.conda_env is not None or script.env_modules is not None
    folder = None if as_usual else _folder(fname)
    if folder is None:
        _execute_script(script, fname, edit)
        return
    program = shlex.join(client_command(folder))
    script._execute_cmd("{py_exec} {fname:q}", py_exec=program, fname=fname, is_python_script=True)


class ForkedTimer(_Timer):  # type: ignore[misc, valid-type]
    """Snakemake's observer of a job's processes, who sees those that work for the job, too."""

    def __init__(self, pid: int, bench_record: Any, interval: int = benchmark.BENCHMARK_INTERVAL):
        super().__init__(pid, bench_record, interval)
        self.main = _Observed(pid)


class _Observed(psutil.Process):
    def children(self, recursive: bool = False) -> list[Any]:
        found = super().children(recursive)
        processes = [process_of(folder, client.pid) for folder in _folders for client in (self, *found)]
        forked = [process for process in processes if process]
        return [*found, *forked, *(child for process in forked for child in process.children(recursive=True))]
