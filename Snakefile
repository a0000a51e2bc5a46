# Swath: Raster Vision experiments as file-tracked steps.
#
#   results/scenes/<key>/        labels harmonised and checked, by split and shard of scenes
#   results/stats/<key>/         band statistics of the training scenes
#   results/chips/<key>/         training and validation chips, by shard of scenes
#   results/models/<key>/        train bundle, metrics per epoch, pipeline config
#   results/predictions/<key>/   maps: Cloud Optimized GeoTIFF and GeoParquet
#   results/evals/<key>/         metrics of a split
#   results/bundles/<key>/       deployable Raster Vision bundle
#   results/experiments/<name>/  leaderboard, winner, readable links into the folders above
#
# A key is a hash of everything a result depends on: equal work is done once, changed work gets a new place.
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

REPOSITORY = Path(workflow.basedir)
sys.path.insert(0, str(REPOSITORY / "scripts"))

if not workflow.config_settings.configfiles:  # a config on the command line replaces the demo's

    configfile: str(REPOSITORY / "config" / "config.yaml")


# how many shards a stage's scenes are spread over is the profile's business: --set-scatter chip=8
scattergather:
    scenes=2,
    chip=2,
    predict=2,


include: "rules/common.smk"
include: "rules/params.smk"
include: "rules/validate.smk"
include: "rules/havel.smk"
include: "rules/scenes.smk"
include: "rules/analyze.smk"
include: "rules/chip.smk"
include: "rules/weights.smk"
include: "rules/train.smk"
include: "rules/predict.smk"
include: "rules/eval.smk"
include: "rules/bundle.smk"
include: "rules/leaderboard.smk"
include: "rules/select.smk"
include: "rules/summary.smk"


localrules:
    all,
    havel,
    leaderboard,
    select,
    summary,


# everything that is worth keeping, so that a dropped folder is made again
rule all:
    default_target: True
    input:
        MODELS,
        MAPS,
        EVALS,
        BUNDLES,
        test_of_winner,
        f"{EXPERIMENT}/summary.txt",


onstart:
    claim_lock()
    check_first()


onsuccess:
    print_summary(EXPERIMENT)
