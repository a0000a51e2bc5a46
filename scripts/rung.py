"""Decide which trials go on from a rung to the next."""

from pathlib import Path

from swath.config.records import of_json
from swath.config.sweep import Limits
from swath.job.run_script import job
from swath.rv.limits import judge_networks
from swath.search.room import Room, check_room
from swath.search.rungs import decide

with job(snakemake) as (inputs, output, params):
    room = of_json(Room, params.room) if params.room else None
    if params.is_first:
        check_room(room, params.configs)
    judge = judge_networks(Limits(**params.limits), params.network, inputs.scenes)
    over = {trial: judge(values) for trial, values in params.points.items()}
    histories = {trial: Path(path) for trial, path in zip(params.points, inputs.metrics, strict=True)}
    decide(histories, params.metric, params.factor, output.table, room, over)
