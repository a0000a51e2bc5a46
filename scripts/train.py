"""Train one trial with one seed; go on from its last checkpoint."""

from pathlib import Path

from swath.job.attempt_log import continue_attempt_log
from swath.job.gpus import take_gpus
from swath.job.run_script import job
from swath.training.processes import drop_launcher_variables

with job(snakemake) as (inputs, output, params):
    take_gpus(snakemake.resources.get("gpu", 0))
    drop_launcher_variables()
    continue_attempt_log(Path(snakemake.output.bundle).parent / "train.log")
    from swath.training.job import TrainingJob, TrainingOutputs
    from swath.training.stopping import deadline
    from swath.training.train import train_model

    training = TrainingJob.of_rule(
        inputs,
        params,
        Path(snakemake.output.bundle).parent,
        params.runtime_only,
        weights=Path(inputs.weights[0]) if inputs.weights else None,
        deadline=deadline(params.time_limit),
    )
    train_model(training, TrainingOutputs(**vars(output)))
