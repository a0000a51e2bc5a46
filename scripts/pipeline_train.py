"""Train one run of a user's own pipeline; go on from its last checkpoint."""

from pathlib import Path

from swath.job.attempt_log import continue_attempt_log
from swath.job.gpus import take_gpus
from swath.job.run_script import job
from swath.training.processes import drop_launcher_variables

with job(snakemake) as (inputs, output, params):
    take_gpus(snakemake.resources.get("gpu", 0))
    drop_launcher_variables()
    continue_attempt_log(Path(snakemake.output.bundle).parent / "train.log")
    from swath.config.records import of_json
    from swath.own_module.stages import StageJob
    from swath.own_module.table import ConfiguredRun
    from swath.own_module.training import PipelineTraining, train_pipeline
    from swath.training.job import TrainingOutputs
    from swath.training.stopping import deadline

    run = of_json(ConfiguredRun, params.run)
    train_pipeline(
        PipelineTraining(
            name=params.name,
            stage=StageJob(params.module, run.custom, Path(params.config), params.folders),
            seed=run.seed,
            workers=run.workers,
            chips=Path(inputs.chips[0]) if inputs.chips else None,
            deadline=deadline(params.time_limit),
        ),
        TrainingOutputs(**vars(output)),
    )
