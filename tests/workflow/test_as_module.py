"""The workflow as a part of another one, and its scripts under a debugger."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from experiment import REPOSITORY, SNAKEMAKE, Project

pytestmark = pytest.mark.workflow

WORKFLOW = f"""
configfile: "config.yaml"


module swath:
    snakefile: "{REPOSITORY / "Snakefile"}"
    config: config


use rule * from swath


rule paper:
    default_target: True
    input:
        "results/experiments/small/leaderboard.csv",
        "results/experiments/small/winner/model-bundle.zip",
        "results/experiments/small/summary.txt",
    output:
        "paper.txt",
    shell:
        "cat {{input[0]}} {{input[2]}} > {{output}}"


onstart:
    swath.onstart()


onsuccess:
    swath.onsuccess()


onerror:
    swath.onerror()
"""


def run(project: Project, *arguments: str) -> str:
    """What Snakemake says in a project's folder, where somebody else's Snakefile lies."""
    project.write()
    (project.folder / "Snakefile").write_text(WORKFLOW)
    command = [SNAKEMAKE[0], "--cores", "2", "--rerun-triggers", "input", "mtime", "params", "--", *arguments]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_another_workflow_goes_on_from_the_results(project: Project) -> None:
    said = run(project)
    assert "Checked 5 scenes" in said  # the hooks of the module
    assert "Winner by validation macro_f1" in said
    assert "1 of 1 steps (100%) done" in said
    assert "Winner by validation macro_f1" in (project.folder / "paper.txt").read_text()


def test_another_workflow_has_results_made_anew(project: Project) -> None:
    (project.results / "experiments" / "small" / "leaderboard.csv").unlink()
    run(project)
    assert (project.folder / "paper.txt").read_text().startswith("rank,trial")


def test_the_catalogs_snakefile_plans_the_same(finished: Project) -> None:
    command = ["--snakefile", str(REPOSITORY / "workflow" / "Snakefile"), "--configfile", "config.yaml", "--cores", "1"]
    done = subprocess.run(
        [SNAKEMAKE[0], *command, "--dry-run"], cwd=finished.folder, capture_output=True, text=True, check=False
    )
    assert "Nothing to be done" in done.stdout, done.stderr
    assert "workflow/profiles/default" in done.stderr


DEPLOYED = """
configfile: "config.yaml"


module swath:
    snakefile:
        github("owner/swath", path="workflow/Snakefile", tag="v1")
    config:
        config


use rule * from swath
"""
"""What snakedeploy writes."""


def test_a_release_that_is_deployed_plans_the_same(finished: Project, tmp_path: Path) -> None:
    """Fetched by git, as from GitHub; the program is unpacked as a whole, for its scripts need it."""
    release, git = tmp_path / "release", ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    release.mkdir()
    for name in ("Snakefile", "rules", "scripts", "config", "workflow"):
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, release / name)
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message=all"), ("tag", "v1")):
        subprocess.run([*git, *words], cwd=release, check=True)
    (tmp_path / "gitconfig").write_text(f'[url "{release}"]\n  insteadOf = https://github.com/owner/swath\n')
    project = tmp_path / "project"
    shutil.copytree(finished.folder, project, symlinks=True)
    (project / "Snakefile").write_text(DEPLOYED)
    places = {"GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [SNAKEMAKE[0], "--dry-run", "--rerun-triggers", "input", "mtime", "params"]
    done = subprocess.run(
        command, cwd=project, env={**os.environ, **places}, capture_output=True, text=True, check=False
    )
    assert "Nothing to be done" in done.stdout, done.stderr
    (scripts,) = (tmp_path / "cache").rglob("scripts/train.py")
    assert (scripts.parent / "swath" / "smk" / "hooks.py").is_file()


def test_a_script_runs_under_a_debugger(project: Project) -> None:
    (stats,) = project.results.glob("stats/*/stats/train_scenes/stats.json")
    before = stats.read_bytes()
    stats.unlink()
    command = [sys.executable, "-m", "pdb", "-c", "continue", "-m", "swath.smk.debug", "analyze"]
    done = subprocess.run(
        [*command, f"key={stats.parents[2].name}", f"configfile={project.write()}"],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")},
        input="q\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "(Pdb)" in done.stdout, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert stats.read_bytes() == before
