"""What an experiment took: hours, GPU hours, energy and memory by stage, and what trials shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from swath.cost.table import JOULES_PER_KWH
from swath.job.spent import spent

COLUMNS = ["stage", "jobs", "attempts", "hours", "CPU hours", "GPU hours", "GPU energy, kWh", "most memory, MB"]


def costs_by_stage(logs: Path, keys: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Add up what the jobs of an experiment took, as they have written it down: the numbers of ``cost.csv``.

    Args:
        logs: The folder of logs, with the records of attempts.
        keys: Stage → the keys of the experiment's results.

    Returns:
        A row per stage of which something was written down. Attempts that were interrupted, cancelled or killed count.
    """
    rows = []
    for stage, of_stage in keys.items():
        taken = spent(logs, {stage: of_stage})
        if taken.jobs:
            energy = None if taken.joules is None else f"{taken.joules / JOULES_PER_KWH:.3f}"
            hours = (taken.seconds / 3600, taken.cpu_hours, taken.gpu_hours)
            rows.append([stage, taken.jobs, taken.attempts, *hours, energy, taken.memory])
    table = pd.DataFrame(rows, columns=COLUMNS).dropna(axis="columns", how="all") if rows else pd.DataFrame()
    return table.fillna("")


def shared(keys: Mapping[str, Sequence[str]]) -> list[str]:
    """Say which results trials have in common: `chips made once for 3 trainings`."""
    told = []
    for stage, of_stage in keys.items():
        different = len(set(of_stage))
        if different < len(of_stage):
            times = "once" if different == 1 else f"{different} times"
            told.append(f"{stage} ran {times} for {len(of_stage)} trainings")
    return told
