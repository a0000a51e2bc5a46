"""Predict a shard of scenes."""

from pathlib import Path

from swath.job.attempts import note_work
from swath.job.gpus import take_gpus
from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    take_gpus(snakemake.resources.get("gpu", 0))
    from swath.config.predict import Window
    from swath.config.stage import StageSettings
    from swath.cost.work import prediction_work
    from swath.prediction.model import Computing
    from swath.prediction.predict import predict_scenes
    from swath.rv.pipeline import scene_options
    from swath.scenes.manifest import read_manifests

    scenes, window = read_manifests(inputs.scenes, params.ids), Window(**params.spec["predict"])
    note_work(prediction_work(scenes, window))
    predict_scenes(
        scenes,
        scene_options(StageSettings(**params.settings), inputs.stats, params.classes),
        Path(inputs.model).parent,
        window,
        Computing(**params.computing),
        params.colours,
        Path(snakemake.output.manifest).parent,
        output.manifest,
        params.name,
    )
