"""How far an experiment is, from the files that are there: at once, while others work or after, without a change."""
