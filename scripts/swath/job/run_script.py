"""What every script of a rule does around its one function: log, messages, temporary names, rename."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import platform
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from swath.checksums import write_record
from swath.coordination import job_messages
from swath.coordination.fencing import FencingToken, TokenLostError
from swath.errors import ToBeContinuedError, UserError
from swath.files import publish, published, replace, temporary_name
from swath.job.attempt_log import FORMAT, add
from swath.job.attempts import AttemptRecord, attempts_file
from swath.job.environment import set_up_computing
from swath.job.mistakes import unwritten, with_lines
from swath.job.temporary import own_temporary_folder
from swath.job.terminal import hush_libraries, show_on

LIBRARIES = (
    *("rastervision-core", "torch", "torchvision", "pytorch-lightning", "segmentation-models-pytorch", "timm"),
    *("albumentations", "numpy", "rasterio", "geopandas", "shapely", "pyogrio"),
)
TO_BE_CONTINUED = 75  # EX_TEMPFAIL: try again
KEEP_STREAMS = "SWATH_KEEP_STREAMS"
"""Set where a debugger needs the terminal: nothing goes to the rule's log then."""


@contextmanager
def job(snakemake: Any) -> Iterator[tuple[Any, SimpleNamespace, Any]]:
    """Run a rule's work: everything printed goes to the rule's log, outputs appear whole or not at all.

    Args:
        snakemake: The object Snakemake gives to a script.

    Yields:
        The rule's inputs, its outputs under temporary names (attributes as in the rule; renamed
        into place on success, removed otherwise), and its params.

    A ``UserError`` is shown on the terminal as its message; anything else goes to the log with
    its traceback and to the terminal as one line. Both end the process with exit status 1; ``ToBeContinuedError``
    ends it with 75: the same command goes on.
    """
    set_up_computing()
    log_path = Path(str(snakemake.log[0]))
    log_path.parent.mkdir(parents=True, exist_ok=True)
    record = AttemptRecord(attempts_file(log_path), snakemake.rule, snakemake.threads)
    record.begin()
    outcome = "failed"
    terminal = os.fdopen(os.dup(2), "w", buffering=1)
    outputs = {name: Path(str(path)) for name, path in snakemake.output.items()}
    temporary = {name: temporary_name(path) for name, path in outputs.items()}
    for path in outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    if outputs:
        FencingToken(map(str, outputs.values())).acquire()
    with log_path.open("w") as log_file:
        for stream in () if os.environ.get(KEEP_STREAMS) else (1, 2):
            os.dup2(log_file.fileno(), stream)
    _configure_logging(terminal)
    try:
        with own_temporary_folder():
            yield snakemake.input, SimpleNamespace(**temporary), snakemake.params
        beside = [path for path in published if path not in temporary.values()]
        if outputs:
            write_record({str(path): temporary[name] for name, path in outputs.items()}, beside)
        _describe_folder(snakemake, outputs.values())
        for name, path in outputs.items():
            replace(temporary[name], path)
        job_messages.clear(map(str, outputs.values()))
        outcome = "done"
    except UserError as error:
        told = str(with_lines(error))
        print(f"\n{told}\n", file=terminal)
        print(told, file=sys.stderr)
        _tell_run(outputs.values(), told)
        raise SystemExit(1) from None
    except ToBeContinuedError as stop:
        outcome = "continued"
        print(f"\n{stop}\n", file=terminal)
        print(stop, file=sys.stderr)
        _tell_run(outputs.values(), str(stop))
        raise SystemExit(TO_BE_CONTINUED) from None
    except Exception as error:
        traceback.print_exc()
        told = str(unwritten(error) or f"{type(error).__name__}: {error} (more in {log_path})")
        print(told, file=terminal)
        _tell_run(outputs.values(), told)
        raise SystemExit(1) from None
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
        record.end(outcome, published)
        gc.freeze()  # the process ends: looking for garbage in all that was loaded would take two seconds
        sys.stdout.flush()
        sys.stderr.flush()


def _tell_run(outputs: Iterable[Path], text: str) -> None:
    """Tell the history, and the run that waits; a full disk has no room, and whoever took over speaks for itself."""
    with contextlib.suppress(OSError, TokenLostError):
        add(text)
        job_messages.write(map(str, outputs), text)


def _describe_folder(snakemake: Any, outputs: Iterable[Path]) -> None:
    """Leave the spec in the folder that is named by its key, and with which libraries its results were made."""
    spec, key = snakemake.params.get("spec"), snakemake.wildcards.get("key")
    if key is None:
        return
    folder = next(parent for path in outputs for parent in path.parents if parent.name == key)
    if spec is not None:
        _write_yaml(folder / "spec.yaml", spec)
    file = folder / "libraries.yaml"
    known = _read_list(file)
    if (used := library_versions()) not in known:
        _write_yaml(file, [*known, used])


def _read_list(file: Path) -> list[Any]:
    """Read a list; one that is not there or damaged is empty."""
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return []
    return content if isinstance(content, list) else []


def library_versions() -> dict[str, str]:
    """Name the versions of Python and of the libraries that shape results: none of them is in a key."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _write_yaml(path: Path, content: Any) -> None:
    with publish(path) as file:
        file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _configure_logging(terminal: Any) -> None:
    """Send Swath's own lines to the terminal and the log, everyone else's to the log alone, and each of them once."""
    hush_libraries()
    everything = logging.StreamHandler(sys.stderr)
    everything.setFormatter(FORMAT)
    logging.basicConfig(level=logging.INFO, handlers=[everything], force=True)
    show_on(terminal)
