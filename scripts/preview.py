"""Show what the model is going to see."""

from pathlib import Path

from swath.job import job

with job(snakemake) as (inputs, output, params):
    from swath.report.preview import write_preview
    from swath.rv.pipeline import scene_options
    from swath.scenes.manifest import read_manifests, read_splits
    from swath.training.previews import band_names, sample_chips
    from swath.training.train import TrainingJob

    training = TrainingJob(
        name=params.experiment,
        folder=Path(snakemake.output.page).parent / "preview",
        chips=list(inputs.chips),
        scenes=read_splits(inputs.scenes, params.splits),
        options=scene_options(params.settings, inputs.stats, params.classes),
        classes=params.classes,
        colours=params.colours,
        chip_size=params.settings["chips"]["size"],
        model=params.spec["model"],
        train=params.spec["train"],
        seed=params.spec["seed"],
    )
    chips, counts = sample_chips(training, number=24)
    names = band_names(training)
    scenes = read_manifests(inputs.scenes)
    labels = params.classes, params.colours
    write_preview(output.page, params.experiment, params.settings["task"], scenes, chips, counts, names, *labels)
