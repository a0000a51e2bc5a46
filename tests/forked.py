"""One fork server for all Snakemake runs of a test session, whichever process of the session begins them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swath.forking.start import ForkServer

FOLDER = "SWATH_TESTS_FORK_SERVER"
"""Tells all processes that test where the server is."""


def start_fork_server(config: pytest.Config) -> None:
    """Start the session's server; it imports nothing before a script asks for it, and ends with the session.

    Args:
        config: pytest's, of any process that tests.
    """
    if not hasattr(config, "workerinput"):  # the others find it in their environment
        server = ForkServer()
        os.environ[FOLDER] = str(server.folder)
        config.add_cleanup(server.stop)


def fork_server() -> Path:
    """The folder of the session's server, to be said in SWATH_FORK_SERVER."""
    return Path(os.environ[FOLDER])
