"""What a result is made anew for, and what not: real dry runs of clones beside finished results."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable

import pytest
from cluster_clone import clone
from experiment import SNAKEMAKE, Project, with_setting

from swath.files import sha256
from swath.versions import KEYED

pytestmark = pytest.mark.workflow

NOTHING = "Nothing to be done"
EXPERIMENT = {"splits", "leaderboard", "select", "summary", "final_report", "all"}


@pytest.fixture(scope="module")
def beside(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Makes a clone of the program beside the finished results and what Snakemake knows of them."""

    def make(name: str) -> Project:
        project = clone(tmp_path_factory.mktemp("clones") / name, finished)
        for part in ("results", ".snakemake"):
            shutil.copytree(finished.folder / part, project.folder / part, symlinks=True)
        return project

    return make


def dry_run(project: Project, *arguments: str, **environment: str) -> str:
    """What a dry run of the clone's own program says."""
    return run(project, "--dry-run", "--printshellcmds", *arguments, **environment)


def run(project: Project, *arguments: str, **environment: str) -> str:
    """What the clone's own program says."""
    project.write()
    own = [SNAKEMAKE[0], "--cores", "2", "--configfile", "config.yaml", *arguments]
    done = subprocess.run(
        own,
        cwd=project.folder,
        env={**os.environ, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def keys_of(said: str, stage: str) -> set[str]:
    """The keys of a stage whose results a dry run would make."""
    missing = "".join(re.findall("Missing output files: ([^;\n]*)", said))
    return set(re.findall(rf"results/{stage}/([0-9a-f]{{12}})/", missing))


def edit(project: Project, file: str, old: str, new: str) -> None:
    path = project.folder / "scripts" / "swath" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_second_clone_beside_the_same_results_has_nothing_to_do(beside: Callable[[str], Project]) -> None:
    assert NOTHING in dry_run(beside("second"))


def test_comments_dates_and_the_time_zone_make_nothing_anew(beside: Callable[[str], Project]) -> None:
    project = beside("edited")
    for file in ("job/terminal.py", "products/maps.py", "training/loop.py", "config/train.py"):
        with (project.folder / "scripts" / "swath" / file).open("a") as module:
            module.write("\n# a comment line\n")
    rule = project.folder / "rules" / "train.smk"
    rule.write_text(rule.read_text().replace("params:\n", 'params:\n        again=settings_of("models", "train"),\n'))
    assert NOTHING in dry_run(project)
    for date in (1_000_000_000, 2_000_000_000):  # of another user's clone: years ago, or later than every result
        for place in ("scripts", "rules", "config", "profiles", "Snakefile"):
            for path in [project.folder / place, *(project.folder / place).rglob("*")]:
                os.utime(path, (date, date), follow_symlinks=False)
        assert NOTHING in dry_run(project, TZ="Asia/Tokyo" if date > 1_500_000_000 else "America/Los_Angeles")


def test_other_dates_and_another_copy_of_the_data_make_nothing_anew(beside: Callable[[str], Project]) -> None:
    project = beside("copied")
    data = project.folder / "data"
    data.rename(project.folder / "old")
    shutil.copytree(project.folder / "old", data, copy_function=shutil.copyfile)
    assert NOTHING in dry_run(project)
    for path in data.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert NOTHING in dry_run(project)


def test_another_number_of_shards_makes_nothing_anew(beside: Callable[[str], Project]) -> None:
    assert NOTHING in dry_run(beside("sharded"), "--set-scatter", "scenes=5", "chip=3", "predict=4")


def test_a_range_that_means_other_limits_is_analysed_anew_where_a_range_is_used(
    beside: Callable[[str], Project],
) -> None:
    project = beside("limits")
    ranged = Project(project.folder, with_setting(project.config, "imagery.normalize", {"min": 0, "max": 6000}))
    before = dry_run(ranged)
    edit(project, "config/imagery.py", "return list(low), list(high)", "return [v + 1 for v in low], list(high)")
    assert NOTHING in dry_run(project)  # statistics: no range
    after = dry_run(ranged)
    for stage in ("stats", "chips", "models", "predictions", "evals", "bundles"):
        assert keys_of(before, stage) and not keys_of(before, stage) & keys_of(after, stage), stage
    assert not keys_of(after, "scenes")


def test_a_stage_with_a_new_version_is_made_anew_with_all_after_it_and_the_old_results_stay(
    beside: Callable[[str], Project],
) -> None:
    project = beside("versions")
    edit(project, "versions.py", f'"predictions": {KEYED["predictions"]}', '"predictions": 99')
    said = dry_run(project)
    assert keys_of(said, "predictions") and not (
        keys_of(said, "predictions") & {path.name for path in project.results.glob("predictions/*")}
    )
    assert keys_of(said, "evals")
    assert not keys_of(said, "models") and not keys_of(said, "chips") and not keys_of(said, "bundles")


def test_one_more_unlabelled_test_scene_is_predicted_and_nothing_else(beside: Callable[[str], Project]) -> None:
    project = beside("more")
    shutil.copy(project.folder / "data" / "e.tif", project.folder / "data" / "new.tif")
    project.config["checks"]["allow"].append("image_twice")
    with (project.folder / "data" / "scenes.csv").open("a") as table:
        table.write("new,new.tif,,test\n")
    jobs = counted(dry_run(project))
    assert {rule: number for rule, number in jobs.items() if rule not in EXPERIMENT} == {"scenes": 1, "predict": 1}


@pytest.mark.long
def test_of_a_shard_that_gets_one_more_scene_that_one_is_predicted_alone(beside: Callable[[str], Project]) -> None:
    project = beside("reused")
    shutil.copy(project.folder / "data" / "e.tif", project.folder / "data" / "new.tif")
    shutil.copy(project.folder / "data" / "e.geojson", project.folder / "data" / "new.geojson")
    project.config["checks"]["allow"] += ["image_twice", "spatial_overlap"]
    with (project.folder / "data" / "scenes.csv").open("a") as table:
        table.write("new,new.tif,new.geojson,test\n")
    before = {path: path.stat().st_mtime_ns for path in project.results.glob("predictions/*/e-*/*")}
    run(project, "--set-scatter", "predict=1")
    assert before == {path: path.stat().st_mtime_ns for path in project.results.glob("predictions/*/e-*/*")}
    (maps,) = project.results.glob("predictions/*/new-*")
    (old,) = project.results.glob("predictions/*/e-*")
    assert sha256(maps / "prediction.tif") == sha256(old / "prediction.tif")  # of the same image
    said = "".join(log.read_text() for log in project.results.glob("logs/predict/*/1-of-1-*.log"))
    assert "e: its maps are there already" in said
    assert "new: predicted" in said


def test_results_of_an_earlier_version_are_told_and_left(beside: Callable[[str], Project]) -> None:
    project = beside("earlier")
    old = project.results / "models" / "0123456789ab"
    old.mkdir()
    (old / "spec.yaml").write_text("chips: abc\n")
    project.config["experiment"] = "another"
    assert "1 models of an earlier Swath" in run(project, "--until", "splits")
    assert [path.name for path in old.iterdir()] == ["spec.yaml"]


def counted(said: str) -> dict[str, int]:
    """The jobs of a dry run, by rule."""
    table = said.split("Job stats:\n", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return {name: int(number) for name, number in (line.split() for line in table) if name != "total"}
