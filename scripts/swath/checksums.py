"""What every job has made, with sizes and SHA-256: how a lost or damaged result is noticed, and made again.

A job's record lies in ``results/checksums/<stage>/<hash of its outputs>.json``. It holds the outputs that the rule
declares and what lies beside them: a scene's maps, the links under readable names. Sizes are compared at every run,
the checksums by ``snakemake verify``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swath.files import read_state, sha256, short_hash, write_json

RECORDS = Path("results/checksums")
FIRST_STAGES = ("scenes", "stats", "chips", "pipelines-analyze", "pipelines-chip")
"""Stages whose results nobody needs once a model is there: what Snakemake made again it would train anew with."""
CHANGED_BY_OTHERS = (".aux.xml", "/accuracy/sample.gpkg")
"""Endings of what a geographical information system may write anew: such files have to be there, no more."""


@dataclass(frozen=True)
class Record:
    """What a job has made.

    Attributes:
        outputs: What its rule declares.
        files: Path → size and checksum, or where a link leads.
        found_damaged: Whether `snakemake verify` has found one of the files damaged.
    """

    outputs: list[str]
    files: dict[str, dict[str, Any]]
    found_damaged: bool


def write_record(outputs: Mapping[str, Path], beside: Iterable[Path]) -> None:
    """Write down what a job has made.

    Args:
        outputs: Output of the rule → the file that holds its content now, under whatever name.
        beside: Other files and folders that it has published.
    """
    made = [(Path(path), content) for path, content in outputs.items()]
    made += [(file, file) for path in beside for file in _files_in(path)]
    files = {str(path): _described(content) for path, content in made if _is_result(path)}
    if files:
        write_json(_place(outputs), {"outputs": sorted(outputs), "files": files, "found_damaged": False})


def damage_of_job(outputs: Iterable[str]) -> str | None:
    """Say which file of a job is lost, or of another size than it was written with; None if all is well.

    Nothing is known of what was made before there were records. Of the first stages nothing is said: what was damaged
    is gone (see :func:`remove_damaged`), and made again where it is needed.
    """
    outputs = sorted(outputs)
    if not outputs or _stage(outputs[0]) in FIRST_STAGES:
        return None
    record = _read(_place(outputs))
    return next(_damage(record, thorough=False), None) if record else None


def remove_damaged() -> list[str]:
    """Remove damaged results of the first stages: they are made again if something needs them.

    Returns:
        What was wrong, a line for each.
    """
    told = []
    for stage in FIRST_STAGES:
        for record in read_records(stage):
            damage = next(_damage(record, thorough=False), None)
            if damage and all(Path(output).exists() for output in record.outputs):
                for output in record.outputs:
                    Path(output).unlink(missing_ok=True)
                told.append(damage)
    return told


def read_records(stage: str = "*") -> Iterator[Record]:
    """Read the records of a stage, or all."""
    for file in sorted(RECORDS.glob(f"{stage}/[!.]*.json")):
        if record := _read(file):
            yield record


def verify(record: Record) -> list[str]:
    """Compare all files of a job with their checksums, and have what is damaged made again by the next run.

    Returns:
        What is wrong, a line for each file. Nothing is wrong with a job whose results were removed as a whole.
    """
    if not any(os.path.lexists(path) for path in record.files):
        return []
    wrong = list(_damage(record, thorough=True))
    if wrong:
        content = {"outputs": record.outputs, "files": record.files, "found_damaged": True}
        write_json(_place(record.outputs), content)
    return wrong


def _damage(record: Record, thorough: bool) -> Iterator[str]:
    for name, known in record.files.items():
        path = Path(name)
        if "link" in known:
            if not path.is_symlink() or str(path.readlink()) != known["link"]:
                yield f"{name}: lost, a link to {known['link']}"
            continue
        try:
            size = path.stat().st_size
        except OSError:
            yield f"{name}: lost"
            continue
        if name.endswith(CHANGED_BY_OTHERS):
            continue
        if size != known["size"]:
            yield f"{name}: {size:,} bytes instead of {known['size']:,}"
        elif thorough and sha256(path) != known["sha256"]:
            yield f"{name}: another content than was written"
    if record.found_damaged and not thorough:
        yield f"{record.outputs[0]}: found damaged by `snakemake verify`"


def _described(path: Path) -> dict[str, Any]:
    if path.is_symlink():
        return {"link": str(path.readlink())}
    return {"size": path.stat().st_size, "sha256": sha256(path)}


def _files_in(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        yield from (file for file in sorted(path.rglob("*")) if file.is_symlink() or file.is_file())
    elif path.is_file():
        yield path


def _is_result(path: Path) -> bool:
    """Tell whether a file is a result: not what processes agree by, nor a temporary file, nor data that was fetched."""
    return os.path.relpath(path).startswith(f"{RECORDS.parent}{os.sep}") and RECORDS not in path.parents


def _place(outputs: Iterable[str]) -> Path:
    """Name a job's record; its folder is that of the results' stage."""
    paths = sorted(outputs)
    return RECORDS / _stage(paths[0]) / f"{short_hash(paths)}.json"


def _stage(output: str) -> str:
    parts = Path(output).parts[1:-1]
    return "-".join(parts[: 1 + (parts[:1] == ("pipelines",))]) or "other"


def _read(path: Path) -> Record | None:
    content = read_state(path, outputs=list, files=dict, found_damaged=bool)
    return Record(**content) if content else None
