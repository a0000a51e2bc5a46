"""Evaluate a split's predictions."""

from pathlib import Path

from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.config.stage import StageSettings
    from swath.rv.evaluate import evaluate
    from swath.rv.pipeline import scene_options
    from swath.scenes.manifest import read_manifests

    evaluate(
        read_manifests(inputs.scenes, params.ids),
        snakemake.wildcards.split,
        scene_options(StageSettings(**params.settings), inputs.stats, params.classes),
        Path(inputs.config).parent,
        Path(inputs.predictions[0]).parent,
        Path(snakemake.output.metrics).parent,
        vars(output),
    )
