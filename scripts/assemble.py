"""Put the parts of a map of new images together."""

from pathlib import Path

from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.config.apply import Apply
    from swath.prediction.assemble import assemble
    from swath.scenes.manifest import read_manifests
    from swath.scenes.new_images import read_surroundings

    facts, around = {one.id: one for one in read_manifests([inputs.images])}, read_surroundings(inputs.images)
    assemble(
        params.name,
        [facts[name] for name in params.images],
        around,
        list(inputs.parts),
        Apply(**params.settings),
        list(inputs.models),
        Path(snakemake.output.manifest).parent / "parts",
        Path(params.folder),
        output.manifest,
    )
