"""The user's terminal: a bar for one process, lines for all."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from experiment import REPOSITORY

from swath.job.terminal import LOG_ALONE, show_on

WATCHING = """
import logging, os, sys
from swath.job.terminal import show_on, terminal_for_bar
if "nameless" in sys.argv:  # as in a container
    os.ttyname = lambda descriptor: "/dev/pts/none"
show_on(open(sys.argv[1], "w"))
print("bar" if terminal_for_bar() else "lines", flush=True)
logging.getLogger('swath').info('epoch 1')
sys.stdin.read()
"""


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """A terminal's other end, and its name."""
    ours, theirs = os.openpty()
    yield ours, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


@contextmanager
def watching(name: str, *more: str) -> Iterator[str]:
    """What a process that trains gets on a terminal, as long as it lives."""
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHING, name, *more],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def test_in_a_container_as_well_one_of_several_draws_its_bar(terminal: tuple[int, str]) -> None:
    with watching(terminal[1], "nameless") as first, watching(terminal[1], "nameless") as second:
        assert (first, second) == ("bar", "lines")


def test_some_lines_are_for_the_log_alone(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("swath.train")
    show_on(sys.stdout)
    log.info("attempt on node03", extra={LOG_ALONE: True})
    log.info("epoch 1")
    logging.getLogger("swath").handlers.clear()
    assert [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()] == ["epoch 1"]


def test_of_several_trainings_one_draws_its_bar(terminal: tuple[int, str]) -> None:
    ours, name = terminal
    with watching(name) as first, watching(name) as second:
        assert (first, second) == ("bar", "lines")
    with watching(name) as next_one:
        assert next_one == "bar"
    shown = os.read(ours, 10_000).decode()
    assert shown.count("epoch 1\r\n") == 3
    assert shown.startswith("\r\033[K")  # another process's bar is gone from the line
