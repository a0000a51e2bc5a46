"""A rule's script in small: around any work, what every script does."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from experiment import REPOSITORY

from swath.job.environment import COMPUTING

PREAMBLE = """
import sys
from types import SimpleNamespace
sys.path.insert(0, {scripts!r})
from swath.errors import Problem, UserError
from swath.job.run_script import job
class Named(dict):
    __getattr__ = dict.get
snakemake = SimpleNamespace(
    log=["log/x.log"], input=Named(), wildcards=Named(key="k1"), params=Named(spec={{"a": 1}}),
    output=Named(one="out/k1/one.txt", two="out/k1/two.txt"), rule="x", threads=2,
)
"""


def run_job(folder: Path, work: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the work of a job in a folder."""
    code = PREAMBLE.format(scripts=str(REPOSITORY / "scripts")) + textwrap.dedent(work)
    outside = {name: value for name, value in os.environ.items() if name not in COMPUTING}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**outside, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
