"""What `configure` makes of a real get_config: the module of config/examples/own-pipeline on a cut of real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from experiment import REPOSITORY
from rastervision.pipeline import registry_ as registry
from rastervision.pytorch_learner import SolverConfig

from swath.errors import UserError
from swath.files import read_json
from swath.own_module.configure import ROOT, configure, configured, moved, stage_specs
from swath.own_module.stages import StageJob, metrics_of, read_pipeline
from swath.own_module.training import train_settings
from swath.rv.eval_json import evaluation_of

MODULE = str(REPOSITORY / "config/examples/own-pipeline/config.py")


@pytest.fixture
def arguments(cut_scenes: Path) -> dict[str, Any]:
    return {"data": str(cut_scenes), "epochs": 2}


def content_of(arguments: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return configured(MODULE, {"root_uri": ROOT, **arguments, **changes}, "macro_f1", "trial default")


def changed_stages(arguments: dict[str, Any], seed: int = 0, **changes: Any) -> set[str]:
    """The stages that a changed argument reaches."""
    before = stage_specs(content_of(arguments), 0, None)
    after = stage_specs(content_of(arguments, **changes), seed, None)
    return {stage for stage in before.keys() | after.keys() if before.get(stage) != after.get(stage)}


LATER = {"train", "predict", "eval", "bundle"}


def test_an_argument_reaches_the_stages_that_depend_on_it(arguments: dict[str, Any]) -> None:
    assert changed_stages(arguments) == set()
    assert changed_stages(arguments, learning_rate=0.1) == LATER
    assert changed_stages(arguments, seed=1) == LATER
    assert changed_stages(arguments, chips_per_scene=7) == {"chip", *LATER}
    assert changed_stages(arguments, nochip=True) == {"chip", *LATER}


def test_a_pipeline_that_reads_scenes_has_no_chips(arguments: dict[str, Any]) -> None:
    assert "chip" not in stage_specs(content_of(arguments, nochip=True), 0, None)


def test_where_results_go_changes_nothing(arguments: dict[str, Any]) -> None:
    elsewhere = configured(MODULE, {**arguments, "root_uri": "/somewhere/else"}, "macro_f1", "trial")
    assert elsewhere == content_of(arguments)
    assert elsewhere["backend"]["data"]["uri"] == f"{ROOT}/chip"
    assert elsewhere["dataset"]["test_scenes"][0]["label_store"]["uri"] == f"{ROOT}/predict/e"


def test_where_the_project_lies_changes_nothing(arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    network = content_of(arguments)["backend"]["model"]["external_def"]["uri"]
    assert network == "./config/examples/own-pipeline/network"


def test_a_random_split_is_the_same_for_all_trials(arguments: dict[str, Any], tmp_path: Path) -> None:
    body = (
        "import random\n\ndef get_config(runner, **options):\n    config = _original(runner, **options)\n"
        "    random.shuffle(config.dataset.train_scenes)\n    return config"
    )
    module = module_with(tmp_path, body)
    first, second = (configured(module, {"root_uri": ROOT, **arguments}, "macro_f1", name) for name in "ab")
    assert first == second


def test_the_table_names_runs_and_the_files_they_read(
    arguments: dict[str, Any], cut_scenes: Path, tmp_path: Path
) -> None:
    runs = {"default,seed=0": ("default", 0), "default,seed=1": ("default", 1)}
    configs, table = [tmp_path / "0.json"], tmp_path / "table.json"
    configure(MODULE, [MODULE], True, {"default": arguments}, runs, "f1.water", configs, table)
    written = read_json(table)
    first, second = written["runs"].values()
    assert first["splits"] == ["validation", "test"]
    assert first["keys"]["chip"] == second["keys"]["chip"]
    assert first["keys"]["train"] != second["keys"]["train"]
    files = {stage: {Path(f).name for f in next(iter(by_key.values()))} for stage, by_key in written["files"].items()}
    assert files["analyze"] == {f"{scene}.tif" for scene in "abcde"}
    assert files["chip"] == {f"{scene}.{kind}" for scene in "abcd" for kind in ("tif", "geojson")}
    assert files["train"] == {"hubconf.py"}
    assert files["eval"] == {"d.tif", "d.geojson", "e.tif", "e.geojson"}
    assert not first["custom"]


def module_with(folder: Path, body: str) -> str:
    """The example's module with other last lines."""
    path = folder / "config.py"
    path.write_text(f"{Path(MODULE).read_text()}\n\n_original = get_config\n\n\n{body}\n")
    (folder / "network").symlink_to(Path(MODULE).parent / "network")
    return str(path)


def told(module: str, arguments: dict[str, Any], metric: str = "macro_f1") -> str:
    with pytest.raises(UserError) as caught:
        configured(module, {"root_uri": ROOT, **arguments}, metric, "trial default")
    return str(caught.value)


def test_an_error_in_the_module_is_told_with_its_line(arguments: dict[str, Any], tmp_path: Path) -> None:
    module = module_with(tmp_path, "def get_config(runner, **options):\n    return {}['no such key']")
    line = len(Path(module).read_text().splitlines())
    message = told(module, arguments)
    assert f"{module}:{line}: get_config, trial default" in message
    assert "KeyError: 'no such key'" in message


def test_bands_are_counted_where_the_module_does_not(arguments: dict[str, Any], tmp_path: Path) -> None:
    body = (
        "def get_config(runner, **options):\n    config = _original(runner, **options)\n"
        "    config.backend.data.img_channels = None\n"
        "    for scene in config.dataset.all_scenes:\n        scene.raster_source.channel_order = None\n"
        "    return config"
    )
    content = configured(module_with(tmp_path, body), {"root_uri": ROOT, **arguments}, "macro_f1", "trial")
    assert content["backend"]["data"]["img_channels"] == 13


def test_several_configs_are_not_one(arguments: dict[str, Any], tmp_path: Path) -> None:
    module = module_with(tmp_path, "def get_config(runner, **options):\n    return [_original(runner, **options)]")
    assert "a list" in told(module, arguments)


def test_without_validation_scenes_nothing_can_be_compared(arguments: dict[str, Any], tmp_path: Path) -> None:
    body = (
        "def get_config(runner, **options):\n    config = _original(runner, **options)\n"
        "    config.dataset.validation_scenes = []\n    return config"
    )
    message = told(module_with(tmp_path, body), arguments)
    assert "dataset.validation_scenes" in message
    assert "0 scenes" in message


def test_the_metric_is_a_class_of_the_module(arguments: dict[str, Any]) -> None:
    message = told(MODULE, arguments, "f1.watr")
    assert "did you mean 'water'?" in message


def test_paths_are_moved_whole() -> None:
    content = {"uri": "a/chip", "uris": ["a/chip/b.zip", "a/chips", 3], "name": None}
    assert moved(content, {"a/chip": "x"}) == {"uri": "x", "uris": ["x/b.zip", "a/chips", 3], "name": None}


def test_the_solver_in_swaths_words() -> None:
    train = train_settings(SolverConfig(lr=0.1, num_epochs=4, batch_sz=3, one_cycle=True), workers=2, seed=5)
    assert (train.epochs, train.batch_size, train.learning_rate, train.seed) == (4, 3, 0.1, 5)
    assert (train.schedule, train.optimizer, train.keep, train.num_workers) == ("one_cycle", "adam", "last", 2)
    steps = train_settings(SolverConfig(num_epochs=4, one_cycle=False, multi_stage=[2, 3]), workers=0, seed=0)
    assert (steps.schedule, steps.milestones) == ("multi_step", [2, 3])
    assert train_settings(SolverConfig(num_epochs=1), workers=0, seed=0).schedule == "constant"


def item(name: str, hits: int, there: int, said: int) -> dict[str, Any]:
    """A class of eval.json, as Raster Vision writes it of pixels."""
    matrix = [[90, said - hits], [there - hits, hits]]
    return {"class_name": name, "gt_count": there, "pred_count": said, "conf_mat": matrix}


def test_metrics_count_the_classes_that_the_labels_have() -> None:
    confusion = [[6, 0, 2, 0], [1, 0, 1, 0], [0, 0, 0, 0], [5, 0, 5, 5]]
    items = [item("a", 6, 8, 12), item("b", 0, 2, 0), item("c", 0, 0, 8), item("null", 5, 15, 5)]
    average = {"class_name": "average", "gt_count": 25, "pred_count": 25, "conf_mat": confusion}
    result = evaluation_of({"overall": [*items, average], "per_scene": {}})
    scores = metrics_of(result, ["a", "b", "c", "null"], "null")
    assert scores.f1 == {"a": 0.6, "b": 0.0, "c": None}
    assert scores.precision == {"a": 0.5, "b": None, "c": 0.0}
    assert scores.recall == {"a": 0.75, "b": 0.0, "c": None}
    assert scores.macro_f1 == 0.3
    assert scores.accuracy == 0.6
    assert scores.labelled == 10


def test_boxes_have_no_accuracy() -> None:
    tree = {"class_name": "tree", "gt_count": 8, "pred_count": 8, "true_pos": 4}
    average = {"class_name": "average", "gt_count": 8, "pred_count": 8}
    scores = metrics_of(evaluation_of([tree, average]), ["tree", "null"], "null")
    assert (scores.accuracy, scores.macro_f1) == (None, 0.5)


CUSTOM = """
from rastervision.core.data import SceneConfig
from rastervision.pipeline.config import register_config


@register_config("own_scene")
class OwnSceneConfig(SceneConfig):
    note: str = ""


def get_config(runner, **options):
    config = _original(runner, **options)
    scene = dict(config.dataset.test_scenes[0], type_hint="own_scene")
    config.dataset.test_scenes = [OwnSceneConfig(**scene)]
    return config
"""


def test_a_module_with_config_classes_is_part_of_every_stage(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, known in vars(registry).items():  # what is registered would stay so
        if isinstance(known, dict):
            monkeypatch.setattr(registry, name, dict(known))
    module = module_with(tmp_path, CUSTOM)
    config, table = tmp_path / "0.json", tmp_path / "table.json"
    configure(module, [module], True, {"t": arguments}, {"t,seed=0": ("t", 0)}, "macro_f1", [config], table)
    written = read_json(table)
    assert written["runs"]["t,seed=0"]["custom"]
    assert all(module in files for by_key in written["files"].values() for files in by_key.values())
    folders = {stage: f"results/pipelines/{stage}/key" for stage in written["files"]}
    pipeline = read_pipeline(StageJob(module, custom=True, config=config, folders=folders))
    assert type(pipeline.dataset.test_scenes[0]).__name__ == "OwnSceneConfig"
    assert pipeline.backend.data.uri == "results/pipelines/chip/key"
