"""Decide which trials go on from a rung to the next."""

from pathlib import Path

from swath.config.records import of_json
from swath.config.sweep import Limits
from swath.job.run_script import job
from swath.rv.limits import judge_networks
from swath.search.limits import needed_by, over_limits
from swath.search.room import Room, check_room
from swath.search.rungs import decide

with job(snakemake) as (inputs, output, params):
    room = of_json(Room, params.room) if params.room else None
    if params.is_first:
        check_room(room, params.configs)
    limits = Limits(**params.limits)
    judge = judge_networks(limits, params.network, inputs.scenes)
    histories = {trial: Path(path) for trial, path in zip(params.points, inputs.metrics, strict=True)}
    over = {trial: judge(values) for trial, values in params.points.items()}
    for trial, gpus in params.gpus.items():
        over[trial] = over[trial] or over_limits(limits, needed_by(histories[trial], gpus))
    decide(histories, params.metric, params.factor, output.table, room, over)
