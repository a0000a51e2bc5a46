"""Networks of the user's own: what can be wrong with a folder, told before anything runs and without importing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from experiment import SMALL, with_setting

from swath.config.load import load_experiment
from swath.config.model import Model
from swath.errors import Problem, UserError
from swath.networks.definition import definition_files, files_of, problems_of_definition, publish_definition
from swath.rv.networks import NETWORKS, NetworkShape

HUBCONF = """
dependencies = ["torch"]
raise_if_imported = 1 / 0

from somewhere import unet_of_theirs as their_unet

try:
    import fast_networks as fast
except ImportError:
    def slow(classes): ...

def network(classes): ...

class Net: ...

shorthand: object = network
"""


def problems(folder: Path, entrypoint: str) -> list[Problem]:
    return list(problems_of_definition(str(folder), entrypoint, "config.yaml:9"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A definition that could not be imported."""
    (tmp_path / "hubconf.py").write_text(HUBCONF)
    return tmp_path


@pytest.mark.parametrize("entrypoint", ["network", "their_unet", "Net", "shorthand", "fast", "slow"])
def test_what_hubconf_defines_or_imports_is_an_entrypoint(folder: Path, entrypoint: str) -> None:
    assert not problems(folder, entrypoint)


def test_an_unknown_entrypoint_leads_to_the_nearest_one(folder: Path) -> None:
    (told,) = problems(folder, "netwrok")
    assert (told.file, told.field, told.found) == ("config.yaml:9", "model.entrypoint", "netwrok")
    assert told.cure == "did you mean 'network'?"


def test_what_is_imported_with_a_star_cannot_be_known(tmp_path: Path) -> None:
    (tmp_path / "hubconf.py").write_text("from networks import *\n")
    assert not problems(tmp_path, "anything")


def test_a_folder_that_is_missing_or_holds_no_hubconf_is_told(tmp_path: Path) -> None:
    assert "no hubconf.py in" in problems(tmp_path, "network")[0].found
    assert "no folder" in problems(tmp_path / "nowhere", "network")[0].found


def test_a_mistake_in_hubconf_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "hubconf.py").write_text("x = 1\ndef network(:\n")
    (told,) = problems(tmp_path, "network")
    assert told.file == f"{tmp_path / 'hubconf.py'}:2"


def test_what_git_and_python_leave_is_no_part_of_a_definition(folder: Path) -> None:
    for name in (".git/HEAD", "__pycache__/hubconf.cpython-311.pyc", "parts/networks.py", "parts/.hidden"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    assert [str(path.relative_to(folder)) for path in files_of(folder)] == ["hubconf.py", "parts/networks.py"]
    assert definition_files(str(folder)) == [str(path) for path in files_of(folder)]
    assert definition_files(None) == []


def test_a_copy_is_left_alone_until_something_changes(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("model") / "architecture"
    publish_definition(folder, copy)
    first = copy.stat().st_ino
    publish_definition(folder, copy)
    assert copy.stat().st_ino == first
    (folder / "more.py").write_text("x = 1\n")
    publish_definition(folder, copy)
    assert [path.name for path in files_of(copy)] == ["hubconf.py", "more.py"]


# --- the config -------------------------------------------------------------------------------------------


def external(**model: Any) -> dict[str, Any]:
    whole = {"architecture": "external", "definition": "folder", "entrypoint": "network", **model}
    used = {name: value for name, value in whole.items() if value is not None}
    return with_setting({**SMALL, "scenes": {"table": "scenes.csv"}}, "model", used)


@pytest.mark.parametrize(
    ("model", "field", "words"),
    [
        ({"definition": None}, "model.definition", "a folder with a hubconf.py"),
        ({"entrypoint": None}, "model.entrypoint", "a function of hubconf.py"),
        ({"encoder": "resnet18"}, "model.encoder", "leave it out"),
        ({"weights": "imagenet"}, "model.weights", "none, a file or a trial"),
        ({"arguments": {"n": "{clases}"}}, "model.arguments.n", "did you mean '{classes}'?"),
        ({"arguments": {"n": {"classes": None}}}, "model.arguments.n", 'write "{classes}"'),
        ({"arguments": {"n": [1, "{sise}"]}}, "model.arguments.n", "did you mean '{size}'?"),
        ({"architecture": "unet", "entrypoint": None}, "model.definition", "nothing without `architecture: external`"),
    ],
)
def test_settings_that_an_external_network_needs_or_refuses(model: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_experiment(external(**model), ["config.yaml"])
    (told,) = caught.value.problems
    assert told.field == field
    assert words in f"{told.expected}; {told.cure}"


@pytest.mark.parametrize(
    ("task", "outputs"), [("semantic_segmentation", 5), ("object_detection", 6), ("chip_classification", 5)]
)
def test_placeholders_become_numbers(task: Any, outputs: int) -> None:
    arguments = {"outputs": "{classes}", "shape": ["{bands}", "{size}", 3], "name": "a {bands}"}
    model = Model(architecture="external", definition="folder", entrypoint="network", arguments=arguments)
    config = NETWORKS[task].describe(model, NetworkShape(bands=4, classes=5, size=64), "folder", None)
    assert config.external_def.entrypoint_kwargs == {"outputs": outputs, "shape": [4, 64, 3], "name": "a {bands}"}
