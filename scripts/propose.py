"""Propose the trials of a search's next round, or end the search where budget or limits leave none."""

from swath.config.records import of_json, to_json
from swath.config.sweep import Limits, Search
from swath.files import write_json
from swath.job.run_script import job
from swath.rv.limits import judge_networks
from swath.search.proposals import Outcome, Point, described, propose
from swath.search.room import Room

with job(snakemake) as (inputs, output, params):
    outcomes = [of_json(Outcome, outcome) for outcome in params.outcomes]
    room = of_json(Room, params.room) if params.room else None
    search, limits = Search(**params.search), Limits(**params.limits)
    judge = judge_networks(limits, params.network, inputs.scenes)
    points: list[Point] = []
    if room is None or room.number:
        points = propose(search, params.round, outcomes, params.metric, limits, judge)
        room = None if points else Room(0, "no proposal keeps to the limits")
    made = {"round": params.round, "made_for": params.made_for, "metric": params.metric, "points": points}
    ended = {"ended": to_json(room)} if room else {}
    write_json(output.proposals, {**made, **ended, "made_from": described(outcomes, params.metric)})
