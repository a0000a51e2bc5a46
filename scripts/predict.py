"""Predict a shard of scenes."""

from pathlib import Path

from swath.job.gpus import take_gpus
from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    take_gpus(snakemake.resources.get("gpu", 0))
    from swath.config.predict import Window
    from swath.config.stage import StageSettings
    from swath.prediction.model import Computing
    from swath.prediction.predict import predict_scenes
    from swath.rv.pipeline import scene_options
    from swath.scenes.manifest import read_manifests

    predict_scenes(
        read_manifests(inputs.scenes, params.ids),
        scene_options(StageSettings(**params.settings), inputs.stats, params.classes),
        Path(inputs.model).parent,
        Window(**params.spec["predict"]),
        Computing(**params.computing),
        params.colours,
        Path(snakemake.output.manifest).parent,
        output.manifest,
        params.name,
    )
