"""Start a fork server, and say what is to be called in the place of Python."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from swath.job.container import HOST_DATA
from swath.job.environment import COMPUTING
from swath.job.temporary import new_folder

MODULES = (
    *("torch", "rastervision.pytorch_learner", "rastervision.pytorch_backend", "rastervision.core.rv_pipeline"),
    *("pytorch_lightning", "pytorch_lightning.plugins.environments", "segmentation_models_pytorch", "timm.optim"),
    *("geopandas", "pyogrio", "pyarrow.parquet", "rasterio.shutil", "scipy.sparse.csgraph", "scipy.stats"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("jinja2", "yaml", "psutil", "snakemake.io", "threadpoolctl", "pydantic.type_adapter"),
)
"""What rules' scripts import besides Swath's own modules; what is missing here each of them imports by itself."""


class ForkServer:
    """A fork server, which lives as long as this process, or until it is stopped.

    Attributes:
        folder: Where its socket and its log are.
    """

    def __init__(self, modules: Sequence[str] = MODULES):
        from swath.training.processes import LAUNCHERS  # not while parsing: tqdm comes with it

        self.folder = new_folder("fork-")
        settings = json.dumps({"modules": modules, "without": (*HOST_DATA, *LAUNCHERS), "computing": COMPUTING})
        program = str(Path(__file__).with_name("server.py"))
        descriptor = os.open(self.folder, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as listener, (self.folder / "log.txt").open("w") as log:
            listener.bind(f"/proc/self/fd/{descriptor}/socket")  # clients can wait from now on
            listener.listen(1024)
            self._process = subprocess.Popen(
                [sys.executable, program, str(listener.fileno()), settings],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_START"},
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        os.close(descriptor)

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def stop(self) -> None:
        """Take no more scripts; those that run go on."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:  # it imports
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)  # the server could not if it was killed


def client_command(folder: Path) -> list[str]:
    """Return what stands for ``python`` before a script's name and arguments.

    Args:
        folder: That of a fork server.
    """
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name("client.py")), str(folder)]


def process_of(folder: Path, client: int) -> psutil.Process | None:
    """Return the process that runs the script of a client, None if there is none any more.

    Args:
        folder: That of the fork server.
        client: Number of the client's process.
    """
    try:
        return psutil.Process(int((folder / f"{client}.pid").read_text()))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None
