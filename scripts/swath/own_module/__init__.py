"""Experiments whose pipeline is a Raster Vision module of the user's own, from its `get_config` to the summary."""
