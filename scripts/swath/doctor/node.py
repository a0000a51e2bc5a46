"""Look around on a node, in the environment that jobs run in; write what is there as JSON.

Usage: python node.py OUTPUT
"""

from __future__ import annotations

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
    """Tell host, torch, GPUs with memory in bytes, the driver, and free bytes where temporary files go."""
    import torch

    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = ""
    if shutil.which(command[0]):
        driver = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().partition("\n")[0]
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
        "driver": driver,
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "gpus": gpus,
        "problem": problem,
        "temporary": tempfile.gettempdir(),
        "temporary_free": shutil.disk_usage(tempfile.gettempdir()).free,
    }


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.with_suffix(".part").write_text(json.dumps(look_around()))
    target.with_suffix(".part").replace(target)
