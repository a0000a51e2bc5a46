"""`snakemake clean_up`: results that no experiment in the folder refers to, listed, and removed once confirmed."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from snakemake.utils import update_config

from swath.config.apply import DEFAULT_NAME, Apply, TrainedModel
from swath.config.load import load_application, load_experiment, read_yaml, trains
from swath.coordination.process_identity import describe
from swath.coordination.run_registry import live_runs
from swath.errors import Problem, UserError, ending_the_program
from swath.plan.apply import find_models
from swath.plan.inputs import WEIGHTS, files_behind, first_weights
from swath.plan.plan import make_plan
from swath.scenes.table import read_scenes
from swath.versions import KEYED

RESULTS = Path("results")
PLACES = ("*.y*ml", "config/**/*.y*ml", "experiments/**/*.y*ml")
"""Where config files are looked for, besides those of the command."""
KEY = re.compile("[0-9a-f]{12}")

Experiments = dict[str, list[list[Path]]]
"""Name → configs, each of one file or several, of which later ones replace what earlier ones say."""


def clean_up_or_exit(files: Sequence[str | Path], confirmed: bool) -> None:
    """List what no experiment refers to, and remove it if that is confirmed; a user's mistakes end the program.

    Args:
        files: The config files of the command.
        confirmed: Whether the command says so (`--config yes=true`); on a terminal, the user is asked.
    """
    with ending_the_program():
        if others := live_runs():
            found, cure = f"{describe(*others)} is at work", "wait until it has ended, then type the same command again"
            raise UserError(Problem("folder_in_use", str(RESULTS), "", found, "no run in the folder", cure))
        experiments = find_experiments(files)
        unused = unused_results(experiments)
    for line in _told(experiments, unused):
        print(line, file=sys.stderr)
    if not unused:
        return
    if not confirmed and sys.stdin.isatty():
        confirmed = input("Remove them? [y/N] ").strip().lower() in ("y", "yes")
    if not confirmed:
        print("Nothing was removed. To remove them: snakemake … clean_up --config yes=true", file=sys.stderr)
        return
    for folder in unused:
        shutil.rmtree(folder)
    print(f"Removed: {len(unused)} folders.", file=sys.stderr)


def find_experiments(files: Sequence[str | Path]) -> Experiments:
    """Find the experiments in YAML of the command and of this folder.

    Returns:
        Name of the experiment → its configs, each of one file or several.

    Raises:
        UserError: If one cannot be read: what it refers to is not known, and nothing may be removed.
    """
    groups = [[Path(file) for file in files]] if files else []
    known = {path.resolve() for group in groups for path in group}
    groups += [[path] for place in PLACES for path in sorted(Path().glob(place)) if path.resolve() not in known]
    found: Experiments = {}
    for group in groups:
        content = _content(group)
        name = content.get("experiment", DEFAULT_NAME if {"apply", "accuracy"} & set(content) else None)
        if name is not None:
            found.setdefault(str(name), []).append(group)
    return found


def unused_results(experiments: Experiments) -> list[Path]:
    """List the folders of results that no experiment refers to; those of modules of one's own are never among them.

    Raises:
        UserError: If an experiment has mistakes.
    """
    used = {RESULTS / place / name for name in experiments for place in ("experiments", "maps")}
    for name, files in ((name, files) for name, configs in experiments.items() for files in configs):
        config = _content(files)
        # where nothing was made yet nothing is referred to, and data may have yet to be fetched
        if "pipeline" in config or not (RESULTS / "experiments" / name).is_dir():
            continue
        used |= _used_by(files) if trains(config) else _models_of(load_application(config, files).apply, files)
    folders = [folder for stage in KEYED for folder in (RESULTS / stage).glob("*") if KEY.fullmatch(folder.name)]
    for place in ("experiments", "maps"):
        folders += [folder for folder in (RESULTS / place).glob("*") if folder.is_dir()]
    return sorted(folder for folder in folders if folder not in used)


def _used_by(files: Sequence[Path]) -> set[Path]:
    """Name the folders that an experiment refers to: its own, and those that its first weights come from."""
    config = _content(files)
    experiment = load_experiment(config, files)
    plan = make_plan(experiment, read_scenes(experiment.scenes), config, files)
    used = {RESULTS / stage / key for stage in KEYED for key in plan.specs[stage]}
    for spec in plan.specs["models"].values():
        used |= _folders_of(first_weights(spec["model"], str(RESULTS), WEIGHTS))
    model = experiment.apply.model if experiment.apply else None
    if isinstance(model, TrainedModel) and model.experiment in (None, experiment.experiment):
        return used  # its own, whose bundles are among its results
    return used | _models_of(experiment.apply, files)


def _models_of(apply: Apply | None, files: Sequence[Path]) -> set[Path]:
    """Name the folders that the models of a map come from."""
    if apply is None:
        return set()
    return _folders_of(find_models(apply.model, str(RESULTS), files))


def _folders_of(files: Sequence[str]) -> set[Path]:
    """Name the folders of results that some files lie in, under the names given and behind links."""
    paths = [*map(Path, files), *map(Path, files_behind(files))]
    return {Path(*path.parts[:3]) for path in paths if path.is_relative_to(RESULTS) and len(path.parts) > 3}


def _content(files: Iterable[Path]) -> dict[str, Any]:
    """Read config files, of which later ones replace what earlier ones say."""
    content: dict[str, Any] = {}
    for file in files:
        update_config(content, read_yaml(file))
    return content


def _told(experiments: Experiments, unused: Sequence[Path]) -> list[str]:
    lines = ["Experiments in this folder, whose results stay:"]
    named = {name: ", ".join(str(file) for files in configs for file in files) for name, configs in experiments.items()}
    lines += [f"  {name} ({files})" for name, files in sorted(named.items())] or ["  none"]
    if not unused:
        return [*lines, "There are no other results."]
    sizes = {folder: _size(folder) for folder in unused}
    lines.append(
        "Results that none of them refers to; if you miss an experiment above, name its file with --configfile:"
    )
    lines += [f"  {size / 1e6:10,.1f} MB  {folder}" for folder, size in sizes.items()]
    return [*lines, f"  {sum(sizes.values()) / 1e6:10,.1f} MB in all"]


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir() or file.is_symlink())
