"""Train one trial with one seed, up to its end or to that of a rung; go on from its last checkpoint."""

from pathlib import Path

from swath.job.attempt_log import continue_attempt_log
from swath.job.gpus import take_gpus
from swath.job.run_script import job
from swath.training.processes import drop_launcher_variables

with job(snakemake) as (inputs, output, params):
    take_gpus(snakemake.resources.get("gpu", 0))
    drop_launcher_variables()
    folder = Path(snakemake.output.metrics).parent
    continue_attempt_log(folder / "train.log")
    from swath.training.job import Rung, TrainingJob, TrainingOutputs
    from swath.training.stopping import deadline
    from swath.training.train import train_model, train_to_rung

    training = TrainingJob.of_rule(
        inputs,
        params,
        folder,
        params.runtime_only,
        weights=Path(inputs.weights[0]) if inputs.weights else None,
        deadline=deadline(params.time_limit),
    )
    if params.rung:
        train_to_rung(training, Rung(params.rung, output.metrics))
    else:
        train_model(training, TrainingOutputs(**vars(output)))
