"""A real SLURM cluster on this machine, for tests: one CPU node, two nodes with two placeholder GPUs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).parent / "cluster" / "slurm-cluster.sh"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "slurmdbd", "mariadbd")
HOST = ("--software-deployment-method", "env-modules")
"""Has steps run in no container."""
PACKAGES = "slurmctld slurmd slurm-client slurmdbd munge mariadb-server"
PORTS = 20
"""A cluster takes a block of so many TCP ports."""


def missing_programs() -> list[str]:
    """SLURM's programs that this machine does not have."""
    places = os.pathsep.join([os.environ["PATH"], "/usr/local/sbin", "/usr/sbin"])
    return [name for name in PROGRAMS if shutil.which(name, path=places) is None]


@dataclass(frozen=True)
class Slurm:
    """A running cluster.

    Attributes:
        folder: Its configuration, state and logs.
    """

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs."""
        path = os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "SLURM_CONF": str(self.folder / "etc" / "slurm.conf"), "PATH": path}

    def control(self, *arguments: str) -> None:
        """up, down, kill DAEMON, start DAEMON, crash NODE."""
        ports = {"SLURM_LAB_PORT": str(free_ports()), "SLURM_LAB_GPUS_PER_NODE": "2"} if arguments == ("up",) else {}
        command = [str(SCRIPT), *arguments, str(self.folder)]
        done = subprocess.run(command, env={**os.environ, **ports}, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def ask(self, *command: str) -> str:
        """Run a client program; what it prints."""
        done = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True)
        return done.stdout

    def jobs(self, *states: str) -> list[dict[str, str]]:
        """The jobs in the queue: id, name, state, node, comment, folder."""
        fields = {"id": "%A", "name": "%j", "state": "%T", "node": "%N", "comment": "%k", "folder": "%Z"}
        lines = self.ask("squeue", "--noheader", "--all", "-o", "|".join(fields.values())).splitlines()
        jobs = [dict(zip(fields, line.split("|"), strict=True)) for line in lines]
        return [job for job in jobs if not states or job["state"] in states]

    def accounting(self, *fields: str) -> list[dict[str, str]]:
        """All jobs so far, from sacct, without their steps; only the last field may hold a ``|``."""
        command = ["sacct", "--allocations", "--noheader", "--parsable2", "--starttime", "now-1day"]
        lines = self.ask(*command, "--format", ",".join(fields)).splitlines()
        return [dict(zip(fields, line.split("|", len(fields) - 1), strict=True)) for line in lines]


def free_ports() -> int:
    """The first of a block of ports that nobody listens on; processes that test at the same time look elsewhere."""
    span = 32_000 - 21_000  # above are those that the system gives to whoever asks for any
    for offset in range(0, span, PORTS):
        first = 21_000 + (os.getpid() * PORTS + offset) % span
        try:
            for port in range(first, first + PORTS):
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports")


def wait_until(happened: Callable[[], object], seconds: float = 120) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"{happened} has not happened within {seconds} s"
        time.sleep(0.2)
