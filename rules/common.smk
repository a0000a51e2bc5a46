# The plan, and the functions that say what a rule reads and what its result depends on.
# `x_of(stage)` makes a function for the rule whose `key` wildcard is a key of that stage.
from swath import demo
from swath.checks.survey import request_of
from swath.code import code_of
from swath.files import read_json
from swath.plan import shards, shards_of_parts
from swath.scenes.paths import local_paths_of
from swath.scenes.splits import split_table
from swath.scenes.table import SPLITS
from swath.config.train import WITHOUT_INFLUENCE
from swath.workflow import (
    MOST_TIMES,
    WEIGHTS,
    check_or_exit,
    colours_by_id,
    describe_run,
    describe_runs,
    files_behind,
    first_weights,
    memory,
    minutes,
    mount_or_exit,
    places_of,
    plan_or_exit,
    rules_to_run,
    time_limit_in,
)

PLAN = plan_or_exit(config, workflow.configfiles)
NAME = PLAN.experiment.experiment
RESULTS = "results"
EXPERIMENT = f"{RESULTS}/experiments/{NAME}"
VALIDATION = f"{EXPERIMENT}/validation.html"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
mount_or_exit(workflow, REPOSITORY, places_of(PLAN, RESULTS, workflow.configfiles))

# split → shard → its scenes
SCENE_SHARDS = {split: shards(PLAN.scenes_of(split), len(gather.scenes("{scatteritem}"))) for split in SPLITS}


def shards_in_folds(splits, number):
    """Split and fold → shard → its scenes; a fold's scenes have shards of their own, which trainings share."""
    return {
        (split, fold): shards_of_parts(PLAN.parts_of(split, fold), number) for split in splits for fold in PLAN.folds
    }


CHIP_SHARDS = shards_in_folds(SPLITS[:2], len(gather.chip("{scatteritem}")))
PREDICT_SHARDS = shards_in_folds(SPLITS[1:], len(gather.predict("{scatteritem}")))


wildcard_constraints:
    key="[0-9a-f]{12}",
    shard=r"\d+-of-\d+-[0-9a-f]{6}",
    split="train|validation|test",


def manifests(key, scenes):
    """The manifests that hold some scenes' facts."""
    wanted = {scene.id for scene in scenes}
    return [
        f"{RESULTS}/scenes/{key}/{split}-{shard}.json"
        for split in SPLITS
        for shard, held in SCENE_SHARDS[split].items()
        if wanted & {scene.id for scene in held}
    ]


# --- the scenes behind a key ----------------------------------------------------------------------


def scenes_behind(stage, wildcards):
    """The scenes that a job of a stage works on."""
    if stage == "scenes":
        return SCENE_SHARDS[wildcards.split][wildcards.shard]
    if stage == "chips":  # several folds can share a shard
        every_fold = (held for (split, _), held in CHIP_SHARDS.items() if split == wildcards.split)
        return next(held[wildcards.shard] for held in every_fold if wildcards.shard in held)
    fold = PLAN.run_with(stage, wildcards.key).fold
    if stage == "predictions":
        return PREDICT_SHARDS[PLAN.specs[stage][wildcards.key]["split"], fold][wildcards.shard]
    if stage == "evals":
        return PLAN.labelled_scenes_of(wildcards.split, fold)
    if stage == "stats":  # a fixed range needs no scenes
        return PLAN.scenes_of("train", fold) if PLAN.specs[stage][wildcards.key]["training_scenes"] else []
    return PLAN.scenes_of("train", fold) + PLAN.scenes_of("validation", fold)


def ids_of(stage):
    def ids(wildcards):
        return [scene.id for scene in scenes_behind(stage, wildcards)]

    return ids


def rows_of(stage):
    def rows(wildcards):
        return [scene.row() for scene in scenes_behind(stage, wildcards)]

    return rows


# --- what a rule reads ----------------------------------------------------------------------------


def files_of_shard(wildcards):
    """The images, labels and areas of interest of a shard's scenes."""
    held = scenes_behind("scenes", wildcards)
    return [path for scene in held for cell in (scene.image, scene.labels, scene.aoi) for path in local_paths_of(cell)]


def made_files(wildcards):
    """The scenes' files that a rule makes."""
    cells = [cell for scene in PLAN.scenes for cell in (scene.image, scene.labels, scene.aoi)]
    return [path for cell in cells for path in local_paths_of(cell) if path in demo.made_files()]


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
        for split in SPLITS[:2]
        for shard in CHIP_SHARDS[split, run.fold]
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
    run = PLAN.run_with("evals", wildcards.key)
    key = run.predictions[wildcards.split]
    return [f"{RESULTS}/predictions/{key}/{shard}.json" for shard in PREDICT_SHARDS[wildcards.split, run.fold]]


def manifests_of_experiment(wildcards):
    return manifests(PLAN.runs[0].scenes, PLAN.scenes)
