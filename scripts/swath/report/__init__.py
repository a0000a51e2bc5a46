"""Reports: what an experiment found, in tables, pictures and words."""
