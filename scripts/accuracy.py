"""Compare a map with reference points: accuracy, and areas with their intervals."""

from swath.job.run_script import job

with job(snakemake) as (_, output, params):
    from swath.config.accuracy import Accuracy
    from swath.report.accuracy import estimate_accuracy

    estimate_accuracy(params.name, list(params.maps), Accuracy(**params.settings), vars(output))
