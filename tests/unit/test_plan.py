"""From config and scenes to trials and stage keys."""

from __future__ import annotations

import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from experiment import REPOSITORY, SMALL, with_setting
from hypothesis import given
from hypothesis import strategies as st

from swath.config.experiment import Experiment
from swath.config.imagery import Range
from swath.config.load import load_experiment
from swath.errors import UserError
from swath.files import publish, publish_directory
from swath.plan.inputs import check_paths, first_weights, places_of
from swath.plan.keys import STAGES
from swath.plan.plan import Plan, make_plan
from swath.plan.shards import scenes_in_shard, shards, shards_made, shards_to_use
from swath.plan.trials import SWEEPABLE, trial_name
from swath.scenes.scene import Scene
from swath.versions import KEYED

SCENES = [
    Scene(name, split, f"{name}.tif", f"{name}.geojson")
    for name, split in {"a": "train", "b": "train", "c": "validation", "d": "test"}.items()
]


def plan_of(config: dict[str, Any], scenes: list[Scene] = SCENES) -> Plan:
    return make_plan(load_experiment(config), scenes, config)


def base(**sweep: Any) -> dict[str, Any]:
    return {**deepcopy(SMALL), "scenes": {"table": "scenes.csv"}, "sweep": sweep}


def keys(plan: Plan) -> dict[str, Any]:
    """The keys of the first run by stage; predictions and evals of the validation split."""
    run = plan.runs[0]
    values = {stage: getattr(run, stage) for stage in STAGES}
    return {stage: value["validation"] if isinstance(value, dict) else value for stage, value in values.items()}


# --- what a setting reaches: every setting stands here -----------------------------------------------

EVERYTHING = frozenset(STAGES)
FROM_LABELS = EVERYTHING - {"stats"}
FROM_CHIPS = EVERYTHING - {"scenes", "stats"}
FROM_MODEL = FROM_CHIPS - {"chips"}
FROM_WINDOW = frozenset({"predictions", "evals", "bundles"})
FROM_MAPS = FROM_WINDOW - {"bundles"}
NOTHING: frozenset[str] = frozenset()

REACH: dict[str, tuple[Any, frozenset[str]]] = {
    "imagery.bands": (["B04"], EVERYTHING),
    "imagery.normalize": ({"min": 0, "max": 1}, EVERYTHING - {"scenes"}),
    "imagery.files": ("mosaic", EVERYTHING),
    "imagery.nodata": (0, EVERYTHING),
    "labels.attribute": ("fclass", FROM_LABELS),
    "labels.mapping": ({}, FROM_LABELS),
    "labels.default_class": ("water", FROM_LABELS),
    "labels.layer": ("land use", FROM_LABELS),
    "labels.where": ("area > 3", FROM_LABELS),
    "labels.buffer": (5.0, FROM_LABELS),
    "labels.unlabelled": ("water", FROM_LABELS),
    "chips.size": (128, FROM_CHIPS),
    "chips.sampling": ("sliding", FROM_CHIPS),
    "chips.per_scene": (7, FROM_CHIPS),
    "chips.padding": (3, FROM_CHIPS),
    "chips.min_labelled": (0.3, FROM_CHIPS),
    "chips.max_nodata": (0.5, FROM_CHIPS),
    "chips.within_aoi": (False, FROM_CHIPS),
    "chips.seed": (1, FROM_CHIPS),
    "model.architecture": ("fpn", FROM_MODEL),
    "model.encoder": ("resnet34", FROM_MODEL),
    "model.weights": ("imagenet", FROM_MODEL),
    "model.arguments": ({"encoder_depth": 4}, FROM_MODEL),
    "train.epochs": (3, FROM_MODEL),
    "train.batch_size": (3, FROM_MODEL),
    "train.learning_rate": (0.5, FROM_MODEL),
    "train.schedule": ("constant", FROM_MODEL),
    "train.augmentations": ([], FROM_MODEL),
    "train.class_weights": ({"water": 3.0}, FROM_MODEL),
    "train.keep": ("last", FROM_MODEL),
    "train.seed": (5, FROM_MODEL),
    "train.threads": (4, FROM_MODEL),
    "train.accumulate": (2, FROM_MODEL),
    "train.optimizer": ("sgd", FROM_MODEL),
    "train.weight_decay": (0.1, FROM_MODEL),
    "train.loss": ({"cross_entropy": 1, "dice": 1}, FROM_MODEL),
    "train.clip_gradients": (1.0, FROM_MODEL),
    "train.encoder_rate": (0.1, FROM_MODEL),
    "train.label_smoothing": (0.1, FROM_MODEL),
    "train.sampling": ("balanced", FROM_MODEL),
    "train.ema": (0.99, FROM_MODEL),
    "train.monitor": ("val_loss", FROM_MODEL),
    "train.patience": (2, FROM_MODEL),
    "train.max_gpu_hours": (2.5, FROM_MODEL),
    "train.mixed_precision": ("bf16", FROM_MODEL),
    "train.channels_last": (False, FROM_MODEL),
    "train.compile": (True, FROM_MODEL),
    "train.deterministic": (True, FROM_MODEL),
    "train.gpus": (2, FROM_MODEL),
    "train.num_workers": (3, NOTHING),
    "train.cache_gb": (1.0, NOTHING),
    "train.keep_checkpoints": (True, NOTHING),
    "train.checkpoint_minutes": (5, NOTHING),
    "predict.chip_size": (128, FROM_WINDOW),
    "predict.stride": (24, FROM_WINDOW),
    "predict.crop": (0, FROM_WINDOW),
    "predict.smooth": (False, FROM_WINDOW),
    "predict.flips": (True, FROM_MAPS),
    "predict.scores": (True, FROM_MAPS),
    "predict.uncertainty": ("margin", FROM_MAPS),
    "predict.mixed_precision": ("bf16", FROM_MAPS),
    "predict.batch_size": (1, NOTHING),
    "experiment": ("another", NOTHING),
    "classes": ({"open land": "red", "forest": "green", "residential": "blue", "water": "white"}, NOTHING),
    "evaluate.test": (False, NOTHING),
    "checks.allow": (["class_rare"], NOTHING),
    "sweep.repeats": (2, NOTHING),
    "sweep.search": ({"rounds": 2, "per_round": 2, "settings": {"train.epochs": {"choices": [2]}}}, NOTHING),
    "sweep.limits": ({"parameters": 1}, NOTHING),
    "sweep.select": ({"metric": "accuracy"}, NOTHING),
    "apply": ({"images": ["new.tif"]}, NOTHING),
    "accuracy": ({"reference": "points.gpkg"}, NOTHING),
}
DETECTING = {"task": "object_detection", "model": {"encoder": "resnet18"}, "predict": {}}
CLASSIFYING = {"task": "chip_classification", "model": {"encoder": "resnet18"}, "predict": {}}
EXTERNAL = {"model": {"architecture": "external", "definition": "folder", "entrypoint": "network"}}
TOGETHER: dict[str, tuple[dict[str, Any], Any, frozenset[str]]] = {
    "chips.max_negative_overlap": (DETECTING, 0.3, FROM_CHIPS),
    "chips.min_box_overlap": (DETECTING, 0.5, FROM_CHIPS),
    "chips.negative_ratio": (DETECTING, 0.5, FROM_CHIPS),
    "labels.cells": (CLASSIFYING, "given", FROM_LABELS),
    "labels.min_overlap": (CLASSIFYING, 0.3, FROM_LABELS),
    "labels.overlap_of": (CLASSIFYING, "polygon", FROM_LABELS),
    "labels.pick": (CLASSIFYING, "first", FROM_LABELS),
    "predict.merge_threshold": (DETECTING, 0.3, FROM_WINDOW),
    "predict.score_threshold": (DETECTING, 0.3, FROM_WINDOW),
    "chips.stride": ({"chips.sampling": "sliding"}, 32, FROM_CHIPS),
    "labels.colours": (
        {"labels": {"colours": {"red": "water"}}},
        {"#ff0000": "forest"},
        FROM_LABELS,
    ),
    "model.definition": (EXTERNAL, "other/folder", FROM_MODEL),
    "model.entrypoint": (EXTERNAL, "other_network", FROM_MODEL),
    "labels.colour_tolerance": ({"labels": {"colours": {"red": "water"}}}, 9, FROM_LABELS),
    "train.milestones": ({"train.schedule": "multi_step", "train.milestones": [1]}, [2], FROM_MODEL),
    "train.freeze_encoder": ({"model.weights": "imagenet", "train.epochs": 4}, 1, FROM_MODEL),
    "train.freeze_stages": ({"model.weights": "imagenet"}, 1, FROM_MODEL),
    "train.layer_decay": (
        {"model.architecture": "dpt", "model.encoder": "tu-vit_tiny_patch16_224", "model.arguments": {}},
        0.75,
        FROM_MODEL,
    ),
    "sweep.halving": ({"train.epochs": 4}, {"first": 1, "factor": 2}, NOTHING),
    "train.warmup_epochs": ({"train.schedule": "cosine"}, 0.5, FROM_MODEL),
}
LEFT_OUT = {
    "task",
    "scenes.table",
    "scenes.image",
    "scenes.labels",
    "scenes.aoi",
    "scenes.split",
}  # one value; the scenes' own
LEFT_OUT |= {"budget.gpu_hours", "budget.cpu_hours", "budget.co2_g_per_kwh"}  # what an experiment may take
LEFT_OUT |= {"sweep.grid", "sweep.trials", "sweep.random"}  # make trials out of the settings above


def reached(before: Plan, after: Plan) -> set[str]:
    return {stage for stage in STAGES if keys(before)[stage] != keys(after)[stage]}


@pytest.mark.parametrize("field", REACH)
def test_a_setting_reaches_these_stages_and_no_others(field: str) -> None:
    value, expected = REACH[field]
    assert reached(plan_of(base()), plan_of(with_setting(base(), field, value))) == expected


@pytest.mark.parametrize("field", TOGETHER)
def test_a_setting_that_needs_another_reaches_these_stages(field: str) -> None:
    needed, value, expected = TOGETHER[field]
    config = base()
    for setting, needed_value in needed.items():
        config = with_setting(config, setting, needed_value)
    assert reached(plan_of(config), plan_of(with_setting(config, field, value))) == expected


def test_every_setting_is_pinned() -> None:
    settings = set()
    for name, info in Experiment.model_fields.items():
        section = info.annotation
        fields = getattr(section, "model_fields", None)
        settings |= {f"{name}.{key}" for key in fields} if fields else {name}
    assert settings == set(REACH) | set(TOGETHER) | LEFT_OUT


def test_a_class_more_changes_everything_but_statistics() -> None:
    config = with_setting(base(), "classes.wetland", "cyan")
    assert reached(plan_of(base()), plan_of(config)) == FROM_LABELS


def test_without_normalisation_there_are_no_statistics() -> None:
    assert plan_of(with_setting(base(), "imagery.normalize", "none")).runs[0].stats is None


@pytest.mark.parametrize("cores", [1, 3, 64])
def test_as_many_threads_as_cores_are_a_number_in_the_key(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)))
    plan = plan_of(with_setting(base(), "train.threads", "auto"))
    assert [spec["train"]["threads"] for spec in plan.specs["models"].values()] == [cores] * len(plan.specs["models"])
    assert reached(plan, plan_of(with_setting(base(), "train.threads", cores))) == set()


def test_bands_lie_innermost_unless_the_network_is_ones_own() -> None:
    for changes, expected in (({}, True), (EXTERNAL, False)):
        models = plan_of({**base(), **changes}).specs["models"].values()
        assert {spec["train"]["channels_last"] for spec in models} == {expected}
    asked = {**base(), **EXTERNAL, "train": {**base().get("train", {}), "channels_last": True}}
    assert {spec["train"]["channels_last"] for spec in plan_of(asked).specs["models"].values()} == {True}


def test_windows_overlap_by_half_and_are_cropped_unless_scores_are_averaged() -> None:
    def window(**predict: Any) -> Any:
        (spec,) = plan_of({**base(), "predict": predict, "sweep": {}}).specs["predictions"].values()
        return spec["predict"]

    assert window() == {"chip_size": 64, "stride": 32, "crop": 16, "smooth": False}
    assert window(stride=64) == {"chip_size": 64, "stride": 64, "crop": 0, "smooth": False}
    for smooth in (True, "tapered"):
        assert window(smooth=smooth) == {"chip_size": 64, "stride": 32, "crop": 0, "smooth": smooth}


def test_what_is_said_and_what_is_the_default_are_the_same() -> None:
    config = with_setting(base(), "predict", {"chip_size": 64, "stride": 48, "crop": 4, "smooth": True})
    assert reached(plan_of(base()), plan_of(config)) == set()


# --- scenes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", EVERYTHING - {"scenes"}),
        ("validation", FROM_MODEL),
        ("test", NOTHING),
    ],
)
def test_a_new_scene_reaches_these_keys(split: str, expected: frozenset[str]) -> None:
    more = [*SCENES, Scene("z", split, "z.tif", "z.geojson")]
    assert reached(plan_of(base()), plan_of(base(), more)) == expected


def test_a_new_test_scene_changes_the_evaluation_of_test_scenes_alone() -> None:
    before = plan_of(base()).runs[0]
    after = plan_of(base(), [*SCENES, Scene("z", "test", "z.tif", "z.geojson")]).runs[0]
    assert before.evals["test"] != after.evals["test"]
    assert before.evals["validation"] == after.evals["validation"]
    assert (before.models, before.predictions) == (after.models, after.predictions)


def test_a_new_test_scene_without_labels_changes_no_key_at_all() -> None:
    before, after = plan_of(base()), plan_of(base(), [*SCENES, Scene("z", "test", "z.tif", None)])
    assert before.specs == after.specs


def test_a_range_counts_as_the_limits_it_means(monkeypatch: pytest.MonkeyPatch) -> None:
    ranged, measured = with_setting(base(), "imagery.normalize", {"min": 0, "max": 9}), base()
    before = plan_of(ranged), plan_of(measured)
    limits = Range.limits
    monkeypatch.setattr(Range, "limits", lambda self: ([low + 1 for low in limits(self)[0]], limits(self)[1]))
    assert reached(before[0], plan_of(ranged)) == EVERYTHING - {"scenes"}
    assert reached(before[1], plan_of(measured)) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_of_a_higher_version_gets_a_new_place_and_so_does_what_follows(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plan_of(base())
    monkeypatch.setitem(KEYED, stage, KEYED[stage] + 1)
    follows = {
        "scenes": FROM_LABELS,
        "stats": EVERYTHING - {"scenes"},
        "chips": FROM_CHIPS,
        "models": FROM_MODEL,
        "predictions": {"predictions", "evals"},
        "evals": {"evals"},
        "bundles": {"bundles"},
    }
    assert reached(before, plan_of(base())) == follows[stage]


@given(st.sets(st.text("abcdef0123456789", min_size=1, max_size=6), min_size=1, max_size=60), st.integers(1, 9))
def test_shards_that_have_been_made_are_taken_whatever_their_number(names: set[str], number: int) -> None:
    scenes = [Scene(name, "train", name, name) for name in sorted(names)]
    other = shards(scenes, number + 1)
    assert shards_to_use([scenes], number, set(other)) == other
    assert shards_to_use([scenes], number, list(other)[1:]) == shards(scenes, number)
    assert shards_to_use([scenes], number, [*other, *shards(scenes, number)]) == shards(scenes, number)
    for name, held in other.items():
        assert scenes_in_shard(name, [[], scenes]) == held


def test_a_shard_of_other_scenes_is_not_found() -> None:
    name = next(iter(shards([Scene("a", "train", "a", "a")], 2)))
    with pytest.raises(KeyError):
        scenes_in_shard(name, [[Scene("b", "train", "b", "b")]])


def test_what_is_no_shard_counts_for_nothing(tmp_path: Path) -> None:
    for name in ("train-1-of-2-abc123.zip", ".train-2-of-2-abc124.tmp.zip", "test-1-of-2-abc125.zip", "train.zip"):
        (tmp_path / name).touch()
    assert shards_made(str(tmp_path), "train-{}.zip") == {"1-of-2-abc123"}
    assert shards_made(str(tmp_path / "nowhere"), "train-{}.zip") == set()


@given(st.sets(st.text("abcdef0123456789", min_size=1, max_size=6), min_size=1, max_size=60), st.integers(1, 9))
def test_shards_hold_every_scene_once_and_a_new_one_touches_one_shard(names: set[str], number: int) -> None:
    scenes = [Scene(name, "train", name, name) for name in sorted(names)]
    spread = shards(scenes, number)
    assert sorted(scene.id for held in spread.values() for scene in held) == sorted(names)
    more = shards([*scenes, Scene("new", "train", "n", "n")], number)
    assert len(set(more) - set(spread)) == 1


# --- folds ---------------------------------------------------------------------------------------

TURNS = [Scene(name, "train", f"{name}.tif", f"{name}.geojson", fold=fold) for fold, name in enumerate("abc")]
TURNS += [Scene("t", "train", "t.tif", "t.geojson"), Scene("x", "test", "x.tif", "x.geojson")]


def in_folds(**sweep: Any) -> Plan:
    return plan_of(base(**sweep), TURNS)


def test_every_trial_is_trained_in_every_fold() -> None:
    plan = in_folds(grid={"train.learning_rate": [0.1, 0.01]}, repeats=2)
    assert len(plan.runs) == 12
    assert [run.name for run in plan.runs[:3]] == [
        "learning_rate=0.1,fold=0,seed=0",
        "learning_rate=0.1,fold=0,seed=1",
        "learning_rate=0.1,fold=1,seed=0",
    ]


def test_in_its_fold_a_scene_validates_and_in_the_others_it_trains() -> None:
    plan = in_folds()
    ids = {
        (split, fold): [scene.id for scene in plan.scenes_of(split, fold)]
        for split in ("train", "validation", "test")
        for fold in plan.folds
    }
    assert [ids["train", fold] for fold in plan.folds] == [["b", "c", "t"], ["a", "c", "t"], ["a", "b", "t"]]
    assert [ids["validation", fold] for fold in plan.folds] == [["a"], ["b"], ["c"]]
    assert [ids["test", fold] for fold in plan.folds] == [["x"]] * 3
    assert [scene.split for scene in plan.scenes_of("validation", 0)] == ["validation"]


def test_without_folds_there_is_one() -> None:
    plan = plan_of(base())
    assert plan.folds == [None]
    assert [run.name for run in plan.runs] == ["default,seed=0"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [(base(), EVERYTHING - {"scenes"}), (with_setting(base(), "imagery.normalize", {"min": 0, "max": 1}), FROM_MODEL)],
)
def test_a_fold_reaches_these_stages(config: dict[str, Any], expected: frozenset[str]) -> None:
    first, second, _ = plan_of(config, TURNS).runs
    assert {stage for stage in STAGES if getattr(first, stage) != getattr(second, stage)} == expected


def test_a_fold_is_the_experiment_whose_table_says_the_same() -> None:
    said = {"a": "train", "b": "validation", "c": "train"}
    table = [Scene(scene.id, said.get(scene.id, scene.split), scene.image, scene.labels) for scene in TURNS]
    assert keys(plan_of(base(), table)) == {
        stage: value["validation"] if isinstance(value, dict) else value
        for stage, value in ((stage, getattr(in_folds().runs[1], stage)) for stage in STAGES)
    }


@given(st.integers(2, 6), st.integers(1, 9))
def test_folds_share_the_shards_of_the_scenes_they_share(folds: int, number: int) -> None:
    scenes = [Scene(f"s{index}", "train", "i", "l", fold=index % folds) for index in range(4 * folds)]
    plan = plan_of(base(), scenes)
    held: dict[str, list[str]] = {}
    for fold in plan.folds:
        spread = shards_to_use(plan.parts_of("train", fold), number)
        assert sorted(scene.id for some in spread.values() for scene in some) == sorted(
            scene.id for scene in plan.scenes_of("train", fold)
        )
        for shard, some in spread.items():
            assert held.setdefault(shard, [scene.id for scene in some]) == [scene.id for scene in some]
    assert sorted(name for some in held.values() for name in some) == sorted(scene.id for scene in scenes)


def test_a_run_starts_with_the_weights_of_its_own_fold() -> None:
    plan = plan_of(starting_with("none", {"trial": "weights=none"}), TURNS)
    assert [start_of(plan, number) for number in (3, 4, 5)] == [{"model": run.models} for run in plan.runs[:3]]


# --- trials --------------------------------------------------------------------------------------


def test_a_grid_is_every_combination_and_shares_what_is_equal() -> None:
    plan = plan_of(base(grid={"train.learning_rate": [0.1, 0.01], "chips.size": [64, 128]}, repeats=3))
    assert [trial.name for trial in plan.trials] == [
        "learning_rate=0.1,size=64",
        "learning_rate=0.1,size=128",
        "learning_rate=0.01,size=64",
        "learning_rate=0.01,size=128",
    ]
    assert len(plan.runs) == 12
    assert {stage: len(plan.specs[stage]) for stage in ("scenes", "stats", "chips", "models")} == {
        "scenes": 1,
        "stats": 1,
        "chips": 2,
        "models": 12,
    }


def test_trials_that_differ_in_prediction_share_the_model() -> None:
    plan = plan_of(base(grid={"predict.stride": [16, 32, 56]}))
    assert len(plan.specs["models"]) == 1
    assert len(plan.specs["bundles"]) == 3


def test_listed_and_random_trials_join_the_grid() -> None:
    plan = plan_of(
        base(
            grid={"train.learning_rate": [0.1]},
            trials=[{"train.epochs": 9, "model.encoder": "resnet34"}],
            random={
                "samples": 4,
                "seed": 1,
                "settings": {
                    "train.learning_rate": {"min": 1e-5, "max": 1e-1, "log": True},
                    "train.epochs": {"min": 1, "max": 50, "integer": True},
                    "model.encoder": {"choices": ["resnet18", "resnet34"]},
                },
            },
        )
    )
    assert len(plan.trials) == 6
    assert plan.trials[1].settings.train.epochs == 9
    for trial in plan.trials[2:]:
        assert 1e-5 <= trial.settings.train.learning_rate <= 1e-1
        assert 1 <= trial.settings.train.epochs <= 50
    assert len({trial.values["train.learning_rate"] for trial in plan.trials[2:]}) == 4


def test_random_trials_are_the_same_every_time() -> None:
    sweep = {"random": {"samples": 5, "settings": {"train.learning_rate": {"min": 1e-4, "max": 1e-2}}}}
    assert plan_of(base(**sweep)).runs == plan_of(base(**sweep)).runs


def test_equal_trials_run_once_and_are_told() -> None:
    plan = plan_of(base(trials=[{"train.epochs": 3}, {"train.epochs": 3.0}, {"train.epochs": 4}, {"train.epochs": 3}]))
    assert [trial.name for trial in plan.trials] == ["epochs=3", "epochs=4"]
    assert plan.twice == {"epochs=3": 3}


@pytest.mark.parametrize(
    "values",
    [
        [{"labels.where": f"area {sign} 100"} for sign in "<>="],
        [{"model.weights": f"weights/{name}.pth"} for name in ("a b", "a_b", "a(b")],
        [{"train.augmentations": [name]} for name in ("HorizontalFlip", "VerticalFlip")],
        [{"imagery.bands": bands} for bands in (["a", "b"], ["a+b"], ["a_b"], ["a b"])],
        [{"labels.where": f"name = '{name}'"} for name in ("ä" * 120 + "1", "ä" * 120 + "2")],
    ],
)
def test_no_trial_vanishes_for_its_readable_name(values: list[dict[str, Any]]) -> None:
    plan = plan_of(base(trials=values))
    assert [trial.values for trial in plan.trials] == values
    assert len({trial.name for trial in plan.trials}) == len(values)
    assert len({run.name for run in plan.runs}) == len(values)
    assert plan.twice == {}


def test_repeats_count_seeds_up() -> None:
    plan = plan_of(with_setting(base(repeats=3), "train.seed", 7))
    assert [run.name for run in plan.runs] == ["default,seed=7", "default,seed=8", "default,seed=9"]
    assert len({run.models for run in plan.runs}) == 3


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"grid": {"train.learnin_rate": [1]}}, "did you mean 'train.learning_rate'?"),
        ({"grid": {"experiment": ["x"]}}, "unknown setting 'experiment'"),
        ({"grid": {"train.epochs": [3, "many"]}}, "a whole number"),
        ({"trials": [{"model.encoder": "resnt18"}]}, "did you mean 'resnet18'?"),
        ({"grid": {"train.epochs": []}}, "1 or more entries"),
        ({"random": {"samples": 2, "settings": {"train.epochs": {"min": 3}}}}, "either `min` and `max`, or `choices`"),
        ({"random": {"samples": 2, "settings": {"train.learning_rate": {"min": 0, "max": 1, "log": True}}}}, "above 0"),
    ],
)
def test_a_wrong_sweep_is_told(sweep: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        plan_of(base(**sweep))
    assert words in str(caught.value)
    assert "sweep" in str(caught.value)


def test_a_wrong_swept_value_names_its_trial() -> None:
    with pytest.raises(UserError, match=r"sweep.grid → train.epochs[\s\S]*trial train.epochs=-1"):
        plan_of(base(grid={"train.epochs": [3, -1]}))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "default"),
        ({"train.learning_rate": 0.0003}, "learning_rate=0.0003"),
        ({"model.encoder": "tu-resnet10t", "predict.smooth": True}, "encoder=tu-resnet10t,smooth=True"),
        ({"imagery.bands": ["B02", "B03"]}, "bands=B02+B03"),
        ({"imagery.normalize": {"min": 0.0, "max": 10.0}}, "normalize=min-0+max-10"),
        ({"train.augmentations": []}, "augmentations=none"),
    ],
)
def test_a_trials_name_is_readable(values: dict[str, Any], name: str) -> None:
    assert trial_name(values) == name


def test_settings_with_the_same_last_word_are_named_in_full() -> None:
    plan = plan_of(base(grid={"chips.seed": [1], "train.seed": [2]}))
    assert plan.trials[0].name == "chips.seed=1,train.seed=2"


def test_a_long_name_is_cut_and_stays_unique() -> None:
    names = {trial_name({"imagery.bands": [f"band{i}" for i in range(40)] + [last]}) for last in ("x", "y")}
    assert len(names) == 2
    assert max(map(len, names)) <= 120


@pytest.mark.parametrize("letter", ["x", "ä", "北", "🌲"])
def test_a_name_is_cut_by_bytes_so_that_its_files_fit_a_file_system(letter: str, tmp_path: Path) -> None:
    name = f"{trial_name({'labels.where': letter * 200})},fold=12,seed=1234567"
    with publish_directory(tmp_path / name) as folder:
        (folder / "file").touch()
    with publish(tmp_path / f"{name}.model-bundle.zip") as file:
        file.touch()
    assert (tmp_path / name / "file").exists()


# --- speed and weight ------------------------------------------------------------------------------


@pytest.mark.timed
def test_a_thousand_trials_plan_in_two_seconds() -> None:
    config = base(grid={"train.learning_rate": [i / 1e4 for i in range(1, 101)], "train.epochs": list(range(1, 11))})
    scenes = [Scene(f"s{i}", ("train", "validation", "test")[i % 3], f"{i}.tif", f"{i}.json") for i in range(1060)]
    experiment = load_experiment(config)
    start = time.process_time()
    plan = make_plan(experiment, scenes, config)
    assert time.process_time() - start < 2
    assert len(plan.runs) == 1000


def test_planning_imports_neither_torch_nor_raster_vision() -> None:
    code = (
        "import sys; import swath.smk.run; "
        "print([m for m in ('torch', 'rastervision', 'rasterio', 'geopandas', 'pandas', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(REPOSITORY / "scripts")}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_sections_that_can_be_swept_exist() -> None:
    assert set(SWEEPABLE) < set(Experiment.model_fields)


# --- training that starts with another one's weights ---------------------------------------------------


def starting_with(*weights: Any, repeats: int = 1) -> dict[str, Any]:
    """Trials with these first weights."""
    return base(trials=[{"model.weights": entry} for entry in weights], repeats=repeats)


def start_of(plan: Plan, number: int) -> Any:
    return plan.specs["models"][plan.runs[number].models]["model"]["weights"]


def test_a_trial_can_start_with_the_weights_of_another() -> None:
    plan = plan_of(starting_with("none", {"trial": "weights=none"}, repeats=2))
    assert [run.name for run in plan.runs[:3:2]] == ["weights=none,seed=0", "weights=trial-weights_none,seed=0"]
    assert start_of(plan, 2) == {"model": plan.runs[0].models}
    assert start_of(plan, 3) == {"model": plan.runs[1].models}, "the repeat with the same seed"


def test_the_repeat_to_start_with_can_be_chosen() -> None:
    plan = plan_of(starting_with({"trial": "weights=none", "seed": 0}, "none", repeats=2))
    assert start_of(plan, 0) == start_of(plan, 1) == {"model": plan.runs[2].models}


def test_what_changes_a_trial_changes_those_that_start_with_it() -> None:
    config = starting_with("none", {"trial": "weights=none"})
    before, after = plan_of(config), plan_of(with_setting(config, "train.epochs", 9))
    assert before.runs[1].models != after.runs[1].models
    assert start_of(after, 1) == {"model": after.runs[0].models}


def test_another_experiments_trial_is_named_with_its_seed() -> None:
    plan = plan_of(starting_with({"experiment": "pretraining", "trial": "default"}, repeats=2))
    assert start_of(plan, 1) == {"experiment": "pretraining", "trial": "default", "seed": 1}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (["none", {"trial": "weights=nun"}], "did you mean 'weights=none with seed 0'"),
        (["none", {"trial": "weights=none", "seed": 7}], "a trial of this experiment"),
        ([{"trial": "default"}], "a trial of this experiment"),
    ],
)
def test_a_trial_that_does_not_exist_is_no_start(weights: list[Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        plan_of(starting_with(*weights))


def test_trials_cannot_start_with_each_other() -> None:
    config = base()
    config["model"]["weights"] = {"trial": "default"}
    with pytest.raises(UserError, match="does not, itself or through others, start with this one"):
        plan_of(config)


def test_first_weights_are_files() -> None:
    def files(**model: Any) -> list[str]:
        return first_weights({"architecture": "unet", "encoder": "resnet18", **model}, "results", "weights")

    assert files(weights="none") == []
    assert files(weights="imagenet") == ["weights/smp-resnet18.safetensors", "weights/smp-resnet18.json"]
    assert files(weights="my/weights.pth") == ["my/weights.pth"]
    assert files(weights={"model": "abc"}) == ["results/models/abc/model-bundle.zip"]
    assert files(weights={"experiment": "x", "trial": "lr=1", "seed": 3}) == [
        "results/experiments/x/trials/lr=1,seed=3/model-bundle.zip"
    ]


# --- what a plan reads beside scenes ---------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        {"weights": "old {1}/best.pth"},
        {"architecture": "external", "definition": "{mine}", "entrypoint": "net"},
    ],
)
def test_braces_in_paths_that_snakemake_is_told_are_refused(model: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"not_file_safe[\s\S]*Snakemake takes for wildcards"):
        check_paths(plan_of({**base(), "model": model}), [])


def test_a_container_sees_what_a_virtual_raster_stands_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "x.tif").touch()
    source = f'<SourceFilename relativeToVRT="0">{tmp_path}/tiles/x.tif</SourceFilename>'
    (tmp_path / "a.vrt").write_text(f"<VRTDataset>{source}</VRTDataset>")
    plan = plan_of(base())
    plan.scenes = [Scene("a", "train", "a.vrt", None)]
    assert f"{tmp_path}/tiles/x.tif" in list(places_of(plan, "results", []))
