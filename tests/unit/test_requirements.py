"""What is imported is declared in envs/requirements.in, what is declared is used, and the lock file pins all of it."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions

import pytest
from experiment import REPOSITORY

FOLDERS = ("scripts", "tools", "tests", "benchmarks", "config")
PROGRAMS = {"coverage", "mypy", "pip", "pytest-xdist", "ruff", "snakefmt"}
LOADED_BY_SNAKEMAKE = {"pygments"}
SOURCES = [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")]
RULES = [REPOSITORY / "Snakefile", *(REPOSITORY / "rules").rglob("*.smk")]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported_names() -> set[str]:
    """The top-level names that the code imports, without the standard library's and its own."""
    names = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(str(node.module).partition(".")[0])
    for path in RULES:  # Snakemake's language is not quite Python
        names |= set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
    own = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}
    return names - own - set(sys.stdlib_module_names)


def declared() -> set[str]:
    lines = (REPOSITORY / "envs/requirements.in").read_text().splitlines()
    return {canonical(re.split(r"[=<>~ ]", line)[0]) for line in lines if line and not line.startswith("#")}


def test_every_imported_package_is_declared_and_every_declared_one_imported() -> None:
    providers = packages_distributions()
    imported = {name: {canonical(package) for package in providers.get(name, [])} for name in imported_names()}
    assert not {name for name, packages in imported.items() if not packages & declared()}
    used = set.union(*imported.values()) | PROGRAMS | LOADED_BY_SNAKEMAKE
    without_import = {name for name in declared() - used if not re.match(r"types-|.*-stubs", name)}
    assert not without_import, "nothing imports them: take them out of envs/requirements.in"


@pytest.mark.parametrize("name", ["requirements", "installer", "docs"])
def test_the_lock_file_pins_what_is_declared_with_hashes_and_names_no_index(name: str) -> None:
    asked = (REPOSITORY / f"envs/{name}.in").read_text()
    lock = (REPOSITORY / f"envs/{name}.lock").read_text()
    pinned = re.findall(r"^([\w.-]+)==\S+.*\\\n    --hash=sha256:", lock, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[^\s#]", lock, re.MULTILINE))
    wanted = re.findall(r"^([\w.-]+)", asked, re.MULTILINE)
    assert {canonical(package) for package in wanted} <= {canonical(package) for package in pinned}, "`make lock`"
    assert "://" not in lock
