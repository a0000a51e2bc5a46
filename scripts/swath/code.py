"""A hash of the code behind a stage, so that Snakemake notices when it changes."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[1]
WITHOUT_INFLUENCE = ("swath.errors", "swath.job", "swath.config")
"""Modules that shape messages, logs or settings; what settings say is in the specs."""


def code_of(script: str) -> Callable[[Any], str]:
    """Make a rule's param: the hash of its code, for which files are read when a job of the rule is looked at.

    Args:
        script: The rule's name: ``chip`` for scripts/chip.py.
    """

    def code(wildcards: Any) -> str:
        return hash_of_code(script)

    return code


@cache
def hash_of_code(script: str) -> str:
    """Hash a rule's script and all of Swath's modules it imports, directly or not.

    Args:
        script: The rule's name: ``chip`` for scripts/chip.py.
    """
    digest = hashlib.sha256()
    for path in sorted(modules_of(script)):
        digest.update(_content(path))
    return digest.hexdigest()[:12]


def modules_of(script: str) -> set[Path]:
    """Find a script's file and those of all of Swath's modules it imports, directly or not."""
    found: set[Path] = set()
    waiting = [SCRIPTS / f"{script}.py"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for module in _imports(path) for file in _files_of(module)]
    return found


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(_content(path))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    ours = [name for name in names if name.split(".")[0] == "swath" and not name.startswith(WITHOUT_INFLUENCE)]
    packages = {name.rpartition(".")[0] for name in ours}  # importing a module runs its package first
    return [*ours, *packages]


def _files_of(module: str) -> list[Path]:
    place = SCRIPTS / Path(*module.split("."))
    return [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
