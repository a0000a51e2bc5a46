"""Scripts that are forked from a server: as those that Python starts, and nothing outlives what it should not.

Real processes. Most servers here import next to nothing; the last tests are about what the real one imports.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from experiment import REPOSITORY

from swath.forking import client, server
from swath.forking.start import ForkServer, client_command, process_of

ENVIRONMENT = {**os.environ, **dict.fromkeys(server.THREAD_VARIABLES, "1")}
"""As Snakemake gives it to a script with one thread."""


@pytest.fixture(scope="module")
def light() -> Iterator[ForkServer]:
    """A server that has imported little."""
    started = ForkServer(["numpy", "threadpoolctl"])
    yield started
    started.stop()


@pytest.fixture(scope="module")
def real() -> Iterator[ForkServer]:
    """A server as a run has it."""
    started = ForkServer()
    yield started
    started.stop()


def write(folder: Path, code: str) -> str:
    path = folder / "script.py"
    path.write_text(code)
    return str(path)


def log_of(forked: ForkServer) -> str:
    return (forked.folder / "log.txt").read_text()


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing has happened"
        time.sleep(0.01)


def script_of(server: ForkServer, client: subprocess.Popen[str]) -> psutil.Process:
    """The process that works for a client; the server notes it a moment after the script has begun."""
    wait_for(lambda: process_of(server.folder, client.pid))
    script = process_of(server.folder, client.pid)
    assert script
    return script


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def begin(forked: ForkServer, folder: Path, code: str) -> subprocess.Popen[str]:
    """Begin a script that says how far it is; return when it has said its first word."""
    command = [*client_command(forked.folder), write(folder, code)]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "here\n"
    return process


SCRIPTS = {
    "nothing": "",
    "status": "raise SystemExit(75)",
    "large status": "import sys; sys.exit(256 + 3)",
    "said": "import sys; sys.exit('this is why')",
    "error": "def divide(number):\n    return number / 0\n\ndivide(1)",
    "chain": "try:\n    {}['key']\nexcept KeyError as error:\n    raise ValueError('wrong') from error",
    "syntax": "for in range(3)",
    "interrupt": "raise KeyboardInterrupt",
    "hook": "import sys\nsys.excepthook = lambda *of: print('mine', of[0], of[1])\n1 / 0",
    "signal": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "crash": "import faulthandler, os\nos.abort()",
    "at once": "import os\nprint('lost')\nos._exit(3)",
    "arguments": "import sys\nprint(sys.argv, sys.orig_argv[1:], sys.flags, sys.executable)",
    "main": "import __main__, sys\nprint(__name__, __file__, __doc__, sorted(vars()))\n"
    "print(__main__.__file__, __loader__.path)",
    "path": "import sys\nprint(sys.path, 'server' in sys.modules, 'swath' in sys.modules)",
    "folder": "import os\nprint(os.getcwd(), os.umask(0))",
    "environment": "import os\nfor name in sorted(os.environ):\n    print(name, os.environ[name])",
    "putenv": "import os\nprint(os.popen('env | sort').read())",
    "input": "import sys\nprint(sys.stdin.read(), end='')",
    "descriptors": "import os\nprint(sorted(map(int, os.listdir('/proc/self/fd')))[:4])",
    "streams": "import sys\nfor file in (sys.stdin, sys.stdout, sys.stderr):\n"
    "    print(file.name, file.encoding, file.errors, file.line_buffering, file.isatty())",
    "redirected": "import os, sys\nfile = open('log.txt', 'w')\nos.dup2(file.fileno(), 1)\nos.dup2(file.fileno(), 2)\n"
    "print('to the log', flush=True)\nos.system('echo also')\n"
    "os.dup2(os.open('log.txt', os.O_RDONLY), 0)\nsys.stderr.write(sys.stdin.read())",
    "signals": "import signal\nfor number in sorted(signal.valid_signals()):\n"
    "    print(number, signal.getsignal(number))\nprint(signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "temporary": "import tempfile\nprint(tempfile.gettempdir())",
    "at exit": "import atexit, threading, time\natexit.register(print, 'at exit')\n"
    "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()\nprint('main')",
    "left open": "file = open('left.txt', 'w')\nfile.write('said')",
    "processes": "import multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor\n\n"
    "def double(number):\n    return 2 * number\n\nif __name__ == '__main__':\n"
    "    for way in ('fork', 'spawn'):\n"
    "        with ProcessPoolExecutor(2, multiprocessing.get_context(way)) as pool:\n"
    "            print(list(pool.map(double, range(3))))",
    "thread count": "import threading, threadpoolctl, numpy\n"
    "print(threading.enumerate()[0].name, threading.active_count())\n"
    "for pool in threadpoolctl.threadpool_info():\n    print(pool)",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_forked_script_is_as_one_that_python_starts(light: ForkServer, tmp_path: Path, name: str) -> None:
    script = write(tmp_path, SCRIPTS[name])
    found = []
    for way in ([sys.executable], client_command(light.folder)):
        place = tmp_path / "here"
        place.mkdir()
        done = subprocess.run(
            [*way, script, "an argument", "--option"],
            cwd=place,
            env={**ENVIRONMENT, "TMPDIR": str(tmp_path), "SWATH_WORD": "wörd", "OPENBLAS_NUM_THREADS": "2"},
            input="what it\nreads",
            capture_output=True,
            text=True,
            umask=0o027,
            check=False,
        )
        files = {path.name: path.read_text() for path in sorted(place.iterdir())}
        found.append((done.returncode, re.sub("0x[0-9a-f]+", "", done.stdout), done.stderr, files))
        subprocess.run(["rm", "-r", place], check=True)
    assert found[1] == found[0]
    assert f"forked: {script}" in log_of(light)


def test_what_has_to_differ_between_processes_does(light: ForkServer, tmp_path: Path) -> None:
    """Also what is random in an import: Swath's modules are imported after the fork."""
    code = f"""
import os, random, secrets, sys, tempfile, uuid
import numpy
assert "swath" not in sys.modules
sys.path.insert(0, {str(REPOSITORY / "scripts")!r})
from swath.files import TOKEN
_, name = tempfile.mkstemp()
for word in TOKEN, uuid.uuid4(), random.random(), numpy.random.random(), secrets.token_hex(), name, os.getpid():
    print(word)
"""
    command = [*client_command(light.folder), write(tmp_path, code)]
    texts = [subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True) for _ in range(2)]
    one, other = (text.stdout.split() for text in texts)
    assert len(one) == 7
    assert not set(one) & set(other)


def test_scripts_run_at_once(light: ForkServer, tmp_path: Path) -> None:
    script = write(tmp_path, "import os, sys, time\nprint(sys.argv[1], flush=True)\ntime.sleep(1)\nprint(os.getpid())")

    def run(number: int) -> list[str]:
        command = [*client_command(light.folder), script, str(number)]
        return subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout.split()

    start = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(run, range(12)))
    assert [int(number) for number, _ in found] == list(range(12))
    assert len({pid for _, pid in found}) == 12
    assert time.monotonic() - start < 10


WAITING = """
import signal, subprocess, sys, time

def note(number, frame):
    print(signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM:
        sys.exit(75)

for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, note)
print("here", flush=True)
while True:
    time.sleep(0.05)
"""


def test_signals_reach_the_script(light: ForkServer, tmp_path: Path) -> None:
    process = begin(light, tmp_path, WAITING)
    assert process.stdout
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
        assert process.stdout.readline() == f"{number.name}\n"
    assert process.wait(30) == 75


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_script_that_minds_no_signals_dies_of_them(light: ForkServer, tmp_path: Path, number: signal.Signals) -> None:
    process = begin(light, tmp_path, "import time\nprint('here', flush=True)\ntime.sleep(60)")
    process.send_signal(number)
    assert process.wait(30) == -number
    assert process.stderr
    assert ("KeyboardInterrupt" in process.stderr.read()) == (number == signal.SIGINT)


def test_a_ctrl_c_reaches_what_the_script_has_started_and_sigterm_does_not(light: ForkServer, tmp_path: Path) -> None:
    """As a terminal does it, whose foreground is a group of processes."""
    child = "import time; print('child', flush=True); time.sleep(60)"
    code = f"""
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
child.stdout.readline()
signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM", child.poll(), flush=True))
signal.signal(signal.SIGINT, lambda *_: print("SIGINT", child.wait(), flush=True))
print("here", flush=True)
while child.poll() is None:
    time.sleep(0.05)
"""
    process = begin(light, tmp_path, code)
    assert process.stdout
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "SIGTERM None\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == f"SIGINT {-signal.SIGINT}\n"
    assert process.wait(30) == 0


def test_what_nohup_ignores_stays_ignored(light: ForkServer, tmp_path: Path) -> None:
    script = write(tmp_path, "import signal\nprint(signal.getsignal(signal.SIGHUP).name)")
    command = ["nohup", *client_command(light.folder), script]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    assert done.stdout == "SIG_IGN\n"


def test_a_stopped_script_stops_and_goes_on(light: ForkServer, tmp_path: Path) -> None:
    process = begin(light, tmp_path, "import time\nprint('here', flush=True)\ntime.sleep(3)\nprint('done')")
    script = script_of(light, process)
    process.send_signal(signal.SIGTSTP)
    stopped = psutil.STATUS_STOPPED
    wait_for(lambda: script.status() == stopped and psutil.Process(process.pid).status() == stopped)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=30) == ("done\n", "")


def command_of(process: psutil.Process) -> str:
    """A process's command line; nothing of one that is gone already."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def test_who_kills_the_client_kills_the_script_and_what_it_has_started(light: ForkServer, tmp_path: Path) -> None:
    child = subprocess.list2cmdline([sys.executable, "-c", "import time; time.sleep(60)"])
    process = begin(light, tmp_path, f"import os\nprint('here', flush=True)\nos.system({child!r})")
    script = script_of(light, process)
    wait_for(lambda: any("sleep" in command_of(one) for one in script.children(recursive=True)))
    pids = [script.pid, *(one.pid for one in script.children(recursive=True))]
    process.kill()
    process.wait()
    wait_for(lambda: all(map(gone, pids)))
    wait_for(lambda: not process_of(light.folder, process.pid))


def test_a_script_outlives_its_server_and_the_next_one_is_started_as_usual(tmp_path: Path) -> None:
    forked = ForkServer([])
    process = begin(forked, tmp_path, "import time\nprint('here', flush=True)\ntime.sleep(2)\nprint('done')")
    os.kill(forked.pid, signal.SIGKILL)
    wait_for(lambda: gone(forked.pid))
    command = [*client_command(forked.folder), write(tmp_path, "print('alone')\nraise SystemExit(3)")]
    done = subprocess.run(command, env=ENVIRONMENT, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 3
    assert done.stdout == "alone\n"
    assert "The fork server does not answer" in done.stderr
    assert done.stderr.strip().endswith("the step is started as usual.")
    assert process.communicate(timeout=30) == ("done\n", "")
    forked.stop()
    assert not forked.folder.exists()


def test_who_kills_a_keeper_kills_its_script_and_the_client_says_so(light: ForkServer, tmp_path: Path) -> None:
    process = begin(light, tmp_path, "import time\nprint('here', flush=True)\ntime.sleep(60)")
    script = script_of(light, process)
    keeper = script.parent()
    assert keeper
    keeper.kill()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "was killed, and the step with it" in errors
    wait_for(lambda: gone(script.pid))


def test_a_server_that_cannot_import_leaves_the_work_to_python(tmp_path: Path) -> None:
    forked = ForkServer(["no_such_module"])
    command = [*client_command(forked.folder), write(tmp_path, "print('alone')")]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout == "alone\n"
    assert "the step is started as usual" in done.stderr
    assert "No module named 'no_such_module'" in log_of(forked)
    forked.stop()


def test_a_server_ends_with_whoever_started_it(tmp_path: Path) -> None:
    code = "import time\nfrom swath.forking.start import ForkServer\nserver = ForkServer([])\n"
    code += "print(server.pid, server.folder, flush=True)\ntime.sleep(60)"
    environment = {**ENVIRONMENT, "PYTHONPATH": str(REPOSITORY / "scripts")}
    owner = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    pid, folder = owner.stdout.readline().split()
    command = [*client_command(Path(folder)), write(tmp_path, "import time\ntime.sleep(2)\nprint('done')")]
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: process_of(Path(folder), running.pid))
    owner.kill()
    owner.wait()
    wait_for(lambda: gone(int(pid)) and not Path(folder).exists())
    assert running.communicate(timeout=30)[0] == "done\n"


def test_a_forked_script_computes_with_the_wait_policy_that_the_server_has_found_or_set(tmp_path: Path) -> None:
    for said, expected in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        code = "import os\nprint(os.environ.get('OMP_WAIT_POLICY'))"
        (tmp_path / "seen.py").write_text(code.replace("print(", "VALUE = ").removesuffix(")"))
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("OMP_WAIT_POLICY", raising=False)
            if said:
                patch.setenv("OMP_WAIT_POLICY", said)
            patch.setenv("PYTHONPATH", str(tmp_path))
            environment = dict(os.environ)
            server = ForkServer(["seen"])  # a module that reads it when it is imported, as torch does
        try:
            script = write(tmp_path, "import seen\nprint(seen.VALUE)")
            command = [*client_command(server.folder), script]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            assert done.stdout == f"{expected}\n" and "not forked" not in log_of(server)
        finally:
            server.stop()


@pytest.mark.parametrize("name", ["LD_LIBRARY_PATH", "PYTHONPATH", "LC_ALL", "GDAL_DATA", "HOME"])
def test_where_the_start_of_python_would_differ_it_is_started(light: ForkServer, tmp_path: Path, name: str) -> None:
    script = write(tmp_path, f"import os\nprint(os.environ[{name!r}])")
    command = [*client_command(light.folder), script]
    environment = {**ENVIRONMENT, name: str(tmp_path)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{tmp_path}\n", "")
    assert f"not forked: {script}: other values of {name}" in log_of(light)


def test_only_its_owner_can_reach_a_server(light: ForkServer) -> None:
    assert light.folder.stat().st_mode & 0o777 == 0o700


def test_threads_started_by_an_import_are_no_ground_to_fork_from(tmp_path: Path) -> None:
    module = "import threading, time\nthreading.Thread(target=time.sleep, args=[60], daemon=True).start()"
    (tmp_path / "threads_at_import.py").write_text(module)
    environment = {**ENVIRONMENT, "PYTHONPATH": str(tmp_path)}
    code = f"import sys\nsys.path.insert(0, {str(REPOSITORY / 'scripts')!r})\n"
    code += "from swath.forking.start import *\nimport subprocess\nserver = ForkServer(['threads_at_import'])\n"
    code += f"subprocess.run([*client_command(server.folder), {write(tmp_path, 'print(1)')!r}], check=True)\n"
    code += "print((server.folder / 'log.txt').read_text())\nserver.stop()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("1\n")
    assert "threads were started by an import" in done.stdout


def test_the_client_imports_next_to_nothing() -> None:
    code = f"import sys, runpy; runpy.run_path({client.__file__!r}); print(len(sys.modules))"
    command = [sys.executable, "-I", "-S", "-c", code]
    assert int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) < 90


HEAVY = """
import os, sys
import torch
print(torch.cuda.is_initialized())
torch.manual_seed(0)
print(torch.__config__.parallel_info())
import sklearn.cluster, cv2, geopandas
import threadpoolctl
for pool in sorted(threadpoolctl.threadpool_info(), key=lambda pool: pool["filepath"]):
    print(pool)
print(cv2.getNumThreads())
import rastervision.pipeline, rastervision.pytorch_learner
known = rastervision.pipeline.rv_config_
print(known.get_tmp_dir_root(), known.get_namespace_option("my", "key"))
one = torch.nn.Conv2d(3, 16, 3)(torch.ones(2, 3, 64, 64)).sum()
one.backward()
print(one.item(), (torch.rand(300, 300) @ torch.rand(300, 300)).sum().item())
print(geopandas.GeoSeries.from_wkt(["POINT (13 52)"], crs=4326).to_crs(25833).iloc[0])
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_libraries_are_as_in_a_process_of_their_own(real: ForkServer, tmp_path: Path, threads: str) -> None:
    script = write(tmp_path, HEAVY)
    (tmp_path / ".rastervision").write_text("[my]\nkey = value\n")
    environment = {**ENVIRONMENT, **dict.fromkeys(server.THREAD_VARIABLES, threads), "TMPDIR": str(tmp_path)}
    texts = [
        subprocess.run([*way, script], env=environment, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        for way in ([sys.executable], client_command(real.folder))
    ]
    assert texts[1] == texts[0]
    assert f"at::get_num_threads() : {threads}" in texts[1]
    assert f"{tmp_path} value" in texts[1]
    assert f"forked: {script}" in log_of(real)


def test_no_two_scripts_begin_with_the_same_seed(real: ForkServer, tmp_path: Path) -> None:
    command = [*client_command(real.folder), write(tmp_path, "import torch\nprint(torch.initial_seed())")]
    found = [subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True).stdout for _ in range(2)]
    assert found[0] != found[1]


ONCE = {"page", "panes", "charts", "rungs", "several", "results", "methods", "plots"}
"""Modules of the report, which one job of a run imports: what they need would keep all others waiting."""


def test_all_that_scripts_import_has_been_imported(real: ForkServer, tmp_path: Path) -> None:
    """So that a library which a script newly uses is imported once, too."""
    code = f"""
import importlib, sys
from pathlib import Path
scripts = Path({str(REPOSITORY / "scripts")!r})
sys.path.insert(0, str(scripts))
before = set(sys.modules)
for folder in ("checks", "prediction", "products", "report", "rv", "scenes", "training"):
    for path in sorted((scripts / "swath" / folder).glob("*.py")):
        if path.stem in {sorted(ONCE)!r}:
            continue
        importlib.import_module(".".join(path.relative_to(scripts).with_suffix("").parts))
print(*sorted({{name.split(".")[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names))
"""
    command = [*client_command(real.folder), write(tmp_path, code)]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) <= {"swath", "PIL"}
