"""Sum up the experiment: links with readable names, a picture, a text."""

from pathlib import Path

from swath.config.records import of_json
from swath.job.run_script import job
from swath.plan.finished import FinishedRun
from swath.report.summary import sum_up
from swath.scenes.manifest import read_manifests

with job(snakemake) as (inputs, output, params):
    sum_up(
        Path(snakemake.output.summary).parent,
        params.task,
        [of_json(FinishedRun, run) for run in params.runs],
        inputs.winner,
        inputs.leaderboard,
        inputs.comparison,
        inputs.splits,
        params.metric,
        read_manifests(inputs.scenes),
        list(map(Path, inputs.rungs)),
        list(map(Path, inputs.rounds)),
        params.colours,
        vars(output),
    )
