"""Mistakes that only the whole command shows, and how quick it is; test_bad_inputs.py has those of config and data."""

from __future__ import annotations

import re
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from experiment import REPOSITORY, SMALL, SNAKEMAKE, Project, run
from spent import Spent

from swath.cluster.site import ON_GPUS

pytestmark = pytest.mark.workflow


@pytest.fixture
def fresh(cut_scenes: Path, tmp_path: Path) -> Project:
    shutil.copytree(cut_scenes, tmp_path / "data")
    return Project(tmp_path, {**deepcopy(SMALL), "scenes": {"table": "data/scenes.csv"}}, forked=False)


def told(project: Project, *arguments: str) -> str:
    """What Snakemake says; asserts that it refuses, quickly and without traces."""
    start = Spent.now()
    done = project.snakemake(*arguments, check=False)
    assert Spent.now().since(start) < 10
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    return done.stdout


def test_an_unknown_class_in_the_config(fresh: Project) -> None:
    fresh.config["train"]["class_weights"] = {"watre": 2.0}
    message = told(fresh)
    assert "train.class_weights.watre" in message
    assert "did you mean 'water'?" in message
    assert not fresh.results.exists()


def test_a_damaged_image(fresh: Project) -> None:
    (fresh.folder / "data" / "b.tif").write_bytes(b"nonsense")
    assert "a raster that GDAL reads" in told(fresh, "--until", "scenes")


HACK = "__use_yte__: true\n__definitions__:\n  - open('hacked', 'w').close()\n"


@pytest.mark.parametrize(
    ("written", "given", "code", "expected"),
    [
        ("", ["nowhere.yaml"], "file_missing", "nowhere.yaml"),
        ("classes: [1\nbands: 2\n", ["my.yaml"], "invalid_yaml", "my.yaml:2"),
        ("- classes\n", ["my.yaml"], "invalid_yaml", "list"),
        ("classes: caf\xe9\n", ["my.yaml"], "invalid_yaml", "UTF-8"),
        ("classes: {}\n", ["my.yaml", "validate"], "file_missing", "snakemake validate --configfile my.yaml"),
        ("classes: {}\n", ["my.yaml", "a/summary.txt"], "file_missing", "snakemake a/summary.txt --configfile my.yaml"),
        ("classes: {}\n", ["my.yaml", "--configfile", "my.yaml"], "settings_conflict", "--configfile my.yaml my.yaml"),
        (HACK, ["my.yaml"], "code_in_config", "my.yaml:1"),
    ],
)
def test_a_config_file_that_snakemake_would_stumble_over(
    tmp_path: Path, written: str, given: list[str], code: str, expected: str
) -> None:
    (tmp_path / "my.yaml").write_bytes(written.encode("latin-1"))
    done = run([*SNAKEMAKE, "--configfile", *given, "-n"], tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    assert f"ERROR {code}" in done.stdout
    assert expected in done.stdout
    assert not (tmp_path / "hacked").exists()


def test_a_config_on_the_command_line_replaces_the_demo(fresh: Project) -> None:
    output = fresh.snakemake("--dry-run").stdout
    assert "havel" not in output
    assert "learning_rate=0.003" in output


def dry_run(*arguments: str) -> str:
    done = run([SNAKEMAKE[0], *arguments, "--dry-run"], REPOSITORY)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("profile", ["slurm", "profiles/slurm", "profiles/local"])
def test_the_profiles_are_found_from_the_clone(profile: str, tmp_path: Path) -> None:
    assert "This was a dry-run" in dry_run("--profile", profile, "--directory", str(tmp_path))


def test_the_slurm_profile_sends_training_to_gpus_and_the_rest_to_cpus() -> None:
    profile = yaml.safe_load((REPOSITORY / "slurm" / "profile.yaml").read_text())
    rules = "".join(path.read_text() for path in (REPOSITORY / "rules").glob("*.smk"))
    on_gpus = {rule.split(":")[0] for rule in re.split(r"^ *rule ", rules, flags=re.MULTILINE) if " gpu=" in rule}
    assert on_gpus == {"train", "predict", "apply_part"} == set(ON_GPUS) - {"train_rung"}  # which asks as `train` does
    assert profile["default-resources"]["slurm_partition"] == "cpu"
    assert {rule: changed["slurm_partition"] for rule, changed in profile["set-resources"].items()} == {
        "train": "gpu",
        "predict": "gpu",
        "apply_part": "gpu",
    }


def test_all_rules_run_in_the_one_container() -> None:
    assert "\ncontainer: CONTAINER\n" in (REPOSITORY / "Snakefile").read_text()
    for path in (REPOSITORY / "rules").rglob("*.smk"):
        assert "container:" not in path.read_text(), path


def spacenet(folder: Path, train: int, validation: int, test: int) -> None:
    """An empty folder tree with the file names of the SCINet tutorial."""
    number = 0
    for split, count in (("train", train), ("val", validation), ("test", test)):
        (folder / "data" / split).mkdir(parents=True)
        for _ in range(count):
            number += 1
            (folder / "data" / split / f"RGB-PanSharpen_AOI_2_Vegas_img{number}.tif").touch()
            (folder / "data" / split / f"buildings_AOI_2_Vegas_img{number}.geojson").touch()


def counted(output: str) -> dict[str, int]:
    lines = [line.split() for line in output.splitlines()]
    return {words[0]: int(words[1]) for words in lines if len(words) == 2 and words[1].isdigit()}


def test_the_scinet_tutorial_is_a_dry_run_on_its_folders(tmp_path: Path) -> None:
    spacenet(tmp_path, 12, 4, 2)
    example = str(REPOSITORY / "config/examples/spacenet-vegas.yaml")
    done = run([*SNAKEMAKE, "--directory", str(tmp_path), "--configfile", example, "--dry-run"])
    assert done.returncode == 0, done.stdout
    jobs = counted(done.stdout)
    assert jobs["train"] == 4
    assert "havel" not in jobs


def test_a_plan_of_the_tutorials_size_is_quick_and_has_few_jobs(tmp_path: Path) -> None:
    spacenet(tmp_path, 1000, 50, 10)
    example = (REPOSITORY / "config/examples/spacenet-vegas.yaml").read_text()
    rates = "[1.0e-2, 1.0e-3, 1.0e-4, 1.0e-5, 5.0e-3, 2.0e-3, 8.0e-2, 3.0e-4]\n  repeats: 3"
    config = tmp_path / "config.yaml"
    config.write_text(example.replace("[1.0e-2, 1.0e-3, 1.0e-4, 1.0e-5]", rates))
    command = [*SNAKEMAKE, "--directory", str(tmp_path), "--configfile", str(config), "--dry-run"]
    start = Spent.now()
    done = run([*command, "--set-scatter", "scenes=8", "chip=8", "predict=4"], fork=False)
    assert Spent.now().since(start) < 10
    assert done.returncode == 0, done.stdout
    jobs = counted(done.stdout)
    assert jobs["train"] == 24
    assert jobs["total"] < 300


def test_weights_that_are_not_there(fresh: Project) -> None:
    fresh.config["model"]["weights"] = "weights/mine.pth"
    message = told(fresh)
    assert "model.weights" in message
    assert "no file weights/mine.pth" in message
    assert message.count("no file") == 1


def test_weights_of_an_experiment_that_was_not_run(fresh: Project) -> None:
    fresh.config["model"]["weights"] = {"experiment": "before", "trial": "default"}
    assert "run before first" in told(fresh)


def test_the_slurm_profile_plans_without_apptainer_and_a_run_says_what_helps(
    fresh: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(SNAKEMAKE[0]).parent}:/usr/bin:/bin")
    monkeypatch.delenv("MODULEPATH", raising=False)
    profile = ["--profile", str(REPOSITORY / "slurm")]
    if shutil.which("apptainer"):
        pytest.fail("Apptainer is a part of the system here: hide it in another way")
    assert "train" in fresh.snakemake(*profile, "--dry-run").stdout
    message = told(fresh, *profile)
    assert "ERROR apptainer_missing" in message
    assert "--software-deployment-method env-modules" in message
