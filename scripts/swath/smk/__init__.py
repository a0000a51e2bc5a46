"""All that touches Snakemake's objects: what the Snakefile asks, the hooks of a run, the executor, patches."""
