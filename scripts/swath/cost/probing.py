"""Ask a process of its own what the kinds of jobs take of which nothing is known yet; see :mod:`swath.cost.probe`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from swath.config.records import of_json, to_json
from swath.config.train import available_cores
from swath.cost.answers import Answer
from swath.cost.outlook import Outlook
from swath.cost.prices import BY_NUMBER, IMPORTS, Price, Time
from swath.files import read_state, short_hash, write_json
from swath.plan.keys import Run
from swath.plan.plan import LEARNED
from swath.scenes.paths import local_paths_of
from swath.scenes.scene import Scene

SCRIPTS = Path(__file__).parents[2]
MOST_TRAININGS, MOST_SAMPLES = 6, 12
"""Kinds of trainings, and settings of chips, that are tried out; the most frequent kinds first."""
MOST_SCENES = {"train": 6, "validation": 2}
"""Scenes of which chips are cut for that."""
LOG = Path(".snakemake/swath-probe.log")
PRICES = Path(".snakemake/swath-probed.json")
"""What was found: asked where a search decides what a budget leaves room for, and nothing is measured yet."""


@dataclass
class Probed:
    """What a probe has found.

    Attributes:
        prices: Kind of job → price.
        imports: How long importing torch and Raster Vision takes on this machine.
        notes: What has to be said of it.
        batches, windows: How many were tried, at most.
        on_gpu: Whether a GPU has computed.
    """

    prices: dict[str, Price] = field(default_factory=dict)
    imports: Time = IMPORTS
    notes: list[str] = field(default_factory=list)
    batches: int = 0
    windows: int = 0
    on_gpu: bool = False


def probe_runs(outlook: Outlook, runs: Sequence[Run], known: Collection[str], has_gpus: bool) -> Probed:
    """Try out the trainings of some runs, a run of each kind, on this machine.

    Args:
        outlook: Is told which share of windows becomes chips, too.
        runs: The runs.
        known: Kinds of jobs whose price is known.
        has_gpus: Whether their jobs get GPUs.
    """
    if find_spec("torch") is None:
        return Probed(notes=["no torch here: probe where the stages run, or in the container"])
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        kind = outlook.kind_of_run(run, has_gpus)
        if kind not in known or outlook.kind_of_prediction(run, has_gpus) not in known:
            kinds.setdefault(kind, []).append(run)
    chosen = dict(sorted(kinds.items(), key=lambda item: -len(item[1]))[:MOST_TRAININGS])
    first = [held[0] for held in chosen.values()]
    of_chips = {run.chips: run for run in [*reversed(runs), *first]}
    wanted = list(dict.fromkeys([*(run.chips for run in first), *(run.chips for run in runs)]))
    samples = {key: _sample(outlook, of_chips[key]) for key in wanted[:MOST_SAMPLES]}
    if not all({row["split"] for row in sample["scenes"]} == set(LEARNED) for sample in samples.values()):
        return Probed(notes=["the scenes are not there yet, or not on this machine: nothing could be tried out"])
    request = {"samples": samples, "trainings": {kind: outlook.describe(held[0]) for kind, held in chosen.items()}}
    busy = os.getloadavg()[0]
    print("Probing: some scenes, twenty batches of a training, some windows of a prediction …", file=sys.stderr)
    answer = _ask(request)
    if isinstance(answer, str):
        return Probed(notes=[answer])
    probed = _read(outlook, answer, chosen, has_gpus)
    lasting = {
        kind: price for kind, price in probed.prices.items() if kind in BY_NUMBER or probed.on_gpu or not has_gpus
    }
    write_json(PRICES, {kind: to_json(price) for kind, price in {**remembered(), **lasting}.items()})
    if busy > available_cores():
        probed.notes.append(
            f"others were computing here (a load of {busy:.0f} on {available_cores()} cores): times by the clock are "
            "those of a busy machine, CPU hours are not"
        )
    if left := len(kinds) - len(chosen):
        probed.notes.append(f"{left} kinds of trainings were not probed: they are taken for the mean of the others")
    return probed


def remembered() -> dict[str, Price]:
    """Return what earlier probes have found: kind → price; nothing of what another version of Swath has written."""
    try:
        return {kind: of_json(Price, price) for kind, price in (read_state(PRICES) or {}).items()}
    except ValidationError:
        return {}


def _sample(outlook: Outlook, run: Run) -> dict[str, Any]:
    """Name the settings of a run's chips, and some scenes that are there; which ones follows from their ids."""
    settings, spec = run.trial.settings, outlook.plan.specs["chips"][run.chips]
    scenes = [scene for split in LEARNED for scene in _some(outlook.plan.scenes_of(split, run.fold), split)]
    return {
        "task": settings.task,
        "imagery": spec["imagery"],
        "chips": spec["chips"],
        "spec": outlook.plan.specs["scenes"][run.scenes],
        "normalized": run.stats is not None,
        "scenes": [scene.row() for scene in scenes],
    }


def _some(scenes: Iterable[Scene], split: str) -> list[Scene]:
    there = [scene for scene in scenes if scene.labels and all(map(os.path.exists, _files(scene)))]
    return sorted(there, key=lambda scene: short_hash(scene.id))[: MOST_SCENES[split]]


def _files(scene: Scene) -> list[str]:
    return [path for entry in (scene.image, scene.labels, scene.aoi) for path in local_paths_of(entry)]


def _ask(request: Mapping[str, Any]) -> Answer | str:
    """Run the probe; return its answer, or why there is none."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    paths = [str(SCRIPTS), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    with tempfile.TemporaryDirectory() as folder, LOG.open("w") as log:
        answer = Path(folder) / "answer.json"
        done = subprocess.run(
            [sys.executable, "-m", "swath.cost.probe", str(answer)],
            input=json.dumps(request),
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        if done.returncode or not answer.is_file():
            return f"the probe has failed; its log: {LOG}"
        return of_json(Answer, json.loads(answer.read_text()))


def _read(outlook: Outlook, answer: Answer, chosen: Mapping[str, Sequence[Run]], has_gpus: bool) -> Probed:
    start = answer.start
    probed = Probed(imports=start)
    for key, sample in answer.samples.items():
        for split, windows in sample.windows.items():
            outlook.kept[key, split] = sample.chips[split] / max(windows, 1)
        for rule, done in (("scenes", sample.scenes), ("analyze", sample.analyze), ("chip", sample.chip)):
            own = start if rule == "chip" else start.times(0.2)  # `scenes` and `analyze` import neither of the two
            unit = done.time.times(1 / max(done.work, 1))
            made = sample.zipped / max(sample.chip.work, 1) if rule == "chip" else 0.0
            probed.prices[rule] = Price(own, unit, imports=own, bytes_of_unit=made, source="probed")
    for kind, training in answer.trainings.items():
        if isinstance(training, str):
            probed.notes.append(training)
            continue
        pixels = training.size**2
        probed.prices[kind] = Price(
            start.plus(training.fixed),
            training.chip.times(1 / pixels),
            training.validation.times(1 / pixels),
            training.epoch,
            imports=start,
            bytes=training.bytes,
            source="probed",
        )
        for run in chosen[kind]:
            prediction = outlook.kind_of_prediction(run, has_gpus)
            probed.prices[prediction] = Price(start, training.window, imports=start, bytes_of_unit=1.0, source="probed")
        probed.batches = max(probed.batches, training.batches)
        probed.windows = max(probed.windows, training.windows)
        probed.on_gpu |= training.gpu
    return probed
