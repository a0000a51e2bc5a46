"""An experiment's results in Python, as notebooks use them."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from made_experiment import EPOCHS, made_experiment

import swath
from swath.errors import UserError
from swath.files import write_json
from swath.report.results import Results, keep_experiment


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("made")
    findings = made_experiment(root / "results", trials=2, repeats=2, scenes=3)
    manifest = root / "manifest.json"
    write_json(manifest, {"scenes": {name: vars(facts) for name, facts in findings.scenes.items()}})
    keep_experiment(findings, [str(manifest)], findings.folder / "experiment.json")
    return swath.results(str(findings.folder))


def test_tables_are_there(made: Results) -> None:
    assert made.leaderboard["trial"].tolist() == ["rate=0", "rate=1"] and len(made.runs) == 4
    assert made.comparison["trial"].tolist() == ["rate=1"]
    history = made.history
    assert set(history.columns) == {"run", "trial", "seed", "epoch", "metric", "value"}
    losses = history[(history["metric"] == "train_loss") & (history["run"] == "rate=0,seed=1")]
    assert losses["value"].tolist() == pytest.approx([1 / epoch for epoch in range(1, EPOCHS + 1)])


def test_scenes_have_a_place_a_split_and_a_score(made: Results) -> None:
    scenes = made.scenes
    assert scenes.crs.to_epsg() == 4326 and scenes.geometry.is_valid.all()
    assert scenes["split"].value_counts().to_dict() == {"validation": 3, "test": 3}
    assert scenes["macro_f1"].between(0.5, 1).all()


def test_rasters_have_coordinates_and_are_read_when_they_are_used(made: Results) -> None:
    image, truth, prediction = made.image("v000"), made.truth("v000"), made.prediction("v000")
    assert image.rio.crs.to_epsg() == 32633 and image.shape == (3, 96, 96) and truth.shape == (1, 96, 96)
    assert image.rio.transform() == prediction.rio.transform()
    wrong = (truth != prediction) & (truth > 0)
    assert int(wrong.sum()) == 48 * 48
    with pytest.raises(KeyError, match="did you mean 'v00"):
        made.image("v00")


def test_the_confusion_is_the_best_runs(made: Results) -> None:
    confusion = made.confusion()
    assert confusion.shape == (2, 2) and confusion.to_numpy().sum() == 3 * 2000
    assert made.confusion("validation").index.tolist() == confusion.columns.tolist()


def test_figures_are_the_reports(made: Results) -> None:
    matplotlib.use("Agg")
    assert len(made.plot.curves("train_loss").lines) == 4
    assert len(made.plot.confusion().texts) == 4
    axes = made.plot.scene("t001")
    assert [axis.get_title() for axis in axes] == ["Imagery", "Labels", "Prediction"]
    assert np.asarray(axes[0].images[0].get_array()).shape == (96, 96, 3)
    given = matplotlib.pyplot.figure().subplots()
    assert made.plot.curves(ax=given) is given
    matplotlib.pyplot.close("all")


def test_a_folder_without_a_report_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        swath.results(str(tmp_path))
    assert "snakemake --cores 1 report" in error.value.problems[0].cure
