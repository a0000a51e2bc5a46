"""Processes of its own that the preflight asks: they import what Snakemake's must not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from swath.errors import Problem, UserError

SCRIPTS = Path(__file__).parents[2]


def answer_of(module: str, request: Any) -> Any:
    """Run a module, with a request as JSON on its input, and return the JSON that it prints.

    Raises:
        UserError: If the process has not come to its end, say for lack of memory; what it has said is on the terminal.
    """
    python_path = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), *python_path])},
    )
    if done.returncode:
        found = f"{module} ended with status {done.returncode}"
        raise UserError(
            Problem(
                "preflight_ended", "this machine", "", found, "an answer", "see what stands above; is memory short?"
            )
        )
    return json.loads(done.stdout)
