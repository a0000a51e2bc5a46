"""What a user reads when a config is wrong, and what a config means when it is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from experiment import SMALL, with_setting

from swath.config.load import load_experiment, read_yaml
from swath.config.plain_yaml import problems_in
from swath.errors import Problem, UserError

GOOD: dict[str, Any] = {**SMALL, "scenes": {"table": "scenes.csv"}}


def changed(field: str, value: Any) -> dict[str, Any]:
    """The good config with one dotted field changed."""
    return with_setting(GOOD, field, value)


def problem(config: dict[str, Any]) -> Problem:
    """The one problem a config has."""
    with pytest.raises(UserError) as caught:
        load_experiment(config, ["config.yaml"])
    assert len(caught.value.problems) == 1, str(caught.value)
    return caught.value.problems[0]


def test_the_good_config_is_good() -> None:
    experiment = load_experiment(GOOD)
    assert experiment.chips.size == 64
    assert experiment.classes["forest"] == "#2f6b3a"


def test_an_unknown_key_names_the_nearest_one() -> None:
    told = problem(changed("train.learningrate", 1))
    assert told.field == "train.learningrate"
    assert told.cure == "did you mean 'learning_rate'?"


@pytest.mark.parametrize(
    ("field", "value", "code", "expected"),
    [
        ("train.epochs", "many", "wrong_type", "a whole number"),
        ("train.epochs", 1.5, "wrong_type", "a whole number"),
        ("train.epochs", 0, "out_of_range", "greater than 0"),
        ("train.learning_rate", -1, "out_of_range", "greater than 0"),
        ("train.learning_rate", "small", "wrong_type", "a number"),
        ("train.channels_last", "perhaps", "wrong_type", "true or false"),
        ("train", 5, "wrong_type", "a mapping with keys such as epochs, batch_size, accumulate"),
        ("chips.min_labelled", 2, "out_of_range", "less than or equal to 1"),
        ("chips.sampling", "rnadom", "not_a_choice", "'random' or 'sliding'"),
        ("classes.forest", "grenn", "unknown_colour", "a colour name such as orange, or #rrggbb"),
        ("experiment", "my/name", "not_file_safe", "letters, digits, `.`, `_`, `-`"),
        ("experiment", "name\n", "not_file_safe", "letters, digits, `.`, `_`, `-`"),
        ("task", "segmentation", "not_a_choice", "semantic_segmentation"),
        ("imagery.normalize", "stats", "not_a_choice", "'min_max' or 'none', or a mapping with keys such as min, max"),
        ("imagery.bands", [], "nothing_listed", "a list or mapping with 1 or more entries"),
        ("predict.crop", -1, "out_of_range", "greater than or equal to 0, or 'auto'"),
        ("predict.stride", 500, "windows_apart", "no more than the window (64): pixels would be left out"),
        ("predict.crop", 30, "windows_apart", "no more than 8, half of what windows overlap: pixels would be left out"),
        ("sweep.repeats", 0, "out_of_range", "greater than 0"),
        ("train.loss", "dise", "not_a_choice", "'cross_entropy', 'focal', 'dice' or 'jaccard'"),
        (
            "train.monitor",
            "loss",
            "unknown_metric",
            "macro_f1, accuracy, balanced_accuracy, kappa, mean_iou, val_loss, f1",
        ),
        ("train.gpus", 3, "batch_not_divisible", "a number that divides `batch_size` (8)"),
        ("train.warmup_epochs", 1, "settings_conflict", "none with `schedule: one_cycle`"),
        ("train.freeze_encoder", 9, "out_of_range", "fewer than `epochs`"),
        ("model.weights", "imagnet", "unknown_weights", "none, imagenet, sentinel2-4b-l1c"),
        ("model.weights", "sentinel2-6b-l2a", "weights_do_not_fit", "`encoder: efficientnet-b4`, to which"),
        ("train.label_smoothing", 1.0, "out_of_range", "less than 1"),
        ("model.weights", 5, "wrong_type", "text, or a mapping with keys such as experiment, trial, seed"),
    ],
)
def test_a_wrong_value_names_field_value_and_what_is_expected(field: str, value: Any, code: str, expected: str) -> None:
    told = problem(changed(field, value))
    assert (told.code, told.field) == (code, field)
    assert told.found == repr(value)
    assert expected in told.expected
    assert told.cure


@pytest.mark.parametrize(("setting", "value"), [("scores", True), ("uncertainty", "margin")])
def test_scores_that_are_asked_for_have_to_be_averaged(setting: str, value: Any) -> None:
    told = problem(changed("predict", {setting: value}))
    assert (told.code, told.field, told.cure) == (
        "settings_conflict",
        f"predict.{setting}",
        "set `predict.smooth: true`",
    )
    assert "their scores are lost" in told.expected


@pytest.mark.parametrize(
    ("field", "value", "code", "meant"),
    [
        ("model.encoder", "resnt18", "unknown_encoder", "resnet18"),
        ("model.architecture", "unett", "unknown_architecture", "unet"),
        ("train.augmentations", ["HorizontalFlop"], "unknown_augmentation", "HorizontalFlip"),
        ("train.augmentations", "arial", "unknown_augmentation", "aerial"),
        ("model.weights", "sentinel2-6b-l2", "unknown_weights", "sentinel2-6b-l2a"),
        ("labels.mapping", {"wood": "forrest"}, "unknown_class", "forest"),
        ("labels.default_class", "watre", "unknown_class", "water"),
        ("labels.unlabelled", "watre", "unknown_class", "water"),
        ("train.class_weights", {"watre": 2.0}, "unknown_class", "water"),
        ("train.monitor", "f1.watr", "unknown_class", "water"),
        ("sweep.select.metric", "f1.watr", "unknown_class", "water"),
        ("checks.allow", ["spatial_overlp"], "unknown_warning", "spatial_overlap"),
    ],
)
def test_an_unknown_name_leads_to_the_nearest_known_one(field: str, value: Any, code: str, meant: str) -> None:
    told = problem(changed(field, value))
    assert told.code == code
    assert told.field.startswith(field)
    assert f"did you mean {meant!r}?" in told.cure


@pytest.mark.parametrize(
    ("field", "value", "code", "words"),
    [
        ("imagery.normalize", {"min": 5, "max": 1}, "range_upside_down", "min 5, max 1"),
        ("imagery.normalize", {"min": [1, 2], "max": [3, 4, 5]}, "limits_per_band", "2 values in `min`, 3 in `max`"),
        ("imagery.normalize", {"min": 5, "mox": 1}, "unknown_key", "mox"),
        ("classes", {}, "nothing_listed", "at least one class"),
        ("classes.null", "black", "null_class_named", "is added by itself"),
        ("chips.stride", 10, "settings_conflict", "belongs to `sampling: sliding`"),
        ("train.milestones", [5], "settings_conflict", "go together"),
        ("train.schedule", "multi_step", "setting_needed", "go together"),
        ("train.augmentations", [{"A": {}, "B": {}}], "several_augmentations", "one augmentation per list entry"),
        ("scenes.image", "x/{scene}.tif", "settings_conflict", "give either"),
        ("scenes", {}, "setting_needed", "give either"),
        ("scenes.split", {"train": 0.5}, "shares_do_not_add_up", "train 0.5 + validation 0.15 + test 0.15 = 0.8"),
        ("scenes.split", {"validation": 0.5, "test": 0.5}, "shares_do_not_add_up", "something for training"),
        ("labels", {}, "setting_needed", "for label rasters, `mapping` or `colours`"),
        ("labels.colour_tolerance", 3, "settings_conflict", "it goes with `colours`"),
        ("sweep.select.metric", "f2", "unknown_metric", "precision.<class> or recall.<class>"),
        ("model.encoder", "mobilenet", "unknown_encoder", "an encoder of segmentation-models-pytorch"),
        ("model.architecture", "deeplabv3", "unknown_encoder", "resnet50 or resnet101, with deeplabv3"),
        ("model.architecture", "classifier", "not_for_task", "classifier is for chip_classification"),
        ("chips.size", 60, "window_not_divisible", "divisible by 8"),
        ("chips.negative_ratio", 1.0, "not_for_task", "not for semantic_segmentation, only for object_detection"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(field: str, value: Any, code: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_experiment(changed(field, value))
    assert code in {told.code for told in caught.value.problems}
    assert words in str(caught.value)


def test_a_mistake_within_one_of_several_types_is_told_where_it_is() -> None:
    told = problem(changed("train.loss", {"dise": 1}))
    assert (told.code, told.field) == ("not_a_choice", "train.loss.dise")
    told = problem(changed("train.class_weights", {"water": -1}))
    assert (told.code, told.field, told.found) == ("out_of_range", "train.class_weights.water", "-1")
    told = problem(changed("imagery.bands", ["B02", 1.5]))
    assert (told.field, told.expected) == ("imagery.bands[1]", "text, or a whole number")


def test_classes_can_be_called_as_pydantic_calls_its_types() -> None:
    with pytest.raises(UserError) as caught:
        load_experiment(changed("classes", {"int": "gren", "none": 5, "Range": "red"}))
    assert [told.field for told in caught.value.problems] == ["classes.int", "classes.none"]


def test_a_key_that_yaml_reads_as_a_number_is_found_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("experiment: x\nlabels:\n  mapping:\n    311: [a]\n")
    with pytest.raises(UserError) as caught:
        load_experiment(read_yaml(path), [path])
    (told,) = [told for told in caught.value.problems if told.code == "wrong_type"]
    assert (told.file, told.field, told.found) == (f"{path}:4", "labels.mapping.311", "['a']")


def test_a_message_begins_with_level_and_code() -> None:
    told = problem(changed("train.learningrate", 1))
    assert str(told) == (
        "ERROR unknown_key\n"
        "config.yaml: train.learningrate\n"
        "  found:    unknown key 'learningrate'\n"
        "  cure:     did you mean 'learning_rate'?"
    )


def test_all_mistakes_are_told_at_once() -> None:
    config = changed("train.epochs", "many")
    config["chips"]["size"] = -1
    config["labels"]["atribute"] = "x"
    with pytest.raises(UserError) as caught:
        load_experiment(config)
    assert len(caught.value.problems) == 3


def test_a_mistake_is_found_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("experiment: x\nclasses:\n  forest: green\ntrain:\n  epochs: 3\n  lr: 1\n")
    with pytest.raises(UserError) as caught:
        load_experiment(read_yaml(path), [path])
    assert f"{path}:6" in [told.file for told in caught.value.problems]


def test_sections_of_comments_alone_are_left_out() -> None:
    assert load_experiment({**GOOD, "evaluate": None, "predict": None}).evaluate.test


def test_colours_have_names_and_class_codes_may_be_numbers() -> None:
    config = changed("classes.forest", "green")
    config["labels"]["mapping"] = {311: "forest"}
    experiment = load_experiment(config)
    assert experiment.classes["forest"] == "#008000"
    assert experiment.labels.mapping == {"311": "forest"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", r"ERROR invalid_yaml\n.*mine.yaml:1\n  found:    column 6: expected ',' or ']'"),
        ("a: 1\n b: 2", r"ERROR invalid_yaml\n.*mine.yaml:2\n[\s\S]*valid YAML"),
        ("- a\n- b", "ERROR invalid_yaml\n.*mine.yaml\n  found:    list"),
        (None, "ERROR file_missing\n.*mine.yaml\n  found:    no such file"),
    ],
    ids=str,
)
def test_an_unreadable_config_is_told(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_yaml(path)


def test_a_mistake_inside_first_weights_is_told_where_it_is() -> None:
    with pytest.raises(UserError) as caught:
        load_experiment(changed("model.weights", {"trail": "default"}), ["config.yaml"])
    assert {told.field for told in caught.value.problems} == {"model.weights.trail", "model.weights.trial"}


def test_class_weights_need_the_loss_they_go_with() -> None:
    config = with_setting(changed("train.loss", "dice"), "train.class_weights", "balanced")
    assert problem(config).field == "train.class_weights"


def test_only_an_encoder_that_knows_something_is_frozen() -> None:
    config = with_setting(changed("train.epochs", 4), "train.freeze_encoder", 2)
    assert problem(config).field == "train.freeze_encoder"
    assert load_experiment(with_setting(config, "model.weights", "imagenet")).train.freeze_encoder == 2


# --- what YAML would change ------------------------------------------------------------------------


def told_of(text: str, folder: Path) -> list[Problem]:
    """What is wrong with a config file, checked as a run checks it."""
    path = folder / "my.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_experiment(read_yaml(path), [path])
    return caught.value.problems


def test_a_section_that_is_there_twice_is_told_with_both_lines(tmp_path: Path) -> None:
    text = "experiment: a\ntrain:\n  epochs: 3\n  epochs: 4\nchips: {}\ntrain:\n  epochs: 5\n"
    sections, epochs = told_of(text, tmp_path)
    assert (sections.code, sections.field, sections.file) == ("key_twice", "train", f"{tmp_path}/my.yaml:6")
    assert sections.found == "`train:` in lines 2 and 6"
    assert (epochs.field, epochs.found) == ("train.epochs", "`epochs:` in lines 3 and 4")


@pytest.mark.parametrize(
    "text", ["classes: {a: red, a: blue}", "labels:\n  mapping: {1: a, '1': b}", "sweep: {trials: [{a: 1, a: 2}]}"]
)
def test_keys_are_told_twice_wherever_they_stand(text: str, tmp_path: Path) -> None:
    assert [problem.code for problem in told_of(text, tmp_path)] == ["key_twice"]


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("classes: {no: red}", '"no": …'),
        ("classes: {a: red, Yes: blue}", '"Yes": …'),
        ("classes: {null: red}", '"null": …'),
        ("classes: {2024-01-01: red}", '"2024-01-01": …'),
        ("labels: {mapping: {011: field}}", '"011": …'),
        ("labels: {mapping: {1_1: field}}", '"1_1": …'),
        ("labels: {mapping: {true: field}}", '"true": …'),
        ("labels: {mapping: {1: off}}", '"off"'),
        ("labels: {where: 2024-01-01}", '"2024-01-01"'),
        ("train: {epochs: 010}", "or write 8"),
        ("train: {epochs: 0x10}", "or write 16"),
        ("train: {epochs: 1:30}", "or write 90"),
        ("predict: {smooth: yes}", "write true or false"),
        ("train: {learning_rate: .inf}", "in quotes"),
        ("sweep: {grid: {train.epochs: [1, 020]}}", "or write 16"),
    ],
)
def test_what_yaml_takes_for_another_is_told_with_quotes(text: str, cure: str, tmp_path: Path) -> None:
    (problem,) = told_of(text, tmp_path)
    assert problem.code == "taken_for_another"
    assert cure in problem.cure
    assert "in quotes" in problem.cure


def test_plain_values_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("a: [0, -1, 1.5, 1e-4, 1.0e+4, .5, .nan, true, False, null, ~, 08, x1, '010', \"no\", 2024]\n")
    assert problems_in([path, tmp_path / "nowhere.yaml"]) == []
    anchors = "x: &x {a: 1}\ny: {<<: *x, a: 2}\nz: *x\n"
    path.write_text(anchors)
    assert problems_in([path]) == []


def test_a_config_with_code_is_refused(tmp_path: Path) -> None:
    (problem,) = told_of("__use_yte__: true\nexperiment: a\n", tmp_path)
    assert (problem.code, problem.file) == ("code_in_config", f"{tmp_path}/my.yaml:1")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("train.epochs", True, "a number"),
        ("train.learning_rate", False, "a number"),
        ("chips.size", True, "a number"),
        ("imagery.bands", [1, True], "a number or text"),
        ("imagery.nodata", True, "a number"),
        ("predict.smooth", 1, "true, false or tapered"),
        ("predict.smooth", "on", "true, false or tapered"),
        ("predict.flips", 1, "true or false"),
        ("predict.flips", "on", "true or false"),
        ("train.learning_rate", "1e400", "a finite number"),
        ("train.learning_rate", float("inf"), "a finite number"),
    ],
)
def test_nothing_is_converted_quietly(field: str, value: Any, expected: str) -> None:
    told = problem(changed(field, value))
    assert told.field.startswith(field)
    assert expected in told.expected


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\tb", "\x1b[31m", " field", "北" * 34])
def test_a_class_needs_a_name_that_can_be_shown(name: str) -> None:
    told = problem(changed("classes", {name: "red", "forest": "green"} | dict.fromkeys(GOOD["classes"], "blue")))
    assert told.code == "unusable_class_name"


@pytest.mark.parametrize("depth", [None, "3", 3.5, 0, -1, True, [3]])
def test_a_depth_that_is_none_is_told(depth: Any) -> None:
    told = problem(changed("model.arguments.encoder_depth", depth))
    assert (told.code, told.field) == ("wrong_value", "model.arguments.encoder_depth")
    assert told.expected == "a whole number above 0"


def test_a_name_too_long_for_a_folder_is_told() -> None:
    assert problem(changed("experiment", "x" * 101)).code == "not_file_safe"


def test_json_with_tabs_is_read_as_snakemake_reads_it(tmp_path: Path) -> None:
    (tmp_path / "my.json").write_text('{\n\t"experiment": "mine"\n}')
    assert read_yaml(tmp_path / "my.json") == {"experiment": "mine"}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"train.freeze_stages": 1}, "train.freeze_stages"),
        ({"train.freeze_stages": 1, "model.weights": "imagenet", "model.encoder": "vgg11"}, "train.freeze_stages"),
        ({"train.layer_decay": 0.75}, "train.layer_decay"),
        ({"train.layer_decay": 0.75, "model.encoder": "tu-convnext_atto"}, "train.layer_decay"),
    ],
)
def test_a_setting_for_another_encoder_is_told_before_anything_runs(settings: dict[str, Any], field: str) -> None:
    config = changed("experiment", "x")
    for setting, value in settings.items():
        config = with_setting(config, setting, value)
    assert problem(config).field == field


@pytest.mark.parametrize("encoder", ["resnet18", "se_resnext50_32x4d", "timm-skresnet18", "tu-convnext_atto"])
def test_encoders_with_stages_can_be_frozen_in_part(encoder: str) -> None:
    config = with_setting(
        with_setting(changed("experiment", "x"), "model.encoder", encoder), "model.weights", "imagenet"
    )
    assert load_experiment(with_setting(config, "train.freeze_stages", 2)).train.freeze_stages == 2
