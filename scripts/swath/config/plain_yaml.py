"""What YAML would quietly make of what stands in a config: keys that are there twice, words and codes taken for others.

YAML 1.1, which Snakemake and PyYAML read, keeps the last of two equal keys, and takes ``no`` for false, ``010`` for 8,
``1:30`` for 90 and ``2024-01-01`` for a date: https://yaml.org/type/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from swath.errors import Problem

YTE = "__use_yte__"
"""Key at the top of a file that has Snakemake run the Python within it."""
KIND = "tag:yaml.org,2002:"
PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+([eE][-+]?[0-9]+)?|\.nan")
"""What everybody reads as YAML does."""

Place = tuple[str, ...]


def problems_in(files: Sequence[str | Path]) -> list[Problem]:
    """Find what config files say that YAML would change without a word; files that cannot be read are left to others.

    Args:
        files: The config files.
    """
    found = []
    for file in files:
        try:
            root = yaml.compose(Path(file).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        if isinstance(root, yaml.MappingNode):
            found += [*_run_as_code(str(file), root), *_changed(str(file), root, (), set())]
    return found


def _run_as_code(file: str, root: yaml.MappingNode) -> Iterator[Problem]:
    for key, _ in root.value:
        if key.value == YTE:
            cure = f"remove `{YTE}`, and write down what the expressions stand for"
            expected = "plain YAML: what a config says is never run"
            yield Problem("code_in_config", _line(file, key), YTE, "Python within the config", expected, cure)


def _changed(file: str, node: yaml.Node, place: Place, seen: set[int]) -> Iterator[Problem]:
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield from _twice(file, node, place)
        for key, value in node.value:
            inner = (*place, str(key.value))
            yield from _misread(file, key, inner, is_key=True)
            yield from _changed(file, value, inner, seen)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _changed(file, value, (*place[:-1], f"{place[-1]}[{number}]") if place else (), seen)
    else:
        yield from _misread(file, node, place)


def _twice(file: str, node: yaml.MappingNode, place: Place) -> Iterator[Problem]:
    first: dict[str, yaml.Node] = {}
    for key, _ in node.value:
        before = first.setdefault(str(key.value), key)
        if before is not key and key.tag != f"{KIND}merge":
            lines = f"lines {before.start_mark.line + 1} and {key.start_mark.line + 1}"
            cure = "put both into one, or remove one of them: YAML would take the last one alone"
            field = ".".join((*place, str(key.value)))
            found = f"`{key.value}:` in {lines}"
            yield Problem("key_twice", _line(file, key), field, found, "each key once", cure)


def _misread(file: str, node: yaml.Node, place: Place, is_key: bool = False) -> Iterator[Problem]:
    """Tell of a plain word that YAML takes for something else than it looks like."""
    if not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return
    text, kind = node.value, node.tag.removeprefix(KIND)
    meant = {"bool": "true or false", "null": "nothing", "timestamp": "a date"}.get(kind, "a number")
    if kind == "bool":
        wrong = is_key or text.lower() not in ("true", "false")
    elif kind in ("int", "float"):
        wrong = not PLAIN_NUMBER.fullmatch(text.lower())
    elif kind == "null":
        wrong = is_key
    else:
        wrong = kind == "timestamp"
    if wrong:
        of_text = f'put it in quotes if it is text: "{text}"'
        of_text += ": …" if is_key else ""
        others = {"bool": "write true or false if that is meant", "int": f"or write {_decimal(node)}"}
        cure = of_text if is_key or kind not in others else f"{of_text}; {others[kind]}"
        yield Problem(
            "taken_for_another", _line(file, node), ".".join(place), f"{text}, which YAML takes for {meant}", "", cure
        )


def _decimal(node: yaml.ScalarNode) -> str:
    try:
        return str(yaml.SafeLoader("").construct_yaml_int(node))
    except ValueError:
        return "a decimal number"


def _line(file: str, node: yaml.Node) -> str:
    return f"{file}:{node.start_mark.line + 1}"
