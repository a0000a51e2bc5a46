"""Evaluate a split's predictions."""

from pathlib import Path

from swath.job.attempts import note_work
from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.config.stage import StageSettings
    from swath.cost.work import pixels_of
    from swath.rv.evaluate import evaluate
    from swath.rv.pipeline import scene_options
    from swath.scenes.manifest import read_manifests

    scenes = read_manifests(inputs.scenes, params.ids)
    note_work(pixels_of(scenes))
    evaluate(
        scenes,
        snakemake.wildcards.split,
        scene_options(StageSettings(**params.settings), inputs.stats, params.classes),
        Path(inputs.config).parent,
        Path(inputs.predictions[0]).parent,
        Path(snakemake.output.metrics).parent,
        vars(output),
    )
