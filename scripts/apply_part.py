"""Predict a part of a map of new images."""

from pathlib import Path

from swath.job.gpus import take_gpus
from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    take_gpus(snakemake.resources.get("gpu", 0))
    from swath.config.apply import Apply
    from swath.prediction.apply import PartOfImage, apply_to_parts
    from swath.scenes.manifest import read_manifests
    from swath.scenes.new_images import read_surroundings

    part, around = params.part, read_surroundings(inputs.images)
    found = read_manifests([inputs.images], part["images"])
    apply_to_parts(
        [PartOfImage(facts, part["part"], part["parts"], around.get(facts.id)) for facts in found],
        Apply(**params.settings),
        list(inputs.models),
        Path(snakemake.output.manifest).parent / "parts",
        output.manifest,
    )
