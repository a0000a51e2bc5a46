"""Compare the trials by their validation metrics."""

from swath.config.records import of_json
from swath.job.run_script import job
from swath.plan.finished import FinishedRun
from swath.report.leaderboard import compare

with job(snakemake) as (_, output, params):
    compare(
        [of_json(FinishedRun, run) for run in params.runs],
        params.metric,
        output.trials,
        output.leaderboard,
        output.comparison,
    )
