"""Processes that tests fork instead of starting them: rules' scripts, and Snakemake itself.

Importing Snakemake takes a second and a half, importing torch and Raster Vision eight, and a small experiment is run by
nearly twenty processes. One server for each, for all processes that test.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swath.forking.start import ForkServer, client_command
from swath.smk.fork_server import VARIABLE

SCRIPTS, SNAKEMAKE = "SWATH_TESTS_SCRIPTS", "SWATH_TESTS_SNAKEMAKE"
"""Tell all processes that test where the servers are."""
NAMES = "SWATH_TESTS_BEFORE"
BEFORE = frozenset(os.environ.setdefault(NAMES, " ".join(os.environ)).split())
"""Names in the environment of the first process that tests, before libraries have set any; others inherit theirs."""
SET_BY_LIBRARIES = ("KMP_", "LD_LIBRARY_PATH", "PYTORCH_", "TORCH", "_TORCH")
SNAKEMAKES_MODULES = ("snakemake.cli", "snakemake.api", "snakemake.workflow", "snakemake.executors.local")


def start_fork_servers(config: pytest.Config) -> None:
    """Start the session's servers; they import nothing before they are asked for it, and end with the session.

    Args:
        config: pytest's, of any process that tests.
    """
    if hasattr(config, "workerinput"):  # these find them in their environment
        return
    os.environ["TQDM_DISABLE"] = "1"  # as a run sets it for its scripts, of whose environment the servers' has to be
    by_libraries = {name: os.environ.pop(name) for name in os.environ.keys() - outside_libraries()}
    for name, server in ((SCRIPTS, ForkServer()), (SNAKEMAKE, ForkServer(SNAKEMAKES_MODULES))):
        os.environ[name] = str(server.folder)
        config.add_cleanup(server.stop)
    os.environ.update(by_libraries)


def outside_libraries() -> dict[str, str]:
    """Return this process's environment without what libraries have set in it."""
    return {
        name: value for name, value in os.environ.items() if name in BEFORE or not name.startswith(SET_BY_LIBRARIES)
    }


def log_of_scripts() -> list[str]:
    """Return what the server of rules' scripts has to say of each."""
    return (Path(os.environ[SCRIPTS]) / "log.txt").read_text().splitlines()


def forked(command: list[str], server: str = SNAKEMAKE) -> list[str]:
    """Return what forks a Python program in the place of a command that starts it."""
    return [*client_command(Path(os.environ[server])), *command]


def forking_environment() -> dict[str, str]:
    """Return an environment in which Snakemake is forked, and forks its rules' scripts.

    What libraries have left in this process's own since it began would keep them from it.
    """
    return {**outside_libraries(), VARIABLE: os.environ[SCRIPTS], "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def starting_environment() -> dict[str, str]:
    """Return an environment in which Snakemake starts its rules' scripts, unless a test says what forks them."""
    return {VARIABLE: "0", **os.environ}
