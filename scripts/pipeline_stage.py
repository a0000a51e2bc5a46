"""Run one of Raster Vision's stages of a user's own pipeline; the rule's name says which."""

from pathlib import Path

from swath.job.gpus import take_gpus
from swath.job.run_script import job

with job(snakemake) as (_, output, params):
    take_gpus(snakemake.resources.get("gpu", 0))
    from swath.config.records import of_json
    from swath.own_module.stages import STAGES, StageJob
    from swath.own_module.table import ConfiguredRun

    stage = StageJob(params.module, of_json(ConfiguredRun, params.run).custom, Path(params.config), params.folders)
    STAGES[snakemake.rule](stage, vars(output))
