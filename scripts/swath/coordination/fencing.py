"""A fencing token for a job's outputs: of all jobs that worked on the same ones, the last that began may publish them.

A cluster can lose a job that lives: its node stops answering, Snakemake is killed and starts the job anew. Both then
work on the same outputs. Each writes under temporary names of its own; only the one whose token still counts when it
is done may rename them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from swath.coordination.process_identity import describe, read_identity, this_process
from swath.errors import Problem, UserError
from swath.files import TOKEN, flush, publish_only_while, read_state, remove_temporary, short_hash, temporary_name

TOKENS = Path(".snakemake/swath-tokens")
VARIABLE = "SWATH_FENCING_TOKEN"
"""Tells the processes that a job starts which token they work under."""


class TokenLostError(UserError):
    """Another job works on the same outputs by now."""


class FencingToken:
    """The right to publish some outputs.

    Args:
        outputs: Their paths.
        token: Who holds it.
    """

    def __init__(self, outputs: Iterable[str], token: str = TOKEN):
        self.outputs, self.token = sorted(outputs), token
        self.path = TOKENS / f"{short_hash(self.outputs)}.json"

    def acquire(self) -> None:
        """Take the right away from whoever has it, and remove what that one has left unfinished."""
        former = (read_state(self.path, token=str) or {}).get("token")
        self._write()
        publish_only_while(self.check)
        os.environ[VARIABLE] = json.dumps([self.outputs, self.token])
        if former:
            for folder in {Path(path).parent for path in self.outputs}:
                remove_temporary(folder, former)

    def check(self) -> None:
        """Make sure that this job still has it.

        Raises:
            TokenLostError: If it has not.
        """
        holder = read_state(self.path, token=str)
        if holder is None:  # gone, or damaged: nobody else has taken it
            self._write()
        elif holder["token"] != self.token:
            identity = read_identity(self.path)
            found = f"{describe(identity) if identity else 'another job'} works on it by now"
            expected, cure = "this job to be the only one", "none needed: this one publishes nothing"
            raise TokenLostError(Problem("job_superseded", self.outputs[0], "", found, expected, cure))

    def _write(self) -> None:
        """Write the token; whether this process may publish is what it decides, and nothing that it asks."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(self.path)
        temporary.write_text(json.dumps({**this_process(), "token": self.token}))
        flush(temporary)
        os.replace(temporary, self.path)


def work_for_job() -> None:
    """Have this process publish only what the job that has started it may publish."""
    if said := os.environ.get(VARIABLE):
        publish_only_while(FencingToken(*json.loads(said)).check)
