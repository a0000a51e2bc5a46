"""Bundle a model with its prediction window."""

from pathlib import Path

from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.config.predict import Window
    from swath.config.stage import StageSettings
    from swath.rv.bundle import bundle_model
    from swath.training.checkpoints import remove_checkpoints

    task, window = StageSettings(**params.settings).task, Window(**params.spec["predict"])
    bundle_model(task, Path(inputs.model).parent, window, output.bundle)
    if not params.keep_checkpoints:  # the model has just been read back
        remove_checkpoints(Path(inputs.model).parent / "checkpoints")
