"""Compare every result with its checksum."""

from swath.job.run_script import job
from swath.job.verify import verify_results

with job(snakemake) as (inputs, output, params):
    verify_results()
