"""The stage `configure`: what a user's `get_config` returns, freed of its folders, and the keys of its stages."""

from __future__ import annotations

import re
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import JsonValue
from rastervision.core.rv_pipeline import ObjectDetectionConfig, RVPipelineConfig
from rastervision.pipeline import registry_ as registry
from rastervision.pytorch_backend.pytorch_learner_backend_config import PyTorchLearnerBackendConfig

from swath.config.records import to_json
from swath.config.train import RUNTIME_ONLY as SPEED_ONLY
from swath.config.train import Train
from swath.errors import Problem, UserError, did_you_mean
from swath.files import read_json, sha256, short_hash, write_json
from swath.own_module.network import unreachable_address
from swath.own_module.signature import ROOT_URI
from swath.own_module.table import ConfiguredRun, Table
from swath.rv.pipeline import write_config
from swath.rv.seeds import seed_everything
from swath.versions import OWN_MODULE

ROOT = "results/pipelines/root"
"""Stands for the folders of results in a config until its keys are known."""

STAGES = ("analyze", "chip", "train", "predict", "eval", "bundle")
RUNTIME_ONLY = frozenset(
    "num_workers log_tensorboard run_tensorboard save_all_checkpoints preview_batch_limit plot_options "
    "plugin_versions rv_config".split()
)
"""Fields of Raster Vision's configs that change no result."""

Json = dict[str, Any]
"""A config of Raster Vision's, or a part of one, as the JSON values that Raster Vision writes it in."""

RUNNER = "inprocess"
MODULE_NAME = "rastervision.pipeline"
"""What Raster Vision calls a user's module when it imports it; config classes defined there are registered by it."""


LONGEST_PATH = 1024
SEED = 0


def configure(
    module: str,
    modules: Sequence[str],
    takes_root: bool,
    trials: Mapping[str, Mapping[str, JsonValue]],
    runs: Mapping[str, tuple[str, int]],
    metric: str,
    configs: Sequence[Path],
    table: Path,
) -> None:
    """Call `get_config` for every trial and write what it returns, with all folders of results under ROOT.

    Args:
        module: The user's module.
        modules: It and those of the user's that it imports.
        takes_root: Whether `get_config` takes `root_uri`.
        trials: Trial → arguments.
        runs: Run → trial and seed.
        metric: The metric that selects.
        configs: JSON files to write, one per trial, in the order of the trials.
        table: JSON to write: the fields of :class:`swath.own_module.table.Table`.

    Raises:
        UserError: If `get_config` fails, or returns what Swath cannot run.
    """
    contents = {}
    for (name, arguments), path in zip(trials.items(), configs, strict=True):
        given = {ROOT_URI: ROOT, **arguments} if takes_root else arguments
        contents[name] = configured(module, given, metric, f"trial {name}")
        write_json(path, contents[name])
    custom = {path: sha256(path) for path in modules} if _brings_configs() else None
    files: dict[str, dict[str, list[str]]] = {stage: {} for stage in STAGES}
    configured_runs = {}
    for run, (trial, seed) in runs.items():
        content = contents[trial]
        keys = {}
        for stage, spec in stage_specs(content, seed, custom).items():
            keys[stage] = key_of(stage, spec)
            read = () if stage == "bundle" else _local_files(spec)
            files[stage][keys[stage]] = sorted({*read, *(custom or ())})
        configured_runs[run] = ConfiguredRun(
            config=list(trials).index(trial),
            seed=seed,
            custom=bool(custom),
            splits=[split for split in ("validation", "test") if _labelled(content["dataset"][f"{split}_scenes"])],
            workers=loader_processes(content["backend"]["data"]),
            keys=keys,
        )
    write_json(table, to_json(Table(configured_runs, files)))


# --- get_config -----------------------------------------------------------------------------------


def configured(module: str, arguments: Mapping[str, JsonValue], metric: str, trial: str) -> Json:
    """Call `get_config`, complete and check its config, and put ROOT where its results would go.

    Raises:
        UserError: If that fails, or Swath cannot run the config.
    """
    with told_as_mistake_of(module, f"get_config, {trial}"):
        seed_everything(SEED)  # scenes split at random are split alike in all trials
        config = import_pipeline(module).get_config(RUNNER, **arguments)
    if not isinstance(config, RVPipelineConfig):
        kind = f"a {type(config).__name__}"
        cure = "return one; give what varies as arguments, and sweep over them"
        raise UserError(
            Problem(
                "get_config_result", module, f"get_config, {trial}", kind, "Raster Vision's config of a pipeline", cure
            )
        )
    config = config.model_copy(deep=True)  # trials may share parts
    with told_as_mistake_of(module, f"what get_config returns, {trial}"):
        _forget_places(config)
        _count_channels(config)
        config.update()
        config.recursive_validate_config()
    _check(config, module, metric)
    moves = {str(getattr(config, f"{stage}_uri")).rstrip("/"): f"{ROOT}/{stage}" for stage in STAGES}
    moves[str(Path.cwd())] = "."  # the same config, wherever the project lies
    with tempfile.TemporaryDirectory() as temporary:
        write_config(config, Path(temporary) / "config.json")
        content: Json = moved(read_json(Path(temporary) / "config.json"), moves)
    return {**content, "root_uri": ROOT, **{f"{stage}_uri": f"{ROOT}/{stage}" for stage in STAGES}}


@cache  # config classes are registered once
def import_pipeline(module: str) -> ModuleType:
    """Import a module, which may import what lies beside it, or in the working directory."""
    for folder in (str(Path(module).parent.resolve()), str(Path.cwd())):
        if folder not in sys.path:
            sys.path.append(folder)
    spec = spec_from_file_location(MODULE_NAME, module)
    assert spec and spec.loader
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@contextmanager
def told_as_mistake_of(module: str, field: str) -> Iterator[None]:
    """Tell an error in a user's module, or in what it asks of Raster Vision, in words; the log gets the traceback."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        traceback.print_exc()
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _is_file(frame.filename, module)
        ]
        found = f"{type(error).__name__}: {' '.join(str(error).split())}"
        place = f"{module}:{lines[-1]}" if lines else module
        if address := unreachable_address(error):
            expected = "a network, or files that are there"
            cure = (
                "run this stage once where there is a network, or have the module take a file: "
                "compute nodes often have none"
            )
            raise UserError(
                Problem("no_network", place, field, f"no network: {address} ({found})", expected, cure)
            ) from None
        cure = "correct the module or its arguments; the log has the traceback"
        raise UserError(Problem("module_failed", place, field, found, "what Raster Vision takes", cure)) from None


def _is_file(path: str, other: str) -> bool:
    return Path(path).resolve() == Path(other).resolve()


def _forget_places(config: RVPipelineConfig) -> None:
    """Let Raster Vision choose again where predictions, metrics and statistics go: below the stages' folders."""
    for scene in config.dataset.all_scenes:
        if scene.label_store is not None:
            scene.label_store.uri = None
    for part in (*config.evaluators, *config.analyzers):
        part.output_uri = None


def _count_channels(config: RVPipelineConfig) -> None:
    """Count an image's bands, if the module does not: Raster Vision would do so with statistics not there yet."""
    scenes, data = config.dataset.all_scenes, config.backend.data
    if data.img_channels or not scenes or any(scene.raster_source.channel_order for scene in scenes):
        return
    with tempfile.TemporaryDirectory() as temporary:
        data.img_channels = scenes[0].raster_source.build(temporary, use_transformers=False).num_channels


def _check(config: RVPipelineConfig, module: str, metric: str) -> None:
    """Refuse what could only fail later."""
    problems = []
    if not isinstance(config.backend, PyTorchLearnerBackendConfig):
        kind = type(config.backend).__name__
        problems.append(
            Problem(
                "unknown_backend", module, "backend", kind, "one of Raster Vision's PyTorch backends", "use one of them"
            )
        )
    for split in ("train", "validation"):
        scenes = getattr(config.dataset, f"{split}_scenes")
        if not any(scene.label_source for scene in scenes):
            found, cure = f"{len(scenes)} scenes, none with labels", f"add {split} scenes in get_config"
            problems.append(
                Problem(
                    "no_labelled_scenes",
                    module,
                    f"dataset.{split}_scenes",
                    found,
                    "at least one scene with labels",
                    cure,
                )
            )
    names = config.dataset.class_config.names
    if metric.startswith("f1.") and metric.removeprefix("f1.") not in names:
        cure = did_you_mean(metric.removeprefix("f1."), names)
        problems.append(Problem("unknown_class", "config", "sweep.select.metric", metric, f"a class of {module}", cure))
    if metric == "accuracy" and isinstance(config, ObjectDetectionConfig):
        problems.append(
            Problem("unknown_metric", "config", "sweep.select.metric", metric, "macro_f1 or f1.<class>", "change it")
        )
    if problems:
        raise UserError(problems)


# --- keys -----------------------------------------------------------------------------------------


def stage_specs(content: Json, seed: int, custom: Mapping[str, str] | None) -> dict[str, Json]:
    """List what the stages of a run depend on, by stage; a stage that has nothing to do is left out.

    Args:
        content: The config, its folders under ROOT.
        seed: The run's seed.
        custom: The user's modules with their checksums, if they define config classes of their own.
    """
    dataset, backend = content["dataset"], content["backend"]
    kinds = [content["type_hint"], backend["type_hint"], custom]
    predicted = {name: dataset[name] for name in ("class_config", "validation_scenes", "test_scenes")}
    keys: dict[str, str] = {}
    specs: dict[str, Json] = {}

    def add(stage: str, *parts: Any) -> None:
        specs[stage] = {"version": OWN_MODULE[stage], "parts": without([kinds, *parts], RUNTIME_ONLY)}
        keys[stage] = key_of(stage, specs[stage])

    if content["analyzers"]:
        add("analyze", without(dataset, {"class_config", "label_store", "label_source"}), content["analyzers"])
    if reads_chips(content):
        cut = without(dataset, {"label_store", "test_scenes", "scene_groups"})
        add("chip", keys.get("analyze"), cut, content["chip_options"])
    data = keys.get("chip") or keys.get("analyze")
    defaults = Train().model_dump(mode="json", exclude=set(SPEED_ONLY))  # of what Raster Vision's solver does not say
    network = without(backend, {"label_store"})
    add("train", data, network, dataset["class_config"], content["source_bundle_uri"], seed, defaults)
    options = without(content["predict_options"], {"batch_sz"})
    add("predict", keys["train"], keys.get("analyze"), predicted, options)
    add("eval", keys["predict"], predicted, content["evaluators"], dataset["scene_groups"])
    add("bundle", keys["train"], keys.get("analyze"), content)
    return specs


def key_of(stage: str, spec: Json) -> str:
    """Return the name of the folder of a stage's results."""
    return short_hash([stage, spec])


def reads_chips(content: Json) -> bool:
    """Tell whether training reads what the stage `chip` cuts, and not scenes or chips of the user's own."""
    uri = content["backend"]["data"].get("uri")
    return isinstance(uri, str) and uri.startswith(f"{ROOT}/chip")


def loader_processes(data: Json) -> int:
    """Return how many processes load chips; scenes are read by the training itself, whose open images forks break."""
    return 0 if "scene_dataset" in data else int(data["num_workers"])


def without(content: Any, fields: Set[str]) -> Any:
    """Leave fields out of a config, at any depth."""
    if isinstance(content, Mapping):
        return {name: without(value, fields) for name, value in content.items() if name not in fields}
    if isinstance(content, list | tuple):
        return [without(value, fields) for value in content]
    return content


def moved(content: Any, moves: Mapping[str, str]) -> Any:
    """Replace folders in a config's paths, at any depth: folder → the folder that takes its place."""
    if isinstance(content, Mapping):
        return {name: moved(value, moves) for name, value in content.items()}
    if isinstance(content, list):
        return [moved(value, moves) for value in content]
    if isinstance(content, str):
        for old, new in moves.items():
            if content == old or content.startswith(f"{old}/"):
                return new + content[len(old) :]
    return content


def _local_files(content: Any, field: str = "") -> Iterator[str]:
    """List the files on this machine that a config names; of a folder, the archives and modules in it."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _local_files(value, name)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _local_files(value, field)
    elif isinstance(content, str) and re.search("uri|path|weights", field) and not content.startswith(f"{ROOT}/"):
        path = Path(content)
        if len(content) < LONGEST_PATH and path.is_file():
            yield content
        elif len(content) < LONGEST_PATH and path.is_dir():
            yield from (str(file) for file in path.iterdir() if file.suffix in (".py", ".zip"))


def _labelled(scenes: Sequence[Json]) -> bool:
    return any(scene.get("label_source") for scene in scenes)


def _brings_configs() -> bool:
    """Tell whether there are config classes that neither Raster Vision nor a plugin defines: stages need them, too."""
    modules = {kind.__module__ for kind in registry.configs.values()}
    return any(name == MODULE_NAME or not name.startswith("rastervision.") for name in modules)
