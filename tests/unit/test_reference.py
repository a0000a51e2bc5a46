"""What is generated from the config models is up to date."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from experiment import REPOSITORY

from reference import DEMO
from swath.config.load import load_experiment, read_yaml
from swath.config.pipeline import PipelineExperiment
from swath.own_module.plan import make_pipeline_plan


def test_generated_files_are_up_to_date(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "SWATH_DESCRIBED": "1",
        "PYTHONPATH": f"{REPOSITORY / 'scripts'}:{REPOSITORY / 'tools'}",
    }
    command = [sys.executable, "-m", "reference", str(tmp_path)]
    written = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    assert len(written) == 4
    for path in written:
        current = (REPOSITORY / path).read_text()
        assert current == (tmp_path / path).read_text(), f"{path} is out of date: run `make reference`"


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
def test_an_example_is_a_good_config(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    content = read_yaml(path)
    check = make_pipeline_plan if "pipeline" in content else load_experiment
    check(content, [path])


def test_every_key_beside_pipeline_stands_on_the_page() -> None:
    page = (REPOSITORY / "docs/reference.md").read_text().partition("## With `pipeline`")[2]
    assert all(f"| `{key}` |" in page for key in PipelineExperiment.model_fields)
