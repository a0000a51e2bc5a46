"""Train one trial with one seed; go on from its last checkpoint."""

from pathlib import Path

from swath.gpus import take_gpus
from swath.history import keep_history
from swath.job import job
from swath.training.processes import forget_launchers

with job(snakemake) as (inputs, output, params):
    take_gpus(snakemake.resources.get("gpu", 0))
    forget_launchers()
    keep_history(Path(snakemake.output.bundle).parent / "train.log")
    from swath.training.stopping import deadline
    from swath.training.train import TrainingJob, TrainingOutputs, train_model

    training = TrainingJob.of_rule(
        inputs,
        params,
        Path(snakemake.output.bundle).parent,
        params.without_influence,
        weights=Path(inputs.weights[0]) if inputs.weights else None,
        code=params.code,
        deadline=deadline(params.time_limit),
    )
    train_model(training, TrainingOutputs(**vars(output)))
