"""Compare the trials by their validation metrics."""

from swath.job.run_script import job
from swath.report.leaderboard import compare

with job(snakemake) as (_, output, params):
    compare(params.runs, params.metric, output.trials, output.leaderboard)
