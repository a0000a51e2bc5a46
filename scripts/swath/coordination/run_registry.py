"""Runs that work in one folder at once: who lives, and which files each of them reads and makes.

Snakemake locks what a run makes, does not note who holds the lock, cannot unlock it when it is killed, and ends a run
that needs something another one makes. Swath's lock is the registry of runs: every run that makes something has a file
in ``RUNS``, gives signs of life as long as it goes on, and removes the file in the end. Beside it stands what the run
claims: files that it reads, files that it makes, and those that it has made by now. A claim counts as long as its run
lives, so that nothing is left to unlock after a kill; who needs what another run makes waits until it is made.

A run on this machine is looked for among its processes. One on another machine, say a second login node, is dead when
it gives no sign of life while somebody watches; no clocks are compared.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from swath.coordination import heartbeat
from swath.coordination.heartbeat import Heartbeat
from swath.coordination.process_identity import Identity, describe, is_dead, is_here, read_identity, this_process
from swath.files import read_state, write_json

RUNS = Path(".snakemake/swath-runs")
NAMES_OF_JOBS = Path(".snakemake/swath-jobs")
"""A file for every run that submits jobs, named as they are; it says which process the run is."""
CLAIMED, MADE = ".claimed", ".made"
"""Endings of what stands beside a run's file: JSON of the files it reads and makes; a line for each it has made."""
_registered: list[Path] = []
"""The file of the run that this process is."""
_said: set[str] = set()
"""Runs elsewhere of which this process has said that it waits for their signs of life."""


def register_run() -> None:
    """Note that this process makes something here, and give signs of life as long as it lives."""
    if _registered:
        return
    me = this_process()
    file = RUNS.absolute() / f"{me['host']}-{me['pid']}.json"
    _forget(file)  # of another process, which had the same number
    write_json(file, me)
    signs = Heartbeat(partial(_give_sign, file))
    signs.start()
    _registered.append(file)

    def leave() -> None:
        if os.getpid() == me["pid"]:  # not in a child that has inherited this
            signs.stop()  # it would miss the file
            _registered.remove(file)
            _forget(file)

    atexit.register(leave)


def claim_files(reads: set[str], makes: set[str]) -> list[Identity]:
    """Claim the files that this run reads and makes, unless another run that lives has claimed one of them.

    Two runs make different files; what one makes the other does not read before it is made, nor the other way round.

    Returns:
        The runs that are in the way; none if the files are this run's now.
    """
    register_run()
    (mine,) = _registered
    if others := in_the_way(reads, makes):
        return others
    write_json(mine.with_suffix(CLAIMED), {"reads": sorted(reads), "makes": sorted(makes)})
    if others := in_the_way(reads, makes):  # both have claimed at the same moment: both step back
        mine.with_suffix(CLAIMED).unlink(missing_ok=True)
    return others


def note_made(files: Iterable[str]) -> None:
    """Note that files are made, and nobody has to wait for them any longer."""
    for run in _registered:
        with contextlib.suppress(OSError), run.with_suffix(MADE).open("a") as made:
            made.writelines(f"{file}\n" for file in files)


def in_the_way(reads: set[str], makes: set[str]) -> list[Identity]:
    """List the living runs whose claims meet with what this run reads and makes; dead ones are forgotten."""
    runs: dict[Path, Identity] = {}
    for claimed in _files(RUNS, CLAIMED):
        file = claimed.with_suffix(".json")
        if file in _registered:
            continue
        its_reads, its_makes = _claims_of(file)
        if (its_makes & (reads | makes)) or (its_reads & makes):
            if identity := read_identity(file):
                runs[file] = identity
            else:
                _forget(file)
    alive = _alive(runs)
    if dead := [file for file in runs if file not in alive]:
        print("The last run was killed: its lock is released, what it left unfinished goes on.", file=sys.stderr)
    for file in dead:
        _forget(file)
    return list(alive.values())


def _claims_of(run: Path) -> tuple[set[str], set[str]]:
    """Return the files that a run reads, and those that it has yet to make."""
    claimed = read_state(run.with_suffix(CLAIMED), "reads", "makes") or {"reads": [], "makes": []}
    made: set[str] = set()
    with contextlib.suppress(OSError):
        made = set(run.with_suffix(MADE).read_text(errors="replace").splitlines())
    return set(claimed["reads"]), set(claimed["makes"]) - made


def _files(folder: Path, ending: str) -> list[Path]:
    """List state files; not those that are being written."""
    return [file for file in folder.absolute().glob(f"*{ending}") if not file.name.startswith(".")]


def _forget(run: Path) -> None:
    for ending in (CLAIMED, MADE, ".json"):
        run.with_suffix(ending).unlink(missing_ok=True)


def end_if_taken_over() -> None:
    """End this process, as its next sign of life would, if another run has taken over: before it acts on anything."""
    for file in _registered:
        with contextlib.suppress(OSError):  # a full disk, a server that hangs
            _give_sign(file)


def live_runs() -> list[Identity]:
    """List the runs that live here besides this one; what dead ones have left is removed."""
    mine = f"{this_process()['host']}-{os.getpid()}.json"
    runs: dict[Path, Identity] = {}
    for file in _files(RUNS, ".json"):
        if file.name != mine:
            identity = read_identity(file)
            if identity:
                runs[file] = identity
            else:  # a run that ends at this moment, or what a power cut has left
                _forget(file)
    alive = _alive(runs)
    for file in runs:
        if file not in alive:
            _forget(file)
    return list(alive.values())


def noted_runs() -> dict[Path, Identity]:
    """Return the runs that are noted here, by their files: those that live, and those that were killed."""
    found = {file: read_identity(file) for file in _files(RUNS, ".json")}
    return {file: identity for file, identity in found.items() if identity}


def note_name_of_jobs(name: str) -> None:
    """Note what the SLURM jobs of this run are called: a name that no other run's jobs have."""
    write_json(NAMES_OF_JOBS / f"{name}.json", this_process())


def are_jobs_submitted() -> bool:
    """Tell whether a run here submits jobs to SLURM, or has done so, and no later one has looked for them."""
    return bool(_files(NAMES_OF_JOBS, ".json"))


def names_of_dead_runs() -> set[str]:
    """Name the SLURM jobs of runs that are at work here no more."""
    others = live_runs()
    alive = {(run["host"], run["pid"]) for run in [*others, this_process()]}
    runs = {file.stem: read_identity(file) for file in _files(NAMES_OF_JOBS, ".json")}
    # whose the others are cannot be read: nobody's, once nobody else is at work
    return {name for name, run in runs.items() if ((run["host"], run["pid"]) not in alive if run else not others)}


def forget_names(names: Iterable[str]) -> None:
    """Drop the names of jobs that are gone."""
    for name in names:
        (NAMES_OF_JOBS / f"{name}.json").unlink(missing_ok=True)


def _give_sign(file: Path) -> bool:
    try:
        os.utime(file)
    except FileNotFoundError:
        print("Another run has taken over, since this one gave no sign of life: it ends.", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)  # at once: a signal would have Snakemake wait for its jobs, which are another's by now
    return True


def _alive(runs: dict[Path, Identity]) -> dict[Path, Identity]:
    """Tell which runs live; those on other machines are watched."""
    here = {file: run for file, run in runs.items() if is_here(run)}
    alive = {file: run for file, run in here.items() if not is_dead(run)}
    watched = {file: _last_sign(file) for file in runs if file not in here}
    if watched and not alive:
        names = describe(*(runs[file] for file in watched))
        if names not in _said:
            print(f"In use by {names}: waiting {heartbeat.SILENCE:g} s for a sign of life.", file=sys.stderr)
            _said.add(names)
        end = time.monotonic() + heartbeat.SILENCE
        while not alive and time.monotonic() < end:
            time.sleep(heartbeat.SILENCE / 90)
            alive = {file: runs[file] for file, seen in watched.items() if _last_sign(file) not in (seen, None)}
    elif watched:
        alive |= {file: runs[file] for file in watched}
    return alive


def _last_sign(file: Path) -> int | None:
    """Return a file's time; opening it has a network file system ask its server."""
    with contextlib.suppress(OSError), file.open("rb") as opened:
        return os.fstat(opened.fileno()).st_mtime_ns
    return None
