"""The tutorial and the README, typed from the first command to the last by a user who has little time.

Each page goes on where the one before has ended, in one clone. Trainings have an epoch and few chips; apart from that,
all is as it stands on the pages. tests/typed_docs.py says what is run, tests/unit/test_docs.py lists what is not.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_clone import copy_program
from experiment import SNAKEMAKE, with_setting
from forked import SCRIPTS, forked, forking_environment
from typed_docs import PAGES, Block, blocks_of

from swath.config.load import read_yaml

pytestmark = [pytest.mark.workflow, pytest.mark.long]

LESS = {"chips.per_scene": 6, "train.epochs": 1}
"""What a user with little time would write."""
FEWER = 2
"""Repeats, where a page has more."""

SAID = {
    "3-data.md": ["s2_havel_r1c3,images/s2_havel_r1c3.tif,labels/s2_havel_r1c3.geojson,validation", '"count": 13'],
    "4-config.md": ["learning_rate=0.003,seed=0", "Checked 8 scenes: nothing found"],
    "5-train.md": ["Winner by validation macro_f1", "Nothing to be done", "all epochs done"],
    "6-results.md": ["first: 3 trials, 3 trainings", "suspicious.gpkg", "labels.tif", "open land"],
    "8-compare.md": ["learning_rate=0.01,seed=1", "first: 3 trials, 6 trainings", "winner_is"],
    "README.md": ["havel-land-use: 3 trials, 3 trainings", "Nothing to be done"],
}
"""What the pages promise to be printed."""

MADE = {
    "4-config.md": ["results/experiments/first/preview.html"],
    "6-results.md": ["results/experiments/first/report.html", "results/experiments/havel/map/map.tif"],
    "7-plots.md": ["train_loss.png", "val_loss.png", "macro_f1.png", "confusion.png", "scene.png"],
    "README.md": ["results/experiments/havel-land-use/report.html"],
}
"""Files that are there after a page."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that is set up, with a demo for people with little time."""
    folder = tmp_path_factory.mktemp("tutorial") / "swath"
    copy_program(folder)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    write(folder / "config" / "config.yaml", read_yaml(folder / "config" / "config.yaml"))
    return folder


def write(path: Path, config: dict[str, Any]) -> None:
    for setting, value in LESS.items():
        config = with_setting(config, setting, value)
    if config.get("sweep", {}).get("repeats", 1) > FEWER:
        config = with_setting(config, "sweep.repeats", FEWER)
    path.write_text(yaml.safe_dump(config, sort_keys=False))


def save(block: Block, folder: Path) -> None:
    """Put the sections of a block into the file that it stands for."""
    path = folder / block.file
    write(path, {**(read_yaml(path) if path.exists() else {}), **yaml.safe_load(block.text)})


def type_in(block: Block, folder: Path) -> str:
    """Type commands, one after the other; a first one that fails ends it. Programs that import much are forked."""
    snakemake = shlex.join(forked([SNAKEMAKE[0]]))
    raster_vision = shlex.join(forked([str(Path(SNAKEMAKE[0]).with_name("rastervision"))], SCRIPTS))
    shell = f'set -eu\nsnakemake() {{ {snakemake} "$@"; }}\nrastervision() {{ {raster_vision} "$@"; }}\n'
    environment = forking_environment()
    environment["PATH"] = f"{folder}/.venv/bin:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", shell + block.text],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_can_be_typed(page: Path, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)
    said = ""
    names: dict[str, Any] = {}
    for block in blocks_of(page):
        if block.file:
            save(block, clone)
        elif block.language == "bash" and not block.comment:
            said += type_in(block, clone)
        elif block.language == "python":
            exec(block.text, names)
    assert [text for text in SAID.get(page.name, []) if text not in said] == []
    assert [file for file in MADE.get(page.name, []) if not (clone / file).is_file()] == []
