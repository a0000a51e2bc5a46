"""Processes of its own that the preflight asks: they import what Snakemake's must not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[2]


def answer_of(module: str, request: Any) -> Any:
    """Run a module, with a request as JSON on its input, and return the JSON that it prints."""
    python_path = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), *python_path])},
    )
    return json.loads(done.stdout)
