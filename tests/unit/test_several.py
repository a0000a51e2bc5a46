"""Several experiments in one report."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_experiment import made_experiment

from swath.config.tasks import DETECTION, SEGMENTATION, Task
from swath.errors import UserError
from swath.files import write_json
from swath.plan.compared import compared_experiments, name_of_comparison
from swath.report.findings import Findings
from swath.report.results import keep_experiment
from swath.report.several import write_comparison_of


def made(root: Path, task: Task = SEGMENTATION, scenes: int = 8, luck: int = 0) -> Findings:
    """An experiment that can be opened by its folder."""
    findings = made_experiment(root / "results", task, trials=2, repeats=2, scenes=scenes, luck=luck)
    write_json(root / "manifest.json", {"scenes": {name: vars(facts) for name, facts in findings.scenes.items()}})
    keep_experiment(findings, ["manifest.json"], findings.folder / "experiment.json")
    return findings


def test_winners_are_compared_on_the_test_scenes_that_both_have_met(tmp_path: Path) -> None:
    folders = [str(made(tmp_path / name, luck=luck).folder) for luck, name in enumerate(("a", "b"))]
    write_comparison_of(folders, tmp_path / "page.html")
    write_comparison_of([folders[0], folders[0]], tmp_path / "same.html")
    assert "it is the same on each" in (tmp_path / "same.html").read_text()
    page = tmp_path.joinpath("page.html").read_text()
    assert "8 test scenes in common, 95 % interval" in page and "cannot be told apart" in page
    assert page.count("<td>rate=0</td>") == 2 and "<b>wood" not in page


def test_a_few_scenes_say_nothing_of_others(tmp_path: Path) -> None:
    folders = [str(made(tmp_path / name, scenes=3).folder) for name in ("a", "b")]
    write_comparison_of(folders, tmp_path / "page.html")
    assert "3 test scenes in common; too few of them" in (tmp_path / "page.html").read_text()


def test_experiments_of_different_tasks_are_not_compared(tmp_path: Path) -> None:
    folders = [str(made(tmp_path / task, task).folder) for task in (SEGMENTATION, DETECTION)]
    with pytest.raises(UserError) as error:
        write_comparison_of(folders, tmp_path / "page.html")
    assert "task object_detection in made" in error.value.problems[0].found


def test_average_precision_has_an_interval_where_boxes_are_known_scene_by_scene(tmp_path: Path) -> None:
    folders = [str(made(tmp_path / name, DETECTION, luck=luck).folder) for luck, name in enumerate(("a", "b"))]
    write_comparison_of(folders, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "on 8 test scenes in common, 95 % interval" in page and "none:" not in page


@pytest.mark.parametrize(
    ("names", "found"), [("a", "'a'"), (["a"], "['a']"), (["a", "a"], "['a', 'a']"), (None, "None")]
)
def test_two_different_experiments_are_asked_for(tmp_path: Path, names: object, found: str) -> None:
    with pytest.raises(UserError) as error:
        compared_experiments(names, str(tmp_path))
    assert error.value.problems[0].found == found


def test_an_experiment_without_a_report_is_named(tmp_path: Path) -> None:
    for name in ("kampala", "entebbe"):
        (tmp_path / "experiments" / name).mkdir(parents=True)
        (tmp_path / "experiments" / name / "experiment.json").touch()
    assert compared_experiments(["kampala", "entebbe"], str(tmp_path)) == ["kampala", "entebbe"]
    assert name_of_comparison(["kampala", "entebbe"]) == "kampala-and-entebbe"
    with pytest.raises(UserError) as error:
        compared_experiments(["kampala", "entebe"], str(tmp_path))
    (problem,) = error.value.problems
    assert problem.code == "no_report" and problem.cure == "did you mean 'entebbe'?"
