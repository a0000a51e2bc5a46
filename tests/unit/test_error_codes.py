"""Every message has a code that stands in the catalogue, and nothing takes a message apart again."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from experiment import REPOSITORY

from swath.config.load import OF_TYPE
from swath.error_codes import LEVEL_OF, LEVELS, MEANING

SCRIPTS = REPOSITORY / "scripts"
MODULES = sorted(SCRIPTS.rglob("*.py"))
MAKERS = {"Problem", "mistake", "_Mistake"}
"""What a problem is made by; its first argument is the code."""


def codes_of(path: Path) -> Iterator[tuple[int, str]]:
    """Go through the codes that a module writes where it makes a problem: line and code."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    helpers = {function.name for function in functions if "code" in [argument.arg for argument in function.args.args]}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in MAKERS and [keyword.arg for keyword in node.keywords] != [None]:  # Problem(**problem)
            yield from ((node.lineno, code) for code in written(node.args[0], path, node.lineno))
        elif node.func.id in helpers:  # a function that is told the code
            words = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            yield from ((node.lineno, word) for word in words[:1] if isinstance(word, str))


def written(code: ast.expr, path: Path, line: int) -> Iterator[str]:
    """Take a code out of the source: a word, or one of several."""
    if isinstance(code, ast.Constant):
        yield code.value
    elif isinstance(code, ast.IfExp):
        yield from written(code.body, path, line)
        yield from written(code.orelse, path, line)
    else:
        handed_on = ("code", "kind", "mistake.code")  # by a helper's caller, by a validator
        assert ast.unparse(code) in handed_on, f"{path}:{line}: the code is to be written where the problem is made"


USED = {code: path for path in MODULES for _, code in codes_of(path)} | {
    code: SCRIPTS / "swath/config/load.py" for code, _ in OF_TYPE.values()
}


def test_every_code_stands_in_the_catalogue() -> None:
    assert {code: str(path) for code, path in USED.items() if code not in LEVEL_OF} == {}


def test_every_code_of_the_catalogue_is_used() -> None:
    assert set(LEVEL_OF) - set(USED) == set()


def test_a_code_is_one_word_of_one_level() -> None:
    assert sum(len(MEANING[level]) for level in LEVELS) == len(LEVEL_OF)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", code) for code in LEVEL_OF)
    assert all(meaning.endswith(".") for level in LEVELS for meaning in MEANING[level].values())


def test_what_no_check_finds_is_an_error() -> None:
    """Only the preflight has somebody to ask whether a warning is meant."""
    outside = {code for path in MODULES if path.parent.name != "checks" for _, code in codes_of(path)}
    assert {code for code in outside if LEVEL_OF[code] != "error"} == set()


def test_every_code_stands_in_the_manual() -> None:
    page = (REPOSITORY / "docs/checks.md").read_text()
    assert [code for code in LEVEL_OF if f"| `{code}` |" not in page] == []


@pytest.mark.parametrize("path", sorted((SCRIPTS / "swath/config").glob("*.py")), ids=lambda path: path.stem)
def test_validators_raise_mistakes_in_parts(path: Path) -> None:
    """A sentence in a ValueError would have to be taken apart."""
    raised = [node.exc for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Raise)]
    kinds = {node.func.id for node in raised if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert kinds <= {"mistake", "UserError"}
