"""Show what the model is going to see."""

from pathlib import Path

from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.report.preview import write_preview
    from swath.report.preview_chips import band_names, sample_chips
    from swath.scenes.manifest import read_manifests
    from swath.training.job import TrainingJob

    training = TrainingJob.of_rule(inputs, params, Path(snakemake.output.page).parent)
    chips, counts = sample_chips(training, number=24)
    write_preview(output.page, training, read_manifests(inputs.scenes), chips, counts, band_names(training))
