"""Training: Lightning's loop around Raster Vision's learner."""
