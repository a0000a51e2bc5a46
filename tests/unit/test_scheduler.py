"""SIGTERM in a job of a cluster: it is meant for the script, which knows how to stop."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil

from swath.smk.upstream import scripts_below

SCRIPT = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print(flush=True); signal.pause()"


def test_the_script_is_found_below_shells_which_a_signal_would_end() -> None:
    command = f'"{sys.executable}" -c "{SCRIPT}"; exit $?'
    with subprocess.Popen(["sh", "-c", f"({command})"], stdout=subprocess.PIPE) as shell:
        assert shell.stdout
        shell.stdout.readline()
        (script,) = scripts_below(psutil.Process(shell.pid))
        script.send_signal(signal.SIGTERM)
    assert shell.returncode == 7
    assert list(scripts_below(script)) == []
