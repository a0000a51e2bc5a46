"""Fetch an encoder's ImageNet weights."""

from swath.job.run_script import job

with job(snakemake) as (_, output, params):
    from swath.training.pretrained import fetch_weights

    fetch_weights(params.encoder, output.weights, output.record)
