"""Networks of the user's own: a folder with a ``hubconf.py``, in the form torch.hub loads. Standard library only.

Read at every parse, and therefore never imported there: what ``hubconf.py`` defines is seen in its syntax tree.
"""

from __future__ import annotations

import ast
import filecmp
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from swath.errors import Problem, did_you_mean
from swath.files import publish_directory

HUBCONF = "hubconf.py"
ARCHITECTURES = Path(__file__).parent / "architectures"
"""The definition of the networks of segmentation-models-pytorch and timm, which travels in their bundles."""


def files_of(folder: str | Path) -> list[Path]:
    """List a definition's files, sorted: all but hidden ones (such as git's) and compiled Python."""
    folder = Path(folder)
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not any(map(_is_left_out, path.relative_to(folder).parts)))


def links_that_lead_out(folder: str | Path) -> list[Path]:
    """List a definition's links, of files and of folders, that lead out of it."""
    folder = Path(folder)
    links = (path for path in sorted(folder.rglob("*")) if path.is_symlink())
    return [link for link in links if not link.resolve().is_relative_to(folder.resolve())]


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__" or name.endswith(".pyc")


def definition_files(definition: str | None) -> list[str]:
    """List the files that a network is defined by; none for the networks Swath knows.

    Args:
        definition: `model.definition`.
    """
    return [str(path) for path in files_of(definition)] if definition else []


def problems_of_definition(folder: str, entrypoint: str, place: str) -> Iterator[Problem]:
    """Say what is wrong with a definition, as far as can be seen without running it.

    Args:
        folder: `model.definition`.
        entrypoint: `model.entrypoint`.
        place: File and line of the config that names them.
    """
    file = Path(folder) / HUBCONF
    if not file.is_file():
        found = f"no {HUBCONF} in {folder}" if Path(folder).is_dir() else f"no folder {folder}"
        expected = f"a folder with a {HUBCONF}, as torch.hub has it"
        yield Problem(
            "file_missing",
            place,
            "model.definition",
            found,
            expected,
            "check the path; docs/training.md says how to get one",
        )
        return
    for link in links_that_lead_out(folder):
        found, expected = f"{link}, a link to {link.resolve()}", f"links within {folder}: its files end up in bundles"
        yield Problem("link_leads_out", place, "model.definition", found, expected, "put a copy in the link's place")
    try:
        names = set(_names(ast.parse(file.read_bytes()).body))
    except SyntaxError as error:
        yield Problem(
            "invalid_python", f"{file}:{error.lineno}", "model.definition", str(error.msg), "Python", f"correct {file}"
        )
        return
    if entrypoint not in names and "*" not in names:
        known = [name for name in names if not name.startswith("_")]
        cure = did_you_mean(entrypoint, known) or f"define it in {file}"
        yield Problem("unknown_entrypoint", place, "model.entrypoint", entrypoint, f"what {file} defines", cure)


def _names(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Name what a module's statements define or import; `*` for what only importing could tell."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in statement.names)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.If | ast.Try | ast.With):  # what is defined under conditions
            yield from _names(child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt))
            handlers = statement.handlers if isinstance(statement, ast.Try) else []
            yield from (name for handler in handlers for name in _names(handler.body))


def publish_definition(source: Path, target: Path) -> None:
    """Copy a definition to where Raster Vision takes it from: the whole folder ends up in the bundle.

    Nothing is touched where the copy is there already, since other processes may be reading it.
    """
    wanted = {path.relative_to(source): path for path in files_of(source)}
    there = {path.relative_to(target): path for path in files_of(target)}
    if wanted.keys() == there.keys() and all(
        filecmp.cmp(path, there[name], shallow=False) for name, path in wanted.items()
    ):
        return
    with publish_directory(target) as folder:
        for name, path in wanted.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
