"""What an experiment took: hours, GPU hours and memory by stage, and what trials shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from swath.report.findings import Findings

COLUMNS = ["stage", "jobs", "hours", "CPU hours", "GPU hours", "most memory, MB"]


def costs_by_stage(benchmarks: Path, keys: Mapping[str, Sequence[str]], findings: Findings) -> pd.DataFrame:
    """Add up what the jobs of an experiment took, as Snakemake has measured it.

    Args:
        benchmarks: The folder with a folder of measurements for each stage.
        keys: Stage → the keys of the experiment's results.
        findings: The experiment's results: trainings say how long they held a GPU.

    Returns:
        A row per stage of which something was measured. A job that was interrupted and went on counts from its last
        start; trainings count whole.
    """
    gpu = sum(_gpu_hours(findings.timing(run)) for run in {run.model: run for run in findings.finished}.values())
    rows = []
    for stage, of_stage in keys.items():
        measured = [
            table
            for key in dict.fromkeys(of_stage)
            for path in sorted((benchmarks / stage).glob(f"{key}*"))
            for file in (sorted(path.glob("*.tsv")) if path.is_dir() else [path])
            if len(table := pd.read_csv(file, sep="\t", na_values="-"))
        ]
        if measured:
            jobs = pd.concat(measured)
            hours, of_cpu = (float(jobs[column].sum()) / 3600 for column in ("s", "cpu_time"))
            on_gpu = gpu if stage == "train" else 0.0
            rows.append([stage, len(jobs), hours, of_cpu, on_gpu, float(jobs["max_rss"].max())])
    return pd.DataFrame(rows, columns=COLUMNS)


def _gpu_hours(timing: pd.DataFrame) -> float:
    """Return how long a training held a GPU; 0 for one on a CPU."""
    used = timing["peak_gpu_memory_mb"] > 0 if "peak_gpu_memory_mb" in timing else pd.Series([False] * len(timing))
    return float(timing.loc[used, "seconds"].sum()) / 3600


def shared(keys: Mapping[str, Sequence[str]]) -> list[str]:
    """Say which results trials have in common: `chips made once for 3 trainings`."""
    told = []
    for stage, of_stage in keys.items():
        different = len(set(of_stage))
        if different < len(of_stage):
            times = "once" if different == 1 else f"{different} times"
            told.append(f"{stage} ran {times} for {len(of_stage)} trainings")
    return told
