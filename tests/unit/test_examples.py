"""The example configs are right, by the schema that editors use and by the models."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from experiment import REPOSITORY

from swath.config.load import load_experiment, read_yaml

EXAMPLES = sorted((REPOSITORY / "config" / "examples").glob("*.yaml"))
EXPERIMENTS = [path for path in EXAMPLES if "pipeline" not in read_yaml(path)]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_example_goes_with_models_and_schema(path: Path) -> None:
    config = read_yaml(path)
    assert load_experiment(config, [path]).experiment == path.stem
    jsonschema.validate(config, json.loads((REPOSITORY / "config" / "schema.json").read_text()))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_how_to_run_it_and_the_page_lists_it(path: Path) -> None:
    said = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert f"--configfile config/examples/{path.name}" in said or f"make demo EXPERIMENT={path.stem}" in said
    assert f"../config/examples/{path.name}" in (REPOSITORY / "docs" / "examples.md").read_text()
