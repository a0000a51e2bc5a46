"""Select the winner by its validation metric."""

from swath.job.run_script import job
from swath.report.leaderboard import select_winner

with job(snakemake) as (inputs, output, params):
    select_winner(inputs.trials, inputs.leaderboard, params.metric, output.winner)
