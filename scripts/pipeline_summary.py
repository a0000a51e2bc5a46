"""Sum up an experiment with a module of the user's own: links with readable names, a text."""

from pathlib import Path

from swath.config.records import of_json
from swath.job.run_script import job
from swath.own_module.summary import sum_up_pipelines
from swath.plan.finished import FinishedRun

with job(snakemake) as (inputs, output, params):
    sum_up_pipelines(
        Path(snakemake.output.summary).parent,
        [of_json(FinishedRun, run) for run in params.runs],
        inputs.winner,
        inputs.leaderboard,
        params.metric,
        output.summary,
    )
