"""Kill Snakemake alone, and stop it with Ctrl-C, again and again in the middle of all stages; compare the bytes.

    python benchmarks/kills.py --moments 20

A small experiment runs again and again in one folder, and is stopped in every stage in turn, a seeded time after the
stage's job has begun. Killed alone, Snakemake leaves jobs behind that live on, and the next run begins beside them.
The last run is left alone: it must end well, and all results must have the bytes of an experiment nobody touched.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "tests")]

from experiment import ONE_SHARD, SMALL, Project, cut_scenes  # noqa: E402
from forked import SCRIPTS, SNAKEMAKE, SNAKEMAKES_MODULES  # noqa: E402

from swath.demo import data_sets  # noqa: E402
from swath.demo import havel as make_havel  # noqa: E402
from swath.files import sha256  # noqa: E402
from swath.forking.start import ForkServer  # noqa: E402

STAGES = {
    "scenes": "results/scenes/",
    "analyze": "results/stats/",
    "chip": "results/chips/",
    "train": "results/models/",
    "predict": "results/predictions/",
    "eval": "results/evals/",
    "bundle": "results/bundles/",
    "leaderboard": "/leaderboard.csv",
    "select": "/winner.json",
    "summary": "/summary.txt",
}
"""Stage → a part of the paths of what it makes."""
ORDERS = (
    ["scenes", "analyze", "chip", "train", "predict", "eval"],
    ["chip", "bundle", "leaderboard", "select", "summary"],  # a bundle is made while maps are: one of both is hit
)
"""In which stages an experiment is stopped, in turn."""
KINDS = {"kill": "kill -9 of Snakemake alone", "ctrl-c": "Ctrl-C"}
LONGEST = 2.0
"""Seconds after the begin of a job within which it is hit."""
UNLIKE = (
    *("/logs/", "/benchmarks/", "/checkpoints/", "/tensorboard/", "/checksums/", "train.log", "validation.html"),
    *("timing.csv", "libraries.yaml", "summary.txt"),
)
"""What two equal experiments need not have in common: what was said, and how long it took."""
SECONDS = ("trials.csv", "leaderboard.csv")
"""Tables that have a column of seconds besides."""


@dataclass
class Record:
    """What happened to one experiment.

    Attributes:
        kind: How it was stopped.
        moments: Stage and seconds of each time.
        failures: Runs that were left alone and ended badly, and what they said.
        different: Files that have not the bytes of the undisturbed experiment.
    """

    kind: str
    moments: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)


def begun(folder: Path, since: float) -> set[str]:
    """List what jobs make that have begun since a time and have not ended, as Snakemake notes it."""
    notes, found = folder / ".snakemake" / "incomplete", set()
    for note in notes.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a job that ends at this moment
            if note.is_file() and note.stat().st_mtime >= since:
                parts = (part.removeprefix("@") for part in note.relative_to(notes).parts)
                found.add(base64.urlsafe_b64decode("".join(parts)).decode())
    return found


def stop(project: Project, kind: str, stage: str, seconds: float) -> bool:
    """Begin a run, and stop it some seconds after a job of a stage has begun.

    Returns:
        Whether it ran until then.
    """
    since = time.time()
    with (project.folder / "run.log").open("a") as log:
        process = subprocess.Popen(
            project.command(*ONE_SHARD),
            env=project.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # as from a terminal: Ctrl-C reaches all of its processes
        )
    while process.poll() is None and not any(STAGES[stage] in path for path in begun(project.folder, since)):
        time.sleep(0.02)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        if kind == "kill":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(120)
        return True


def bytes_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every result."""
    files = (path for path in sorted((folder / "results").rglob("*")) if path.is_file() and not path.is_symlink())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: _sum(path) for name, path in names.items() if not any(part in name for part in UNLIKE)}


def _sum(path: Path) -> str:
    if path.name not in SECONDS:
        return sha256(path)
    with path.open(newline="") as table:
        return str([{**row, "seconds": ""} for row in csv.DictReader(table)])


def new_project(folder: Path, scenes: Path) -> Project:
    """Make a working directory with one small trial."""
    shutil.copytree(scenes, folder / "data")
    config = {**deepcopy(SMALL), "scenes": {"table": "data/scenes.csv"}, "sweep": {"grid": {}}}
    return Project(folder, config)


def disturbed(project: Project, kind: str, stages: list[str], seed: int, expected: dict[str, str]) -> Record:
    """Stop an experiment once in each of some stages, then let it end, and compare."""
    record, moments = Record(kind), random.Random(f"{seed} {kind}")
    for stage in stages:
        seconds = moments.uniform(0, LONGEST)
        if stop(project, kind, stage, seconds):
            record.moments.append(f"{stage} +{seconds:.1f} s")
    done = project.snakemake(*ONE_SHARD, check=False)
    if done.returncode:
        record.failures.append(done.stdout)
    found = bytes_of(project.folder)
    record.different = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    return record


def main() -> None:
    """Run the experiments and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=20, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="the demo's scenes, where they have been fetched already")
    arguments = parser.parse_args()
    servers = {SCRIPTS: ForkServer(), SNAKEMAKE: ForkServer(SNAKEMAKES_MODULES)}
    os.environ |= {name: str(server.folder) for name, server in servers.items()}
    try:
        with tempfile.TemporaryDirectory() as temporary:
            scenes = Path(temporary) / "scenes"
            scenes.mkdir()
            cut_scenes(arguments.data or fetched(Path(temporary)), scenes)
            records = campaign(Path(temporary), scenes, arguments.moments, arguments.seed)
    finally:
        for server in servers.values():
            server.stop()
    if any(record.failures or record.different for record in records):
        sys.exit("FAILED: see above")


def fetched(folder: Path) -> Path:
    """Fetch the demo's scenes."""
    data_sets.download(data_sets.HAVEL, folder)
    (folder / "havel").mkdir()
    make_havel.build(next(folder.glob("*.whl")), folder / "havel")
    return folder / "havel"


def campaign(folder: Path, scenes: Path, moments: int, seed: int) -> list[Record]:
    """Stop experiments at some moments of each kind; tell of every experiment."""
    whole = new_project(folder / "whole", scenes)
    whole.snakemake(*ONE_SHARD)
    expected = bytes_of(whole.folder)
    print(f"an undisturbed experiment: {len(expected)} results", flush=True)
    records: list[Record] = []
    for kind, words in KINDS.items():
        hit = 0
        while hit < moments:
            project = new_project(folder / f"{kind}-{len(records)}", scenes)
            stages = ORDERS[len(records) % len(ORDERS)][: moments - hit]
            record = disturbed(project, kind, stages, seed + len(records), expected)
            hit += len(record.moments)
            records.append(record)
            outcome = "NOT EQUAL" if record.failures or record.different else "equal"
            print(f"{words} {len(record.moments)} times: {', '.join(record.moments)}: {outcome}", flush=True)
            if outcome != "equal":
                print(*record.failures, *record.different, sep="\n", flush=True)
    return records


if __name__ == "__main__":
    main()
