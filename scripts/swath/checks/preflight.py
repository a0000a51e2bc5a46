"""The preflight: read what is new, check everything, write the report, say what stops the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swath.checks import chips, images, labels, machine, splits
from swath.checks.findings import Finding, PreflightError, sorted_findings, tally, text_of
from swath.checks.page import write_page
from swath.checks.survey import Reading, Survey, finding
from swath.code import hash_of_code
from swath.errors import Problem
from swath.files import read_json, short_hash, write_json
from swath.scenes.paths import local_paths_of

CHECKS = (*images.CHECKS, *labels.CHECKS, *splits.CHECKS, *chips.CHECKS, *machine.CHECKS)
REMEMBERED = Path(".snakemake/swath-readings")
"""What was read of every scene, by experiment: a scene that has not changed is not read again."""
SCRIPTS = Path(__file__).parents[2]
Read = Callable[[list[Mapping[str, Any]], Mapping[str, Any]], list[dict[str, Any]]]
"""Reads scenes: rows and specs → readings."""


@dataclass(frozen=True)
class Passed:
    """What to say when nothing stops the run.

    Attributes:
        summary: One line: how many scenes and findings, where the report is.
        details: Everything that was found.
    """

    summary: str
    details: str


def read_in_a_process(rows: list[Mapping[str, Any]], specs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Let a process of its own read scenes: it imports what Snakemake's must not."""
    done = subprocess.run(
        [sys.executable, "-m", "swath.checks.reading"],
        input=json.dumps({"scenes": rows, "labels": specs}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), *_python_path()])},
    )
    readings: list[dict[str, Any]] = json.loads(done.stdout)
    return readings


def preflight(request: Mapping[str, Any], report: Path, read: Read = read_in_a_process) -> Passed:
    """Check an experiment before anything is computed.

    Args:
        request: What :func:`swath.checks.survey.request_of` returned.
        report: The HTML page to write.
        read: Reads the scenes.

    Returns:
        What to say when nothing stops the run.

    Raises:
        PreflightError: If there are errors, or warnings that are not allowed; everything that was found is in it.
    """
    survey = look_at(request, read)
    findings = check(survey)
    write_page(report, survey, findings)
    later = f" ({len(survey.pending)} are yet to be made)" if survey.pending else ""
    summary = f"Checked {len(survey.readings)} scenes{later}: {tally(findings)}. Report: {report}"
    details = text_of(findings)
    if any(found.stops for found in findings):
        raise PreflightError(findings, f"{details}\n\n{summary}")
    return Passed(summary, details)


def check(survey: Survey) -> list[Finding]:
    """Run all checks."""
    read = [Finding(name, Problem(**problem)) for reading in survey.readings for name, problem in reading.findings]
    found = [found for function in CHECKS for found in function(survey)]
    return sorted_findings([*read, *_pending(survey), *found], survey.request["allow"])


def _pending(survey: Survey) -> list[Finding]:
    if not survey.pending:
        return []
    number = f"{len(survey.pending)} of {len(survey.pending) + len(survey.readings)} scenes"
    return [finding("not_there_yet", number, "", ", ".join(survey.pending[:5]), "", "")]


def look_at(request: Mapping[str, Any], read: Read = read_in_a_process) -> Survey:
    """Read all scenes whose files are there; what has not changed since is remembered, but for what was not read."""
    pending = [row["id"] for row in request["scenes"] if not all(Path(path).exists() for path in _paths(row))]
    rows = [row for row in request["scenes"] if row["id"] not in set(pending)]
    memory = REMEMBERED / f"{request['experiment']}.json"
    code = hash_of_code("swath/checks/reading")
    beside = _files_by_stem(path for row in rows for path in _paths(row))
    keys = {row["id"]: short_hash([row, request["labels"], _state(row, beside), code]) for row in rows}
    known = read_json(memory) if memory.exists() else {}
    unknown = [row for row in rows if keys[row["id"]] not in known]
    readings = read(unknown, request["labels"]) if unknown else []
    known |= {keys[reading["row"]["id"]]: reading for reading in readings}
    if unknown:
        write_json(memory, {key: known[key] for key in keys.values() if not known[key]["findings"]})
    folds = request["folds"]
    return Survey(request, [Reading(**known[key], fold=folds.get(scene)) for scene, key in keys.items()], pending)


def _paths(row: Mapping[str, Any]) -> list[str]:
    return [path for name in ("image", "labels", "aoi") for path in local_paths_of(row[name])]


def _state(row: Mapping[str, Any], beside: Mapping[Path, Sequence[os.DirEntry[str]]]) -> list[Any]:
    """Return name, size and time of a scene's files and of those beside them (.prj, .ovr)."""
    files = [entry for path in _paths(row) for entry in beside[Path(path).with_suffix("")]]
    return sorted((entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in files)


def _files_by_stem(paths: Iterable[str]) -> dict[Path, list[os.DirEntry[str]]]:
    """List the folders of files once: path up to any of its dots → files."""
    found: dict[Path, list[os.DirEntry[str]]] = defaultdict(list)
    for folder in {Path(path).parent for path in paths}:
        with os.scandir(folder) as entries:
            for entry in entries:
                for dot in (place for place, letter in enumerate(entry.name) if letter == "." and place):
                    found[folder / entry.name[:dot]].append(entry)
    return found


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
