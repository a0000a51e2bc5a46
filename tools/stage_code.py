"""The code behind every stage, in digests: so that nobody changes what a stage makes and forgets its version.

A stage depends on its script and on all of Swath's modules that the script imports, directly or not. Every function of
these has a digest of its syntax tree; docstrings, comments, annotations of functions and the words of messages do not
count. ``make record`` writes the digests down; a test compares.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from swath import versions

SCRIPTS = Path(__file__).parents[1] / "scripts"
RECORD = Path(__file__).parents[1] / "tests" / "recorded" / "code.json"
MESSAGES_ALONE = (
    *("swath.errors", "swath.error_codes", "swath.versions", "swath.job.run_script", "swath.job.attempts"),
    *("swath.coordination", "swath.cost"),
)
"""Modules and packages that shape messages, logs, costs and the order of processes, but no result."""
TELLING = {"Problem", "mistake", "UserError", "print", "warn", "did_you_mean"}
"""Calls whose arguments are words for people."""
SCRIPT_OF = {"stats": "analyze", "chips": "chip", "models": "train", "predictions": "predict", "evals": "eval"}
SCRIPT_OF |= {"bundles": "bundle", "select": "select_winner", "own_module_summary": "pipeline_summary"}
SCRIPT_OF_OWN = {"configure": "configure", "train": "pipeline_train"}
STAGES: dict[str, tuple[str, int]] = {
    **{f"KEYED[{stage!r}]": (SCRIPT_OF.get(stage, stage), number) for stage, number in versions.KEYED.items()},
    **{
        f"OWN_MODULE[{stage!r}]": (SCRIPT_OF_OWN.get(stage, "pipeline_stage"), number)
        for stage, number in versions.OWN_MODULE.items()
    },
    **{f"EXPERIMENT[{rule!r}]": (SCRIPT_OF.get(rule, rule), number) for rule, number in versions.EXPERIMENT.items()},
    "READINGS": ("swath.checks.read_scenes", versions.READINGS),
}
"""Where a stage's version stands in `swath.versions` → its script or module, and the version."""

Digests = dict[str, str]
"""Function → digest."""


def record_of_code() -> dict[str, Any]:
    """Return what there is to record: modules with their functions' digests, stages with versions and modules."""
    modules = {stage: sorted(modules_of(entry)) for stage, (entry, _) in STAGES.items()}
    used = sorted({name for names in modules.values() for name in names})
    return {
        "stages": {stage: {"version": STAGES[stage][1], "modules": names} for stage, names in modules.items()},
        "modules": {name: digests_of(path_of(name)) for name in used},
    }


def modules_of(entry: str) -> set[str]:
    """Find a script or module and all of Swath's modules that it imports, directly or not, within functions too."""
    found: set[str] = set()
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name not in found and not _tells_alone(name):
            found.add(name)
            waiting += _imports(path_of(name))
    return found


def path_of(module: str) -> Path:
    """Return a module's file: of a package its ``__init__.py``, of a script's name the script."""
    place = SCRIPTS / Path(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def digests_of(path: Path) -> Digests:
    """Return the digest of every function, method and class of a module, and of what stands outside of them."""
    tree = _Plain().visit(ast.parse(path.read_bytes()))
    found = dict(_definitions(tree, ""))
    return {name: _digest(node) for name, node in found.items()}


def differences(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say which stages have changed since they were recorded, and what to do; nothing if none has."""
    changed = {
        name: sorted(set(_changes(recorded["modules"].get(name, {}), now["modules"].get(name, {}))))
        for name in sorted({*recorded["modules"], *now["modules"]})
    }
    stages: dict[str, list[str]] = {}
    for stage, entry in now["stages"].items():
        before = recorded["stages"].get(stage, {"version": None, "modules": []})
        names = sorted({*entry["modules"], *before["modules"]})
        why = [f"{name}: {', '.join(changed[name])}" for name in names if changed[name]]
        why += [f"{name}: is imported now" for name in sorted({*entry["modules"]} - {*before["modules"]})]
        why += [f"{name}: is imported no more" for name in sorted({*before["modules"]} - {*entry["modules"]})]
        if entry["version"] != before["version"]:
            why.append(f"version {before['version']} has become {entry['version']}")
        if why:
            stages[stage] = why
    if not stages:
        return ""
    lines = ["The code behind these stages is not what was recorded:"]
    for stage, why in stages.items():
        lines += ["", f"{stage} (version {now['stages'][stage]['version']}, {path_of(STAGES[stage][0]).name})"]
        lines += [f"    {line}" for line in why]
    lines += [
        "",
        "Can what a stage makes from the same inputs be another now? Then raise its version in",
        "scripts/swath/versions.py: old results stay, new ones get a new place. Can it not? Then leave the version.",
        "In both cases record anew: make record",
    ]
    return "\n".join(lines)


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in {*before, *after}:
        if before.get(name) != after.get(name):
            yield name + ("" if name in before and name in after else " (new)" if name in after else " (gone)")


def _tells_alone(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in MESSAGES_ALONE)


@cache
def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    ours = [name for name in names if name.split(".")[0] == "swath" and path_of(name).is_file()]
    packages = {name.rpartition(".")[0] for name in ours} - {""}  # importing a module runs its package first
    return [*ours, *packages]


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    """Take functions and classes out of a module or class, each under its dotted name; what is left comes last."""
    rest = []
    for child in getattr(node, "body", []):
        if isinstance(child, ast.ClassDef):
            yield from _definitions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{child.name}", child
        else:
            rest.append(child)
    node.body = rest  # type: ignore[attr-defined]
    yield f"{prefix.rstrip('.') or 'module'}", node


class _Plain(ast.NodeTransformer):
    """Remove what cannot change a result: docstrings, annotations of functions, the words of messages."""

    def visit_Expr(self, node: ast.Expr) -> Any:
        """Drop docstrings and calls that only tell something."""
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return None if _tells(node.value) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        """Keep that a problem is noted, and not in which words."""
        return node.func if _tells(node) else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> Any:
        """Keep what kind of error is raised."""
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=kind, cause=None)

    def visit_arg(self, node: ast.arg) -> Any:
        """Drop the annotation of an argument."""
        return ast.arg(arg=node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        """Drop the annotation of what is returned."""
        node.returns = None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> Any:
        """Drop imports for type checkers alone."""
        checking = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if checking else self.generic_visit(node)


def _tells(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    if isinstance(function, ast.Attribute):
        return isinstance(function.value, ast.Name) and function.value.id in ("log", "logging", "warnings")
    return isinstance(function, ast.Name) and function.id in TELLING


def _digest(node: ast.AST) -> str:
    return hashlib.sha256(json.dumps(_plain_values(node), ensure_ascii=True).encode()).hexdigest()[:8]


def _plain_values(value: Any) -> Any:
    """Write a syntax tree as plain values that are the same under every version of Python."""
    if isinstance(value, ast.AST):
        fields = {
            name: _plain_values(getattr(value, name, None)) for name in value._fields if name not in ("ctx", "kind")
        }
        return [type(value).__name__, {name: entry for name, entry in fields.items() if entry not in (None, [])}]
    if isinstance(value, list):
        return [_plain_values(entry) for entry in value]
    return value if isinstance(value, str | int | float | None) else repr(value)


def main() -> None:
    """Write the record."""
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(record_of_code(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
