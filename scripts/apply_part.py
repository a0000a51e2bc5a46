"""Predict a part of a map of new images."""

from pathlib import Path

from swath.job.gpus import take_gpus
from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    take_gpus(snakemake.resources.get("gpu", 0))
    from swath.checks.new_images import check_and_tell
    from swath.checks.read_scenes import read_scenes
    from swath.config.apply import Apply
    from swath.config.records import of_json
    from swath.prediction.apply import apply_to_images
    from swath.scenes.scene import Scene

    seen, wanted = [of_json(Scene, image) for image in params.images], params.part["images"]
    settings = Apply(images=[image.image for image in seen], **params.settings)
    own, everywhere = [image for image in seen if image.id in wanted], settings.model_copy(update={"aoi": None})
    check_and_tell(own, everywhere, list(inputs.models), params.allow, read_scenes)
    apply_to_images(
        seen,
        wanted,
        (params.part["part"], params.part["parts"]),
        settings,
        list(inputs.models),
        Path(snakemake.output.manifest).parent.parent / "parts",
        output.manifest,
    )
