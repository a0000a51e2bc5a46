"""Compare the trials by their validation metrics."""

from swath.config.records import of_json
from swath.config.sweep import Limits
from swath.job.run_script import job
from swath.plan.finished import FinishedRun
from swath.report.leaderboard import compare
from swath.rv.limits import judge_networks

with job(snakemake) as (inputs, output, params):
    limits = Limits(**params.limits)
    judge = judge_networks(limits, params.network, inputs.scenes)
    compare(
        [of_json(FinishedRun, run) for run in params.runs],
        params.metric,
        output.trials,
        output.leaderboard,
        output.comparison,
        limits,
        {trial: judge(values) for trial, values in params.points.items()},
    )
