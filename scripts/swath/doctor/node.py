"""Look around on a node, in the environment that jobs run in; write what is there as JSON.

Usage: python node.py OUTPUT
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def look_around() -> dict[str, Any]:
    """Tell host, torch, GPUs with memory in bytes, the driver and its CUDA, free bytes where temporary files go."""
    import torch

    gpus = []
    problem = ""
    try:
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            torch.ones(2, device=f"cuda:{index}").sum().item()
            gpus.append({"name": properties.name, "memory": properties.total_memory})
    except (RuntimeError, AssertionError) as error:
        problem = str(error).partition("\n")[0]
    return {
        "host": socket.gethostname(),
        "node": os.environ.get("SLURMD_NODENAME", ""),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "",
        "driver": _driver(),
        "driver_cuda": _cuda_of_driver(),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "gpus": gpus,
        "problem": problem,
        "temporary": tempfile.gettempdir(),
        "temporary_free": shutil.disk_usage(tempfile.gettempdir()).free,
    }


def _driver() -> str:
    """Tell the driver's version; what nvidia-smi says of its own failure is none."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    first = done.stdout.partition("\n")[0].strip()
    return first if done.returncode == 0 and first[:1].isdigit() else ""


def _cuda_of_driver() -> str:
    """Ask the driver for the newest CUDA that it knows (``cuDriverGetVersion``: 12040 is 12.4)."""
    version = ctypes.c_int()
    try:
        failed = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return ""
    return "" if failed else f"{version.value // 1000}.{version.value % 1000 // 10}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.with_suffix(".part").write_text(json.dumps(look_around()))
    target.with_suffix(".part").replace(target)
