"""Import much once, then fork a process for every script: ``server.py LISTENER SETTINGS``.

Started by ``swath.forking.start``, as a program: no module of Swath may be in it, so that every script imports those
that lie beside it today. The folder of the socket is the working directory, standard input a pipe that nobody
writes: its end means that whoever started this process is gone.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import gc
import importlib
import json
import marshal
import os
import select
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "GOTO_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
"""What Snakemake sets for every script."""
USED_LATE = {
    *(*THREAD_VARIABLES, "TMPDIR", "TMP", "TEMP", "TEMPDIR"),  # settled after the fork
    *("PATH", "PWD", "OLDPWD", "SHLVL", "_", "TERM", "COLUMNS", "LINES", "GDAL_CACHEMAX"),
    *("CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "RASTERVISION_USE_DDP"),
}
"""Variables that nothing reads when Python starts or a library is imported."""
FAMILIES = ("SWATH_", "SNAKEMAKE_", "SLURM_", "APPTAINER_", "SINGULARITY_", "PYTEST_", "COV_", "COVERAGE_", "PIP_")
"""Beginnings of the names of more such variables."""
OWN_THREADS = ("jemalloc_bg_thd",)
"""Threads that libraries start when imported and put in order themselves in a forked process."""
TO_GROUP = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)
"""Signals that a terminal sends to a process and all it has started."""
PR_SET_PDEATHSIG = 1

Request = dict[str, Any]


def main() -> None:
    """Serve; in a forked process, run the script."""
    listener, settings = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    del sys.path[0]  # this program's folder: its modules would hide others
    request = serve(listener, settings)
    settle(request)
    run(request["command"])


def serve(listener: socket.socket, settings: dict[str, Any]) -> Request:
    """Fork a process for every script that a client asks for; returns in these, never in this one."""
    environments = [dict(os.environb)]
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(listener, select.POLLIN)
    while not any(descriptor == 0 for descriptor, _ in poll.poll()):
        if len(environments) == 1:  # a run without scripts, say a test's, pays for no imports
            preload(settings)
            environments.append(dict(os.environb))
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return keep(connection, environments)
        connection.close()
        reap()
    reap()
    shutil.rmtree(Path.cwd(), ignore_errors=True)
    os._exit(0)


def preload(settings: dict[str, Any]) -> None:
    """Import what scripts need.

    Raises:
        RuntimeError: If something is in use by now that does not survive a fork.
    """
    begun = time.monotonic()
    for name in settings["without"]:
        os.environ.pop(name, None)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # none are started
    for name, value in settings["computing"].items():  # as every script does before it imports anything
        os.environ.setdefault(name, value)
    for name in settings["modules"]:
        importlib.import_module(name)
    threads = [Path(f"/proc/self/task/{task}/comm").read_text().strip() for task in os.listdir("/proc/self/task")]
    others = sorted(threads)
    others.remove(Path("/proc/self/comm").read_text().strip())
    if threading.active_count() > 1 or set(others) - set(OWN_THREADS):
        raise RuntimeError(f"threads were started by an import: {', '.join(others)}")
    files = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    if "torch" in sys.modules and (
        sys.modules["torch"].cuda.is_initialized() or any(file.startswith("/dev/nvidia") for file in files)
    ):
        raise RuntimeError("CUDA was initialised by an import")
    gc.collect()
    gc.freeze()  # what is not looked at is not copied
    log(f"imported in {time.monotonic() - begun:.1f} s")


def reap() -> None:
    """Note what keepers that have ended have used, so that whoever started this process can tell."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def keep(connection: socket.socket, environments: list[dict[bytes, bytes]]) -> Request:
    """Fork the script's process, in which this returns; wait for it and tell the client how it ended."""
    me = os.getpid()
    try:
        request = receive(connection)
        script = request["command"][0]
        if reason := why_not(request["environment"], *environments):
            log(f"not forked: {script}: {reason}")
            connection.sendall(b"R")
            os._exit(0)
        pid = os.fork()
        if pid != 0:
            log(f"forked: {script}: process {pid}")
            stay(connection, request, pid)
            os._exit(0)
    except Exception as error:  # most likely the client was killed; the script dies with this process
        log(f"given up: {error!r}")
        os._exit(1)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != me:
        os._exit(1)
    os.setpgid(0, 0)
    connection.close()
    return request


def stay(connection: socket.socket, request: Request, pid: int) -> None:
    """Be with a script until it ends."""
    for descriptor in request["streams"]:
        os.close(descriptor)  # who reads what the script writes waits until nobody else can write
    note = Path(f"{request['client']}.pid")
    with contextlib.suppress(OSError):  # the server can have ended, and its folder with it
        note.write_text(str(pid))
    _wait(connection, pid)
    note.unlink(missing_ok=True)


def receive(connection: socket.socket) -> Request:
    """Read a client's request; ``streams`` are the descriptors of its standard streams."""
    head, streams, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb", buffering=0) as file:
        while len(head) < 8:
            head += _read(file, 8 - len(head))
        length, content = struct.unpack("Q", head)[0], b""
        while len(content) < length:
            content += _read(file, length - len(content))
    request: Request = marshal.loads(content)
    return {**request, "streams": streams}


def _read(file: Any, number: int) -> bytes:
    part: bytes = file.read(number)
    if not part:
        raise EOFError
    return part


def why_not(wanted: dict[bytes, bytes], before: dict[bytes, bytes], after: dict[bytes, bytes]) -> str:
    """Say what keeps a script's process from being as one that was started with its environment, or nothing.

    Args:
        wanted: The script's environment.
        before, after: That of this process, before and after the imports: what they set does not matter.
    """
    names = {os.fsdecode(name) for name in wanted.keys() | before.keys()}
    fixed = [os.fsencode(name) for name in names if name not in USED_LATE and not name.startswith(FAMILIES)]
    other = [name for name in fixed if wanted.get(name) not in (before.get(name), after.get(name))]
    if "threadpoolctl" in sys.modules:
        other += [name for name in (b"OMP_NUM_THREADS", b"OPENBLAS_NUM_THREADS") if not wanted.get(name, b"").isdigit()]
    return f"other values of {', '.join(sorted(map(os.fsdecode, other)))}" if other else ""


def _wait(connection: socket.socket, pid: int) -> None:
    """Pass signals on until the script has ended; kill it when its client is gone."""
    connection.sendall(b"B")
    process = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    poll.register(process, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if process in ready:
            break
        numbers = _signals(connection)
        for number in numbers or [signal.SIGKILL]:
            _signal(pid, number, to_group=number in TO_GROUP or number == signal.SIGKILL)
        if not numbers:
            os.waitpid(pid, 0)
            return
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):  # the client was killed a moment ago
        connection.sendall(struct.pack("i", status))


def _signals(connection: socket.socket) -> list[int]:
    try:
        return list(connection.recv(64))
    except OSError:
        return []


def _signal(pid: int, number: int, to_group: bool) -> None:
    if number == signal.SIGTSTP:  # which has no effect in a group that no shell looks after
        number = signal.SIGSTOP
    try:
        (os.killpg if to_group else os.kill)(pid, number)
    except ProcessLookupError:
        os.kill(pid, number)  # not waited for: it is there, but has no group of its own yet


def settle(request: Request) -> None:
    """Make this process what it were if the client had started it."""
    for number, descriptor in enumerate(request["streams"]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environb.clear()
    os.environb.update(request["environment"])
    for number in sorted({*TO_GROUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}):
        default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in request["ignored"] else default)
    tempfile.tempdir = None
    importlib.invalidate_caches()
    if "COVERAGE_PROCESS_START" in os.environ:
        import coverage

        coverage.process_startup()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # Python's own random sees to it
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()
    if "threadpoolctl" in sys.modules:
        openmp, blas = int(os.environ["OMP_NUM_THREADS"]), int(os.environ["OPENBLAS_NUM_THREADS"])
        if (openmp, blas) != (1, 1):  # which is what the imports have seen
            sys.modules["threadpoolctl"].threadpool_limits({"openmp": openmp, "blas": blas})
            if "torch" in sys.modules:  # MKL is part of it; nobody else can set its threads
                sys.modules["torch"].set_num_threads(openmp)
    if "rastervision.pipeline" in sys.modules:
        sys.modules["rastervision.pipeline"].rv_config_.__init__()  # it knows TMPDIR and files of the working directory


def run(command: list[str]) -> NoReturn:
    """Run a script as Python does: its names are those of ``__main__``, and tracebacks begin in it."""
    sys.argv[:] = command
    sys.orig_argv[:] = [sys.executable, *command]
    script = command[0]
    sys.path.insert(0, str(Path(script).resolve().parent))
    module = ModuleType("__main__")
    names = {"__file__": script, "__builtins__": builtins, "__loader__": SourceFileLoader("__main__", script)}
    vars(module).update(names, __cached__=None, __annotations__={})
    sys.modules["__main__"] = module
    status, interrupted = 0, False
    try:
        exec(compile(Path(script).read_bytes(), script, "exec"), vars(module))
    except SystemExit as end:
        status = _status(end.code)
    except BaseException as error:
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        status, interrupted = 1, isinstance(error, KeyboardInterrupt)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    vars(module).clear()  # closes what the script has left open
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status)  # taking hundreds of modules apart would take nearly a second


def _status(code: object) -> int:
    """Return the exit status that SystemExit's code means."""
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1


def log(text: str) -> None:
    """Say something in the server's log, not in the script's."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    main()
