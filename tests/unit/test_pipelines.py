"""What is told of a user's own Raster Vision module before it is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from swath.errors import UserError
from swath.own_module.plan import PipelinePlan, make_pipeline_plan
from swath.own_module.signature import modules_behind, read_signature

MODULE = """import torch_that_is_not_there
from tools import helper


def get_config(runner, root_uri, data, learning_rate=1e-3, *, epochs=8):
    ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a module and what it imports."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.py").write_text(MODULE)
    (tmp_path / "mine" / "tools.py").write_text("helper = 1\n")
    return tmp_path


def planned(**changes: Any) -> PipelinePlan:
    config = {"experiment": "mine", "pipeline": "mine/config.py", "arguments": {"data": "data"}, **changes}
    Path("config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return make_pipeline_plan(config, ["config.yaml"])


def told(**changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        planned(**changes)
    return str(caught.value)


# --- the module -----------------------------------------------------------------------------------


def test_the_signature_is_read_without_importing(folder: Path) -> None:
    signature = read_signature("mine/config.py")
    assert signature.arguments == ("root_uri", "data", "learning_rate", "epochs")
    assert signature.required == ("data",)
    assert not signature.takes_any


@pytest.mark.parametrize("source", ["from tools import get_config\n", "from tools import *\n", "get_config = print\n"])
def test_a_get_config_from_elsewhere_takes_anything(folder: Path, source: str) -> None:
    Path("mine/config.py").write_text(source)
    assert read_signature("mine/config.py").takes_any
    assert planned(arguments={"whatever": 1}).trials[0].arguments == {"whatever": 1}


def test_further_arguments_are_anything(folder: Path) -> None:
    Path("mine/config.py").write_text("def get_config(runner, **options):\n    ...\n")
    assert read_signature("mine/config.py").takes_any


def test_modules_beside_it_belong_to_it(folder: Path) -> None:
    assert modules_behind("mine/config.py") == [Path("mine/config.py"), Path("mine/tools.py")]


def test_a_missing_module(folder: Path) -> None:
    assert "mine/other.py\n  found:    no such file" in told(pipeline="mine/other.py")


def test_a_module_without_get_config(folder: Path) -> None:
    Path("mine/config.py").write_text("from rastervision.core.data import *\n\ndef config(runner):\n    ...\n")
    message = told()
    assert "mine/config.py" in message
    assert "no function get_config" in message


def test_a_get_config_without_runner(folder: Path) -> None:
    Path("mine/config.py").write_text("\n\ndef get_config():\n    ...\n")
    message = told()
    assert "mine/config.py:3: get_config" in message
    assert "runner" in message


def test_a_syntax_error(folder: Path) -> None:
    Path("mine/config.py").write_text("import csv\n\ndef get_config(runner:\n    ...\n")
    message = told()
    assert "mine/config.py:3" in message
    assert "was never closed" in message


# --- the config -----------------------------------------------------------------------------------


def test_sections_of_swaths_own_do_not_stand_beside_it(folder: Path) -> None:
    message = told(classes={"water": "blue"}, chips={"size": 64})
    assert "config.yaml:5: classes" in message
    assert "`classes` beside `pipeline`" in message
    assert "`chips` beside `pipeline`" in message


def test_an_unknown_key_and_a_wrong_value_are_told_together(folder: Path) -> None:
    message = told(argumnets={}, seed=-1)
    assert "did you mean 'arguments'?" in message
    assert "greater than or equal to 0" in message


def test_an_unknown_argument(folder: Path) -> None:
    message = told(arguments={"data": "data", "learning_rat": 0.1})
    assert "arguments: learning_rat" in message
    assert "mine/config.py:5" in message
    assert "did you mean 'learning_rate'?" in message


def test_an_unknown_argument_in_the_sweep(folder: Path) -> None:
    message = told(sweep={"grid": {"arguments.epoch": [1, 2]}})
    assert "config.yaml:7: sweep.grid: arguments.epoch" in message
    assert message.count("did you mean 'epochs'?") == 1


def test_a_setting_that_is_no_argument(folder: Path) -> None:
    message = told(sweep={"grid": {"learning_rate": [1, 2]}})
    assert "write `arguments.learning_rate`" in message


def test_an_argument_without_a_value(folder: Path) -> None:
    message = told(arguments={"epochs": 3})
    assert "arguments.data" in message
    assert "add `data:` to `arguments`" in message


def test_an_unknown_metric(folder: Path) -> None:
    assert "sweep.select.metric" in told(sweep={"select": {"metric": "loss"}})


# --- the plan -------------------------------------------------------------------------------------


def test_trials_and_repeats(folder: Path) -> None:
    plan = planned(seed=3, sweep={"grid": {"arguments.learning_rate": [0.1, 0.2]}, "repeats": 2})
    assert [trial.arguments["learning_rate"] for trial in plan.trials] == [0.1, 0.2]
    assert list(plan.runs) == [f"learning_rate={rate},seed={seed}" for rate in (0.1, 0.2) for seed in (3, 4)]


def test_a_dot_more_reaches_into_an_argument(folder: Path) -> None:
    arguments = {"data": {"folder": "a", "bands": 3}}
    plan = planned(arguments=arguments, sweep={"trials": [{"arguments.data.folder": "b"}]})
    assert plan.trials[0].arguments == {"data": {"folder": "b", "bands": 3}}


def test_the_key_follows_the_modules_and_the_arguments(folder: Path) -> None:
    first = planned().key
    assert planned(experiment="other").key == first
    assert planned(arguments={"data": "data", "epochs": 3}).key != first
    (folder / "mine" / "tools.py").write_text("helper = 2\n")
    assert planned().key != first
