"""Compute the band statistics of the training scenes."""

from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.config.imagery import Imagery
    from swath.scenes.analyze import analyze
    from swath.scenes.manifest import read_manifests

    analyze(read_manifests(inputs.scenes, params.ids), Imagery(**params.spec["imagery"]), output.stats)
