"""Results that no experiment in the folder refers to."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from swath.config.load import load_experiment
from swath.coordination import run_registry
from swath.errors import UserError
from swath.plan.plan import make_plan
from swath.scenes.table import read_scenes
from swath.smk.clean_up import clean_up_or_exit, find_experiments, unused_results

CONFIG = {
    "experiment": "small",
    "classes": {"a": "#111111", "b": "#222222"},
    "labels": {"attribute": "class"},
    "scenes": {"table": "scenes.csv"},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an experiment, of which one stage is there, and with what two others have left."""
    monkeypatch.chdir(tmp_path)
    rows = ["scene,image,labels,split"]
    for scene, split in (("x", "train"), ("y", "validation"), ("z", "test")):
        Path(f"{scene}.tif").touch()
        Path(f"{scene}.geojson").touch()
        rows.append(f"{scene},{scene}.tif,{scene}.geojson,{split}")
    Path("scenes.csv").write_text("\n".join(rows))
    write(CONFIG, "small.yaml")
    for key in ("000000000000", "ffffffffffff", key_of(CONFIG)):
        make(f"results/models/{key}/model-bundle.zip")
    make("results/experiments/small/summary.txt")
    make("results/experiments/gone/summary.txt")
    make("results/models/readme.txt")
    make("results/pipelines/train/000000000000/model-bundle.zip")
    return tmp_path


def write(config: dict[str, object], name: str) -> None:
    Path(name).write_text(yaml.safe_dump(config))


def make(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("result")


def key_of(config: dict[str, object]) -> str:
    experiment = load_experiment(dict(config), [])
    (key,) = make_plan(experiment, read_scenes(experiment.scenes), dict(config), []).specs["models"]
    return key


def unused() -> list[str]:
    return [str(path) for path in unused_results(find_experiments([]))]


UNUSED = ["results/experiments/gone", "results/models/000000000000", "results/models/ffffffffffff"]


def test_what_an_experiment_refers_to_stays(folder: Path) -> None:
    assert unused() == UNUSED


def test_nothing_is_removed_before_it_is_confirmed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean_up_or_exit(["small.yaml"], confirmed=False)
    said = capsys.readouterr().err
    assert all(path in said for path in UNUSED)
    assert "Nothing was removed" in said
    assert all(Path(path).exists() for path in UNUSED)
    clean_up_or_exit(["small.yaml"], confirmed=True)
    assert not any(Path(path).exists() for path in UNUSED)
    assert Path(f"results/models/{key_of(CONFIG)}/model-bundle.zip").is_file()
    assert Path("results/models/readme.txt").is_file()
    assert Path("results/pipelines/train/000000000000").is_dir()
    clean_up_or_exit(["small.yaml"], confirmed=True)
    assert "There are no other results" in capsys.readouterr().err


def test_the_model_that_another_starts_from_stays(folder: Path) -> None:
    make("results/experiments/gone/trials/default,seed=0/readme.txt")
    link = Path("results/experiments/gone/trials/default,seed=0/model-bundle.zip")
    link.symlink_to(Path("results/models/ffffffffffff/model-bundle.zip").absolute())
    weights = {"weights": {"experiment": "gone", "trial": "default"}}
    write({**CONFIG, "experiment": "next", "model": weights}, "next.yaml")
    make("results/experiments/next/summary.txt")
    assert unused() == ["results/models/000000000000"]


def test_with_an_experiment_that_cannot_be_read_nothing_is_known_and_nothing_removed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write({**CONFIG, "experiment": "gone", "trian": {}}, "gone.yaml")
    with pytest.raises(UserError, match="unknown_key"):
        unused()
    with pytest.raises(SystemExit):
        clean_up_or_exit(["small.yaml"], confirmed=True)
    assert "trian" in capsys.readouterr().err
    assert all(Path(path).exists() for path in UNUSED)


def test_nothing_is_removed_beside_a_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"host": "here", "pid": 7, "started": 1.0, "slurm_job": None}
    monkeypatch.setattr("swath.smk.clean_up.live_runs", lambda: [other])
    with pytest.raises(SystemExit):
        clean_up_or_exit(["small.yaml"], confirmed=True)
    assert all(Path(path).exists() for path in UNUSED)
    assert run_registry.RUNS.exists() is False


def test_a_map_and_its_model_stay(folder: Path) -> None:
    write({"apply": {"model": {"experiment": "kampala"}, "images": "x.tif"}}, "map.yaml")
    make("results/bundles/aaaaaaaaaaaa/model-bundle.zip")
    make("results/experiments/kampala/trials/lr=1,seed=0/log")
    bundle = Path("results/experiments/kampala/trials/lr=1,seed=0/model-bundle.zip")
    bundle.symlink_to("../../../../bundles/aaaaaaaaaaaa/model-bundle.zip")
    Path("results/experiments/kampala/winner.json").write_text('{"run": "lr=1,seed=0", "trial": "lr=1"}')
    for name in ("map", "gone"):
        make(f"results/maps/{name}/map.json")
        make(f"results/experiments/{name}/map/summary.txt")
    assert sorted(unused()) == sorted([*UNUSED, "results/maps/gone"])


def test_what_a_map_was_compared_with_stays(folder: Path) -> None:
    write({"experiment": "compared", "accuracy": {"map": "map.tif"}}, "accuracy.yaml")
    make("results/experiments/compared/accuracy/accuracy.json")
    assert sorted(unused()) == sorted(UNUSED)
