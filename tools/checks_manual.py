"""Writes docs/checks.md: the codes from their catalogue, the bad inputs from their tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from swath.error_codes import LEVELS, MEANING, Level

PREFIX = "test_bad_input_"
LEVEL_TEXT: dict[Level, str] = {
    "error": "Nothing starts before they are cured. What only a job can see, such as a full disk, ends that job; "
    "once it is cured, the same command goes on.",
    "warning": "Nothing starts before they are cured, or allowed by code in the config: `checks: {allow: [<code>]}`. "
    "Those that are allowed still stand in the report.",
    "note": "Only told.",
}


def checks_page(intro: str, tests: Path) -> str:
    """Write the page.

    Args:
        intro: What stands at its beginning.
        tests: The Python file with one test per bad input.
    """
    lines = [intro]
    for level in LEVELS:
        lines += ["", f"## {level.capitalize()}s", "", LEVEL_TEXT[level], "", "| code | meaning |", "|---|---|"]
        lines += [f"| `{code}` | {meaning} |" for code, meaning in sorted(MEANING[level].items())]
    inputs = list(bad_inputs(tests))
    lines += ["", f"## {len(inputs)} bad inputs", ""]
    lines += [
        "Every one of them is a test, which makes the input, runs what Snakemake runs before its first job (for a",
        "dozen of them Snakemake itself) and asserts that it ends in ten seconds, tells code, file, field, what was",
        "found and the cure, and has written nothing but the report.",
        "",
        "| | bad input | told by |",
        "|---|---|---|",
    ]
    lines += [f"| {number} | {what} | {told_by} |" for number, (what, told_by) in enumerate(inputs, start=1)]
    return "\n".join(lines) + "\n"


def bad_inputs(tests: Path) -> Iterator[tuple[str, str]]:
    """Yield what is bad, and what tells it, of every test of a bad input."""
    for node in ast.parse(tests.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith(PREFIX):
            yield (ast.get_docstring(node) or "").removesuffix("."), _told_by(node)


def _told_by(test: ast.FunctionDef) -> str:
    """Find the code that a test expects: the first argument of `is_refused`, or of `is_told` by the preflight."""
    calls = [node for node in ast.walk(test) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    early, code = next(
        (call.func.attr == "is_refused", ast.literal_eval(call.args[0]))
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("is_refused", "is_told")
    )
    return f"`{code}`" + (", while config and table are read" if early else "")
