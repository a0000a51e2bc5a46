"""What a Raster Vision module's `get_config` takes, read from its source: importing it would import torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swath.errors import Problem, UserError

ROOT_URI = "root_uri"
"""The argument that says where results go, in all of Raster Vision's examples; Swath gives it."""


@dataclass(frozen=True)
class Signature:
    """What `get_config` takes besides its first argument, the runner.

    Attributes:
        line: Where it stands.
        arguments: Names, in order.
        required: Those without a default, less `root_uri`.
        takes_any: Whether it takes arguments of any name, or is defined elsewhere, so that nobody knows.
    """

    line: int
    arguments: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    takes_any: bool = False


def read_signature(path: str | Path) -> Signature:
    """Find out what a module's `get_config` takes.

    Raises:
        UserError: If there is no such file, it is no Python, or it has no `get_config` with a first argument.
    """
    tree = _parsed(Path(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "get_config":
            return _signature(path, node)
    line = next((node.lineno for node in tree.body if _brings_get_config(node)), None)
    if line is None:
        raise UserError(
            Problem(
                "get_config_missing",
                str(path),
                "",
                "no function get_config",
                "`def get_config(runner, ...)`",
                "name the function get_config",
            )
        )
    return Signature(line, takes_any=True)


def modules_behind(path: str | Path) -> list[Path]:
    """List a module and the ones beside it, or in the working directory, that it imports, directly or not."""
    found: list[Path] = []
    waiting = [Path(path)]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.append(module)
            waiting += [file for name in _imports(_parsed(module)) for file in _files_of(name, Path(path).parent)]
    return sorted(found)


def _parsed(path: Path) -> ast.Module:
    if not path.is_file():
        raise UserError(
            Problem(
                "file_missing",
                str(path),
                "",
                "no such file",
                "a Python file with Raster Vision's get_config",
                "check the path",
            )
        )
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        place = f"{path}:{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else str(path)
        found = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UserError(Problem("invalid_python", place, "", found, "valid Python", "correct the line")) from None


def _signature(path: str | Path, node: ast.FunctionDef) -> Signature:
    places = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    if not places:
        raise UserError(
            Problem(
                "get_config_arguments",
                f"{path}:{node.lineno}",
                "get_config",
                "no arguments",
                "Raster Vision's runner as the first",
                "write `def get_config(runner, ...)`",
            )
        )
    by_name = [argument.arg for argument in node.args.kwonlyargs]
    defaults = len(node.args.defaults)
    required = places[: len(places) - defaults] if defaults else places
    required += [name for name, value in zip(by_name, node.args.kw_defaults, strict=True) if value is None]
    return Signature(
        node.lineno,
        (*places[1:], *by_name),
        tuple(name for name in required if name not in (places[0], ROOT_URI)),
        takes_any=node.args.kwarg is not None,
    )


def _brings_get_config(node: ast.stmt) -> bool:
    """Tell whether a statement imports or assigns the name."""
    if isinstance(node, ast.ImportFrom):
        hidden = "" if (node.module or "").startswith("rastervision") else "*"
        return any(alias.name == hidden or (alias.asname or alias.name) == "get_config" for alias in node.names)
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "get_config" for target in targets)


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files_of(module: str, folder: Path) -> list[Path]:
    places = [place / Path(*module.split(".")) for place in (folder, Path())]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return [file for file in files if file.is_file()]
