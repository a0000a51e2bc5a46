"""Compare the trials by their validation metrics."""

from swath.job.run_script import job
from swath.records import of_json
from swath.report.leaderboard import compare
from swath.report.runs import FinishedRun

with job(snakemake) as (_, output, params):
    compare([of_json(FinishedRun, run) for run in params.runs], params.metric, output.trials, output.leaderboard)
