"""What a user reads when a config is wrong, and what a config means when it is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from project import SMALL, with_setting

from swath.config.load import load_experiment, read_yaml
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
    ("field", "value", "expected"),
    [
        ("train.epochs", "many", "a valid integer"),
        ("train.epochs", 0, "greater than 0"),
        ("train.learning_rate", -1, "greater than 0"),
        ("chips.min_labelled", 2, "less than or equal to 1"),
        ("chips.sampling", "rnadom", "'random' or 'sliding'"),
        ("classes.forest", "grenn", "a colour name such as orange, or #rrggbb"),
        ("experiment", "my/name", "match pattern"),
        ("task", "segmentation", "semantic_segmentation"),
        ("imagery.normalize", "stats", "'min_max' or 'none'"),
        ("predict.stride", 500, "500 is larger than the window (64)".removeprefix("500 ")),
        ("sweep.repeats", 0, "greater than 0"),
        ("train.loss", "dise", "'cross_entropy', 'focal', 'dice' or 'jaccard'"),
        ("train.monitor", "f1.watr", "unknown class 'watr'"),
        ("train.monitor", "loss", "is not macro_f1, val_loss or f1.<class>"),
        ("train.gpus", 3, "a number that divides `batch_size` (8)"),
        ("train.warmup_epochs", 1, "none with `schedule: one_cycle`"),
        ("train.freeze_encoder", 9, "fewer than `epochs`"),
        ("model.weights", "imagnet", "none, imagenet, a file"),
        ("model.weights", 5, "a valid string"),
    ],
)
def test_a_wrong_value_names_field_value_and_what_is_expected(field: str, value: Any, expected: str) -> None:
    told = problem(changed(field, value))
    assert told.field == field
    assert str(value) in told.found + told.expected
    assert expected in told.expected
    assert told.cure


@pytest.mark.parametrize(
    ("field", "value", "meant"),
    [
        ("model.encoder", "resnt18", "resnet18"),
        ("model.architecture", "unett", "unet"),
        ("train.augmentations", ["HorizontalFlop"], "HorizontalFlip"),
        ("labels.mapping", {"wood": "forrest"}, "forest"),
        ("labels.default_class", "watre", "water"),
        ("labels.unlabelled", "watre", "water"),
        ("train.class_weights", {"watre": 2.0}, "water"),
    ],
)
def test_an_unknown_name_leads_to_the_nearest_known_one(field: str, value: Any, meant: str) -> None:
    assert f"did you mean {meant!r}?" in problem(changed(field, value)).cure


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("imagery.normalize", {"min": 5, "max": 1}, "min (5.0) has to be smaller than max (1.0)"),
        ("imagery.normalize", {"min": 5, "mox": 1}, "mox"),
        ("classes", {}, "at least one class"),
        ("classes.null", "black", "is added by itself"),
        ("chips.stride", 10, "belongs to `sampling: sliding`"),
        ("train.milestones", [5], "go together"),
        ("scenes.image", "x/{scene}.tif", "give either"),
        ("sweep.select.metric", "f2", "macro_f1, accuracy or f1.<class>"),
        ("model.encoder", "mobilenet", "unknown encoder"),
        ("chips.size", 60, "divisible by 8; try 64".split(";")[0]),
    ],
)
def test_settings_that_do_not_go_together_are_refused(field: str, value: Any, words: str) -> None:
    with pytest.raises(UserError, match=words.replace("(", r"\(").replace(")", r"\)")):
        load_experiment(changed(field, value))


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
    ("text", "words"), [("a: [1", "valid YAML"), ("- a\n- b", "list"), (None, "no such file")], ids=str
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
