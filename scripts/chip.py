"""Cut the chips of one shard of scenes."""

from swath.job.attempts import note_work
from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.config.stage import StageSettings
    from swath.cost.work import chip_work
    from swath.rv.chip import cut_chips
    from swath.rv.pipeline import scene_options
    from swath.scenes.manifest import read_manifests

    settings = StageSettings(**params.settings)
    scenes = read_manifests(inputs.scenes, params.ids)
    note_work(chip_work(scenes, settings.chips))
    cut_chips(
        scenes,
        snakemake.wildcards.split,
        settings.chips,
        scene_options(settings, inputs.stats, params.classes),
        params.classes,
        output.chips,
    )
