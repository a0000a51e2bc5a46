# What the rules of a map of new images read, and what their results depend on.
from dataclasses import replace
from functools import cache

from swath.config.records import to_json
from swath.files import read_json, read_state
from swath.plan.apply import own_bundles, shards_of
from swath.plan.inputs import files_behind
from swath.plan.shards import NAME as SHARD_NAME
from swath.plan.shards import shards_made
from swath.scenes.states import Files
from swath.status.watched import Watched
from swath.smk.run import check_map_or_exit, map_of_experiment_or_exit, mount_or_exit

if "PLAN" in globals():  # the config of a training
    MAP_PLAN = map_of_experiment_or_exit(PLAN.experiment, workflow.configfiles, RESULTS, workflow.is_main_process)

MAP_FILES = Files()
PARTS_MADE = f"{PARTS}/{MAP_PLAN.key}" if MAP_PLAN else PARTS


wildcard_constraints:
    part=SHARD_NAME,


def bundles_of_map(wildcards=None):
    """The models' bundles; of the experiment that this config describes, those that win are known after `select`."""
    if MAP_PLAN.bundles:
        return files_behind(MAP_PLAN.bundles)
    winner = None
    if MAP_PLAN.settings.model.trial is None:
        winner = read_json(checkpoints.select.get().output.winner)
    return bundles_of_winner(winner)


def bundles_of_winner(winner):
    """Bundles of the experiment that this config describes: of the trial that the setting names, or of the winner."""
    model, made = MAP_PLAN.settings.model, {
        run.name: f"{RESULTS}/bundles/{run.bundles}/model-bundle.zip" for run in PLAN.runs
    }
    won = (winner["trial"], winner["run"]) if winner and model.trial is None else None
    return own_bundles(model, made, won, workflow.configfiles)


@cache
def parts_of_map():
    """Name of a part → the images and rows that it holds."""
    made = shards_made(PARTS_MADE, "{}.json")
    return shards_of(MAP_PLAN.images, len(gather.apply("{scatteritem}")), made)


def files_of_map():
    """The map's images, its area of interest and its models, with what lies beside them and behind them."""
    entries = [*(image.image for image in MAP_PLAN.images), MAP_PLAN.settings.aoi]
    return [*MAP_PLAN.bundles, *(file for entry in entries for file in MAP_FILES.of(entry))]


def state_of_images(images):
    """What images and the area of interest hold, whatever their dates."""
    area = [MAP_FILES.checksum(file) for file in MAP_FILES.of(MAP_PLAN.settings.aoi)]
    state = [MAP_FILES.state(images), area]
    MAP_FILES.remember()
    return state


def state_of_map(wildcards):
    return state_of_images(MAP_PLAN.images)


def images_seen(wildcards):
    """A part's images; in a mosaic also those around them, which windows at an image's edge see."""
    return MAP_PLAN.images if MAP_PLAN.settings.mosaic else parts_of_map()[wildcards.part].images


def images_of_part(wildcards):
    return [image.row() for image in images_seen(wildcards)]


def state_of_part(wildcards):
    return state_of_images(images_seen(wildcards))


def part_of_map(wildcards):
    shard = parts_of_map()[wildcards.part]
    return {"images": [image.id for image in shard.images], "part": shard.part, "parts": shard.parts}


def parts_to_join(wildcards):
    return [f"{PARTS_MADE}/{part}.json" for part in parts_of_map()]


def watched_map():
    parts = [(part,) for part in parts_to_join(None)] if MAP_PLAN else []
    return Watched(NAME, (), {"parts of the map": parts, "map": [(f"{PARTS}/map.json",)]} if parts else {})


def check_map():
    """Compare the images with the models, as far as these are there: which one wins may yet change."""
    winner = read_state(Path(f"{EXPERIMENT}/winner.json"), trial=str, run=str)
    own = not MAP_PLAN.bundles
    if own and MAP_PLAN.settings.model.trial is None and winner is None:
        check_map_or_exit(MAP_PLAN, [])
    elif own:
        check_map_or_exit(MAP_PLAN, bundles_of_winner(winner))
    else:
        check_map_or_exit(MAP_PLAN, MAP_PLAN.bundles)


if MAP_PLAN:
    mount_or_exit(workflow, REPOSITORY, [RESULTS, *workflow.configfiles, *files_of_map()])
if MAP_PLAN and "PLAN" in globals():
    CONTEXT = replace(CONTEXT, check_map=check_map)
