"""What a run does beside its jobs, in a workflow of one rule; tests/workflow and tests/cluster see it with all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from experiment import REPOSITORY

from swath.coordination.run_registry import RUNS
from swath.errors import UserError
from swath.patches import WRITTEN_FOR
from swath.smk import hooks

SNAKEFILE = f"""
import gc
import sys
from pathlib import Path

sys.path.insert(0, {str(REPOSITORY / "scripts")!r})

from swath import patches
from swath.smk import hooks

patches.WRITTEN_FOR["snakemake"] = config["written_for"]
hooks.before_planning(workflow)

CONTEXT = hooks.RunContext(
    name="tiny", folder="results/tiny", repository=Path("."), image="none.sif", examples={{}}, later={{}}
)
hooks.after_planning(workflow, CONTEXT)

rule all:
    output: "results/tiny/summary.txt"
    shell: "ls {RUNS}/*.json && echo Winner > {{output}}"

onstart:
    planned_without = not gc.isenabled()
    hooks.on_start(workflow, CONTEXT)
    assert planned_without and gc.isenabled()  # garbage is looked for in a run that takes days, not while it is planned

onsuccess:
    hooks.on_success(workflow, CONTEXT)

onerror:
    hooks.on_error(workflow)
"""


@pytest.mark.parametrize("version", ["8.0.0", WRITTEN_FOR["snakemake"]])
def test_a_run_is_registered_and_tells_how_it_ends_whatever_the_version(version: str, tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", f"written_for={version}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "patches were written for 8.0.0" in line]
    assert len(told) == (version == "8.0.0")
    assert done.stderr.count("\nWinner\n") == 1
    assert list((tmp_path / RUNS).iterdir()) == []  # registered while its job ran, and no more
    assert list((tmp_path / ".snakemake" / "locks").glob("*.lock")) == []


@pytest.mark.parametrize("name", [".snakemake", "results"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_in_which_nothing_can_be_written(
    name: str, is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who tests as root can write everywhere: what the system would say of another user, or of a read-only disk."""
    if is_there:
        (tmp_path / name).mkdir()
    hooks.check_folder(tmp_path, name)
    read_only = tmp_path / name if is_there else tmp_path
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != read_only)
    with pytest.raises(UserError, match="folder_not_writable"):
        hooks.check_folder(tmp_path, name)


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to(tmp_path / "scratch")
    with pytest.raises(UserError, match="which is not there"):
        hooks.check_folder(tmp_path, "results")
    (tmp_path / "scratch").mkdir()
    hooks.check_folder(tmp_path, "results")


@pytest.mark.parametrize(
    ("text", "code"),
    [("a: [1", "invalid_yaml"), ("__use_yte__: true", "code_in_config"), ("a: 1\na: 2", "key_twice")],
)
def test_the_repositorys_config_is_checked_before_snakemake_reads_it(
    text: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit):
        hooks.checked_config(path)
    assert f"ERROR {code}" in capsys.readouterr().err
    path.write_text("a: 1")
    assert hooks.checked_config(path) == str(path)
