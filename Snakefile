# Swath: Raster Vision experiments as file-tracked steps.
#   results/scenes/<key>/        labels harmonised and checked, by split and shard of scenes
#   results/stats/<key>/         band statistics of the training scenes
#   results/chips/<key>/         training and validation chips, by shard of scenes
#   results/models/<key>/        train bundle, metrics per epoch, pipeline config
#   results/predictions/<key>/   maps: Cloud Optimized GeoTIFF and GeoParquet
#   results/evals/<key>/         metrics of a split
#   results/bundles/<key>/       deployable Raster Vision bundle
#   results/experiments/<name>/  leaderboard, winner, readable links into the folders above
#   results/pipelines/           the same stages of a Raster Vision module of the user's own
#
# A key is a hash of everything a result depends on: equal work is done once, changed work gets a new place.
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

REPOSITORY = Path(workflow.basedir)
sys.path.insert(0, str(REPOSITORY / "scripts"))

from swath.cluster.run import announce_run, check_cluster_or_exit, prepare_cluster_or_exit, print_what_jobs_said
from swath.doctor.examine import examine_or_exit
from swath.lock import release_lock_of_dead_run
from swath.scheduler import mend_scheduler
from swath.smk.fork_server import fork_scripts
from swath.workflow import check_container_or_exit, print_summary, rules_to_run

mend_scheduler(is_job=not workflow.is_main_process)
release_lock_of_dead_run(is_job=not workflow.is_main_process)

if not workflow.config_settings.configfiles:  # a config on the command line replaces the demo's

    configfile: str(REPOSITORY / "config" / "config.yaml")


CONTAINER = str(REPOSITORY / "envs" / "swath.sif")


# how many shards a stage's scenes are spread over is the profile's business: --set-scatter chip=8
scattergather:
    scenes=2,
    chip=2,
    predict=2,


# the way out: a Raster Vision module of the user's own
include: "rules/pipelines.smk" if "pipeline" in config else "rules/experiment.smk"


localrules:
    all,
    leaderboard,
    select,
    summary,


# everything that is worth keeping, so that a dropped folder is made again
rule all:
    default_target: True
    input:
        *TARGETS,


onstart:
    announce_run(workflow)
    if "doctor" in rules_to_run(workflow):
        examine_or_exit(run_for_doctor(), WEIGHTS_OF_ALL, str(REPOSITORY), f"{EXPERIMENT}/doctor.txt")
    check_container_or_exit(workflow, CONTAINER)
    SITE = check_cluster_or_exit(workflow, requests_not_planned_yet())
    check_first()
    prepare_cluster_or_exit(workflow, NAME, SITE)
    fork_scripts(workflow)


onsuccess:
    print_summary(EXPERIMENT)


onerror:
    print_what_jobs_said(workflow)
