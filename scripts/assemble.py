"""Put the parts of a map of new images together."""

from pathlib import Path

from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.config.apply import Apply
    from swath.config.records import of_json
    from swath.report.assemble import assemble
    from swath.scenes.scene import Scene

    assemble(
        params.name,
        [of_json(Scene, image) for image in params.images],
        list(inputs.parts),
        Apply(**params.settings),
        list(inputs.models),
        Path(snakemake.output.manifest).parent / "parts",
        Path(params.folder),
        output.manifest,
    )
