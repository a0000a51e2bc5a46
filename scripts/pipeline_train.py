"""Train one run of a user's own pipeline; go on from its last checkpoint."""

from pathlib import Path

from swath.gpus import take_gpus
from swath.history import keep_history
from swath.job import job
from swath.training.processes import forget_launchers

with job(snakemake) as (inputs, output, params):
    take_gpus(snakemake.resources.get("gpu", 0))
    forget_launchers()
    keep_history(Path(snakemake.output.bundle).parent / "train.log")
    from swath.rv.stages import StageJob
    from swath.training.pipelines import PipelineTraining, train_pipeline
    from swath.training.stopping import deadline
    from swath.training.train import TrainingOutputs

    train_pipeline(
        PipelineTraining(
            name=params.name,
            stage=StageJob(params.module, params.run["custom"], Path(params.config), params.folders),
            seed=params.run["seed"],
            workers=params.run["workers"],
            chips=Path(inputs.chips[0]) if inputs.chips else None,
            code=params.code,
            deadline=deadline(params.time_limit),
        ),
        TrainingOutputs(**vars(output)),
    )
