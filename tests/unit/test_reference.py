"""What is generated from the config models is up to date."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from project import REPOSITORY

from swath.config import load_experiment, read_yaml
from swath.config.reference import DEMO, generated


@pytest.mark.parametrize("path", generated())
def test_a_generated_file_is_up_to_date(path: str) -> None:
    assert (REPOSITORY / path).read_text() == generated()[path], f"{path} is out of date: run `make reference`"


def test_the_annotated_demo_says_what_the_demo_says() -> None:
    assert load_experiment(read_yaml(REPOSITORY / "config/config.yaml")) == load_experiment(DEMO)


def test_every_key_stands_in_the_annotated_demo_and_on_the_page() -> None:
    schema = json.loads((REPOSITORY / "config/schema.json").read_text())
    demo, page = (REPOSITORY / path for path in ("config/config.yaml", "docs/reference.md"))
    for section in schema["$defs"].values():
        for key in section.get("properties", {}):
            assert f"| `{key}` |" in page.read_text()
    for key in schema["properties"]:
        assert f"\n{key}:" in demo.read_text()


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config/examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_is_a_good_config(path: Path) -> None:
    load_experiment(read_yaml(path), [path])
