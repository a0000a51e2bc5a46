"""The rules that all of Swath's patches of other libraries keep.

A library's patches stand in one module named ``upstream`` (``slurm_upstream`` for Snakemake's plugin), each with its
reason. A patch is made only where the library still has what it replaces, with the same arguments: a run goes on,
whatever the version. A contract test on the real library fails when a patch is not needed any more.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

WRITTEN_FOR = {
    "snakemake": "9.27.1",
    "snakemake-executor-plugin-slurm": "2.8.0",
    "rastervision-core": "0.31.1",
    "pytorch-lightning": "2.6.6",
}
"""Library → the version that its patches were written for."""


def replace(owner: Any, name: str, function: Callable[..., Any]) -> bool:
    """Put a function in the place of another library's, unless that is gone or takes other arguments.

    Args:
        owner: The library's module, class or object.
        name: Name of its function.
        function: What takes its place; its arguments must have the same names.

    Returns:
        Whether it was replaced.
    """
    if not takes(getattr(owner, name, None), *inspect.signature(function).parameters):
        return False
    setattr(owner, name, function)
    return True


def takes(function: Any, *arguments: str) -> bool:
    """Tell whether something is a function whose arguments have these names, and no others."""
    return callable(function) and tuple(inspect.signature(function).parameters) == arguments


def other_versions(libraries: Iterable[str] = WRITTEN_FOR) -> list[str]:
    """Name the installed libraries, one line each, whose version is not the one that their patches were written for."""
    lines = []
    for library in libraries:
        try:
            installed = version(library)
        except PackageNotFoundError:
            continue
        if installed != WRITTEN_FOR[library]:
            lines.append(
                f"{library} {installed}: Swath's patches were written for {WRITTEN_FOR[library]};"
                " those that still fit are made."
            )
    return lines
