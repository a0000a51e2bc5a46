"""Everything the doctor looks at, in its order."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from swath.cluster.site import request_of
from swath.doctor import cluster, machine
from swath.doctor.lines import Line, end_with, table
from swath.errors import UserError

RESULTS = Path("results")


def examine_or_exit(run: Mapping[str, Any], weights: list[str], repository: str, report: str) -> None:
    """Look at everything; print what is found as it is found. Errors end the program with exit status 1.

    Args:
        run: How jobs are going to run, as `swath.smk.run.describe_run` tells it.
        weights: Files of first weights.
        repository: Where the program is.
        report: File that keeps what is printed.
    """
    seen: list[Line] = []
    Path(report).parent.mkdir(parents=True, exist_ok=True)
    with Path(report).open("w", encoding="utf-8") as file:

        def say(text: str) -> None:
            for place in (sys.stderr, file):
                print(text, file=place, flush=True)

        for line in _lines(run, weights, Path(repository)):
            seen.append(line)
            say(table([line]))
        try:
            say(f"\n{end_with(seen)}\n")
        except UserError as error:
            say(f"\n{error}\n")
            sys.exit(1)


def _lines(run: Mapping[str, Any], weights: list[str], repository: Path) -> Iterator[Line]:
    image = Path(run["image"]) if run["image"] else None
    lock = repository / "envs" / "requirements.lock"
    yield from machine.versions(lock)
    if image:
        yield from machine.container(image, lock)
    folders = {"results": RESULTS, "temporary files": Path(tempfile.gettempdir()), "home": Path.home()}
    yield from machine.places(folders)
    yield from machine.weights(map(Path, weights))
    yield from machine.locks(RESULTS / "models")
    training = run["resources"]["train"]
    if run["slurm"]:
        requests = {request_of(rule, asked, asked["_cores"]) for rule, asked in run["resources"].items()}
        yield from cluster.slurm(requests)
        yield from cluster.lost_jobs()
        arguments = (run["container_arguments"], run["before"], run["scratch"], run["submission"])
        yield from cluster.gpu_job(cluster.Probe(training, image, *arguments))
    else:
        from swath.doctor.node import look_around

        here = look_around()
        yield from cluster.what_a_node_has(here, wants_gpus=bool(here["driver"]))  # where there are some, they are used
