"""Read headers and labels of a shard of scenes; harmonise and check the labels."""

from pathlib import Path

from swath.job.run_script import job
from swath.scenes.prepare import prepare_scenes

with job(snakemake) as (_, output, params):
    prepare_scenes(params.rows, params.spec, Path(snakemake.output.manifest).with_suffix(""), output.manifest)
