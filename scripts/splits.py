"""Write down which scenes train, validate and test."""

from swath.job.run_script import job
from swath.scenes.splits import write_splits

with job(snakemake) as (_, output, params):
    write_splits(params.rows, output.splits)
