"""The preflight: read what is new, check everything, write the report, say what stops the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from swath.checks import chips, images, labels, machine, meanings, networks, passed_over, splits
from swath.checks.context import REMEMBERED, CheckRequest, Survey
from swath.checks.findings import Finding, PreflightError, judged, tally, text_of
from swath.checks.processes import answer_of
from swath.checks.readings import Reading
from swath.checks.report import write_page
from swath.config.records import of_json, to_json
from swath.errors import Problem
from swath.files import read_state, short_hash, write_json
from swath.scenes.facts import ScenesSpec
from swath.scenes.paths import local_paths_of
from swath.scenes.scene import Scene
from swath.scenes.states import Files
from swath.versions import READINGS

CHECKS = (
    *passed_over.CHECKS,
    *images.CHECKS,
    *labels.CHECKS,
    *meanings.CHECKS,
    *splits.CHECKS,
    *chips.CHECKS,
    *networks.CHECKS,
    *machine.CHECKS,
)
Read = Callable[[Sequence[Scene], Mapping[str, ScenesSpec]], list[Reading]]
"""Reads scenes, for every one of some label settings."""


@dataclass(frozen=True)
class Passed:
    """What to say when nothing stops the run.

    Attributes:
        summary: One line: how many scenes and findings, where the report is.
        details: Everything that was found.
        pending: Ids of scenes that are yet to be made.
    """

    summary: str
    details: str
    pending: list[str]


def read_in_a_process(scenes: Sequence[Scene], specs: Mapping[str, ScenesSpec]) -> list[Reading]:
    """Let a process of its own read scenes: it imports what Snakemake's must not."""
    asked = {
        "scenes": [to_json(scene) for scene in scenes],
        "labels": {key: to_json(spec) for key, spec in specs.items()},
    }
    return [of_json(Reading, reading) for reading in answer_of("swath.checks.read_scenes", asked)]


def preflight(request: CheckRequest, report: Path, read: Read = read_in_a_process) -> Passed:
    """Check an experiment before anything is computed.

    Args:
        request: What is to be checked.
        report: The HTML page to write.
        read: Reads the scenes.

    Returns:
        What to say when nothing stops the run.

    Raises:
        PreflightError: If there are errors, or warnings that are not allowed; all of them are in it.
    """
    survey = look_at(request, read)
    findings = check(survey)
    write_page(report, survey, findings)
    later = f" ({len(survey.pending)} are yet to be made)" if survey.pending else ""
    summary = f"Checked {len(survey.readings)} scenes{later}: {tally(findings)}. Report: {report}"
    details = text_of(findings)
    if any(found.stops for found in findings):
        raise PreflightError(findings, f"{details}\n\n{summary}")
    return Passed(summary, details, list(survey.pending))


def check(survey: Survey) -> list[Finding]:
    """Run all checks."""
    read = [problem for reading in survey.readings for problem in reading.problems]
    found = [problem for function in CHECKS for problem in function(survey)]
    return judged([*read, *_pending(survey), *found], survey.request.allow)


def _pending(survey: Survey) -> list[Problem]:
    if not survey.pending:
        return []
    number = f"{len(survey.pending)} of {len(survey.pending) + len(survey.readings)} scenes"
    return [Problem("not_there_yet", number, "", ", ".join(survey.pending[:5]), "", "")]


def look_at(request: CheckRequest, read: Read = read_in_a_process) -> Survey:
    """Read all scenes whose files are there; what has not changed since is remembered, but for what was not read."""
    pending = [scene.id for scene in request.scenes if not is_there(scene)]
    scenes = {scene.id: scene for scene in request.scenes if scene.id not in set(pending)}
    memory = REMEMBERED / f"{request.experiment}.json"
    files = Files()
    specs = {key: to_json(spec) for key, spec in request.labels.items()}
    keys = {scene.id: short_hash([scene.row(), specs, files.state([scene]), READINGS]) for scene in scenes.values()}
    files.remember()
    remembered = read_state(memory) or {}
    known = {key: of_json(Reading, remembered[key]) for key in keys.values() if key in remembered}
    unknown = [scene for scene in scenes.values() if keys[scene.id] not in known]
    found = read(unknown, request.labels) if unknown else []
    known |= {keys[reading.id]: reading for reading in found}
    if unknown:
        write_json(memory, {key: to_json(known[key]) for key in keys.values() if not known[key].problems})
    readings = [replace(known[key], scene=scenes[scene]) for scene, key in keys.items()]  # folds are not remembered
    return Survey(request, readings, pending)


def is_there(scene: Scene) -> bool:
    """Tell whether all files of this machine are there that a scene is read from."""
    files = (path for entry in (scene.image, scene.labels, scene.aoi) for path in local_paths_of(entry))
    return all(Path(path).exists() for path in files)
