"""All that touches Snakemake's objects."""
