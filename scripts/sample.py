"""Draw the points that are to be labelled, so that a map can be compared with them."""

from pathlib import Path

from swath.job.run_script import job

with job(snakemake) as (_, output, params):
    from swath.config.accuracy import Accuracy
    from swath.report.sample import draw_sample

    draw_sample(list(params.maps), Accuracy(**params.settings), Path(snakemake.output.table).parent, output.table)
