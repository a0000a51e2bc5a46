"""Bundle a model with its prediction window."""

from pathlib import Path

from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.checks.pixels import metres_per_pixel
    from swath.config.predict import Window
    from swath.config.stage import StageSettings
    from swath.rv.bundle import bundle_model
    from swath.rv.pipeline import scene_options
    from swath.scenes.manifest import read_manifests
    from swath.scenes.trained_on import ModelDescription, describe_scenes
    from swath.training.checkpoints import remove_checkpoints

    settings = StageSettings(**params.settings)
    scenes = read_manifests(inputs.scenes, params.ids)
    description = ModelDescription(
        imagery=settings.imagery,
        window=Window(**params.spec["predict"]),
        background=scene_options(settings, inputs.stats, params.classes).unlabelled,
        trained_on=describe_scenes(scenes, settings.imagery, [metres_per_pixel(scene) for scene in scenes]),
        **params.kernels,
    )
    bundle_model(settings.task, Path(inputs.model).parent, description, output.bundle)
    if not params.keep_checkpoints:  # the model has just been read back
        remove_checkpoints(Path(inputs.model).parent / "checkpoints")
