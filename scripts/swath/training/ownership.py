"""A folder belongs to one writer: who it is, whether it lives, and how another takes over.

Nothing but files, so that it works on any shared file system: a claim is a file with the next number, created
exclusively (a hard link to a name that must not exist), and the highest number is the owner. The owner rewrites its
claim at every heartbeat. Whether it lives is judged by watching whether the claim changes, never by comparing clocks.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swath.errors import Problem, UserError
from swath.files import check_right_to_publish, temporary_name
from swath.processes import is_dead, this_process

HEARTBEAT = 10.0
"""Seconds between two signs of life."""

SILENCE = 90.0
"""Seconds without a sign of life after which an owner counts as dead; longer than file systems cache attributes."""

log = logging.getLogger("swath.train")


class OwnershipLostError(UserError):
    """Another process has taken the folder over, because this one gave no sign of life for too long."""


class Ownership:
    """The right to write into a folder.

    Args:
        folder: The folder.
        heartbeat: Seconds between two signs of life.
        silence: Seconds without one after which another process takes over.

    Attributes:
        lost: Whether a heartbeat has noticed that another process, or another job, works here by now.
    """

    def __init__(self, folder: Path, heartbeat: float | None = None, silence: float | None = None):
        self.folder = folder
        self.heartbeat, self.silence = heartbeat or HEARTBEAT, silence or SILENCE
        self.number = 0
        self.lost = False
        self._beats = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @property
    def claim(self) -> Path:
        """This process's claim."""
        return _claim(self.folder, self.number)

    def acquire(self) -> None:
        """Take the folder, at once when it is free or its owner is dead.

        Raises:
            UserError: If another process that lives owns it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            newest = newest_claim(self.folder)
            if newest:
                self._wait_for_silence(newest)
            self.number = newest + 1
            if self._create_claim():
                break
        for claim in _claims(self.folder):
            if claim < self.number:
                _claim(self.folder, claim).unlink(missing_ok=True)
        self._thread.start()

    def check(self) -> None:
        """Make sure that the folder is still this process's own; to be asked before every write.

        Raises:
            ClaimLostError: If Snakemake has started this process's job anew.
            OwnershipLostError: If another process has taken over.
        """
        check_right_to_publish()
        newest = newest_claim(self.folder)
        if newest > self.number:
            owner = describe(read_claim(self.folder, newest))
            raise OwnershipLostError(
                Problem(
                    str(self.folder),
                    "",
                    f"taken over by {owner}, after no sign of life of this process for {self.silence:g} s",
                    "one writer",
                    "nothing: the other one goes on, this one has stopped and written nothing",
                )
            )

    def release(self) -> None:
        """Say that nobody owns the folder any more."""
        self._stop.set()
        self._thread.join()
        if newest_claim(self.folder) == self.number:
            self._write(released=True)

    def _wait_for_silence(self, number: int) -> None:
        """Return when a claim's owner is known to be gone; leave when it gives a sign of life."""
        first = read_claim(self.folder, number)
        if is_gone(first):
            return
        log.info("%s is in use by %s: waiting for a sign of life", self.folder, describe(first))
        deadline = time.monotonic() + self.silence
        while time.monotonic() < deadline:
            time.sleep(min(self.heartbeat / 4, 1.0))
            now = read_claim(self.folder, number)
            if newest_claim(self.folder) != number or is_gone(now):
                return
            if now != first:
                raise UserError(
                    Problem(
                        str(self.folder),
                        "",
                        f"already in use by {describe(now)}, which is alive",
                        "one writer",
                        "wait until it is done, or end it; then run the same command again",
                    )
                )
        log.warning("%s gave no sign of life for %g s: taking over", describe(first), self.silence)

    def _create_claim(self) -> bool:
        """Create the claim, if nobody else was faster."""
        temporary = temporary_name(self.claim)
        temporary.write_text(json.dumps(self._content()))
        try:
            os.link(temporary, self.claim)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return newest_claim(self.folder) == self.number

    def _beat(self) -> None:
        while not self._stop.wait(self.heartbeat):
            try:
                self.check()
                self._beats += 1
                self._write()
            except OSError:  # a full disk or a server that hangs is no reason to stop training
                continue
            except UserError:
                self.lost = True
                return

    def _write(self, released: bool = False) -> None:
        """Rewrite the claim; its number says whose it is, so that a job that lost its outputs can still let go."""
        temporary = temporary_name(self.claim)
        temporary.write_text(json.dumps(self._content(released)))
        os.replace(temporary, self.claim)

    def _content(self, released: bool = False) -> dict[str, Any]:
        return {
            **this_process(),
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
            "beats": self._beats,
            "released": released,
        }


@contextmanager
def owned(folder: Path) -> Iterator[Ownership]:
    """Own a folder for a while.

    Raises:
        UserError: If another process that lives owns it.
    """
    ownership = Ownership(folder)
    ownership.acquire()
    try:
        yield ownership
    finally:
        ownership.release()


def newest_claim(folder: Path) -> int:
    """Return the number of the claim that counts, 0 if there is none."""
    return max(_claims(folder), default=0)


def describe(claim: dict[str, Any]) -> str:
    """Name a claim's owner: process, machine, SLURM job."""
    job = f" (SLURM job {claim['slurm_job']})" if claim.get("slurm_job") else ""
    return f"process {claim.get('pid', '?')} on {claim.get('host', 'another machine')}{job}"


def _claims(folder: Path) -> list[int]:
    names = (re.fullmatch(r"owner-(\d+)\.json", path.name) for path in folder.iterdir())
    return [int(match[1]) for match in names if match]


def _claim(folder: Path, number: int) -> Path:
    return folder / f"owner-{number:06d}.json"


def read_claim(folder: Path, number: int) -> dict[str, Any]:
    """Read a claim; one that vanishes at this moment was replaced by a newer one."""
    try:
        content: dict[str, Any] = json.loads(_claim(folder, number).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content


def is_gone(claim: dict[str, Any]) -> bool:
    """Tell whether a claim's owner is known to be gone: released, or dead on this very machine."""
    return bool(claim.get("released")) or is_dead(claim)
