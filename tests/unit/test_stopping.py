"""When training has to stop although it is not done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from experiment import REPOSITORY

from swath.training.stopping import StopRequest, deadline


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_a_signal_asks_training_to_stop(name: str) -> None:
    stop = StopRequest()
    with stop.listening():
        assert stop.reason() is None
        os.kill(os.getpid(), getattr(signal, name))
        assert stop.reason() == name


def test_signals_mean_what_they_meant_before_once_training_is_over() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest().listening():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_sigterm_changes_nothing_but_a_second_ctrl_c_ends_the_process() -> None:
    code = (
        "import os, signal\nfrom swath.training.stopping import StopRequest\n"
        "with StopRequest().listening():\n"
        "    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):\n"
        "        print(number.name, flush=True)\n        os.kill(os.getpid(), number)\n"
        "    print('still here')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["SIGTERM", "SIGTERM", "SIGINT"]
    assert done.returncode == -signal.SIGINT


def test_training_stops_before_its_time_limit_with_room_for_what_it_needs() -> None:
    now = time.time()
    assert StopRequest().reason() is None
    assert StopRequest(now + 600).reason() is None
    assert StopRequest(now + 30).reason() == "time limit"
    assert StopRequest(now + 600).reason(needed=301) == "time limit"
    assert StopRequest(now + 600).reason(needed=200) is None


def test_the_deadline_is_slurms_or_reckoned_from_the_start_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    assert deadline(None) is None
    assert deadline(10) == pytest.approx(psutil.Process().create_time() + 600)
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1700000000")
    assert deadline(10) == 1700000000
