"""Train one trial with one seed; go on from its last checkpoint."""

from pathlib import Path

from swath.job import job
from swath.training.processes import forget_launchers

with job(snakemake) as (inputs, output, params):
    forget_launchers()
    from swath.rv.pipeline import scene_options
    from swath.scenes.manifest import read_splits
    from swath.training.stopping import deadline
    from swath.training.train import TrainingJob, TrainingOutputs, train_model

    train_model(
        TrainingJob(
            name=params.name,
            folder=Path(snakemake.output.bundle).parent,
            chips=list(inputs.chips),
            scenes=read_splits(inputs.scenes, params.splits),
            options=scene_options(params.settings, inputs.stats, params.classes),
            classes=params.classes,
            colours=params.colours,
            chip_size=params.settings["chips"]["size"],
            model=params.spec["model"],
            train={**params.spec["train"], **params.without_influence},
            seed=params.spec["seed"],
            weights=Path(inputs.weights[0]) if inputs.weights else None,
            code=params.code,
            deadline=deadline(params.time_limit),
        ),
        TrainingOutputs(**vars(output)),
    )
