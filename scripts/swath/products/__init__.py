"""Products: maps that open anywhere."""
