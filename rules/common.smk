# The plan, and the functions that say what a rule reads and what its result depends on.
# `x_of(stage)` makes a function for the rule whose `key` wildcard is a key of that stage.
from functools import cache

from swath.checks.context import request_of
from swath.config.train import RUNTIME_ONLY
from swath.demo import data_sets
from swath.files import read_json
from swath.plan.describe import colours_by_id, describe_runs, keys_by_rule, keys_by_run
from swath.plan.inputs import WEIGHTS, files_behind, first_weights, places_of
from swath.plan.plan import EVALUATED, LEARNED
from swath.plan.shards import NAME as SHARD_NAME
from swath.plan.shards import scenes_in_shard, shards_made, shards_to_use
from swath.config.records import to_json
from swath.scenes.paths import local_paths_of
from swath.scenes.scene import SPLITS
from swath.scenes.splits import split_table
from swath.smk.hooks import RunContext
from swath.smk.run import MOST_TIMES, memory, minutes, mount_or_exit, plan_or_exit, size_mb, time_limit_in
from swath.versions import EXPERIMENT as VERSIONS

CONFIRMED = bool(config.pop("yes", False))  # of the rule clean_up
PLAN = plan_or_exit(config, workflow.configfiles)
NAME = PLAN.experiment.experiment


include: "paths.smk"


mount_or_exit(workflow, REPOSITORY, places_of(PLAN, RESULTS, workflow.configfiles))


wildcard_constraints:
    shard=SHARD_NAME,
    split="train|validation|test",


# --- shards: as many as the profile says, or those that are there already -------------------------


@cache
def scene_shards(key, split):
    """Shard → its scenes."""
    made = shards_made(f"{RESULTS}/scenes/{key}", f"{split}-{{}}.json")
    return shards_to_use(PLAN.parts_of(split), len(gather.scenes("{scatteritem}")), made)


@cache
def chip_shards(key, split, fold):
    """Shard → its scenes; the scenes that take turns with a fold's have shards of their own, which folds share."""
    made = shards_made(f"{RESULTS}/chips/{key}", f"{split}-{{}}.zip")
    return shards_to_use(PLAN.parts_of(split, fold), len(gather.chip("{scatteritem}")), made)


@cache
def map_shards(key, split, fold):
    """Shard → its scenes, all of them with labels or all without."""
    made = shards_made(f"{RESULTS}/predictions/{key}", "{}.json")
    return shards_to_use(PLAN.parts_of(split, fold), len(gather.predict("{scatteritem}")), made)


@cache
def scenes_of_shard(shard, splits, folds):
    """The scenes of a shard, which is one of some splits and folds."""
    return scenes_in_shard(shard, [part for split in splits for fold in folds for part in PLAN.parts_of(split, fold)])


# --- the scenes behind a key ----------------------------------------------------------------------


def scenes_behind(stage, wildcards):
    """The scenes that a job of a stage works on."""
    if stage == "scenes":
        return scenes_of_shard(wildcards.shard, (wildcards.split,), (None,))
    if stage == "chips":  # several folds can share a shard
        return scenes_of_shard(wildcards.shard, (wildcards.split,), tuple(PLAN.folds))
    fold = PLAN.run_with(stage, wildcards.key).fold
    if stage == "predictions":
        return scenes_of_shard(wildcards.shard, EVALUATED, (fold,))
    if stage == "evals":
        return PLAN.labelled_scenes_of(wildcards.split, fold)
    if stage == "stats":  # a fixed range needs no scenes
        return PLAN.scenes_of("train", fold) if PLAN.specs[stage][wildcards.key]["training_scenes"] else []
    return PLAN.scenes_of("train", fold) + PLAN.scenes_of("validation", fold)


# --- what a rule reads ----------------------------------------------------------------------------


def files_of_shard(wildcards):
    """The images, labels and areas of interest of a shard's scenes; braces would be wildcards (see state_of_shard)."""
    held = scenes_behind("scenes", wildcards)
    entries = [entry for scene in held for entry in (scene.image, scene.labels, scene.aoi)]
    return [path for entry in entries for path in local_paths_of(entry) if not set(path) & set("{}")]


def made_files(wildcards):
    """The scenes' files that a rule makes."""
    entries = [entry for scene in PLAN.scenes for entry in (scene.image, scene.labels, scene.aoi)]
    return [path for entry in entries for path in local_paths_of(entry) if path in data_sets.made_files()]


def manifests(key, scenes):
    """The manifests that hold some scenes' facts."""
    holding = manifest_of_scenes(key)
    return list(dict.fromkeys(holding[scene.id] for scene in scenes))


@cache
def manifest_of_scenes(key):
    """Scene → the manifest that holds its facts."""
    return {
        scene.id: f"{RESULTS}/scenes/{key}/{split}-{shard}.json"
        for split in SPLITS
        for shard, held in scene_shards(key, split).items()
        for scene in held
    }


def maps_of(run, split, labelled=False):
    """The manifests of a run's maps: of all scenes of a split, or of those with labels."""
    spread = map_shards(run.predictions, split, run.fold)
    wanted = [shard for shard, held in spread.items() if held[0].labels or not labelled]
    return [f"{RESULTS}/predictions/{run.predictions}/{shard}.json" for shard in wanted]


def manifests_of(stage):
    def manifests_of_key(wildcards):
        run = PLAN.run_with(stage, wildcards.key)
        return manifests(run.scenes, scenes_behind(stage, wildcards))

    return manifests_of_key


def stats_of(stage):
    """The statistics that the imagery is normalised with, if it is."""

    def stats(wildcards):
        key = PLAN.run_with(stage, wildcards.key).stats
        return [f"{RESULTS}/stats/{key}/stats/train_scenes/stats.json"] if key else []

    return stats


def chips_of_model(wildcards):
    run = PLAN.run_with("models", wildcards.key)
    return [
        f"{RESULTS}/chips/{run.chips}/{split}-{shard}.zip"
        for split in LEARNED
        for shard in chip_shards(run.chips, split, run.fold)
    ]


def weights_of_model(wildcards):
    """The files of the first weights, if they are not random."""
    return first_weights(PLAN.specs["models"][wildcards.key]["model"], RESULTS, WEIGHTS)


def model_of(stage, file):
    """A file of the model."""

    def model(wildcards):
        return f"{RESULTS}/models/{PLAN.run_with(stage, wildcards.key).models}/{file}"

    return model


def predictions_of_eval(wildcards):
    return maps_of(PLAN.run_with("evals", wildcards.key), wildcards.split, labelled=True)


def manifests_of_experiment(wildcards):
    return manifests(PLAN.runs[0].scenes, PLAN.scenes)
