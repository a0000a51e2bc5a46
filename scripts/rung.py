"""Decide which trials go on from a rung to the next."""

from pathlib import Path

from swath.job.run_script import job
from swath.search.rungs import decide

with job(snakemake) as (inputs, output, params):
    decide(
        {trial: Path(path) for trial, path in zip(params.trials, inputs.metrics, strict=True)},
        params.metric,
        params.factor,
        output.table,
    )
