"""Measures of how good predictions are: plain numbers in, plain numbers out, without Raster Vision."""
