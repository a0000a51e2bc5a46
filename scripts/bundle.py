"""Bundle a model with its prediction window."""

from pathlib import Path

from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.rv.bundle import bundle_model

    bundle_model(params.settings["task"], Path(inputs.model).parent, params.spec["predict"], output.bundle)
