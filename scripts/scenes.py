"""Read headers and labels of a shard of scenes; harmonise and check the labels."""

from pathlib import Path

from swath.config.records import of_json
from swath.job.attempts import note_work
from swath.job.run_script import job
from swath.scenes.facts import ScenesSpec
from swath.scenes.prepare import prepare_scenes
from swath.scenes.scene import Scene

with job(snakemake) as (_, output, params):
    scenes, spec = [of_json(Scene, row) for row in params.rows], of_json(ScenesSpec, params.spec)
    note_work(len(scenes))
    prepare_scenes(scenes, spec, Path(snakemake.output.manifest).with_suffix(""), output.manifest)
