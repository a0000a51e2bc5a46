"""How long a job takes beyond SLURM and its stage's work: two starts of Snakemake, the plan, checks of files.

Run it where `snakemake --profile slurm` has run, on quiet nodes (on one machine: with `--jobs 1`):

    python benchmarks/cluster.py

A job's time is accounting's, from start to end; the stage's work is what Snakemake measured of its process; SLURM's own
time is that of jobs whose only step does nothing, submitted here to where a stage's job ran.
"""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd

JOBS = ["sacct", "--allocations", "--noheader", "--parsable2", "--starttime", "now-1day"]
EMPTY_JOBS = 5


def said_by(*command):
    """What a program prints, by line."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def jobs_of_this_folder():
    """Rule, seconds and sbatch line of every job that was submitted from here and has ended well."""
    lines = said_by(*JOBS, "--format", "State,ElapsedRaw,WorkDir,SubmitLine")
    rows = [line.split("|", 3) for line in lines if line.startswith("COMPLETED|")]
    here = [(line, float(seconds)) for _, seconds, folder, line in rows if Path(folder) == Path.cwd()]
    named = [(rule[1], s, line) for line, s in here if (rule := re.search(r"--allowed-rules (\S+)", line))]
    if not named:
        sys.exit("No jobs of this folder that ended well are in SLURM's accounting (sacct).")
    return pd.DataFrame(named, columns=["rule", "job", "line"])


def work_of_this_folder():
    """Rule and seconds of every stage's process."""
    files = Path("results/benchmarks").rglob("*.tsv")
    rows = [
        (path.relative_to("results/benchmarks").parts[0], pd.read_csv(path, sep="\t")["s"].iloc[0]) for path in files
    ]
    return pd.DataFrame(rows, columns=["rule", "work"])


def seconds_of_empty_jobs(line):
    """Seconds that jobs take whose only step does nothing, where the job of an sbatch line ran."""
    place = re.findall(r" -[Ap] \S+", line)
    command = [
        "sbatch",
        "--wait",
        "--parsable",
        "--output",
        "/dev/null",
        *" ".join(place).split(),
        "--wrap",
        "srun true",
    ]
    numbers = [said_by(*command)[0].partition(";")[0] for _ in range(EMPTY_JOBS)]
    return pd.Series([float(said_by(*JOBS, "--jobs", number, "--format", "ElapsedRaw")[0]) for number in numbers])


jobs, work = jobs_of_this_folder(), work_of_this_folder()
table = jobs.groupby("rule")["job"].agg(["count", "mean"]).rename(columns={"count": "jobs", "mean": "job"})
table["slurm"] = seconds_of_empty_jobs(jobs["line"].iloc[0]).mean()
table["work"] = work.groupby("rule")["work"].mean()
table = table.dropna()  # what ran without leaving a measure
table["overhead"] = table["job"] - table["slurm"] - table["work"]
print(table.round(1).to_string())
print(f"overhead per job: {(table['overhead'] * table['jobs']).sum() / table['jobs'].sum():.1f} s")
