"""Read the headers of new images, and compare them with what the model was trained on."""

from pathlib import Path

from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.checks.new_images import check_and_tell
    from swath.checks.read_scenes import read_scenes
    from swath.config.apply import Apply
    from swath.config.records import of_json
    from swath.scenes.new_images import describe_images
    from swath.scenes.scene import Scene
    from swath.scenes.trained_on import read_bundle, resolved_window

    images, settings = [of_json(Scene, image) for image in params.images], Apply(**params.settings)
    check_and_tell(images, settings, list(inputs.models), params.allow, read_scenes)
    model = read_bundle(inputs.models[0])
    margin = resolved_window(model, settings.predict).chip_size if model.task != "chip_classification" else 0
    describe_images(images, settings, margin, Path(snakemake.output.images).parent, output.images)
