"""SLURM: what the site offers, what an earlier run has left, how Snakemake's executor is told what it misses."""
