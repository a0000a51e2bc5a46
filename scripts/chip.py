"""Cut the chips of one shard of scenes."""

from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.config.stage import StageSettings
    from swath.rv.chip import cut_chips
    from swath.rv.pipeline import scene_options
    from swath.scenes.manifest import read_manifests

    settings = StageSettings(**params.settings)
    cut_chips(
        read_manifests(inputs.scenes, params.ids),
        snakemake.wildcards.split,
        settings.chips,
        scene_options(settings, inputs.stats, params.classes),
        params.classes,
        output.chips,
    )
