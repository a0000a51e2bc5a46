"""Propose the trials of a search's next round, or end the search where the budget leaves no room for them."""

from swath.config.records import of_json
from swath.config.sweep import Limits, Search
from swath.files import write_json
from swath.job.run_script import job
from swath.rv.limits import judge_networks
from swath.search.proposals import Outcome, described, propose

with job(snakemake) as (inputs, output, params):
    outcomes = [of_json(Outcome, outcome) for outcome in params.outcomes]
    is_over = params.room is not None and params.room["number"] == 0
    search, limits = Search(**params.search), Limits(**params.limits)
    judge = judge_networks(limits, params.network, inputs.scenes)
    points = [] if is_over else propose(search, params.round, outcomes, params.metric, limits, judge)
    made = {"round": params.round, "made_for": params.made_for, "metric": params.metric, "points": points}
    ended = {"ended": params.room} if is_over else {}
    write_json(output.proposals, {**made, **ended, "made_from": described(outcomes, params.metric)})
