"""A user's own Raster Vision module as an experiment: what can be said of it without importing it."""
