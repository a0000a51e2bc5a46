"""A lease on a folder: who may write there, whether the holder lives, and how another takes over.

Nothing but files, so that it works on any shared file system: a claim is a file with the next number, created
exclusively (a hard link to a name that must not exist), and the highest number is the owner. The owner rewrites its
claim at every heartbeat. Whether it lives is judged by watching whether the claim changes, never by comparing clocks.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from swath.coordination import heartbeat as signs_of_life
from swath.coordination.process_identity import Identity, describe, is_dead, this_process
from swath.errors import Problem, UserError
from swath.files import check_right_to_publish, flush, flush_folder, read_state, temporary_name

log = logging.getLogger("swath.train")


class LeaseLostError(UserError):
    """Another process has taken the folder over, because this one gave no sign of life for too long."""


class Claim(Identity, total=False):
    """What a holder's file says.

    Attributes:
        beats: How many signs of life its holder has given.
        released: Whether its holder has let go.
    """

    beats: int
    released: bool


class Lease:
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
        self.silence = silence or signs_of_life.SILENCE
        self.number = 0
        self.lost = False
        self._beats = 0
        self._signs = signs_of_life.Heartbeat(self._give_sign, heartbeat)

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
        self._signs.start()

    def check(self) -> None:
        """Make sure that the folder is still this process's own; to be asked before every write.

        Raises:
            TokenLostError: If Snakemake has started this process's job anew.
            LeaseLostError: If another process has taken over.
        """
        check_right_to_publish()
        newest = newest_claim(self.folder)
        if newest > self.number:
            owner = _name(read_claim(self.folder, newest))
            raise LeaseLostError(
                Problem(
                    "lease_lost",
                    str(self.folder),
                    "",
                    f"taken over by {owner}, after no sign of life of this process for {self.silence:g} s",
                    "one writer",
                    "nothing: the other one goes on, this one has stopped and written nothing",
                )
            )

    def release(self) -> None:
        """Say that nobody owns the folder any more."""
        self._signs.stop()
        if newest_claim(self.folder) == self.number:
            self._write(released=True)

    def _wait_for_silence(self, number: int) -> None:
        """Return when a claim's owner is known to be gone; leave when it gives a sign of life."""
        first = read_claim(self.folder, number)
        if is_gone(first):
            return
        log.info("%s is in use by %s: waiting for a sign of life", self.folder, _name(first))
        deadline = time.monotonic() + self.silence
        while time.monotonic() < deadline:
            time.sleep(min(self._signs.seconds / 4, 1.0))
            now = read_claim(self.folder, number)
            if newest_claim(self.folder) != number or is_gone(now):
                return
            if now != first:
                raise UserError(
                    Problem(
                        "folder_in_use",
                        str(self.folder),
                        "",
                        f"already in use by {_name(now)}, which is alive",
                        "one writer",
                        "wait until it is done, or end it; then run the same command again",
                    )
                )
        log.warning("%s gave no sign of life for %g s: taking over", _name(first), self.silence)

    def _create_claim(self) -> bool:
        """Create the claim, if nobody else was faster."""
        temporary = temporary_name(self.claim)
        temporary.write_text(json.dumps(self._content()))
        flush(temporary)
        try:
            os.link(temporary, self.claim)
            flush_folder(self.folder)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return newest_claim(self.folder) == self.number

    def _give_sign(self) -> bool:
        try:
            self.check()
        except UserError:
            self.lost = True
            return False
        self._beats += 1
        self._write()
        return True

    def _write(self, released: bool = False) -> None:
        """Rewrite the claim; its number says whose it is, so that a job that lost its outputs can still let go."""
        temporary = temporary_name(self.claim)
        temporary.write_text(json.dumps(self._content(released)))
        flush(temporary)
        os.replace(temporary, self.claim)

    def _content(self, released: bool = False) -> Claim:
        return {**this_process(), "beats": self._beats, "released": released}


@contextmanager
def leased(folder: Path) -> Iterator[Lease]:
    """Own a folder for a while.

    Raises:
        UserError: If another process that lives owns it.
    """
    ownership = Lease(folder)
    ownership.acquire()
    try:
        yield ownership
    finally:
        ownership.release()


def newest_claim(folder: Path) -> int:
    """Return the number of the claim that counts, 0 if there is none."""
    return max(_claims(folder), default=0)


def _claims(folder: Path) -> list[int]:
    names = (re.fullmatch(r"owner-(\d+)\.json", path.name) for path in folder.iterdir())
    return [int(match[1]) for match in names if match]


def _claim(folder: Path, number: int) -> Path:
    return folder / f"owner-{number:06d}.json"


def read_claim(folder: Path, number: int) -> Claim | None:
    """Read a claim; None for one that vanishes at this moment, because a newer one has replaced it.

    One that cannot be read is what a power cut has left: nobody holds it any more.
    """
    path = _claim(folder, number)
    if content := read_state(path, host=str, pid=int, started=float):
        return cast(Claim, content)
    return {"host": "", "pid": 0, "started": 0.0, "slurm_job": None, "released": True} if path.exists() else None


def claim_of(folder: Path) -> tuple[Path, Claim] | None:
    """Return the claim that counts in a folder, and its file; None where nobody has claimed it."""
    number = newest_claim(folder)
    claim = read_claim(folder, number) if number else None
    return (_claim(folder, number), claim) if claim else None


def is_gone(claim: Claim | None) -> bool:
    """Tell whether a claim's holder is known to be gone: released, or dead on this very machine."""
    return claim is not None and (bool(claim.get("released")) or is_dead(claim))


def is_held(folder: Path) -> bool:
    """Tell whether somebody may still write into a folder: its newest claim is neither released nor a dead one's."""
    number = newest_claim(folder)
    return bool(number) and not is_gone(read_claim(folder, number))


def _name(claim: Claim | None) -> str:
    return describe(claim) if claim else "another process"
