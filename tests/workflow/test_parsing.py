"""Parsing is free: no torch, no Raster Vision, under a second beyond Snakemake's own start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from experiment import REPOSITORY, SNAKEMAKE
from spent import Spent

pytestmark = pytest.mark.workflow

PROBE = """
import atexit, sys
heavy = ("torch", "rastervision", "rasterio", "geopandas", "pytorch_lightning")
atexit.register(lambda: print("loaded:", [m for m in heavy if m in sys.modules], file=sys.stderr))
from snakemake.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("config", ["config/config.yaml", "config/examples/own-pipeline.yaml"])
def test_a_dry_run_imports_neither_torch_nor_raster_vision(config: str) -> None:
    command = [sys.executable, "-c", PROBE, "--dry-run", "--quiet", "--configfile", config]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert "loaded: []" in done.stderr, done.stderr


def test_the_snakefile_parses_within_a_second_of_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text("rule all:\n    shell: 'true'\n")

    def seconds(*arguments: str) -> float:
        best = float("inf")
        for _ in range(3):
            start = Spent.now()
            subprocess.run([*arguments, "--list-rules"], capture_output=True, check=True, cwd=tmp_path)
            best = min(best, Spent.now().since(start))
        return best

    ours, empty = seconds(*SNAKEMAKE), seconds(SNAKEMAKE[0], "--snakefile", "Snakefile")
    assert ours - empty < 1


SNAKEFILE = """
import sys

sys.path.insert(0, {scripts!r})

from swath.smk import upstream

upstream.apply(is_job=False)

rule all:
    output: "done"
    shell: "touch {{output}}"
"""


def test_a_run_that_is_done_does_not_wait_for_snakemakes_timer(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(scripts=str(REPOSITORY / "scripts")))
    command = [SNAKEMAKE[0], "--cores", "1", "--max-jobs-per-timespan", "9/60s"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=30)
    assert (tmp_path / "done").exists()
