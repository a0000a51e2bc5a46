# For how much of a search its budget leaves room, when a round or a rung is decided.
from swath.search.rungs import standings_of
from swath.smk.costs import forks_here, room_left


def jobs_left(round):
    """What is yet to be done of trials that earlier rounds have brought to the end, and of the winner."""
    ended = [run for run in trials_at_end(waits=False).values() if run.trial.round < round]
    trainings = [("train", {"key": run.models}) for run in ended]
    return not_made(trainings + (jobs_of_final(ended) if HAS_FINAL else jobs_of_repeats(ended))) + jobs_of_winner()


def room_for_round(wildcards, input):
    """Whether the budget leaves room for a round; the first one has been asked for when the run began."""
    round = int(wildcards.round)
    if round == 1:
        return None

    def jobs_of(number):
        return jobs_to_end(1, trials_of_any(SWEEP.search.per_round)) if number else []

    return room_left(CONTEXT.costs, forks_here(workflow), jobs_left(round), jobs_of, 1)


def room_for_repeats(best, most):
    """For how many of all rounds' best the budget leaves room to repeat them: always for one, for which rounds and rungs
    before have left room."""

    def jobs_of(count):
        return not_made(jobs_of_repeats(best[:count]))

    room = room_left(CONTEXT.costs, forks_here(workflow), jobs_of_winner(), jobs_of, most)
    return room and {**room, "number": max(1, room["number"])}


def room_for_trials(wildcards, input):
    """For how many of those that are to go on from a rung the budget leaves room."""
    round, number = parts_of_rung(wildcards)
    runs = trials_of_rung(wildcards, waits=False)
    histories = {name: Path(metrics_at(run, number)) for name, run in runs.items()}
    if not all(history.is_file() for history in histories.values()):
        return None
    best = [runs[standing.trial] for standing in standings_of(histories, metric_of_rungs(PLAN.experiment))]
    most = number_promoted(len(best), SWEEP.halving.factor)

    if wildcards.rung == FINAL:
        return room_for_repeats(best, most)
    is_first = not any(trials_at(earlier, END, waits=False) for earlier in range(1, round))

    def jobs_of(count):
        final = jobs_of_final(to_end_of(best[:count], number + 1)) if HAS_FINAL and is_first else []
        return not_made(jobs_to_end(number + 1, best[:count]) + final)

    return room_left(CONTEXT.costs, forks_here(workflow), jobs_left(round), jobs_of, most)
