# Swath: Raster Vision experiments as file-tracked steps.
#   results/scenes/<key>/        labels harmonised and checked, by split and shard of scenes
#   results/stats/<key>/         band statistics of the training scenes
#   results/chips/<key>/         training and validation chips, by shard of scenes
#   results/models/<key>/        train bundle, metrics per epoch, pipeline config
#   results/predictions/<key>/   maps: Cloud Optimized GeoTIFF and GeoParquet
#   results/evals/<key>/         metrics of a split
#   results/bundles/<key>/       deployable Raster Vision bundle
#   results/experiments/<name>/  leaderboard, winner, readable links into the folders above; map of new images; accuracy
#   results/maps/<name>/         what that map is put together of
#   results/pipelines/           the same stages of a Raster Vision module of the user's own
#
# A key is a hash of everything a result depends on: equal work is done once, changed work gets a new place.
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

REPOSITORY = Path(workflow.current_basedir)  # another one than the main Snakefile's, where this is a module
sys.path.insert(0, str(REPOSITORY / "scripts"))

from swath.smk import hooks

hooks.before_planning(workflow)

# a config on the command line replaces the demo's
if not workflow.config_settings.configfiles and not {"apply", "accuracy", "experiments"} & set(config):

    configfile: hooks.checked_config(REPOSITORY / "config" / "config.yaml")


CONTAINER = str(REPOSITORY / "envs" / "swath.sif")


# every step runs in it, where the profile says so
container: CONTAINER


# how many shards a stage's scenes are spread over is the profile's business: --set-scatter chip=8
scattergather:
    scenes=2,
    chip=2,
    predict=2,
    apply=2,


# a training with all its stages; a module of Raster Vision's with its own; or a model or a map that is there
include: f"rules/{hooks.rules_for(config)}.smk"


hooks.after_planning(workflow, CONTEXT)


localrules:
    all,


# everything that is worth keeping, so that a dropped folder is made again
rule all:
    default_target: True
    input:
        *TARGETS,


onstart:
    hooks.on_start(workflow, CONTEXT)


onsuccess:
    hooks.on_success(workflow, CONTEXT)


onerror:
    hooks.on_error(workflow, CONTEXT)
