"""Several processes that train one model together, exactly as many as asked for."""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from swath.coordination.fencing import work_for_job
from swath.errors import ToBeContinuedError, UserError
from swath.job.attempt_log import go_on
from swath.job.terminal import hush_libraries, show_on, terminal_descriptor
from swath.training.stopping import SIGNALS

LAUNCHERS = (
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "ROLE_RANK"),
    *("MASTER_ADDR", "MASTER_PORT", "JSM_NAMESPACE_RANK", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"),
)
TERMINAL = "SWATH_TERMINAL"


def drop_launcher_variables() -> None:
    """Drop what srun, mpirun or torchrun left in the environment: nothing but `train.gpus` says who trains together.

    Has to be called before torch or Lightning are imported.
    """
    for name in LAUNCHERS:
        os.environ.pop(name, None)


def run_together(function: Callable[..., None], *arguments: Any) -> None:
    """Run a function in a process of its own, from which Lightning starts the others that train with it.

    Lightning starts a process's own command again for every further GPU; a rule's script is no such command.

    Args:
        function: Importable by name.
        arguments: Its arguments, picklable.

    Raises:
        UserError, ToBeContinuedError: What the function raised.
        RuntimeError: If the process died otherwise.
    """
    with tempfile.TemporaryDirectory() as folder:
        task, outcome = Path(folder) / "task.pickle", Path(folder) / "outcome.pickle"
        task.write_bytes(pickle.dumps((function.__module__, function.__qualname__, arguments, outcome)))
        descriptor = terminal_descriptor()
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(task)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), TERMINAL: str(descriptor)},
            pass_fds=[descriptor] if descriptor is not None else [],
        )
        # a Ctrl-C reaches the process by itself: forwarded, it would be a second one
        forward = {number: signal.SIG_IGN if number == signal.SIGINT else _forward_to(process) for number in SIGNALS}
        before = {number: signal.signal(number, handler) for number, handler in forward.items()}
        try:
            status = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if not outcome.is_file():
            raise RuntimeError(f"the training's first process ended with status {status}, and without a result")
        error = pickle.loads(outcome.read_bytes())
        if error is not None:
            raise error


def _forward_to(process: subprocess.Popen[bytes]) -> Callable[[int, Any], None]:
    return lambda number, _: process.send_signal(number)


def _run(task: Path) -> None:
    """Run a pickled task; in every process that trains together."""
    module, name, arguments, outcome = pickle.loads(task.read_bytes())
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    hush_libraries()
    first = "LOCAL_RANK" not in os.environ
    if first and os.environ.get(TERMINAL, "None") != "None":
        show_on(os.fdopen(int(os.environ[TERMINAL]), "w", buffering=1))
    work_for_job()
    if first:
        go_on()
    logging.getLogger("swath").setLevel(logging.INFO if first else logging.ERROR)
    result = None
    try:
        getattr(importlib.import_module(module), name)(*arguments)
    except (UserError, ToBeContinuedError) as error:
        result = error
    finally:
        if first:  # nobody waits for a process that has stopped
            for child in psutil.Process().children(recursive=True):
                child.kill()
    if first:
        outcome.write_bytes(pickle.dumps(result))


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
